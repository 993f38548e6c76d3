#include "autoscaler/core/calculator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "autoscaler/core/arithmetic.h"

namespace neap::core {
namespace {

constexpr char kNoPods[] = "no pods returned by selector while calculating replica count";
constexpr char kNoMetrics[] = "did not receive metrics for targeted pods (pods might be unready)";

bool Within(double ratio, Tolerances t) { return (1.0 - t.down) <= ratio && ratio <= (1.0 + t.up); }

enum class Group : uint8_t { kIgnored, kUnready, kMissing, kReady };

// As groupPods of upstream's replica_calculator.go, first match wins.
Group Classify(const PodsView& view, const Pod& pod, const PodSample& sample, bool is_cpu) {
  if (pod.deleting || pod.phase == PodPhase::kFailed) return Group::kIgnored;
  if (pod.phase == PodPhase::kPending) return Group::kUnready;
  if (!sample.present) return Group::kMissing;
  if (is_cpu) {
    if (pod.ready == PodReady::kNone || pod.start == absl::InfinitePast()) return Group::kUnready;
    bool unready = false;
    if (pod.start + view.cpu_initialization_period > view.now) {
      unready = pod.ready == PodReady::kFalse || sample.at < pod.ready_at + sample.window;
    } else {
      unready =
          pod.ready == PodReady::kFalse && pod.start + view.initial_readiness_delay > pod.ready_at;
    }
    if (unready) return Group::kUnready;
  }
  return Group::kReady;
}

const PodSample& SampleOf(const PodSamples& samples, size_t index) {
  static const PodSample kNone;
  return index < samples.by_pod.size() ? samples.by_pod[index] : kNone;
}

struct Groups {
  std::vector<Group> of;  // parallel to the pods
  PodsDetail counts;
  int64_t with_value =
      0;  // samples left after ignored and unready ones went: upstream's len(metrics)
};

Groups GroupPods(const PodsView& view, const PodSamples& samples, bool is_cpu) {
  Groups groups;
  groups.of.resize(view.pods.size());
  groups.with_value = static_cast<int64_t>(samples.stray.size());
  for (size_t i = 0; i < view.pods.size(); ++i) {
    const Group group = Classify(view, view.pods[i], SampleOf(samples, i), is_cpu);
    groups.of[i] = group;
    switch (group) {
      case Group::kIgnored:
        ++groups.counts.ignored;
        break;
      case Group::kUnready:
        ++groups.counts.unready;
        break;
      case Group::kMissing:
        ++groups.counts.missing;
        break;
      case Group::kReady:
        ++groups.counts.ready;
        ++groups.with_value;
        break;
    }
  }
  return groups;
}

// ---- requests (upstream: calculateRequests)
// --------------------------------------------------------------------------------------------

const ResourceAmount* Amount(const ResourceAmounts& amounts, const std::string& resource) {
  for (const ResourceAmount& amount : amounts) {
    if (amount.resource == resource) return &amount;
  }
  return nullptr;
}

bool SupportsPodLevel(const std::string& resource) {
  return resource == "cpu" || resource == "memory" || resource.starts_with("hugepages-");
}

// One template's request, or the error that a pod of it causes, up to where the pod's name stands.
struct Request {
  int64_t milli = 0;
  std::string error;
};

// Upstream's aggregation of a pod with pod-level resources: containers and sidecars, or a larger
// init container with the sidecars before it; the pod-level value replaces that for its resources;
// overhead comes on top.
__extension__ using Nano = __int128;  // exact billionths: this sum rounds once, at its end

Nano NanoOf(const ResourceAmount* amount) {
  return amount == nullptr ? 0
                           : static_cast<Nano>(amount->milli) * 1000000 - amount->rounded_up_nano;
}

Request PodLevelRequest(const PodRequests& pod, const std::string& resource) {
  Nano sum = 0;
  Nano sidecars = 0;
  Nano largest_init = 0;
  bool known = false;
  for (const auto& container : pod.containers) {
    const ResourceAmount* amount = Amount(container.requests, resource);
    known = known || amount != nullptr;
    sum += NanoOf(amount);
  }
  for (const auto& container : pod.init_containers) {
    const ResourceAmount* amount = Amount(container.requests, resource);
    known = known || amount != nullptr;
    if (container.sidecar) {
      sum += NanoOf(amount);
      sidecars += NanoOf(amount);
      largest_init = std::max(largest_init, sidecars);
    } else {
      largest_init = std::max(largest_init, NanoOf(amount) + sidecars);
    }
  }
  Nano total = std::max(sum, largest_init);
  if (pod.pod_level && SupportsPodLevel(resource)) {
    if (const ResourceAmount* amount = Amount(*pod.pod_level, resource)) {
      total = NanoOf(amount);
      known = true;
    }
  }
  if (const ResourceAmount* amount = Amount(pod.overhead, resource)) {
    total += NanoOf(amount);
    known = true;
  }
  Request request;
  request.milli = static_cast<int64_t>(total / 1000000 + (total % 1000000 > 0 ? 1 : 0));
  if (!known) request.error = fmt::format("missing pod-level request for {} in Pod ", resource);
  return request;
}

Request RequestOf(const PodRequests& pod, const std::string& resource,
                  const std::string& container) {
  Request request;
  const auto missing = [&](const std::string& name) {
    return fmt::format("missing request for {} in container {} of Pod ", resource, name);
  };
  if (!container.empty()) {
    for (const auto* list : {&pod.containers, &pod.init_containers}) {
      for (const auto& c : *list) {
        if (c.name != container || (list == &pod.init_containers && !c.sidecar)) continue;
        const ResourceAmount* amount = Amount(c.requests, resource);
        if (amount == nullptr) {
          request.error = missing(container);
        } else {
          request.milli = amount->milli;
        }
        return request;
      }
    }
    request.error = fmt::format("container {} not found in Pod ", container);
    return request;
  }
  if (pod.pod_level &&
      std::any_of(pod.pod_level->begin(), pod.pod_level->end(),
                  [](const ResourceAmount& a) { return SupportsPodLevel(a.resource); })) {
    return PodLevelRequest(pod, resource);
  }
  for (const auto* list : {&pod.containers, &pod.init_containers}) {
    for (const auto& c : *list) {
      if (list == &pod.init_containers && !c.sidecar) continue;
      const ResourceAmount* amount = Amount(c.requests, resource);
      if (amount == nullptr) {
        request.error = missing(c.name);
        return request;
      }
      request.milli = WrapAdd(request.milli, amount->milli);
    }
  }
  return request;
}

// The request of each template; "" or the error of the first listed pod that has one.
std::string AllRequests(const PodsView& view, const std::string& resource,
                        const std::string& container, std::vector<int64_t>* milli) {
  std::vector<Request> by_template;
  by_template.reserve(view.requests.size());
  bool any_error = false;
  for (const PodRequests& requests : view.requests) {
    by_template.push_back(RequestOf(requests, resource, container));
    any_error = any_error || !by_template.back().error.empty();
  }
  if (any_error) {
    for (const Pod& pod : view.pods) {
      const std::string& error = by_template[pod.requests].error;
      if (!error.empty()) return fmt::format("{}{}", error, pod.name);
    }
  }
  milli->reserve(by_template.size());
  for (const Request& request : by_template) milli->push_back(request.milli);
  return "";
}

// ---- sums
// --------------------------------------------------------------------------------------------------------------

// Sums wrap as upstream's do; `overflow` remembers that one did, so that guards need not act on it.
struct Total {
  int64_t sum = 0;
  bool overflow = false;
  void Add(int64_t value) {
    const int64_t before = sum;
    sum = WrapAdd(before, value);
    overflow = overflow || (value >= 0 ? sum < before : sum > before);
  }
};

struct Utilization {
  Total total;
  Total request;
  int64_t entries = 0;
  void Add(int64_t value, int64_t requested) {
    total.Add(value);
    request.Add(requested);
    ++entries;
  }
  // False when nothing was requested: upstream's "no metrics returned matched known pods".
  bool Ratio(int32_t target, double* ratio, int32_t* percent, int64_t* average,
             bool* overflow) const {
    if (request.sum == 0) return false;
    const int64_t hundredfold = WrapMultiply(total.sum, 100);
    const int64_t wide = WrapDivide(hundredfold, request.sum);
    *percent = Narrow32(wide);
    *ratio = static_cast<double>(*percent) / static_cast<double>(target);
    *average = WrapDivide(total.sum, entries);
    *overflow = *overflow || total.overflow || request.overflow || *percent != wide ||
                hundredfold / 100 != total.sum;
    return true;
  }
};

// The end that both per-pod calculations share: the second pass' ratio over `pods` values, kept
// from reversing.
void SecondPass(Proposal& p, double ratio, int64_t pods, int32_t current, Tolerances tolerances) {
  p.ratio.ratio = ratio;
  p.ratio.pods = static_cast<int32_t>(pods);
  p.replicas = current;
  if (Within(ratio, tolerances)) {
    p.reason = Reason::kWithinTolerance;
    return;
  }
  p.reason = Reason::kDirectionReversed;
  if ((p.first_ratio < 1.0 && ratio > 1.0) || (p.first_ratio > 1.0 && ratio < 1.0)) return;
  const double product = ratio * static_cast<double>(pods);
  const int32_t replicas = CeilToInt32(product);
  p.overflow = p.overflow || !FitsInt32(std::ceil(product));
  if ((ratio < 1.0 && replicas > current) || (ratio > 1.0 && replicas < current)) return;
  p.reason = Reason::kMissingPods;
  p.replicas = replicas;
}

// The first pass' end, when no pod is missing and no unready one matters.
void FirstPass(Proposal& p, int32_t current, Tolerances tolerances) {
  p.ratio.pods = p.pods.ready;
  if (Within(p.first_ratio, tolerances)) {
    p.reason = Reason::kWithinTolerance;
    p.replicas = current;
    return;
  }
  const double product = p.first_ratio * static_cast<double>(p.pods.ready);
  p.overflow = p.overflow || !FitsInt32(std::ceil(product));
  p.reason = Reason::kRatio;
  p.replicas = CeilToInt32(product);
}

Proposal Failed(std::string error) {
  Proposal p;
  p.error = std::move(error);
  return p;
}

}  // namespace

Proposal ResourceUtilization(const PodsView& view, const PodSamples& samples,
                             const std::string& resource, const std::string& container,
                             int32_t target, int32_t current, Tolerances tolerances) {
  if (view.pods.empty()) return Failed(kNoPods);
  const Groups groups = GroupPods(view, samples, resource == "cpu");
  if (groups.with_value == 0) return Failed(kNoMetrics);
  std::vector<int64_t> requests;
  if (std::string error = AllRequests(view, resource, container, &requests); !error.empty())
    return Failed(error);

  Utilization sum;
  for (size_t i = 0; i < view.pods.size(); ++i) {
    if (groups.of[i] == Group::kReady)
      sum.Add(SampleOf(samples, i).milli, requests[view.pods[i].requests]);
  }
  Proposal p;
  p.pods = groups.counts;
  if (!sum.Ratio(target, &p.first_ratio, &p.utilization, &p.usage, &p.overflow)) {
    return Failed("no metrics returned matched known pods");
  }
  p.ratio = {.usage = p.utilization, .target = target, .ratio = p.first_ratio, .pods = 0};
  const bool up_with_unready = groups.counts.unready > 0 && p.first_ratio > 1.0;
  if (!up_with_unready && groups.counts.missing == 0) {
    FirstPass(p, current, tolerances);
    return p;
  }
  int64_t values = groups.with_value;
  const int64_t assumed_percent = std::max<int64_t>(100, target);
  for (size_t i = 0; i < view.pods.size(); ++i) {
    const int64_t request = requests[view.pods[i].requests];
    if (groups.of[i] == Group::kMissing && p.first_ratio != 1.0) {
      // On the way down a missing pod counts as using all of its request (or the target above 100
      // %), on the way up nothing. Neither holds for NaN, which leaves it out.
      if (p.first_ratio < 1.0) {
        sum.Add(WrapMultiply(request, assumed_percent) / 100, request);
      } else if (p.first_ratio > 1.0) {
        sum.Add(0, request);
      } else {
        continue;
      }
      ++values;
    } else if (groups.of[i] == Group::kUnready && up_with_unready) {
      sum.Add(0, request);
      ++values;
    }
  }
  double ratio = 0;
  int32_t percent = 0;
  int64_t average = 0;
  if (!sum.Ratio(target, &ratio, &percent, &average, &p.overflow))
    return Failed("no metrics returned matched known pods");
  p.ratio.usage = percent;
  SecondPass(p, ratio, values, current, tolerances);
  return p;
}

Proposal PlainAverage(const PodsView& view, const PodSamples& samples, bool is_cpu, int64_t target,
                      int32_t current, Tolerances tolerances) {
  if (view.pods.empty()) return Failed(kNoPods);
  const Groups groups = GroupPods(view, samples, is_cpu);
  if (groups.with_value == 0) return Failed(kNoMetrics);
  Total total;
  for (size_t i = 0; i < view.pods.size(); ++i) {
    if (groups.of[i] == Group::kReady) total.Add(SampleOf(samples, i).milli);
  }
  for (int64_t value : samples.stray) total.Add(value);

  Proposal p;
  p.pods = groups.counts;
  p.overflow = total.overflow;
  p.usage = WrapDivide(total.sum, groups.with_value);
  p.first_ratio = static_cast<double>(p.usage) / static_cast<double>(target);
  p.ratio = {.usage = p.usage, .target = target, .ratio = p.first_ratio, .pods = 0};
  const bool up_with_unready = groups.counts.unready > 0 && p.first_ratio > 1.0;
  if (!up_with_unready && groups.counts.missing == 0) {
    FirstPass(p, current, tolerances);
    return p;
  }
  int64_t values = groups.with_value;
  if (p.first_ratio < 1.0) {
    for (int32_t i = 0; i < groups.counts.missing; ++i) total.Add(target);
    values += groups.counts.missing;
  } else if (p.first_ratio > 1.0) {
    values += groups.counts.missing;  // with the value 0
  }
  if (up_with_unready) values += groups.counts.unready;  // likewise
  p.overflow = p.overflow || total.overflow;
  p.ratio.usage = WrapDivide(total.sum, values);
  SecondPass(p, static_cast<double>(p.ratio.usage) / static_cast<double>(target), values, current,
             tolerances);
  return p;
}

int32_t CountReadyPods(std::span<const Pod> pods) {
  return static_cast<int32_t>(std::count_if(pods.begin(), pods.end(), [](const Pod& pod) {
    return pod.phase == PodPhase::kRunning && pod.ready == PodReady::kTrue;
  }));
}

Proposal ValueTarget(const PodsView& view, int64_t usage, int64_t target, int32_t current,
                     Tolerances tolerances) {
  Proposal p;
  p.usage = usage;
  p.first_ratio = static_cast<double>(usage) / static_cast<double>(target);
  p.ratio = {.usage = usage, .target = target, .ratio = p.first_ratio, .pods = 0};
  if (current == 0) {
    p.replicas = CeilToInt32(p.first_ratio);
    p.overflow = !FitsInt32(std::ceil(p.first_ratio));
    return p;
  }
  if (Within(p.first_ratio, tolerances)) {
    p.reason = Reason::kWithinTolerance;
    p.replicas = current;
    return p;
  }
  if (view.pods.empty()) return Failed(fmt::format("unable to calculate ready pods: {}", kNoPods));
  p.pods.ready = CountReadyPods(view.pods);
  p.ratio.pods = p.pods.ready;
  const double product = p.first_ratio * static_cast<double>(p.pods.ready);
  if (product > std::numeric_limits<int32_t>::max()) {
    p.overflow = true;
    p.replicas = std::numeric_limits<int32_t>::max();
  } else {
    p.overflow = !FitsInt32(std::ceil(product));
    p.replicas = CeilToInt32(product);
  }
  return p;
}

Proposal AverageTarget(int64_t usage, int64_t target, int32_t replicas, bool clamp,
                       Tolerances tolerances) {
  Proposal p;
  p.first_ratio =
      static_cast<double>(usage) / (static_cast<double>(target) * static_cast<double>(replicas));
  p.ratio = {.usage = usage, .target = target, .ratio = p.first_ratio, .pods = 0};
  if (Within(p.first_ratio, tolerances)) {
    p.reason = Reason::kWithinTolerance;
    p.replicas = replicas;
  } else {
    const double wanted = std::ceil(static_cast<double>(usage) / static_cast<double>(target));
    if (clamp && wanted > std::numeric_limits<int32_t>::max()) {
      p.overflow = true;
      p.replicas = std::numeric_limits<int32_t>::max();
    } else {
      p.overflow = !FitsInt32(wanted);
      p.replicas = ToInt32(wanted);
    }
  }
  if (clamp && static_cast<double>(usage) >= 9223372036854775808.0) {
    p.usage = std::numeric_limits<int64_t>::max();
  } else {
    p.usage = ToInt64(std::ceil(static_cast<double>(usage) / static_cast<double>(replicas)));
  }
  return p;
}

int64_t SumForValue(std::span<const int64_t> values, bool* overflow) {
  int64_t sum = 0;
  for (int64_t value : values) {
    if (value > 0 && sum > std::numeric_limits<int64_t>::max() - value) {
      *overflow = true;
      return std::numeric_limits<int64_t>::max();
    }
    sum = WrapAdd(sum, value);
  }
  return sum;
}

int64_t SumForAverage(std::span<const int64_t> values, bool* overflow) {
  int64_t sum = 0;
  for (int64_t value : values) {
    sum = WrapAdd(sum, value);
    if (sum < 0) {  // also for truly negative values: upstream takes them for an overflow
      *overflow = true;
      return std::numeric_limits<int64_t>::max();
    }
  }
  return sum;
}

}  // namespace neap::core
