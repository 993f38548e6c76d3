#include "autoscaler/telemetry/shadows.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"

namespace neap::telemetry {
namespace {

using Json = nlohmann::ordered_json;

std::string RowOf(const control::TargetInfo& info) {
  const control::Shadow& shadow = *info.shadow;
  const core::AutoscalerSpec& spec = *info.spec;
  Json row = {{"namespace", spec.key.ns},
              {"name", spec.key.name},
              {"target", fmt::format("{}/{}", spec.target.kind, spec.target.name)}};
  if (info.scale != nullptr) row["replicas"] = info.scale->spec_replicas;
  if (shadow.other_desired()) row["hpaDesired"] = *shadow.other_desired();
  if (const core::Decision* d = info.decision; d != nullptr) {
    if (d->verdict == core::Verdict::kFailed || d->verdict == core::Verdict::kNoScale) {
      row["problem"] = d->failure_text;
    } else if (d->verdict != core::Verdict::kHold) {
      row["neapDesired"] = d->desired;
    }
  }
  if (!info.broken.empty()) row["problem"] = info.broken;
  row["since"] = base::FormatTime(shadow.since());
  row["compared"] = shadow.compared();
  row["equal"] = shadow.equal();
  row["different"] = shadow.different();
  if (shadow.differs_since()) row["differsSince"] = base::FormatTime(*shadow.differs_since());
  if (const auto& last = shadow.last()) {
    row["last"] = {{"at", base::FormatTime(last->at)},
                   {"neap", last->desired},
                   {"hpa", last->count},
                   {"reason", last->reason}};
  }
  // A peer's words may be no UTF-8.
  return row.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

absl::StatusOr<std::string> Shadows::Get(absl::Duration patience) {
  {
    base::MutexLock lock(mutex_);
    if (closed_) return base::Unavailable("neapd stops");
    if (asked_) return base::ResourceExhausted("somebody else is asking: try again");
    asked_ = true;
    after_.clear();
    rows_.clear();
    document_.reset();
    idle_ = false;
  }
  wake_();
  const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(patience);
  base::MutexLock lock(mutex_);
  while (!document_ && !closed_) {
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= std::chrono::nanoseconds(0)) break;
    changed_.WaitFor(mutex_, left);
  }
  asked_ = false;
  idle_ = true;
  if (document_) return *std::exchange(document_, std::nullopt);
  if (closed_) return base::Unavailable("neapd stops");
  return base::DeadlineExceeded("the controller did not answer within {}",
                                base::FormatDuration(patience));
}

void Shadows::Serve(const control::Controller& controller) {
  if (idle_) return;
  {
    base::MutexLock lock(mutex_);
    if (!asked_ || document_) return;
    control::TargetInfo info;
    int looked_at = 0;
    bool more = true;
    while (looked_at < kChunk && more) {
      more = controller.NextTarget(after_, &info);
      if (!more) break;
      ++looked_at;
      after_ = info.uid;
      if (info.shadow == nullptr) continue;
      rows_[{info.spec->key.ns, info.spec->key.name}] = RowOf(info);
    }
    if (!more) {
      document_ = DocumentOf();
      changed_.NotifyAll();
      return;
    }
  }
  wake_();
}

std::string Shadows::DocumentOf() const {
  std::string out = "{\"shadows\":[";
  for (const auto& [key, row] : rows_) {
    if (out.back() == '}') out += ',';
    out += row;
  }
  return out + "]}\n";
}

void Shadows::Close() {
  base::MutexLock lock(mutex_);
  closed_ = true;
  changed_.NotifyAll();
}

}  // namespace neap::telemetry
