// neapctl scaler describe and read: a running scaler as neapd meets it.
#include <fmt/format.h>

#include <optional>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "autoscaler/scalerhost/client.h"
#include "tools/neapctl/commands.h"
#include "tools/neapctl/files.h"

namespace neap::ctl {
namespace {

namespace objects = kube::objects;
using scalerhost::Client;

absl::StatusOr<std::unique_ptr<Client>> Connect(const ScalerAddress& scaler) {
  const bool tls = scaler.tls || !scaler.ca_file.empty() || !scaler.cert_file.empty() ||
                   !scaler.server_name.empty();
  if (!tls) return Client::Make(scaler.address);
  return Client::Make(scaler.address, scalerhost::Tls{.ca_file = scaler.ca_file,
                                                      .cert_file = scaler.cert_file,
                                                      .key_file = scaler.key_file,
                                                      .server_name = scaler.server_name});
}

int Fail(const absl::Status& status) {
  PrintError(base::Message(status));
  return kFailed;
}

// ---- describe

std::string TargetKindText(catalog::TargetKind kind) {
  switch (kind) {
    case catalog::TargetKind::kValue:
      return "Value";
    case catalog::TargetKind::kAverageValue:
      return "AverageValue";
    case catalog::TargetKind::kUtilization:
      return "Utilization";
    case catalog::TargetKind::kUnspecified:
      break;
  }
  return "unspecified";
}

Json ParameterToJson(const catalog::Parameter& p) {
  Json sources = Json::array();
  for (const catalog::Source source : p.sources) sources.push_back(catalog::SourceName(source));
  Json out = {
      {"name", p.name},     {"kind", catalog::KindName(p.kind)}, {"required", p.required},
      {"secret", p.secret}, {"from", std::move(sources)},        {"description", p.description}};
  if (!p.aliases.empty()) out["aliases"] = p.aliases;
  if (p.default_value) out["default"] = *p.default_value;
  if (!p.allowed_values.empty()) out["allowed"] = p.allowed_values;
  if (!p.deprecated.empty()) out["deprecated"] = p.deprecated;
  return out;
}

Json TypeToJson(const catalog::TriggerType& type) {
  Json targets = Json::array();
  for (const catalog::TargetKind kind : type.allowed_targets) {
    targets.push_back(TargetKindText(kind));
  }
  Json out = {{"type", type.type}, {"summary", type.summary}, {"targets", std::move(targets)}};
  if (!type.target_parameter.empty()) out["targetParameter"] = type.target_parameter;
  if (!type.activation_parameter.empty()) out["activationParameter"] = type.activation_parameter;
  out["pushes"] = type.pushes;
  out["parameters"] = Json::array();
  for (const catalog::Parameter& p : type.parameters) {
    out["parameters"].push_back(ParameterToJson(p));
  }
  return out;
}

std::string TypeToText(const catalog::TriggerType& type) {
  std::vector<std::vector<std::string>> rows;
  for (const catalog::Parameter& p : type.parameters) {
    if (!p.deprecated.empty()) continue;  // setting it is an error: nobody should
    rows.push_back({"  " + p.name, std::string(catalog::KindName(p.kind)),
                    p.required ? "required" : p.default_value.value_or(""), p.description});
  }
  return fmt::format("\n{}: {}\n{}", type.type, type.summary, Table(rows));
}

// ---- read

absl::StatusOr<catalog::Texts> Pairs(const std::vector<std::string>& words, std::string_view flag,
                                     bool files) {
  catalog::Texts out;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      return base::InvalidArgument("{} \"{}\": expected KEY=VALUE", flag, word.substr(0, equals));
    }
    std::string value = word.substr(equals + 1);
    if (files && value.starts_with('@')) {
      NEAP_ASSIGN_OR_RETURN(value, ReadFile(value.substr(1)));
      while (value.ends_with('\n')) value.pop_back();
    }
    if (!out.emplace(word.substr(0, equals), std::move(value)).second) {
      return base::InvalidArgument("{} \"{}\" is there twice", flag, word.substr(0, equals));
    }
  }
  return out;
}

struct Asked {
  std::string label;  // "shop/worker redis"
  scalerhost::TriggerRequest request;
};

absl::StatusOr<std::vector<Asked>> FromFlags(const ScalerReadOptions& options) {
  if (options.type.empty()) return base::InvalidArgument("name a trigger by --type or --file");
  Asked out;
  out.label = options.type;
  NEAP_ASSIGN_OR_RETURN(const catalog::Texts metadata,
                        Pairs(options.metadata, "--metadata", false));
  NEAP_ASSIGN_OR_RETURN(out.request.auth, Pairs(options.auth, "--auth", true));
  NEAP_ASSIGN_OR_RETURN(out.request.env, Pairs(options.env, "--env", true));
  control::Subscription& s = out.request.subscription;
  s.type = options.type;
  s.metadata = std::vector<core::Metadata::Entry>(metadata.begin(), metadata.end());
  s.ns = options.ns;
  s.object_kind = "Autoscaler";
  s.object_name = "neapctl";
  if (options.metric_type == "Value") s.requested_target = core::TargetKind::kValue;
  if (options.metric_type == "AverageValue") s.requested_target = core::TargetKind::kAverageValue;
  return std::vector<Asked>{std::move(out)};
}

absl::Status AddFile(const std::string& file, std::vector<Asked>& out) {
  NEAP_ASSIGN_OR_RETURN(const auto documents, ReadDocuments(file));
  objects::DecodeOptions strict = StrictOptions();
  strict.find_type = nullptr;  // the scaler itself says what it takes
  for (const value::Value* document : objects::Flatten(documents)) {
    NEAP_ASSIGN_OR_RETURN(const auto kind, objects::KindOf(*document));
    if (!kind) continue;
    const objects::Decoded object = objects::DecodeDocument(*document, strict);
    if (!object.spec) return base::InvalidArgument("{}", objects::Text(object.errors[0], file));
    for (const core::TriggerSpec& trigger : object.spec->triggers) {
      Asked asked;
      asked.label = fmt::format("{} {}", object.key.Text(),
                                trigger.name.empty() ? trigger.type : trigger.name);
      asked.request.subscription.type = trigger.type;
      asked.request.subscription.metadata = trigger.metadata;
      asked.request.subscription.ns = object.key.ns;
      asked.request.subscription.object_kind = "Autoscaler";
      asked.request.subscription.object_name = object.key.name;
      asked.request.subscription.requested_target = trigger.metric_type;
      out.push_back(std::move(asked));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Asked>> FromFiles(const std::vector<std::string>& files) {
  std::vector<Asked> out;
  for (const std::string& file : files) NEAP_RETURN_IF_ERROR(AddFile(file, out));
  if (out.empty()) return base::InvalidArgument("no triggers in these files");
  return out;
}

std::string_view ErrorKindText(core::ErrorKind kind) {
  switch (kind) {
    case core::ErrorKind::kUnavailable:
      return "Unavailable";
    case core::ErrorKind::kTimeout:
      return "Timeout";
    case core::ErrorKind::kDenied:
      return "Denied";
    case core::ErrorKind::kNotFound:
      return "NotFound";
    case core::ErrorKind::kBadParameter:
      return "BadParameter";
    case core::ErrorKind::kBadAnswer:
      return "BadAnswer";
    case core::ErrorKind::kThrottled:
      return "Throttled";
    case core::ErrorKind::kInternal:
      return "Internal";
    case core::ErrorKind::kUnknownTrigger:
      return "UnknownTrigger";
    case core::ErrorKind::kNeverRead:
      return "NeverRead";
    case core::ErrorKind::kStale:
      return "Stale";
  }
  return "";
}

std::string TargetText(const core::MetricTarget& target) {
  if (target.average_value) return base::FormatMilli(*target.average_value) + " per replica";
  if (target.value) return base::FormatMilli(*target.value);
  return "-";
}

// A reading's values as a person reads them: "42", "3, 4", "web-1 250m, web-2 300m".
std::string ValueText(const control::MetricReading& metric) {
  const core::Reading& r = metric.reading;
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
  for (const int64_t milli : r.milli) add(base::FormatMilli(milli));
  for (const double real : r.real) add(fmt::format("{}", real));
  for (const control::NamedPodSample& sample : metric.pod_samples) {
    add(sample.pod + " " + base::FormatMilli(sample.milli));
  }
  if (out.empty()) out = "no series";
  return r.absent ? out + " (absent: a stand-in)" : out;
}

class Results {
 public:
  void Add(const Asked& asked, const scalerhost::TriggerAnswer& answer) {
    const auto& error = answer.opened.error ? answer.opened.error : answer.reading.error;
    Json trigger = {{"trigger", asked.label}, {"metrics", Json::array()}};
    if (error) {
      trigger["error"] = ErrorToJson(*error);
      Failed(asked.label, "", *error);
    }
    for (const control::MetricReading& metric : answer.reading.metrics) {
      trigger["metrics"].push_back(Metric(asked, answer, metric));
    }
    triggers_.push_back(std::move(trigger));
  }

  int PrintAll(Format format) {
    Print(format, {{"triggers", triggers_}}, rows_.size() > 1 ? Table(rows_) : "");
    return failed_ ? kNo : kOk;
  }

 private:
  static Json ErrorToJson(const core::ReadingError& error) {
    return {{"kind", ErrorKindText(error.kind)}, {"message", error.message}};
  }

  void Failed(const std::string& trigger, const std::string& metric,
              const core::ReadingError& error) {
    failed_ = true;
    PrintError(fmt::format("{}{}{}: {}: {}", trigger, metric.empty() ? "" : " ", metric,
                           ErrorKindText(error.kind), error.message));
  }

  Json Metric(const Asked& asked, const scalerhost::TriggerAnswer& answer,
              const control::MetricReading& metric) {
    Json out = {{"name", metric.name}};
    const core::Reading& r = metric.reading;
    if (r.form == core::Reading::Form::kError) {
      out["error"] = ErrorToJson(r.error);
      Failed(asked.label, metric.name, r.error);
      return out;
    }
    core::MetricTarget target = r.target ? *r.target : core::MetricTarget();
    for (const core::MetricSpec& spec : answer.opened.metrics) {
      if (spec.name == metric.name && !r.target) target = spec.target;
    }
    const std::string active = r.active ? (*r.active ? "yes" : "no") : "-";
    const std::string value = ValueText(metric);
    out["value"] = value;
    out["milli"] = r.milli;
    out["real"] = r.real;
    out["absent"] = r.absent;
    if (r.active) out["active"] = *r.active;
    out["target"] = TargetText(target);
    rows_.push_back({asked.label, metric.name, value, TargetText(target), active});
    return out;
  }

  Json triggers_ = Json::array();
  std::vector<std::vector<std::string>> rows_ = {
      {"TRIGGER", "METRIC", "VALUE", "TARGET", "ACTIVE"}};
  bool failed_ = false;
};

}  // namespace

int ScalerDescribe(const ScalerDescribeOptions& options) {
  const auto client = Connect(options.scaler);
  if (!client.ok()) return Fail(client.status());
  const auto scaler = (*client)->Describe();
  if (!scaler.ok()) return Fail(scaler.status());
  Json types = Json::array();
  std::string text =
      fmt::format("{} {}, contract 1.{}\n", scaler->name, scaler->version, scaler->contract_minor);
  for (const catalog::TriggerType& type : scaler->types) {
    types.push_back(TypeToJson(type));
    text += TypeToText(type);
  }
  Print(options.format,
        {{"name", scaler->name},
         {"version", scaler->version},
         {"contractMinor", scaler->contract_minor},
         {"maxTriggersPerRead", scaler->max_triggers_per_read},
         {"triggerTypes", std::move(types)}},
        text);
  return kOk;
}

int ScalerRead(const ScalerReadOptions& options) {
  const auto asked = options.files.empty() ? FromFlags(options) : FromFiles(options.files);
  if (!asked.ok()) return Fail(asked.status());
  const auto client = Connect(options.scaler);
  if (!client.ok()) return Fail(client.status());
  std::vector<scalerhost::TriggerRequest> requests;
  for (const Asked& a : *asked) requests.push_back(a.request);
  const auto answers = (*client)->Read(requests, absl::Seconds(options.timeout_seconds));
  if (!answers.ok()) return Fail(answers.status());
  Results results;
  for (size_t i = 0; i < asked->size(); ++i) results.Add((*asked)[i], (*answers)[i]);
  return results.PrintAll(options.format);
}

}  // namespace neap::ctl
