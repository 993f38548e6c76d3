#include "autoscaler/sim/scale_api.h"

#include <fmt/format.h>

#include <utility>

namespace neap::sim {
namespace {

using Kind = core::ApplyResult::Kind;
using What = ControlFault::What;

// The API server's words for a JSON Patch whose test failed.
constexpr char kTestFailed[] = "the server rejected our request due to an error in our request";
constexpr char kTooMany[] =
    "the server has received too many requests and has asked us to try again later";
constexpr char kNoAnswer[] = "no answer within 10s";

}  // namespace

control::WriteOutcome OutcomeOf(const control::PatchScale& patch, Kind kind, std::string error) {
  return {.write_id = patch.write_id,
          .result = {.kind = kind, .at = absl::InfinitePast(), .error = std::move(error)},
          .scale = {}};
}

ScaleApi::ScaleApi(World& world, const Views& views, ControlFaults& faults, Random& random,
                   OnScale on_scale)
    : world_(world),
      views_(views),
      faults_(faults),
      random_(random),
      on_scale_(std::move(on_scale)) {}

ScaleApi::Answer ScaleApi::Write(const control::PatchScale& patch, int64_t now) {
  const int index = views_.Find(patch.target);
  if (index < 0) {
    const std::string text = fmt::format("deployments.apps \"{}\" not found", patch.target.name);
    return {.outcome = OutcomeOf(patch, Kind::kGone, text)};
  }
  const Deployment& deployment = world_.deployments()[static_cast<size_t>(index)];
  if (faults_.Strikes(What::kConflicts, now, nullptr) != nullptr) {
    Set(index, deployment.replicas + 1, /*by_neap=*/false);
  }
  // Each as likely: it is refused, it is lost on the way, its answer is.
  enum class Lost : uint8_t { kNothing, kRefused, kWrite, kAnswer };
  Lost lost = Lost::kNothing;
  if (faults_.Strikes(What::kApiErrors, now, nullptr) != nullptr) {
    lost = static_cast<Lost>(1 + random_.Below(3));
  }
  if (lost == Lost::kRefused) return {.outcome = OutcomeOf(patch, Kind::kRejected, kTooMany)};
  const Answer unanswered{.outcome = OutcomeOf(patch, Kind::kUnknown, kNoAnswer),
                          .timed_out = true};
  if (lost == Lost::kWrite) return unanswered;
  const bool as_observed =
      deployment.uid == patch.observed.uid && deployment.replicas == patch.observed.spec_replicas;
  if (as_observed) Set(index, patch.replicas, /*by_neap=*/true);
  if (lost == Lost::kAnswer) return unanswered;
  if (!as_observed) return {.outcome = OutcomeOf(patch, Kind::kConflict, kTestFailed)};
  Answer applied{.outcome = OutcomeOf(patch, Kind::kApplied, "")};
  applied.outcome.scale = views_.ScaleOf(index);
  return applied;
}

void ScaleApi::Set(int index, int32_t replicas, bool by_neap) {
  const int32_t before = world_.deployments()[static_cast<size_t>(index)].replicas;
  if (!world_.Scale(index, replicas).ok() || before == replicas) return;
  on_scale_(index, before, replicas, by_neap);
}

}  // namespace neap::sim
