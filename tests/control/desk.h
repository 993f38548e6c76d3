// Desk: a Controller on a table, for tests. What goes in are values; what comes out is written down
// as one line per action. It answers polls and writes from tables that a test fills, at virtual
// time.
//
//   Desk desk;
//   desk.Put(Desk::Spec("web"));
//   desk.Scale("web", 2);
//   desk.values["web"] = 50'000;
//   desk.Run(absl::Seconds(1));
//   EXPECT_EQ(desk.replicas("web"), 5);
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/control/controller.h"

namespace neap::control {

inline const absl::Time kStart = absl::FromUnixSeconds(1767225600);

class Desk {
 public:
  explicit Desk(ControllerOptions options = Options());

  static ControllerOptions Options();  // of a running neapd, but aborts on a broken invariant
  // One External metric named as the object, 10 per pod (absolute), 1 to 100 replicas, Safe.
  static core::AutoscalerSpec Spec(const std::string& name,
                                   absl::Duration period = absl::Seconds(15));
  // With the metric as Value (relative): 10 in all, times the ready pods.
  static core::AutoscalerSpec RelativeSpec(const std::string& name,
                                           absl::Duration period = absl::Seconds(15));

  // ---- what comes in; nothing happens before Step or Run ----
  void In(Message message) { inbox_.push_back(std::move(message)); }
  // In view "api", uid "uid-NAME", with the status that is stored.
  void Put(core::AutoscalerSpec spec, core::Status status = {});
  void SyncSpecs();                                       // the list of all that were put
  void Scale(const std::string& name, int32_t replicas);  // by someone else, or at first
  void Gone(const std::string& name);                     // the workload
  void Pods(const std::string& app, int count);           // the namespace's list: ready pods
  void Hear();                                            // every view is alive

  // ---- time ----
  absl::Time now() const { return now_; }
  std::vector<std::string> Step();                        // now
  std::vector<std::string> Run(absl::Duration duration);  // whatever is due, and the last moment

  // ---- how the world answers ----
  using Fault = core::ReadingError;
  std::map<std::string, int64_t> values;  // milli, by the metric's name; none: it never answers
  std::map<std::string, Fault> faults;    // by the metric's name; wins
  absl::Duration latency = absl::Milliseconds(10);
  absl::Duration write_latency = absl::Milliseconds(10);
  bool dated = false;  // values carry the source's time, which stays until they change
  bool hears = true;   // views say that they are alive all the time
  // What becomes of a write; kNotTried: nobody answers. Default: applied.
  std::function<core::ApplyResult::Kind(const PatchScale&)> on_write;
  bool apply_unknown = false;  // a write whose answer is Unknown was applied all the same

  void Push(const std::string& metric, int64_t milli);  // a reading that nobody polled

  // ---- what is known ----
  Controller& controller() { return controller_; }
  int32_t replicas(const std::string& name) const { return scales_.at(name).spec_replicas; }
  TargetInfo Info(const std::string& name) const;
  const std::vector<Poll>& polls() const { return polls_; }
  const std::vector<PatchScale>& patches() const { return patches_; }
  const std::vector<WriteStatus>& statuses() const { return statuses_; }
  const std::vector<Subscription>& subscribed() const { return subscribed_; }
  std::string IdOf(const std::string& metric) const;  // of the query that reads it
  // Called with each decision while its pointers are valid.
  std::function<void(const DecisionRecord&)> on_decision;
  std::function<void(const OutcomeRecord&)> on_outcome;

 private:
  TargetRef RefOf(const std::string& name) const;
  void Answer(const Poll& poll);
  void Answer(const PatchScale& patch);
  std::string Line(const Action& action);

  Controller controller_;
  absl::Time now_ = kStart;
  std::vector<Message> inbox_;
  std::multimap<absl::Time, Message> coming_;
  std::map<std::string, SpecChange> specs_;
  std::map<std::string, core::Scale> scales_;
  std::map<std::string, std::pair<int64_t, absl::Time>> dates_;
  std::map<std::string, std::string> names_;  // query id -> metric or trigger type
  std::vector<Subscription> subscribed_;
  std::vector<Poll> polls_;
  std::vector<PatchScale> patches_;
  std::vector<WriteStatus> statuses_;
  int64_t version_ = 100;
  absl::Time heard_ = absl::InfinitePast();
};

}  // namespace neap::control
