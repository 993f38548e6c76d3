#include "autoscaler/sim/meters.h"

#include <algorithm>

#include "autoscaler/base/check.h"
#include "autoscaler/sim/events.h"
#include "autoscaler/sim/wide.h"

namespace neap::sim {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kNanoPerMilli = 1'000'000;

bool Same(const Source& a, const Source& b) {
  return a.what == b.what && a.index == b.index && a.fixed == b.fixed;
}

// amount x by / over, whole.
int64_t Scaled(int64_t amount, int64_t by, int64_t over) {
  return static_cast<int64_t>(static_cast<Wide>(amount) * by / over);
}

}  // namespace

void Meters::Use(const Source& source, Via via) {
  if (via == Via::kDirect || Find(source, via) != nullptr) return;
  const bool prometheus = via == Via::kPrometheus;
  const absl::Duration every = prometheus ? spec_.scrape_every : spec_.server_every;
  const absl::Duration window = prometheus ? spec_.rate_window : spec_.server_every;
  meters_.push_back({.source = source,
                     .via = via,
                     .every = std::max<int64_t>(1, absl::ToInt64Nanoseconds(every)),
                     .window = absl::ToInt64Nanoseconds(window)});
  Collect(meters_.back());
}

const Meters::Meter* Meters::Find(const Source& source, Via via) const {
  const auto found = std::find_if(meters_.begin(), meters_.end(), [&](const Meter& meter) {
    return meter.via == via && Same(meter.source, source);
  });
  return found == meters_.end() ? nullptr : &*found;
}

int64_t Meters::next_event() const {
  int64_t next = kNever;
  for (const Meter& meter : meters_) next = std::min(next, meter.next);
  return next;
}

void Meters::Advance(int64_t now) {
  for (Meter& meter : meters_) {
    if (meter.next <= now) Collect(meter);
  }
}

void Meters::Collect(Meter& meter) {
  const int64_t at = meter.next;
  meter.scrapes.push_back(
      {.at = at, .total = TotalOf(meter.source).value_or(0), .value = world_.Value(meter.source)});
  while (meter.scrapes.front().at < at - meter.window) meter.scrapes.pop_front();
  meter.next = at + meter.every;
}

std::optional<int64_t> Meters::TotalOf(const Source& source) const {
  switch (source.what) {
    case Source::What::kRate:
    case Source::What::kRatePerPod:
      return world_.deployment(source.index).requested;
    case Source::What::kArrivals:
      return world_.queue_service(source.index).arrived;
    default:
      return std::nullopt;
  }
}

int64_t Meters::MeanCores(int deployment, int64_t from, int64_t to) const {
  const absl::Time begin = world_.start() + absl::Nanoseconds(from);
  const absl::Time end = world_.start() + absl::Nanoseconds(to);
  int64_t sum = 0;
  for (const auto& pod : world_.deployments()[static_cast<size_t>(deployment)].pods) {
    const absl::Time since = std::max(begin, pod->running_at);
    if (since >= end) continue;
    const int64_t ran = absl::ToInt64Nanoseconds(end - since);
    sum += Scaled(world_.MeanCpu(*pod, since, end).value_or(0), ran, to - from);
  }
  return sum / kNanoPerMilli;
}

Meters::Value Meters::Read(const Source& source, Via via, int64_t now) const {
  if (via == Via::kDirect) return {.milli = world_.Value(source), .at = now};
  const Meter* meter = Find(source, via);
  NEAP_CHECK(meter != nullptr, "a source is read that nobody measures");
  const Scrape& first = meter->scrapes.front();
  const Scrape& last = meter->scrapes.back();
  if (!last.value || last.at == first.at) return {.milli = last.value, .at = last.at};
  if (source.what == Source::What::kCpu) {
    return {.milli = MeanCores(source.index, first.at, last.at), .at = last.at};
  }
  if (!TotalOf(source)) return {.milli = last.value, .at = last.at};
  int64_t milli = Scaled(last.total - first.total, kNanosPerSecond, last.at - first.at);
  if (source.what == Source::What::kRatePerPod) {
    const int ready = world_.deployments()[static_cast<size_t>(source.index)].ready;
    if (ready == 0) return {.milli = std::nullopt, .at = last.at};
    milli /= ready;
  }
  return {.milli = milli, .at = last.at};
}

absl::Duration Meters::Reach(const PipelineSpec& spec) {
  return std::max(3 * spec.server_every + 2 * spec.kubelet_every,
                  spec.rate_window + 2 * spec.scrape_every);
}

// metrics-server 0.7 (pkg/storage): the rate between the points of its last two collections; of a
// container that is younger than its resolution, between its start and the newest point, when these
// lie at least kFresh apart.
std::optional<CpuSample> Meters::UsageOf(const Pod& pod, int64_t now) const {
  constexpr absl::Duration kFresh = absl::Seconds(10);
  const int64_t kubelet = absl::ToInt64Nanoseconds(spec_.kubelet_every);
  const int64_t server = absl::ToInt64Nanoseconds(spec_.server_every);
  if (kubelet <= 0 || server <= 0) return world_.Sample(pod);
  const int64_t phase =
      static_cast<int64_t>((pod.id.slot * 0x9e3779b97f4a7c15ULL) % static_cast<uint64_t>(kubelet));
  // Latest of the kubelet's points at or before a moment; negative moments are before the world.
  const auto point = [&](int64_t moment) {
    const int64_t since = (moment - phase) % kubelet;
    return moment - (since < 0 ? since + kubelet : since);
  };
  const int64_t collected = now - now % server;
  const int64_t newest = point(collected);
  int64_t before = point(collected - server);
  if (before == newest) before = newest - kubelet;  // nothing new came: the pair it had stays
  const absl::Time to = world_.start() + absl::Nanoseconds(newest);
  absl::Time from = world_.start() + absl::Nanoseconds(before);
  if (pod.running_at > from) {
    if (to - pod.running_at < kFresh || to - pod.running_at >= spec_.server_every) {
      return std::nullopt;
    }
    from = pod.running_at;
  }
  const std::optional<int64_t> cpu = world_.MeanCpu(pod, from, to);
  if (!cpu) return std::nullopt;
  return CpuSample{.at = to, .window = to - from, .cpu = *cpu};
}

}  // namespace neap::sim
