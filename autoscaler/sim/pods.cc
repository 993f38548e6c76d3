#include "autoscaler/sim/pods.h"

#include <algorithm>
#include <utility>

#include "autoscaler/base/check.h"

namespace neap::sim {
namespace {

// Old steps are dropped many at a time, since that moves the others.
constexpr size_t kForgetAtOnce = 16;

// Drops what ended before `before`, but not the last that began until then.
template <typename T, typename At>
void ForgetBefore(std::vector<T>& all, int64_t before, At at) {
  if (all.size() < 2 * kForgetAtOnce || at(all[kForgetAtOnce]) > before) return;
  const auto after = std::upper_bound(all.begin(), all.end(), before,
                                      [&](int64_t t, const T& one) { return t < at(one); });
  all.erase(all.begin(), after - 1);
}

// The last that began until `when`, or the first.
template <typename T, typename At>
const T& AtTime(const std::vector<T>& all, int64_t when, At at) {
  const auto after = std::upper_bound(all.begin(), all.end(), when,
                                      [&](int64_t t, const T& one) { return t < at(one); });
  return after == all.begin() ? all.front() : *(after - 1);
}

}  // namespace

void CpuCurve::Set(int64_t now, int64_t cpu) {
  if (!steps_.empty() && steps_.back().cpu == cpu) return;
  if (!steps_.empty() && steps_.back().from == now) {
    steps_.back().cpu = cpu;
    return;
  }
  steps_.push_back({.from = now, .cpu = cpu, .total = Total(now)});
}

Wide CpuCurve::Total(int64_t when) const {
  if (steps_.empty()) return 0;
  const Step& step = AtTime(steps_, when, [](const Step& s) { return s.from; });
  return step.total + Wide{step.cpu} * (when - step.from);
}

void CpuCurve::Forget(int64_t before) {
  ForgetBefore(steps_, before, [](const Step& s) { return s.from; });
}

void CpuMeter::Own(int64_t now, int64_t cpu, const CpuCurve& share) {
  Begin({.from = now, .shares = false, .cpu = cpu, .total = 0, .share = 0}, share);
}

void CpuMeter::Share(int64_t now, const CpuCurve& share) {
  Begin({.from = now, .shares = true, .cpu = 0, .total = 0, .share = share.Total(now)}, share);
}

void CpuMeter::Begin(Span span, const CpuCurve& share) {
  span.total = Total(span.from, share);
  if (!spans_.empty() && spans_.back().from == span.from) spans_.pop_back();
  spans_.push_back(span);
}

Wide CpuMeter::Total(int64_t when, const CpuCurve& share) const {
  if (spans_.empty() || when < spans_.front().from) return 0;
  const Span& span = AtTime(spans_, when, [](const Span& s) { return s.from; });
  if (span.shares) return span.total + share.Total(when) - span.share;
  return span.total + Wide{span.cpu} * (when - span.from);
}

void CpuMeter::Worked(int64_t now, int64_t busy) {
  const size_t n = marks_.size();
  // While it does nothing, two marks say so for any time.
  if (n >= 2 && marks_[n - 1].busy == busy && marks_[n - 2].busy == busy) {
    marks_.back().at = now;
  } else if (n > 0 && marks_.back().at == now) {
    marks_.back().busy = busy;
  } else {
    marks_.push_back({.at = now, .busy = busy});
  }
}

Wide CpuMeter::Busy(int64_t when, int64_t now, int64_t busy) const {
  if (marks_.empty() || when <= marks_.front().at) return marks_.empty() ? 0 : marks_.front().busy;
  const auto next = std::upper_bound(marks_.begin(), marks_.end(), when,
                                     [](int64_t t, const Mark& mark) { return t < mark.at; });
  const Mark& before = *(next - 1);
  const Mark after = next == marks_.end() ? Mark{.at = now, .busy = busy} : *next;
  if (after.at <= before.at) return before.busy;
  return before.busy + Wide{after.busy - before.busy} * (when - before.at) / (after.at - before.at);
}

void CpuMeter::Forget(int64_t before) {
  ForgetBefore(spans_, before, [](const Span& s) { return s.from; });
  ForgetBefore(marks_, before, [](const Mark& m) { return m.at; });
}

Pod& PodTable::Add() {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const uint32_t slot = free_.back();
  free_.pop_back();
  slots_[slot].pod = std::make_unique<Pod>();
  slots_[slot].pod->id = {.slot = slot, .generation = ++slots_[slot].generation};
  return *slots_[slot].pod;
}

Pod* PodTable::Find(PodId id) const {
  if (id.slot >= slots_.size() || slots_[id.slot].generation != id.generation) return nullptr;
  return slots_[id.slot].pod.get();
}

void PodTable::Name(Pod& pod, std::string full_name) {
  NEAP_CHECK(by_name_.Insert(std::move(full_name), pod.id), "two pods of one name");
}

Pod* PodTable::Find(std::string_view full_name) const {
  const PodId* id = by_name_.Find(full_name);
  return id == nullptr ? nullptr : Find(*id);
}

void PodTable::Remove(const Pod& pod, std::string_view full_name) {
  by_name_.Erase(full_name);
  const uint32_t slot = pod.id.slot;
  slots_[slot].pod.reset();
  free_.push_back(slot);
}

}  // namespace neap::sim
