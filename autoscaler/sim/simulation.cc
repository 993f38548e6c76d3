#include "autoscaler/sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "autoscaler/base/check.h"
#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/sim/control_faults.h"
#include "autoscaler/sim/events.h"
#include "autoscaler/sim/meters.h"
#include "autoscaler/sim/pipeline.h"
#include "autoscaler/sim/random.h"
#include "autoscaler/sim/scale_api.h"
#include "autoscaler/sim/views.h"

namespace neap::sim {
namespace {

using What = ControlFault::What;

// Streams of numbers apart from the world's.
constexpr uint64_t kOwnChance = 0x77726974;
constexpr uint64_t kFaultsChance = 0x6661756c;
constexpr char kSpecView[] = "api";
// How often a quiet view says that it is alive.
constexpr int64_t kHearEvery = 30'000'000'000;
// Of a run that is to last until its loads have ended.
constexpr absl::Duration kLongest = absl::Hours(24 * 366 * 3);
// After which the client of the API server gives a write up (kube/scale_writer.h).
constexpr int64_t kWriteTimeout = 10'000'000'000;

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

std::string KindScope() { return fmt::format("{}/{}", kDeploymentGroup, kDeploymentKind); }

int64_t Nanos(absl::Duration duration) { return absl::ToInt64Nanoseconds(duration); }  // saturates

}  // namespace

class Simulation::Impl {
 public:
  Impl(SimulationSpec spec, std::vector<Observer*> observers)
      : spec_(Prepared(std::move(spec))),
        observers_(std::move(observers)),
        world_(spec_.world, spec_.start),
        views_(world_),
        pipeline_(spec_, world_),
        random_(spec_.world.seed ^ kOwnChance),
        faults_(spec_.faults, spec_.world.seed ^ kFaultsChance),
        scale_api_(world_, views_, faults_, random_,
                   [this](int deployment, int32_t before, int32_t after, bool by_neap) {
                     OnScale(deployment, before, after, by_neap);
                   }),
        pods_of_(spec_.world.deployments.size(), 0),
        pod_counts_(spec_.world.deployments.size()) {
    for (const ObjectSpec& object : spec_.objects) Keep(object);
    world_.TakeChanges();  // all that is there at the beginning is listed
    StartNeapd({});
    queue_.At(Nanos(spec_.world.tick), {.kind = EventKind::kLook, .index = 0});
    queue_.At(kHearEvery, {.kind = EventKind::kHear, .index = 0});
    for (size_t i = 0; i < spec_.faults.size(); ++i) {
      const ControlFault& fault = spec_.faults[i];
      const auto index = static_cast<uint32_t>(i);
      if (fault.what == What::kRestart) {
        queue_.At(Nanos(fault.at), {.kind = EventKind::kEnd, .index = index});
        queue_.At(Nanos(fault.at + fault.by), {.kind = EventKind::kStart, .index = index});
      }
      if (fault.what == What::kWatchSilence) {
        queue_.At(Nanos(fault.at + fault.lasts), {.kind = EventKind::kRelist, .index = index});
      }
    }
    Look();
  }

  absl::Status Advance(absl::Time to) {
    const int64_t limit = Nanos(to - spec_.start);
    while (Move(limit)) {
    }
    return world_.status();
  }

  using Progress = std::function<bool(absl::Duration)>;

  absl::Status Run(const Progress& progress) {
    const absl::Status status = spec_.duration == absl::InfiniteDuration()
                                    ? RunUntilLoadsEnd(progress)
                                    : RunFor(spec_.duration, progress);
    Look();
    return status;
  }

  absl::Time now() const { return TimeOf(now_); }
  const World& world() const { return world_; }
  const control::Controller& controller() const {
    NEAP_CHECK(controller_ != nullptr, "neapd is down");
    return *controller_;
  }
  uint64_t events() const { return world_.events() + steps_; }

  void ScaleByHand(int deployment, int32_t replicas) {
    scale_api_.Set(deployment, replicas, /*by_neap=*/false);
  }

  void Change(ObjectSpec object) {
    Keep(object);
    Tell({SpecChangeOf(objects_.at(object.spec->uid))});
  }

 private:
  enum class EventKind : uint8_t {
    kArrive,  // messages of a slot reach the controller
    kWrite,   // the write of a slot reaches the world
    kHear,    // views say that they are alive
    kLook,    // observers see the world
    kEnd,     // neapd ends
    kStart,   // and starts
    kRelist,  // watches work again
  };
  struct Event {
    EventKind kind;
    uint32_t index;  // of the slot or fault
  };
  // What is under way; neapd's `life` in which it set out, since another one knows nothing of it.
  struct Slot {
    std::vector<control::Message> messages;
    control::PatchScale patch;
    int64_t back = 0;  // of a write: nanoseconds from the world to its answer
    int life = 0;
  };
  struct Object {
    ObjectSpec spec;
    core::Status status;  // as it was written last
  };

  static SimulationSpec Prepared(SimulationSpec spec) {
    spec.controller.abort_on_broken_invariant = true;
    spec.world.cpu_history = std::max(spec.world.cpu_history, Meters::Reach(spec.pipeline));
    return spec;
  }

  absl::Time TimeOf(int64_t now) const { return spec_.start + absl::Nanoseconds(now); }
  // When the controller is due, rounded up to whole nanoseconds.
  int64_t Due() const {
    if (controller_ == nullptr) return kNever;
    const absl::Duration due = controller_->NextDue() - spec_.start;
    const int64_t nanos = Nanos(due);
    return nanos == kNever || absl::Nanoseconds(nanos) >= due ? nanos : nanos + 1;
  }

  // ---- time ----

  absl::Status RunFor(absl::Duration duration, const Progress& progress) {
    constexpr int kParts = 100;
    for (int i = 1; i <= kParts; ++i) {
      const absl::Duration passed = i == kParts ? duration : duration / kParts * i;
      NEAP_RETURN_IF_ERROR(Advance(spec_.start + passed));
      if (progress && !progress(passed)) return Ended();
    }
    return absl::OkStatus();
  }

  // That they have ended is known when it is reached: tick by tick, so as not to miss it.
  absl::Status RunUntilLoadsEnd(const Progress& progress) {
    constexpr absl::Duration kTellEvery = absl::Hours(1);
    absl::Duration told;
    for (absl::Duration passed; world_.loads_ended() > now(); passed += spec_.world.tick) {
      if (passed > kLongest) {
        return base::FailedPrecondition("the loads have not ended within {}: give a duration",
                                        base::FormatDuration(kLongest));
      }
      NEAP_RETURN_IF_ERROR(Advance(spec_.start + passed));
      if (passed < told + kTellEvery) continue;
      told = passed;
      if (progress && !progress(passed)) return Ended();
    }
    return absl::OkStatus();
  }

  static absl::Status Ended() { return absl::CancelledError("the simulation was ended early"); }

  // To the next moment at which something happens and through it; false when that lies beyond
  // `limit`, where the world stands then.
  bool Move(int64_t limit) {
    int64_t next = std::min({queue_.next(), pipeline_.next_event(), Due()});
    while (world_.AdvanceToChange(TimeOf(std::min(next, limit)))) {
      now_ = Nanos(world_.now() - spec_.start);
      TellChanges();
      next = std::min(next, queue_.next());
    }
    if (next > limit) {
      now_ = std::max(now_, limit);
      return false;
    }
    now_ = std::max(now_, next);
    pipeline_.Advance(now_);
    while (queue_.next() <= now_) Handle(queue_.Take());
    if (controller_ != nullptr && (!inbox_.empty() || Due() <= now_)) Step();
    return true;
  }

  void Handle(const Event& event) {
    switch (event.kind) {
      case EventKind::kArrive:
        return Arrive(event.index);
      case EventKind::kWrite:
        return Write(event.index);
      case EventKind::kHear:
        queue_.At(now_ + kHearEvery, event);
        return Hear();
      case EventKind::kLook:
        queue_.At(now_ + Nanos(spec_.world.tick), event);
        return Look();
      case EventKind::kEnd:
        return EndNeapd(spec_.faults[event.index]);
      case EventKind::kStart:
        return StartNeapd(std::exchange(kept_, {}));
      case EventKind::kRelist:
        return Relist();
    }
  }

  void Look() {
    for (Observer* observer : observers_) observer->OnWorld(world_, now());
  }

  // ---- what is under way ----

  uint32_t NewSlot() {
    if (free_.empty()) {
      slots_.emplace_back();
      free_.push_back(static_cast<uint32_t>(slots_.size() - 1));
    }
    const uint32_t slot = free_.back();
    free_.pop_back();
    slots_[slot].life = life_;
    return slot;
  }

  void Send(std::vector<control::Message> messages, int64_t at) {
    const uint32_t slot = NewSlot();
    slots_[slot].messages = std::move(messages);
    queue_.At(at, {.kind = EventKind::kArrive, .index = slot});
  }

  void Arrive(uint32_t index) {
    Slot& slot = slots_[index];
    if (slot.life == life_ && controller_ != nullptr) {
      for (control::Message& message : slot.messages) inbox_.push_back(std::move(message));
    }
    slot.messages.clear();
    free_.push_back(index);
  }

  // ---- watches ----

  bool Silent() const { return faults_.On(What::kWatchSilence, now_, nullptr); }

  // What watches bring, in order: no event overtakes an earlier one.
  void Tell(std::vector<control::Message> messages) {
    if (messages.empty() || controller_ == nullptr || Silent()) return;
    int64_t at = now_ + spec_.pipeline.watch.Draw(random_);
    if (const ControlFault* late = faults_.Strikes(What::kWatchDelay, now_, nullptr)) {
      at += Nanos(late->by);
    }
    told_until_ = std::max(told_until_, at);
    Send(std::move(messages), told_until_);
  }

  void TellChanges() {
    const std::vector<sim::Change> changes = world_.TakeChanges();
    if (changes.empty()) return;
    for (const sim::Change& change : changes) NotePods(change.deployment);
    std::vector<control::Message> messages;
    views_.Tell(changes, pods_of_, &messages);
    if (!watch_.targets.empty()) Tell(std::move(messages));
  }

  void NotePods(int index) {
    const Deployment& deployment = world_.deployments()[static_cast<size_t>(index)];
    const PodCounts counts = {
        .pods = deployment.pods.size(), .active = deployment.active, .ready = deployment.ready};
    PodCounts& known = pod_counts_[static_cast<size_t>(index)];
    if (counts == known) return;
    known = counts;
    for (Observer* observer : observers_) observer->OnPods(world_, index, now());
  }

  void Hear() {
    if (controller_ == nullptr || Silent()) return;
    inbox_.push_back(control::ViewHeard{.view = control::View::kSpecs, .scope = kSpecView});
    if (!watch_.targets.empty()) {
      inbox_.push_back(control::ViewHeard{.view = control::View::kScales, .scope = KindScope()});
    }
    for (const std::string& ns : watch_.pod_namespaces) {
      inbox_.push_back(control::ViewHeard{.view = control::View::kPods, .scope = ns});
    }
  }

  control::SpecsReplaced Specs() const {
    control::SpecsReplaced list{.source = kSpecView, .all = {}};
    for (const auto& [uid, object] : objects_) list.all.push_back(SpecChangeOf(object));
    return list;
  }

  static control::SpecChange SpecChangeOf(const Object& object) {
    return {.uid = object.spec.spec->uid,
            .spec = object.spec.spec,
            .status = object.status,
            .source = kSpecView};
  }

  void Relist() {
    std::vector<control::Message> lists;
    lists.emplace_back(Specs());
    if (!watch_.targets.empty()) lists.emplace_back(views_.Scales());
    for (const std::string& ns : watch_.pod_namespaces) lists.emplace_back(views_.Pods(ns));
    Tell(std::move(lists));
  }

  void OnWatch(const control::Watch& watch) {
    std::vector<control::Message> lists;
    if (watch_.targets.empty() && !watch.targets.empty()) lists.emplace_back(views_.Scales());
    for (const control::TargetRef& target : watch.targets) {
      if (target.group == kDeploymentGroup && target.kind == kDeploymentKind) continue;
      lists.emplace_back(control::ScaleChange{
          .target = target,
          .scale = {},
          .error = core::ReadingError{.kind = core::ErrorKind::kNotFound,
                                      .message = target.Text() + " not found"}});
    }
    for (const std::string& ns : watch.pod_namespaces) {
      if (!std::binary_search(watch_.pod_namespaces.begin(), watch_.pod_namespaces.end(), ns)) {
        lists.emplace_back(views_.Pods(ns));
      }
    }
    watch_ = watch;
    for (size_t i = 0; i < pods_of_.size(); ++i) {
      pods_of_[i] = std::binary_search(watch_.pod_namespaces.begin(), watch_.pod_namespaces.end(),
                                       world_.deployments()[i].spec.ns)
                        ? 1
                        : 0;
    }
    Tell(std::move(lists));
  }

  // ---- neapd ----

  void Keep(ObjectSpec object) {
    const auto [at, fresh] = objects_.try_emplace(object.spec->uid);
    if (fresh) at->second.status = object.status;
    at->second.spec = std::move(object);
  }

  // Restarts may overlap: who is up is not started, who is down does not end.
  void StartNeapd(std::map<std::string, core::History> histories) {
    if (controller_ != nullptr) return;
    control::ControllerOptions options = spec_.controller;
    options.explain_statuses = false;
    for (auto& [uid, history] : histories) options.histories[uid] = std::move(history);
    controller_ = std::make_unique<control::Controller>(std::move(options));
    Tell({Specs()});
  }

  void EndNeapd(const ControlFault& fault) {
    if (controller_ == nullptr) return;
    kept_.clear();
    if (fault.keeps_history) {
      control::TargetInfo info;
      for (std::string after; controller_->NextTarget(after, &info); after = info.uid) {
        kept_[std::string(info.uid)] = *info.history;
      }
    }
    controller_.reset();
    ++life_;
    inbox_.clear();
    watch_ = {};
    std::fill(pods_of_.begin(), pods_of_.end(), 0);
    pipeline_.CloseAll();
  }

  void Step() {
    ++steps_;
    std::vector<control::Action> actions = controller_->Step(std::exchange(inbox_, {}), now());
    for (control::Action& action : actions) {
      std::visit(Overloaded{
                     [&](const control::Subscribe& a) { OnSubscribe(a); },
                     [&](control::Poll& a) { OnPoll(std::move(a)); },
                     [&](const control::Watch& a) { OnWatch(a); },
                     [&](control::PatchScale& a) { OnPatch(std::move(a)); },
                     [&](control::WriteStatus& a) { OnStatus(std::move(a)); },
                     [](const control::EmitEvent&) {},  // records hold them
                     [&](const control::DecisionRecord& a) {
                       for (Observer* observer : observers_) observer->OnDecision(a, now());
                     },
                     [&](const control::OutcomeRecord& a) {
                       for (Observer* observer : observers_) observer->OnOutcome(a, now());
                     },
                     [](const control::ShardQuiet&) {},  // it has no shards
                 },
                 action);
    }
  }

  void OnSubscribe(const control::Subscribe& subscribe) {
    for (const std::string& id : subscribe.remove) pipeline_.Close(id);
    std::vector<control::Message> opened;
    for (const auto& put : subscribe.put) opened.emplace_back(pipeline_.Open(*put));
    if (!opened.empty()) Send(std::move(opened), now_ + spec_.pipeline.answer.Draw(random_));
  }

  // Answers that take equally long come together.
  void OnPoll(control::Poll poll) {
    std::vector<control::Message> batch;
    int64_t delay = 0;
    for (std::string& id : poll.trigger_ids) {
      std::optional<Pipeline::Answer> answer = pipeline_.Read(std::move(id), poll.round, now_);
      if (!answer) continue;
      if (!batch.empty() && answer->delay != delay) {
        Send(std::exchange(batch, {}), now_ + delay);
      }
      delay = answer->delay;
      batch.emplace_back(std::move(answer->reading));
    }
    if (!batch.empty()) Send(std::move(batch), now_ + delay);
  }

  // The status comes back by the watch as well, where control finds nothing new in it.
  void OnStatus(control::WriteStatus status) {
    const auto object = objects_.find(status.uid);
    if (object != objects_.end()) object->second.status = std::move(status.status);
  }

  // ---- writes ----

  void OnPatch(control::PatchScale patch) {
    const auto object = objects_.find(patch.uid);
    if (object != objects_.end() && object->second.spec.dry_run) {
      return Send({OutcomeOf(patch, core::ApplyResult::Kind::kWithheld, "")}, now_);
    }
    const int64_t takes = spec_.pipeline.write.Draw(random_);
    const uint32_t slot = NewSlot();
    slots_[slot].patch = std::move(patch);
    slots_[slot].back = takes - takes / 2;
    queue_.At(now_ + takes / 2, {.kind = EventKind::kWrite, .index = slot});
  }

  // It reaches the world also when the neapd that sent it is gone.
  void Write(uint32_t index) {
    const control::PatchScale patch = std::move(slots_[index].patch);
    const int64_t back = slots_[index].back;
    const bool known = slots_[index].life == life_;  // to the neapd that runs now
    free_.push_back(index);
    ScaleApi::Answer answer = scale_api_.Write(patch, now_);
    if (known) Send({std::move(answer.outcome)}, now_ + (answer.timed_out ? kWriteTimeout : back));
  }

  void OnScale(int deployment, int32_t before, int32_t after, bool by_neap) {
    for (Observer* observer : observers_) {
      observer->OnScale(deployment, before, after, by_neap, now());
    }
    TellChanges();
  }

  struct PodCounts {
    size_t pods = 0;  // with those that end
    int active = 0;
    int ready = 0;
    bool operator==(const PodCounts&) const = default;
  };

  const SimulationSpec spec_;
  const std::vector<Observer*> observers_;
  World world_;
  Views views_;
  Pipeline pipeline_;
  Random random_;
  ControlFaults faults_;
  ScaleApi scale_api_;

  int64_t now_ = 0;  // nanoseconds since the start
  uint64_t steps_ = 0;
  EventQueue<Event> queue_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  int64_t told_until_ = 0;

  std::map<std::string, Object> objects_;            // by uid
  std::unique_ptr<control::Controller> controller_;  // null while neapd is down
  int life_ = 0;
  std::map<std::string, core::History> kept_;
  std::vector<control::Message> inbox_;
  control::Watch watch_;       // what neapd watches
  std::vector<char> pods_of_;  // deployments whose pods it watches
  std::vector<PodCounts> pod_counts_;
};

Simulation::Simulation(SimulationSpec spec, std::vector<Observer*> observers)
    : impl_(std::make_unique<Impl>(std::move(spec), std::move(observers))) {}
Simulation::~Simulation() = default;
absl::Status Simulation::Run(const std::function<bool(absl::Duration)>& progress) {
  return impl_->Run(progress);
}
absl::Status Simulation::Advance(absl::Time to) { return impl_->Advance(to); }
absl::Time Simulation::now() const { return impl_->now(); }
const World& Simulation::world() const { return impl_->world(); }
void Simulation::ScaleByHand(int deployment, int32_t replicas) {
  impl_->ScaleByHand(deployment, replicas);
}
void Simulation::Change(ObjectSpec object) { impl_->Change(std::move(object)); }
const control::Controller& Simulation::controller() const { return impl_->controller(); }
uint64_t Simulation::events() const { return impl_->events(); }

}  // namespace neap::sim
