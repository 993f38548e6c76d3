#include "scalers/kubernetes-metrics/kubernetes_metrics_scaler.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "autoscaler/base/selector.h"
#include "autoscaler/base/status.h"
#include "scalers/kubernetes-metrics/cluster.h"
#include "scalers/kubernetes-metrics/lists.h"
#include "scalers/kubernetes-metrics/pod_index.h"

extern const char neap_manifest_kubernetes_metrics[];

namespace neap::scalers::kubernetes_metrics {
namespace {

enum class Type { kResource, kContainerResource, kPods, kObject, kExternal };

class HpaTrigger : public sdk::Trigger {
 public:
  static absl::StatusOr<std::unique_ptr<sdk::Trigger>> Open(const sdk::Parameters& parameters) {
    auto out = std::unique_ptr<HpaTrigger>(new HpaTrigger);
    const std::string& type = parameters.type();
    out->type = type == "hpa-resource"             ? Type::kResource
                : type == "hpa-container-resource" ? Type::kContainerResource
                : type == "hpa-pods"               ? Type::kPods
                : type == "hpa-object"             ? Type::kObject
                                                   : Type::kExternal;
    out->ns = parameters.context().ns;
    if (out->ns.empty()) return sdk::BadParameter("namespace", "the trigger's object has none");
    if (out->NeedsPods()) {
      out->pod_selector_text = parameters.context().pod_selector;
      // An empty selector would ask for every pod of the namespace.
      if (out->pod_selector_text.empty()) {
        return sdk::BadParameter("podSelector", "the target's scale has no selector");
      }
      absl::StatusOr<base::Selector> selector = base::Selector::Parse(out->pod_selector_text);
      if (!selector.ok()) {
        return sdk::BadParameter("podSelector", "{}", base::Message(selector.status()));
      }
      out->pod_selector = *std::move(selector);
    }
    if (out->type == Type::kResource || out->type == Type::kContainerResource) {
      out->name = parameters.Text("resource");
      if (out->type == Type::kContainerResource) out->container = parameters.Text("container");
      return out;
    }
    out->name = parameters.Text("metric");
    absl::StatusOr<base::Selector> selector = base::Selector::Parse(parameters.Text("selector"));
    if (!selector.ok()) {
      return sdk::BadParameter("selector", "{}", base::Message(selector.status()));
    }
    out->metric_selector = selector->Text();
    if (out->type == Type::kObject) {
      const std::string version = parameters.Text("apiVersion");
      const size_t slash = version.find('/');
      out->object_group = slash == std::string::npos ? "" : version.substr(0, slash);
      out->object_kind = parameters.Text("kind");
      out->object_name = parameters.Text("name");
    }
    return out;
  }

  // The target stands in the object, and the metric's name too.
  std::vector<sdk::MetricSpec> metrics() const override {
    return {{.name = "", .target = std::nullopt, .has_activity = false}};
  }
  // One for each API: a metrics adapter that hangs does not delay the readings of the others.
  std::string source_key() const override { return std::string("kubernetes ") + Api(); }

  const char* Api() const {
    switch (type) {
      case Type::kResource:
      case Type::kContainerResource:
        return kResourceApi;
      case Type::kPods:
      case Type::kObject:
        return kCustomApi;
      case Type::kExternal:
        break;
    }
    return kExternalApi;
  }
  bool NeedsPods() const { return type != Type::kObject && type != Type::kExternal; }
  // Upstream's HPA asks for any Namespace by its own, whatever the name.
  bool IsNamespace() const { return object_group.empty() && object_kind == "Namespace"; }

  Type type = Type::kResource;
  std::string ns;
  std::string pod_selector_text;
  base::Selector pod_selector;
  std::string name;  // of the resource or the metric
  std::string container;
  std::string metric_selector;
  std::string object_group;
  std::string object_kind;
  std::string object_name;

 private:
  HpaTrigger() = default;
};

using Triggers = std::vector<const HpaTrigger*>;
using Readings = std::vector<sdk::Reading>;

// The status' text behind the words with which upstream's metrics client begins.
sdk::Reading Failed(const char* api, const absl::Status& status) {
  sdk::Error error = sdk::FromStatus(status);
  if (absl::IsCancelled(status)) error.kind = sdk::ErrorKind::kTimeout;
  const std::string_view word = api == kResourceApi ? "resource"
                                : api == kCustomApi ? "custom"
                                                    : "external";
  error.message =
      fmt::format("unable to fetch metrics from {} metrics API: {}", word, error.message);
  return sdk::Reading::Failed(std::move(error));
}
// An answer that is no list of metrics: DataLoss, so that it is a bad answer and no bad parameter.
sdk::Reading NotUnderstood(const char* api, const absl::Status& status) {
  return Failed(api, absl::Status(absl::StatusCode::kDataLoss, status.message()));
}
sdk::Reading Nothing(std::string_view api_word) {
  return sdk::Reading::Failed(
      {.kind = sdk::ErrorKind::kNotFound,
       .message = fmt::format("no metrics returned from {} metrics API", api_word)});
}

sdk::Reading OfPods(sdk::PodValues values) {
  sdk::Reading out;
  sdk::MetricReading& metric = out.metrics.emplace_back();
  if (!values.sampled_at.empty()) metric.sampled_at = values.sampled_at[0];
  metric.result = std::move(values);
  return out;
}

sdk::Reading OfSeries(std::vector<int64_t> milli, absl::Time at) {
  sdk::Reading out;
  sdk::MetricReading& metric = out.metrics.emplace_back();
  metric.sampled_at = at;
  metric.result = sdk::Series{.milli = std::move(milli), .real = {}};
  return out;
}

// Adds a row, or replaces the one of that pod: a list that names a pod twice counts its last.
class PodColumns {
 public:
  void Add(const std::string& pod, int64_t milli, absl::Time at, absl::Duration window) {
    const auto [row, fresh] = rows_.try_emplace(pod, values_.pod.size());
    if (fresh) {
      values_.pod.push_back(pod);
      values_.milli.push_back(milli);
      values_.sampled_at.push_back(at);
      values_.window.push_back(window);
    } else {
      values_.milli[row->second] = milli;
      values_.sampled_at[row->second] = at;
      values_.window[row->second] = window;
    }
  }
  sdk::PodValues Take() { return std::move(values_); }

 private:
  sdk::PodValues values_;
  std::unordered_map<std::string, size_t> rows_;
};

// ---- metrics.k8s.io: one list for each namespace answers all of its triggers

sdk::Reading ResourceReading(const HpaTrigger& trigger, const PodIndex& pods) {
  const std::vector<const PodUsage*> matching = pods.Matching(trigger.pod_selector);
  if (matching.empty()) return Nothing("resource");
  PodColumns columns;
  for (const PodUsage* pod : matching) {
    const std::optional<int64_t> milli = trigger.type == Type::kResource
                                             ? pod->OfPod(trigger.name)
                                             : pod->OfContainer(trigger.container, trigger.name);
    if (milli) columns.Add(pod->name, *milli, pod->at, pod->window);
  }
  return OfPods(columns.Take());
}

void ReadResource(Cluster& cluster, sdk::ReadContext& context, const Triggers& triggers,
                  Readings& out) {
  std::map<std::string, std::vector<size_t>> by_namespace;
  for (size_t i = 0; i < triggers.size(); ++i) by_namespace[triggers[i]->ns].push_back(i);

  struct List {
    const std::vector<size_t>* members;
    Cluster::Question question;
    std::vector<PodUsage> pods;
    std::optional<sdk::Reading> failure;
  };
  std::vector<List> lists;
  for (const auto& [ns, members] : by_namespace) {
    lists.push_back(
        {.members = &members,
         .question = {.path = kube::api::ResourcePath(kResourceApi, "v1beta1", "pods", ns),
                      .query = {},
                      .asked = "pods.metrics.k8s.io"},
         .pods = {},
         .failure = std::nullopt});
  }
  // Pages: metrics-server sends one, other servers may not.
  std::vector<size_t> open(lists.size());
  for (size_t i = 0; i < lists.size(); ++i) open[i] = i;
  while (!open.empty()) {
    std::vector<Cluster::Question> questions;
    for (size_t i : open) questions.push_back(lists[i].question);
    const std::vector<absl::StatusOr<std::string>> bodies = cluster.Ask(context, questions);
    std::vector<size_t> more;
    for (size_t k = 0; k < open.size(); ++k) {
      List& list = lists[open[k]];
      if (!bodies[k].ok()) {
        list.failure = Failed(kResourceApi, bodies[k].status());
        continue;
      }
      std::string continue_token;
      absl::StatusOr<std::vector<PodUsage>> page = DecodePodMetrics(*bodies[k], continue_token);
      if (!page.ok()) {
        list.failure = NotUnderstood(kResourceApi, page.status());
        continue;
      }
      list.pods.insert(list.pods.end(), std::make_move_iterator(page->begin()),
                       std::make_move_iterator(page->end()));
      if (continue_token.empty()) continue;
      list.question.query = {{"continue", continue_token}};
      more.push_back(open[k]);
    }
    open = std::move(more);
  }
  for (List& list : lists) {
    if (list.failure) {
      for (size_t i : *list.members) out[i] = *list.failure;
      continue;
    }
    const PodIndex pods(std::move(list.pods));
    for (size_t i : *list.members) out[i] = ResourceReading(*triggers[i], pods);
  }
}

// ---- custom.metrics.k8s.io and external.metrics.k8s.io: one request for each distinct question

// Asks what `questions` says for each trigger (nothing where a reading is there already) and makes
// readings of the bodies by `read`.
template <typename Read>
void AskAndRead(Cluster& cluster, sdk::ReadContext& context, const char* api,
                const Triggers& triggers,
                const std::vector<std::optional<Cluster::Question>>& questions, Read read,
                Readings& out) {
  std::map<Cluster::Question, std::vector<size_t>> distinct;
  for (size_t i = 0; i < triggers.size(); ++i) {
    if (questions[i]) distinct[*questions[i]].push_back(i);
  }
  std::vector<Cluster::Question> asked;
  for (const auto& [question, members] : distinct) asked.push_back(question);
  const std::vector<absl::StatusOr<std::string>> bodies = cluster.Ask(context, asked);
  size_t k = 0;
  for (const auto& [question, members] : distinct) {
    const absl::StatusOr<std::string>& body = bodies[k++];
    for (size_t i : members) {
      out[i] = body.ok() ? read(*triggers[i], *body) : Failed(api, body.status());
    }
  }
}

sdk::Reading CustomReading(const HpaTrigger& trigger, const std::string& body) {
  const absl::StatusOr<std::vector<ObjectValue>> values = DecodeMetricValues(body);
  if (!values.ok()) return NotUnderstood(kCustomApi, values.status());
  if (values->empty()) return Nothing("custom");
  if (trigger.type == Type::kPods) {
    PodColumns columns;
    for (const ObjectValue& value : *values) {
      if (value.name.empty()) {
        return NotUnderstood(
            kCustomApi, base::DataLoss("an item has no describedObject.name: {}", trigger.name));
      }
      columns.Add(value.name, value.milli, value.at, value.window);
    }
    return OfPods(columns.Take());
  }
  if (values->size() != 1) {
    return NotUnderstood(kCustomApi,
                         base::DataLoss("expected exactly one value, got {}", values->size()));
  }
  return OfSeries({(*values)[0].milli}, (*values)[0].at);
}

void ReadCustom(Cluster& cluster, sdk::ReadContext& context, const Triggers& triggers,
                Readings& out) {
  const absl::StatusOr<std::string> version = cluster.CustomMetricsVersion(context);
  if (!version.ok()) {
    std::fill(out.begin(), out.end(), Failed(kCustomApi, version.status()));
    return;
  }
  std::map<Cluster::Kind, absl::StatusOr<std::string>> resources;
  std::vector<Cluster::Kind> kinds;
  for (const HpaTrigger* trigger : triggers) {
    if (trigger->type != Type::kObject || trigger->IsNamespace()) continue;
    Cluster::Kind kind(trigger->object_group, trigger->object_kind);
    if (resources.try_emplace(kind, absl::UnknownError("")).second) kinds.push_back(kind);
  }
  std::vector<absl::StatusOr<std::string>> found = cluster.ResourcesOf(context, kinds);
  for (size_t i = 0; i < kinds.size(); ++i) resources.at(kinds[i]) = std::move(found[i]);

  std::vector<std::optional<Cluster::Question>> questions(triggers.size());
  for (size_t i = 0; i < triggers.size(); ++i) {
    const HpaTrigger& trigger = *triggers[i];
    Cluster::Question question;
    if (trigger.type == Type::kPods) {
      question.path =
          kube::api::ResourcePath(kCustomApi, *version, "pods", trigger.ns, "*", trigger.name);
      question.query = {{"labelSelector", trigger.pod_selector.Text()}};
      question.asked = "pods.custom.metrics.k8s.io *";
    } else if (trigger.IsNamespace()) {
      question.path =
          kube::api::ResourcePath(kCustomApi, *version, "metrics", trigger.ns, trigger.name);
      question.asked = "namespaces.custom.metrics.k8s.io " + trigger.ns;
    } else {
      const absl::StatusOr<std::string>& resource =
          resources.at({trigger.object_group, trigger.object_kind});
      if (!resource.ok()) {
        out[i] = Failed(kCustomApi, resource.status());
        continue;
      }
      question.path = kube::api::ResourcePath(kCustomApi, *version, *resource, trigger.ns,
                                              trigger.object_name, trigger.name);
      question.asked = fmt::format("{}.custom.metrics.k8s.io {}", *resource, trigger.object_name);
    }
    if (!trigger.metric_selector.empty()) {
      question.query.emplace_back("metricLabelSelector", trigger.metric_selector);
    }
    questions[i] = std::move(question);
  }
  AskAndRead(cluster, context, kCustomApi, triggers, questions, CustomReading, out);
}

sdk::Reading ExternalReading(const HpaTrigger&, const std::string& body) {
  const absl::StatusOr<std::vector<ExternalValue>> values = DecodeExternalValues(body);
  if (!values.ok()) return NotUnderstood(kExternalApi, values.status());
  if (values->empty()) return Nothing("external");
  std::vector<int64_t> milli;
  for (const ExternalValue& value : *values) milli.push_back(value.milli);
  return OfSeries(std::move(milli), (*values)[0].at);
}

void ReadExternal(Cluster& cluster, sdk::ReadContext& context, const Triggers& triggers,
                  Readings& out) {
  std::vector<std::optional<Cluster::Question>> questions;
  for (const HpaTrigger* trigger : triggers) {
    Cluster::Question question = {
        .path = kube::api::ResourcePath(kExternalApi, "v1beta1", trigger->name, trigger->ns),
        .query = {},
        .asked = trigger->name + ".external.metrics.k8s.io"};
    if (!trigger->metric_selector.empty()) {
      question.query = {{"labelSelector", trigger->metric_selector}};
    }
    questions.push_back(std::move(question));
  }
  AskAndRead(cluster, context, kExternalApi, triggers, questions, ExternalReading, out);
}

// Thread-safe.
class KubernetesMetricsScaler : public sdk::Scaler {
 public:
  std::string_view manifest() const override { return neap_manifest_kubernetes_metrics; }

  absl::StatusOr<std::unique_ptr<sdk::Trigger>> Open(const sdk::Parameters& parameters) override {
    return HpaTrigger::Open(parameters);
  }

  std::vector<sdk::Reading> Read(std::span<const sdk::Trigger* const> triggers,
                                 sdk::ReadContext& context) override {
    Triggers mine;
    mine.reserve(triggers.size());
    for (const sdk::Trigger* trigger : triggers) {
      mine.push_back(static_cast<const HpaTrigger*>(trigger));
    }
    Readings out(triggers.size());
    const char* api = mine[0]->Api();  // equal for all, by their source_key
    absl::StatusOr<std::shared_ptr<Cluster>> cluster = TheCluster(context.http());
    if (!cluster.ok()) {
      std::fill(out.begin(), out.end(), Failed(api, cluster.status()));
    } else if (api == kResourceApi) {
      ReadResource(**cluster, context, mine, out);
    } else if (api == kCustomApi) {
      ReadCustom(**cluster, context, mine, out);
    } else {
      ReadExternal(**cluster, context, mine, out);
    }
    return out;
  }

 private:
  absl::StatusOr<std::shared_ptr<Cluster>> TheCluster(http::Client& http) {
    base::MutexLock lock(mutex_);
    if (cluster_ == nullptr || &cluster_->http() != &http) {
      NEAP_ASSIGN_OR_RETURN(cluster_, Cluster::Connect(http));
    }
    return cluster_;
  }

  base::Mutex mutex_;
  std::shared_ptr<Cluster> cluster_ NEAP_GUARDED_BY(mutex_);
};

}  // namespace

std::vector<std::unique_ptr<sdk::Scaler>> Make() {
  std::vector<std::unique_ptr<sdk::Scaler>> out;
  out.push_back(std::make_unique<KubernetesMetricsScaler>());
  return out;
}

}  // namespace neap::scalers::kubernetes_metrics
