#include "autoscaler/app/control_loop.h"

#include <algorithm>
#include <utility>

namespace neap::app {
namespace {

// However quiet it is: sign of life, for /healthz.
constexpr absl::Duration kLongestSleep = absl::Seconds(1);

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

}  // namespace

ControlLoop::ControlLoop(control::ControllerOptions options, Inbox& inbox, const base::Clock& clock,
                         Routes routes, telemetry::ProcessMetrics& metrics,
                         std::function<bool(std::string_view uid)> withheld)
    : inbox_(inbox),
      clock_(clock),
      routes_(std::move(routes)),
      metrics_(metrics),
      controller_(std::move(options)),
      object_metrics_(controller_, std::move(withheld)),
      scrapes_([&inbox] { inbox.Wake(); }) {}

ControlLoop::~ControlLoop() { Stop(absl::ZeroDuration()); }

void ControlLoop::Start() {
  stepped_at_ms_ = absl::ToInt64Milliseconds(clock_.Elapsed());
  thread_ = std::thread([this] { Run(); });
}

size_t ControlLoop::Stop(absl::Duration limit) {
  if (!thread_.joinable()) return unanswered_;
  drain_until_ms_ = absl::ToInt64Milliseconds(clock_.Elapsed() + limit);
  stopping_ = true;
  inbox_.Wake();
  scrapes_.Close();
  thread_.join();
  return unanswered_;
}

absl::Duration ControlLoop::SinceLastStep() const {
  return clock_.Elapsed() - absl::Milliseconds(stepped_at_ms_.load());
}

void ControlLoop::Run() {
  bool scrape_more = false;
  for (;;) {
    const absl::Duration sleep =
        scrape_more ? absl::ZeroDuration()
                    : std::min(controller_.NextDue() - clock_.Now(), kLongestSleep);
    std::vector<control::Message> messages = inbox_.Take(sleep);
    if (stopping_) {
      Drain(std::move(messages));
      break;
    }
    Step(std::move(messages));
    scrape_more = scrapes_.Serve(telemetry::ObjectMetrics::Families(),
                                 [this](int family, std::string* after, std::string* out) {
                                   return object_metrics_.Write(family, clock_.Now(), after, out);
                                 });
  }
  routes_.after_step(controller_);
}

void ControlLoop::Step(std::vector<control::Message> messages) {
  NoteOutcomes(messages);
  const absl::Duration began = clock_.Elapsed();
  const size_t count = messages.size();
  std::vector<control::Action> actions = controller_.Step(std::move(messages), clock_.Now());
  Route(actions);
  Record(actions);
  // Once is enough: a view that comes later makes its own targets wait, not the process unready.
  if (!synced_) synced_ = controller_.AllSynced();
  const absl::Duration ended = clock_.Elapsed();
  metrics_.OnStep(ended - began, count, controller_);
  stepped_at_ms_ = absl::ToInt64Milliseconds(ended);
  routes_.after_step(controller_);
}

// Only outcomes go in. What the controller may decide meanwhile never takes effect, so it is
// neither routed nor recorded: decision ids grow, those above the last recorded one are dropped.
void ControlLoop::Drain(std::vector<control::Message> messages) {
  for (;;) {
    std::erase_if(messages, [](const control::Message& message) {
      return !std::holds_alternative<control::WriteOutcome>(message);
    });
    NoteOutcomes(messages);
    if (!messages.empty()) {
      for (const control::Action& action : controller_.Step(std::move(messages), clock_.Now())) {
        DrainAction(action);
      }
    }
    const absl::Duration left = absl::Milliseconds(drain_until_ms_.load()) - clock_.Elapsed();
    if (writes_.empty() || left <= absl::ZeroDuration()) break;
    messages = inbox_.Take(left);
  }
  unanswered_ = writes_.size();
}

void ControlLoop::DrainAction(const control::Action& action) {
  if (const auto* outcome = std::get_if<control::OutcomeRecord>(&action)) {
    if (outcome->decision_id > last_decision_) return;
    metrics_.OnOutcome(*outcome);
    routes_.outcome(*outcome);
  } else if (const auto* event = std::get_if<control::EmitEvent>(&action)) {
    routes_.event(*event);
  } else if (const auto* status = std::get_if<control::WriteStatus>(&action)) {
    routes_.status(*status);
  }
}

void ControlLoop::Route(std::vector<control::Action>& actions) {
  const control::DecisionRecord* decision = nullptr;  // the last one, whose write may follow
  for (control::Action& action : actions) {
    std::visit(Overloaded{
                   [&](control::Subscribe& a) { routes_.subscribe(std::move(a)); },
                   [&](control::Poll& a) { routes_.poll(std::move(a)); },
                   [&](control::Watch& a) { routes_.watch(a); },
                   [&](control::PatchScale& a) { OnPatch(a, decision); },
                   [&](control::WriteStatus& a) { routes_.status(a); },
                   [&](control::EmitEvent& a) { routes_.event(a); },
                   [&](control::DecisionRecord& a) { decision = &a; },
                   [](control::OutcomeRecord&) {},
                   [&](control::ShardQuiet& a) { routes_.quiet(a); },
               },
               action);
  }
}

void ControlLoop::Record(const std::vector<control::Action>& actions) {
  for (const control::Action& action : actions) {
    if (const auto* decision = std::get_if<control::DecisionRecord>(&action)) {
      last_decision_ = decision->decision_id;
      metrics_.OnDecision(*decision);
      routes_.decision(*decision);
    } else if (const auto* outcome = std::get_if<control::OutcomeRecord>(&action)) {
      metrics_.OnOutcome(*outcome);
      routes_.outcome(*outcome);
    }
  }
}

void ControlLoop::OnPatch(const control::PatchScale& patch,
                          const control::DecisionRecord* decision) {
  const absl::Time now = clock_.Now();
  writes_[patch.write_id] = now;
  routes_.patch(patch);
  if (decision == nullptr || decision->uid != patch.uid) return;
  const int winner = decision->decision->winner;
  if (winner < 0 || static_cast<size_t>(winner) >= decision->seen->metrics.size()) return;
  const core::Reading& reading = *decision->seen->metrics[winner].reading;
  if (reading.observed_at != absl::InfinitePast()) metrics_.OnWrite(now - reading.observed_at);
}

void ControlLoop::NoteOutcomes(const std::vector<control::Message>& messages) {
  for (const control::Message& message : messages) {
    const auto* outcome = std::get_if<control::WriteOutcome>(&message);
    if (outcome == nullptr) continue;
    const auto at = writes_.find(outcome->write_id);
    if (at == writes_.end()) continue;
    metrics_.OnWriteAnswered(clock_.Now() - at->second);
    writes_.erase(at);
  }
}

}  // namespace neap::app
