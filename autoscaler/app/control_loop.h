// ControlLoop: the thread of the controller. It takes messages from the inbox, steps, hands the
// actions to their routes, and writes waiting scrapes between steps. It wakes when something comes
// in or falls due; it never polls. Owned by Neapd, which makes the routes.
//
// Routes are called on the loop's thread, in the actions' order, but records after everything else
// of their step, so that no write waits for the journal. They must not wait.
//
// Stopping: from then on nothing new is decided or written. The outcomes of writes under way are
// still taken in and recorded, for as long as the caller allows.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "autoscaler/app/inbox.h"
#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/control/controller.h"
#include "autoscaler/telemetry/object_metrics.h"
#include "autoscaler/telemetry/process_metrics.h"
#include "autoscaler/telemetry/scrape.h"

namespace neap::app {

// All set.
struct Routes {
  std::function<void(control::Subscribe)> subscribe;
  std::function<void(control::Poll)> poll;
  std::function<void(const control::Watch&)> watch;
  std::function<void(const control::PatchScale&)> patch;  // answers with a WriteOutcome
  std::function<void(const control::WriteStatus&)> status;
  std::function<void(const control::EmitEvent&)> event;
  std::function<void(const control::DecisionRecord&)> decision;
  std::function<void(const control::OutcomeRecord&)> outcome;
  std::function<void(const control::ShardQuiet&)> quiet;
  // After each step, with the controller; also the last time, when the loop has stopped.
  std::function<void(const control::Controller&)> after_step;
};

// Start, Stop and what follows may be called from any thread; the rest is the loop's own.
class ControlLoop {
 public:
  // Borrows all; `withheld` is asked on the loop's thread, for the metrics.
  ControlLoop(control::ControllerOptions options, Inbox& inbox, const base::Clock& clock,
              Routes routes, telemetry::ProcessMetrics& metrics,
              std::function<bool(std::string_view uid)> withheld);
  ~ControlLoop();

  void Start();
  // Stops deciding, waits up to `limit` for writes under way, then ends the thread. Returns how
  // many writes nobody had answered by then. Idempotent.
  size_t Stop(absl::Duration limit);

  // nullptr when there are too many.
  std::shared_ptr<telemetry::Scrape> OpenScrape() { return scrapes_.Open(); }
  absl::Duration SinceLastStep() const;
  bool AllSynced() const { return synced_; }

 private:
  void Run();
  void Step(std::vector<control::Message> messages);
  void Drain(std::vector<control::Message> messages);
  void DrainAction(const control::Action& action);
  void Route(std::vector<control::Action>& actions);
  void Record(const std::vector<control::Action>& actions);
  void OnPatch(const control::PatchScale& patch, const control::DecisionRecord* decision);
  // The writes that `messages` answer are no longer under way.
  void NoteOutcomes(const std::vector<control::Message>& messages);

  Inbox& inbox_;
  const base::Clock& clock_;
  const Routes routes_;
  telemetry::ProcessMetrics& metrics_;

  std::thread thread_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> synced_ = false;
  std::atomic<int64_t> stepped_at_ms_ = 0;  // clock_.Elapsed()
  std::atomic<int64_t> drain_until_ms_ = 0;
  std::atomic<size_t> unanswered_ = 0;

  // The loop's thread.
  control::Controller controller_;
  telemetry::ObjectMetrics object_metrics_;
  telemetry::Scrapes scrapes_;
  std::map<uint64_t, absl::Time> writes_;  // under way: write id -> handed over at
  uint64_t last_decision_ = 0;             // the greatest decision id that was recorded
};

}  // namespace neap::app
