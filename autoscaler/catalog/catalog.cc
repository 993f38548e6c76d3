#include "autoscaler/catalog/catalog.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <set>

#include "autoscaler/base/quantity.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"
#include "neap/scaler/v1/scaler.pb.h"

namespace neap::catalog {
namespace {

namespace pb = neap::scaler::v1;

// Keeps the first error of protobuf's text parser.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (text_.empty()) text_ = fmt::format("{}:{}: {}", line + 1, column + 1, message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

Kind FromProto(pb::Parameter::Kind kind) {
  switch (kind) {
    case pb::Parameter::INT:
      return Kind::kInt;
    case pb::Parameter::FLOAT:
      return Kind::kFloat;
    case pb::Parameter::BOOL:
      return Kind::kBool;
    case pb::Parameter::DURATION:
      return Kind::kDuration;
    case pb::Parameter::LIST:
      return Kind::kList;
    case pb::Parameter::MAP:
      return Kind::kMap;
    case pb::Parameter::QUANTITY:
      return Kind::kQuantity;
    default:
      return Kind::kString;
  }
}

TargetKind FromProto(pb::TargetKind kind) {
  switch (kind) {
    case pb::VALUE:
      return TargetKind::kValue;
    case pb::AVERAGE_VALUE:
      return TargetKind::kAverageValue;
    case pb::UTILIZATION:
      return TargetKind::kUtilization;
    default:
      return TargetKind::kUnspecified;
  }
}

// Whether `text` is of the parameter's kind and allowed. A secret's text is never quoted.
absl::Status CheckText(const Parameter& parameter, std::string_view text) {
  absl::Status status;
  switch (parameter.kind) {
    case Kind::kString:
    case Kind::kList:
      break;
    case Kind::kInt:
      status = ParseInt(text).status();
      break;
    case Kind::kFloat:
      status = ParseFloat(text).status();
      break;
    case Kind::kBool:
      status = ParseBool(text).status();
      break;
    case Kind::kDuration:
      status = ParseDurationValue(text).status();
      break;
    case Kind::kMap:
      status = ParseMap(text).status();
      break;
    case Kind::kQuantity:
      status = base::Quantity::Parse(text).status();
      break;
  }
  if (!status.ok()) {
    if (parameter.secret) {
      return base::InvalidArgument("is not a valid {}", KindName(parameter.kind));
    }
    return status;
  }
  if (parameter.allowed_values.empty()) return absl::OkStatus();
  const std::vector<std::string> elements =
      parameter.kind == Kind::kList ? ParseList(text) : std::vector<std::string>{std::string(text)};
  for (const std::string& element : elements) {
    const auto& allowed = parameter.allowed_values;
    if (std::find(allowed.begin(), allowed.end(), element) == allowed.end()) {
      const std::string quoted = parameter.secret ? "the value" : "\"" + element + "\"";
      return base::InvalidArgument("{} must be one of {}", quoted, fmt::join(allowed, ", "));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<TriggerType>> Convert(const pb::Manifest& manifest,
                                                 std::string_view source) {
  std::vector<TriggerType> out;
  std::set<std::string> types;
  for (const pb::TriggerType& from : manifest.trigger_types()) {
    if (from.type().empty()) return base::InvalidArgument("{}: a trigger type has no name", source);
    if (!types.insert(from.type()).second) {
      return base::InvalidArgument("{}: trigger type {} is there twice", source, from.type());
    }
    TriggerType& type = out.emplace_back();
    type.type = from.type();
    type.summary = from.summary();
    type.pushes = from.pushes();
    type.target_parameter = from.target_parameter();
    type.activation_parameter = from.activation_parameter();
    type.needs_pod_selector = from.needs_pod_selector();
    for (int kind : from.allowed_targets()) {
      type.allowed_targets.push_back(FromProto(static_cast<pb::TargetKind>(kind)));
    }
    std::set<std::string> names;
    for (const pb::Parameter& p : from.parameters()) {
      Parameter& parameter = type.parameters.emplace_back();
      parameter.name = p.name();
      parameter.aliases.assign(p.aliases().begin(), p.aliases().end());
      parameter.kind = FromProto(p.kind());
      parameter.required = p.required();
      if (p.has_default_value()) parameter.default_value = p.default_value();
      parameter.secret = p.secret();
      for (int s : p.sources()) {
        parameter.sources.push_back(s == pb::Parameter::AUTH  ? Source::kAuth
                                    : s == pb::Parameter::ENV ? Source::kEnv
                                                              : Source::kMetadata);
      }
      if (parameter.sources.empty()) parameter.sources = {Source::kMetadata};
      parameter.allowed_values.assign(p.allowed_values().begin(), p.allowed_values().end());
      parameter.exclusive_group = p.exclusive_group();
      parameter.deprecated = p.deprecated();
      parameter.description = p.description();

      std::vector<std::string> all = parameter.aliases;
      all.push_back(parameter.name);
      for (const std::string& name : all) {
        if (name.empty() || !names.insert(name).second) {
          return base::InvalidArgument("{}: trigger type {}: parameter \"{}\" {}", source,
                                       type.type, name,
                                       name.empty() ? "has no name" : "is there twice");
        }
      }
      if (parameter.default_value) {
        const absl::Status status = CheckText(parameter, *parameter.default_value);
        if (!status.ok()) {
          return base::InvalidArgument("{}: trigger type {}: default of {}: {}", source, type.type,
                                       parameter.name, base::Message(status));
        }
      }
    }
    for (const std::string& name : {type.target_parameter, type.activation_parameter}) {
      if (!name.empty() && type.Find(name) == nullptr) {
        return base::InvalidArgument("{}: trigger type {}: {} is none of its parameters", source,
                                     type.type, name);
      }
    }
  }
  return out;
}

}  // namespace

const Parameter* TriggerType::Find(std::string_view name) const {
  for (const Parameter& parameter : parameters) {
    if (parameter.name == name) return &parameter;
    for (const std::string& alias : parameter.aliases) {
      if (alias == name) return &parameter;
    }
  }
  return nullptr;
}

absl::StatusOr<std::vector<TriggerType>> ParseManifest(std::string_view text,
                                                       std::string_view source) {
  pb::Manifest manifest;
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(std::string(text), &manifest)) {
    return base::InvalidArgument("{}:{}", source, error.text());
  }
  return Convert(manifest, source);
}

absl::StatusOr<std::vector<TriggerType>> ParseBinaryManifest(std::string_view bytes,
                                                             std::string_view source) {
  pb::Manifest manifest;
  if (!manifest.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return base::InvalidArgument("{}: not a manifest", source);
  }
  return Convert(manifest, source);
}

std::optional<FoundValue> FindValue(const Parameter& parameter, const TriggerText& trigger) {
  const auto value_in = [](const Texts& texts, const std::string& key) -> std::string_view {
    const auto at = texts.find(key);
    return at == texts.end() ? std::string_view() : Trim(at->second);
  };
  for (Source source : parameter.sources) {
    for (size_t i = 0; i <= parameter.aliases.size(); ++i) {
      const std::string& name = i == 0 ? parameter.name : parameter.aliases[i - 1];
      std::string_view text;
      switch (source) {
        case Source::kMetadata:
          text = value_in(trigger.metadata, name);
          break;
        case Source::kAuth:
          text = value_in(trigger.auth, name);
          break;
        case Source::kEnv: {
          const std::string_view variable = value_in(trigger.metadata, name + "FromEnv");
          if (!variable.empty()) text = value_in(trigger.env, std::string(variable));
          break;
        }
      }
      if (text.empty()) continue;
      return FoundValue{.text = std::string(text), .name = name, .source = source};
    }
  }
  if (!parameter.default_value) return std::nullopt;
  return FoundValue{.text = *parameter.default_value, .name = parameter.name, .is_default = true};
}

std::vector<FieldError> Check(const TriggerType& type, const TriggerText& trigger) {
  std::vector<FieldError> errors;
  std::map<std::string, std::string> groups;  // exclusive group -> the parameter that is set
  for (const Parameter& parameter : type.parameters) {
    const std::optional<FoundValue> found = FindValue(parameter, trigger);
    if (!found) {
      if (!parameter.required) continue;
      std::vector<std::string_view> sources;
      for (Source source : parameter.sources) sources.push_back(SourceName(source));
      errors.push_back({parameter.name, fmt::format("missing required parameter \"{}\" in {}",
                                                    parameter.name, fmt::join(sources, ", "))});
      continue;
    }
    if (found->is_default) continue;
    if (!parameter.deprecated.empty()) {
      errors.push_back({parameter.name, parameter.deprecated});
      continue;
    }
    if (const absl::Status status = CheckText(parameter, found->text); !status.ok()) {
      errors.push_back({parameter.name, std::string(base::Message(status))});
    }
    if (parameter.exclusive_group.empty()) continue;
    const auto [at, fresh] = groups.try_emplace(parameter.exclusive_group, parameter.name);
    if (!fresh) {
      errors.push_back({parameter.name, fmt::format("\"{}\" and \"{}\" can't both be set",
                                                    at->second, parameter.name)});
    }
  }
  return errors;
}

std::vector<std::string> UnknownKeys(const TriggerType& type, const TriggerText& trigger) {
  std::vector<std::string_view> known;
  for (const Parameter& parameter : type.parameters) {
    known.push_back(parameter.name);
    known.insert(known.end(), parameter.aliases.begin(), parameter.aliases.end());
  }
  std::vector<std::string> out;
  for (const auto& [key, value] : trigger.metadata) {
    std::string_view name = key;
    if (name.ends_with("FromEnv")) name.remove_suffix(7);
    if (type.Find(name) != nullptr || type.Find(key) != nullptr) continue;
    out.push_back(fmt::format("{}: unknown parameter{}", key, base::DidYouMean(key, known)));
  }
  return out;
}

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kString:
      return "text";
    case Kind::kInt:
      return "integer";
    case Kind::kFloat:
      return "number";
    case Kind::kBool:
      return "boolean";
    case Kind::kDuration:
      return "duration";
    case Kind::kList:
      return "list";
    case Kind::kMap:
      return "map";
    case Kind::kQuantity:
      return "quantity";
  }
  return "?";
}

std::string_view SourceName(Source source) {
  switch (source) {
    case Source::kMetadata:
      return "metadata";
    case Source::kAuth:
      return "authentication";
    case Source::kEnv:
      return "environment";
  }
  return "?";
}

}  // namespace neap::catalog
