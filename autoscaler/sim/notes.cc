#include "autoscaler/sim/notes.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "autoscaler/control/digest.h"
#include "autoscaler/core/decide.h"
#include "autoscaler/core/explain.h"
#include "autoscaler/core/messages.h"

namespace neap::sim {
namespace {

// What came out and which steps led there; not the numbers on the way, which differ each time.
uint64_t GistOf(const core::Decision& decision) {
  control::Digest digest;
  digest.Word(static_cast<uint64_t>(decision.verdict)).Signed(decision.desired);
  for (const core::Step& step : decision.steps) {
    if (step.stage == core::Stage::kPropose && step.reason != core::Reason::kMetricError) continue;
    digest.Word(static_cast<uint64_t>(step.reason));
  }
  return digest.value();
}

// What a step after the proposals did to the count; "" for those that only let it pass.
std::string WordsOf(const core::Step& step) {
  using core::Reason;
  switch (step.reason) {
    case Reason::kScaleDownStabilized:
      return fmt::format("held at {} by the scale-down window", step.after);
    case Reason::kScaleUpStabilized:
      return fmt::format("held at {} by the scale-up window", step.after);
    case Reason::kScaleUpLimit:
    case Reason::kScaleDownLimit:
      return fmt::format("limited to {} by the policies", step.after);
    case Reason::kTooManyReplicas:
      return fmt::format("at the maximum of {}", step.after);
    case Reason::kTooFewReplicas:
      return fmt::format("at the minimum of {}", step.after);
    case Reason::kInvalidMetrics:
      return fmt::format("held at {}, since a metric failed", step.after);
    case Reason::kHeldSilentView:
      return fmt::format("held at {}, since nothing was heard from the API server", step.after);
    case Reason::kHeldAbsentValue:
      return fmt::format("held at {}, since a value is a stand-in", step.after);
    case Reason::kHeldNoReadyPods:
      return fmt::format("held at {}, since no pod is ready", step.after);
    case Reason::kMaximum:
    case Reason::kReadyForNewScale:
    case Reason::kDesiredWithinRange:
    case Reason::kMetricError:
      return "";
    default:
      return step.stage == core::Stage::kPropose || step.stage == core::Stage::kValues
                 ? ""
                 : fmt::format("{} ({})", step.after, core::ReasonName(step.reason));
  }
}

}  // namespace

std::string ReasonLine(const control::DecisionRecord& record) {
  std::string out;
  for (const core::MetricLine& line :
       core::MetricLines(*record.spec, *record.seen, *record.decision)) {
    if (!out.empty()) out += ", ";
    out += line.failed
               ? fmt::format("{} failed", line.name)
               : fmt::format("{} {} of {}: {}", line.name, line.value, line.target, line.asks);
  }
  for (const core::Step& step : record.decision->steps) {
    const std::string words = WordsOf(step);
    if (words.empty()) continue;
    if (!out.empty()) out += "; ";
    out += words;
  }
  return out;
}

void Notes::Add(const control::DecisionRecord& record, absl::Time now) {
  const core::Decision& decision = *record.decision;
  const uint64_t gist = GistOf(decision);
  if (gist == std::exchange(last_, gist) && !decision.rescale) return;
  std::deque<Note>& kept = decision.rescale ? changes_ : holds_;
  kept.emplace_back(record.decision_id,
                    DecisionNote{.at = now,
                                 .current = decision.current,
                                 .recommended = decision.recommended,
                                 .desired = decision.desired,
                                 .rescale = decision.rescale,
                                 .applied = false,
                                 .reason = ReasonLine(record),
                                 .explanation = core::Explain(*record.spec, decision)});
  if (changes_.size() + holds_.size() <= most_) return;
  ++dropped_;
  (holds_.empty() ? changes_ : holds_).pop_front();
}

void Notes::Applied(uint64_t decision_id) {
  const auto found = std::find_if(changes_.rbegin(), changes_.rend(),
                                  [&](const Note& note) { return note.first == decision_id; });
  if (found != changes_.rend()) found->second.applied = true;
}

void Notes::Take(TargetResult* out) {
  std::vector<Note> all;
  std::merge(std::make_move_iterator(changes_.begin()), std::make_move_iterator(changes_.end()),
             std::make_move_iterator(holds_.begin()), std::make_move_iterator(holds_.end()),
             std::back_inserter(all), [](const Note& a, const Note& b) {
               return a.second.at != b.second.at ? a.second.at < b.second.at : a.first < b.first;
             });
  for (Note& note : all) out->decisions.push_back(std::move(note.second));
  out->decisions_dropped = dropped_;
}

}  // namespace neap::sim
