#include "autoscaler/sim/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/base/lookup.h"
#include "autoscaler/base/selector.h"
#include "autoscaler/control/subscriptions.h"
#include "autoscaler/sim/control_faults.h"
#include "autoscaler/sim/events.h"
#include "autoscaler/sim/meters.h"
#include "autoscaler/sim/random.h"
#include "autoscaler/sim/views.h"

namespace neap::sim {
namespace {

using What = ControlFault::What;

// Streams of numbers apart from the world's.
constexpr uint64_t kOwnChance = 0x70697065;
constexpr uint64_t kFaultsChance = 0x70666c74;
// How far sampled_at may lie in the future until the host refuses it (scalerhost/check.cc).
constexpr absl::Duration kMostAhead = absl::Hours(1);

std::string_view Find(const control::Subscription& query, std::string_view key) {
  for (const auto& [name, value] : query.metadata) {
    if (name == key) return value;
  }
  return "";
}

core::ReadingError NotFound(std::string_view api, std::string_view text) {
  return {.kind = core::ErrorKind::kNotFound,
          .message = fmt::format("unable to fetch metrics from {} metrics API: {}", api, text)};
}
core::ReadingError Nothing(std::string_view api) {
  return {.kind = core::ErrorKind::kNotFound,
          .message = fmt::format("no metrics returned from {} metrics API", api)};
}
core::ReadingError BadAnswer(std::string_view what) {
  return {.kind = core::ErrorKind::kBadAnswer,
          .message = fmt::format("bad answer of the scaler: {}", what)};
}

// What one query reads, found when it was opened.
struct Query {
  std::string id;
  base::Follower<Query> follower;
  std::string_view type;  // one of control/subscriptions.h's, "" for a trigger
  std::string ns;
  std::string name;                         // of the resource or metric
  std::string container;                    // hpa-container-resource
  std::vector<int> deployments;             // whose pods are read
  std::vector<int> metrics;                 // indices of external or custom metrics
  std::optional<core::ReadingError> error;  // it can't be read at all
  std::vector<const TriggerSource*> sources;
  std::vector<std::string> names;  // by which faults find it
  std::optional<control::TriggerReading> frozen;
};

}  // namespace

class Pipeline::Impl {
 public:
  Impl(const SimulationSpec& spec, const World& world)
      : spec_(spec),
        world_(world),
        meters_(spec.pipeline, world),
        random_(spec.world.seed ^ kOwnChance),
        faults_(spec.faults, spec.world.seed ^ kFaultsChance) {
    for (const ControlFault& fault : spec.faults) {
      if (fault.what == What::kFrozen) freezes_.insert(absl::ToInt64Nanoseconds(fault.at));
    }
    for (const TriggerSource& source : spec.triggers) meters_.Use(source.from, source.via);
    for (const ExternalMetricSpec& metric : spec.world.external_metrics) {
      meters_.Use(metric.from, spec.pipeline.external);
    }
    for (const CustomMetricSpec& metric : spec.world.custom_metrics) {
      meters_.Use(metric.from, spec.pipeline.custom);
    }
  }

  int64_t next_event() const {
    return std::min(meters_.next_event(), freezes_.empty() ? kNever : *freezes_.begin());
  }

  void Advance(int64_t now) {
    meters_.Advance(now);
    for (; !freezes_.empty() && *freezes_.begin() <= now; freezes_.erase(freezes_.begin())) {
      for (const auto& [id, query] : all_) {
        if (query->frozen) continue;  // by an earlier one that lasts
        if (faults_.On(What::kFrozen, now, &query->names)) query->frozen = Value(*query, now);
      }
    }
  }

  control::TriggerOpened Open(const control::Subscription& subscription) {
    Query& query = queries_[subscription.id];
    query = {};
    query.id = subscription.id;
    all_[subscription.id] = &query;
    query.ns = subscription.ns;
    control::TriggerOpened opened{.trigger_id = subscription.id, .metrics = {}, .error = {}};
    const std::string_view type = subscription.type;
    if (type == control::kHpaResource || type == control::kHpaContainerResource) {
      OpenResource(subscription, query);
    } else if (type == control::kHpaPods || type == control::kHpaObject) {
      OpenCustom(subscription, query);
    } else if (type == control::kHpaExternal) {
      OpenExternal(subscription, query);
    } else {
      OpenTrigger(subscription, query, &opened);
    }
    return opened;
  }

  void Close(std::string_view id) {
    all_.erase(std::string(id));
    queries_.Erase(id);
    in_order_.Forget();
  }

  void CloseAll() {
    all_.clear();
    queries_.Clear();
    in_order_.Forget();
  }

  std::optional<Answer> Read(std::string id, uint64_t round, int64_t now) {
    Query* query = in_order_.Get([&](const Query& next) { return next.id == id; },
                                 [&] { return queries_.Find(id); });
    if (query == nullptr) return std::nullopt;
    Answer answer{.reading = {}, .delay = spec_.pipeline.answer.Draw(random_)};
    if (faults_.empty()) {
      answer.reading = Value(*query, now);
    } else if (!ReadWithFaults(*query, now, &answer)) {
      return std::nullopt;
    }
    answer.reading.trigger_id = std::move(id);
    answer.reading.round = round;
    return answer;
  }

 private:
  absl::Time TimeOf(int64_t now) const { return spec_.start + absl::Nanoseconds(now); }

  // ---- opening ----

  // Deployments of the namespace whose pods the selector keeps.
  std::vector<int> PodsOf(const control::Subscription& subscription) const {
    std::vector<int> found;
    const auto selector = base::Selector::Parse(subscription.pod_selector);
    if (!selector.ok()) return found;
    for (int i = 0; i < static_cast<int>(world_.deployments().size()); ++i) {
      const Deployment& deployment = world_.deployments()[static_cast<size_t>(i)];
      if (deployment.spec.ns == subscription.ns && selector->Matches(deployment.pod_labels)) {
        found.push_back(i);
      }
    }
    return found;
  }

  void OpenResource(const control::Subscription& subscription, Query& query) {
    query.type = subscription.type == control::kHpaResource ? control::kHpaResource
                                                            : control::kHpaContainerResource;
    query.name = Find(subscription, control::kKeyResource);
    query.container = Find(subscription, control::kKeyContainer);
    query.names = {query.name};
    query.deployments = PodsOf(subscription);
  }

  void OpenCustom(const control::Subscription& subscription, Query& query) {
    const bool of_pods = subscription.type == control::kHpaPods;
    query.type = of_pods ? control::kHpaPods : control::kHpaObject;
    query.name = Find(subscription, control::kKeyMetric);
    query.names = {query.name};
    if (of_pods) query.deployments = PodsOf(subscription);
    const auto labels =
        base::Selector::Parse(std::string(Find(subscription, control::kKeySelector)));
    const std::string_view group = core::GroupOf(Find(subscription, control::kKeyApiVersion));
    const std::string_view kind = Find(subscription, control::kKeyKind);
    const std::string_view object = Find(subscription, control::kKeyName);
    std::string resource = of_pods ? "pods" : std::string(kind);
    const auto& all = spec_.world.custom_metrics;
    for (size_t i = 0; i < all.size(); ++i) {
      const CustomMetricSpec& metric = all[i];
      const bool same_kind =
          !of_pods && metric.kind == kind && core::GroupOf(metric.api_version) == group;
      if (same_kind) resource = metric.resource;
      if (metric.name != query.name || metric.ns != query.ns) continue;
      if (!labels.ok() || !labels->Matches(metric.labels)) continue;
      if (of_pods ? metric.pods_of >= 0 : same_kind && metric.object == object) {
        query.metrics.push_back(static_cast<int>(i));
      }
    }
    if (query.metrics.empty()) {
      query.error =
          NotFound("custom", fmt::format("the server could not find the metric {} for {} {}",
                                         query.name, resource, of_pods ? "*" : object));
    }
  }

  void OpenExternal(const control::Subscription& subscription, Query& query) {
    query.type = control::kHpaExternal;
    query.name = Find(subscription, control::kKeyMetric);
    query.names = {query.name};
    const auto selector =
        base::Selector::Parse(std::string(Find(subscription, control::kKeySelector)));
    bool known = false;
    const auto& all = spec_.world.external_metrics;
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].name != query.name || all[i].ns != query.ns) continue;
      known = true;
      if (selector.ok() && selector->Matches(all[i].labels)) {
        query.metrics.push_back(static_cast<int>(i));
      }
    }
    if (!known) {
      query.error = NotFound("external",
                             fmt::format("the server could not find the metric {} in namespace {}",
                                         query.name, query.ns));
    }
  }

  // The sources of the trigger that asks: of the first object that has one which asks the same.
  void OpenTrigger(const control::Subscription& subscription, Query& query,
                   control::TriggerOpened* opened) {
    const ObjectSpec* owner = nullptr;
    int index = -1;
    for (const TriggerSource& source : spec_.triggers) {
      if (owner != nullptr && (source.uid != owner->spec->uid || source.trigger != index)) continue;
      if (owner == nullptr) {
        const auto object =
            std::find_if(spec_.objects.begin(), spec_.objects.end(),
                         [&](const ObjectSpec& one) { return one.spec->uid == source.uid; });
        if (object == spec_.objects.end()) continue;
        const auto& triggers = object->spec->triggers;
        if (source.trigger < 0 || static_cast<size_t>(source.trigger) >= triggers.size()) continue;
        const core::TriggerSpec& trigger = triggers[static_cast<size_t>(source.trigger)];
        const bool asks =
            trigger.type == subscription.type && trigger.metadata == subscription.metadata &&
            trigger.metric_type == subscription.requested_target &&
            object->spec->key.ns == subscription.ns &&
            (subscription.object_uid.empty() || subscription.object_uid == source.uid);
        if (!asks) continue;
        owner = &*object;
        index = source.trigger;
      }
      query.sources.push_back(&source);
      query.names.push_back(source.metric.name);
      opened->metrics.push_back(source.metric);
      opened->metrics.back().from_trigger = true;
    }
    if (query.sources.empty()) {
      query.error = core::ReadingError{
          .kind = core::ErrorKind::kBadParameter,
          .message = fmt::format("the scenario has no source for this trigger of type {}",
                                 subscription.type)};
      opened->error = query.error;
    }
  }

  // ---- values ----

  control::TriggerReading Value(const Query& query, int64_t now) {
    control::TriggerReading out;
    if (query.error) {
      out.error = query.error;
    } else if (!query.sources.empty()) {
      for (const TriggerSource* source : query.sources) AddTrigger(*source, now, &out);
    } else if (query.type == control::kHpaExternal) {
      AddSeries(spec_.world.external_metrics, query, "external", spec_.pipeline.external, now,
                &out);
    } else if (query.type == control::kHpaObject) {
      AddSeries(spec_.world.custom_metrics, query, "custom", spec_.pipeline.custom, now, &out);
    } else if (query.type == control::kHpaPods) {
      AddPods(query, now, &out);
    } else {
      AddResource(query, now, &out);
    }
    return out;
  }

  void AddTrigger(const TriggerSource& source, int64_t now, control::TriggerReading* out) {
    control::MetricReading& metric = out->metrics.emplace_back();
    metric.name = source.metric.name;
    core::Reading& reading = metric.reading;
    const Meters::Value value = meters_.Read(source.from, source.via, now);
    reading.form = core::Reading::Form::kMilli;
    reading.milli = {value.milli.value_or(0)};
    reading.absent = !value.milli;
    if (source.metric.has_activity) {
      reading.active = value.milli && *value.milli > source.activation.value_or(0);
    }
    reading.observed_at = TimeOf(now);
    reading.sampled_at = WholeSeconds(TimeOf(value.at));
  }

  template <typename Metrics>
  void AddSeries(const Metrics& all, const Query& query, std::string_view api, Via via, int64_t now,
                 control::TriggerReading* out) {
    control::MetricReading metric;
    core::Reading& reading = metric.reading;
    for (int index : query.metrics) {
      const Meters::Value value = meters_.Read(all[static_cast<size_t>(index)].from, via, now);
      if (!value.milli) continue;
      if (reading.milli.empty()) reading.sampled_at = WholeSeconds(TimeOf(now));
      reading.milli.push_back(*value.milli);
    }
    if (reading.milli.empty()) {
      out->error = Nothing(api);
      return;
    }
    reading.form = core::Reading::Form::kMilli;
    reading.observed_at = TimeOf(now);
    out->metrics.push_back(std::move(metric));
  }

  void AddPods(const Query& query, int64_t now, control::TriggerReading* out) {
    control::MetricReading metric;
    const absl::Time at = WholeSeconds(TimeOf(now));
    for (int index : query.metrics) {
      const CustomMetricSpec& custom = spec_.world.custom_metrics[static_cast<size_t>(index)];
      if (std::find(query.deployments.begin(), query.deployments.end(), custom.pods_of) ==
          query.deployments.end()) {
        continue;
      }
      const Meters::Value value = meters_.Read(custom.from, spec_.pipeline.custom, now);
      if (!value.milli) continue;
      for (const auto& pod : world_.deployments()[static_cast<size_t>(custom.pods_of)].pods) {
        if (!pod->serving()) continue;
        metric.pod_samples.push_back(
            {.pod = pod->name, .milli = *value.milli, .at = at, .window = kCustomWindow});
      }
    }
    FinishPods("custom", now, std::move(metric), out);
  }

  void AddResource(const Query& query, int64_t now, control::TriggerReading* out) {
    control::MetricReading metric;
    bool any = false;
    for (int index : query.deployments) {
      const Deployment& deployment = world_.deployments()[static_cast<size_t>(index)];
      const bool has_container =
          query.type == control::kHpaResource || query.container == deployment.spec.container;
      for (const auto& pod : deployment.pods) {
        const std::optional<CpuSample> usage = meters_.UsageOf(*pod, now);
        if (!usage || pod->deleting()) continue;
        any = true;
        const std::optional<int64_t> milli = Milli(deployment.spec, query.name, *usage);
        if (!has_container || !milli) continue;
        metric.pod_samples.push_back({.pod = pod->name,
                                      .milli = *milli,
                                      .at = WholeSeconds(usage->at),
                                      .window = usage->window});
      }
    }
    if (!any) {
      out->error = Nothing("resource");
      return;
    }
    metric.reading.form = core::Reading::Form::kPods;
    FinishPods("", now, std::move(metric), out);
  }

  // Each container's quantity is rounded up to thousandths, as upstream takes it.
  static std::optional<int64_t> Milli(const DeploymentSpec& spec, std::string_view resource,
                                      const CpuSample& usage) {
    constexpr int64_t kNanoPerMilli = 1'000'000;
    if (resource == "cpu") return (usage.cpu + kNanoPerMilli - 1) / kNanoPerMilli;
    if (resource == "memory") return spec.memory_usage / 1024 * 1024 * 1000;
    return std::nullopt;
  }

  void FinishPods(std::string_view api, int64_t now, control::MetricReading metric,
                  control::TriggerReading* out) {
    if (metric.pod_samples.empty() && !api.empty()) {
      out->error = Nothing(api);
      return;
    }
    metric.reading.form = core::Reading::Form::kPods;
    metric.reading.observed_at = TimeOf(now);
    if (!metric.pod_samples.empty()) metric.reading.sampled_at = metric.pod_samples[0].at;
    out->metrics.push_back(std::move(metric));
  }

  // ---- faults ----

  // False: nobody answers.
  bool ReadWithFaults(Query& query, int64_t now, Answer* answer) {
    const auto strikes = [&](What what) { return faults_.Strikes(what, now, &query.names); };
    if (strikes(What::kScalerHang) != nullptr) return false;
    if (const ControlFault* slow = strikes(What::kScalerSlow)) {
      answer->delay += absl::ToInt64Nanoseconds(slow->by);
    }
    if (strikes(What::kScalerError) != nullptr) {
      answer->reading.error = core::ReadingError{.kind = core::ErrorKind::kUnavailable,
                                                 .message = "the metric's source is unavailable"};
      return true;
    }
    if (strikes(What::kFrozen) != nullptr) {
      if (!query.frozen) query.frozen = Value(query, now);
      answer->reading = *query.frozen;
    } else {
      if (!faults_.On(What::kFrozen, now, &query.names)) query.frozen.reset();
      answer->reading = Value(query, now);
    }
    if (strikes(What::kNotFinite) != nullptr) {
      Spoil(&answer->reading, now, [](control::MetricReading&) { return "the value is NaN"; });
    }
    if (const ControlFault* jump = strikes(What::kClockJump)) {
      const absl::Time most = TimeOf(now + answer->delay) + kMostAhead;
      Spoil(&answer->reading, now, [&](control::MetricReading& metric) {
        metric.reading.sampled_at += jump->by;
        return metric.reading.sampled_at > most ? "sampled_at lies more than an hour in the future"
                                                : nullptr;
      });
    }
    return true;
  }

  // Does something to each value; what it calls broken becomes what scalerhost makes of such.
  template <typename Change>
  void Spoil(control::TriggerReading* reading, int64_t now, Change change) {
    for (control::MetricReading& metric : reading->metrics) {
      if (metric.reading.form == core::Reading::Form::kError) continue;
      const char* broken = change(metric);
      if (broken == nullptr) continue;
      metric.pod_samples.clear();
      metric.reading = {};
      metric.reading.error = BadAnswer(broken);
      metric.reading.observed_at = TimeOf(now);
    }
  }

  // Upstream's window of a custom metric whose server names none.
  static constexpr absl::Duration kCustomWindow = absl::Seconds(60);

  const SimulationSpec& spec_;
  const World& world_;
  Meters meters_;
  Random random_;
  ControlFaults faults_;
  std::multiset<int64_t> freezes_;  // when faults of that kind begin
  base::StringLookup<Query> queries_;
  base::InOrder<Query> in_order_;      // as they are read
  std::map<std::string, Query*> all_;  // of the same, in the order of their ids
};

Pipeline::Pipeline(const SimulationSpec& spec, const World& world)
    : impl_(std::make_unique<Impl>(spec, world)) {}
Pipeline::~Pipeline() = default;
int64_t Pipeline::next_event() const { return impl_->next_event(); }
void Pipeline::Advance(int64_t now) { impl_->Advance(now); }
control::TriggerOpened Pipeline::Open(const control::Subscription& query) {
  return impl_->Open(query);
}
void Pipeline::Close(std::string_view id) { impl_->Close(id); }
void Pipeline::CloseAll() { impl_->CloseAll(); }
std::optional<Pipeline::Answer> Pipeline::Read(std::string id, uint64_t round, int64_t now) {
  return impl_->Read(std::move(id), round, now);
}

}  // namespace neap::sim
