#include "scalers/sdk/watch_session.h"

#include <algorithm>

#include "autoscaler/base/status.h"

namespace neap::sdk {
namespace {

constexpr size_t kMaxTriggers = 100'000;  // of one stream
constexpr size_t kStatesPerFrame = 2000;  // a status has a name and a target, or an error
constexpr absl::Duration kDefaultDeadline = absl::Seconds(10);
constexpr absl::Duration kMaxDeadline = absl::Minutes(10);

// Carries the readings of one poll to the outbox.
class PollAnswers : public ReadAnswers {
 public:
  PollAnswers(std::shared_ptr<Outbox> outbox, uint64_t generation, uint64_t round,
              std::vector<std::string> ids)
      : outbox_(std::move(outbox)), generation_(generation), round_(round), ids_(std::move(ids)) {}

  void OnReadings(std::vector<std::pair<size_t, Reading>> readings) override {
    std::vector<StampedReading> stamped;
    stamped.reserve(readings.size());
    for (auto& [place, reading] : readings) {
      stamped.push_back({.trigger_id = ids_[place],
                         .generation = generation_,
                         .round = round_,
                         .reading = std::move(reading)});
    }
    outbox_->Add(std::move(stamped));
  }
  bool abandoned() const override { return outbox_->closed(); }

 private:
  const std::shared_ptr<Outbox> outbox_;
  const uint64_t generation_;
  const uint64_t round_;
  const std::vector<std::string> ids_;
};

}  // namespace

class WatchSession::Listener : public PushListener {
 public:
  Listener(std::string id, Outbox& outbox) : id_(std::move(id)), outbox_(outbox) {}
  void OnPush(const Reading& reading) override { outbox_.Push(id_, reading); }

 private:
  const std::string id_;
  Outbox& outbox_;
};

WatchSession::WatchSession(OpenedTriggers& triggers, Reader& reader, std::shared_ptr<Outbox> outbox)
    : triggers_(triggers), reader_(reader), outbox_(std::move(outbox)) {}

WatchSession::~WatchSession() {
  for (auto& [id, member] : members_) Drop(id, member);
}

absl::Status WatchSession::OnSet(const SetFrame& frame) {
  if (!change_) {
    if (generation_ == 0 && !frame.reset) {
      return base::InvalidArgument("the first set of a stream must be whole (reset)");
    }
    if (frame.generation <= generation_) {
      return base::InvalidArgument("set {} after set {}: generations grow", frame.generation,
                                   generation_);
    }
    change_ = Change{.generation = frame.generation, .reset = frame.reset, .put = {}, .remove = {}};
  } else if (frame.generation != change_->generation || frame.reset != change_->reset) {
    return base::InvalidArgument("a frame of set {} before set {} was complete", frame.generation,
                                 change_->generation);
  }
  change_->remove.insert(frame.remove.begin(), frame.remove.end());
  for (const auto& [id, request] : frame.put) {
    if (id.empty()) return base::InvalidArgument("set {}: a trigger without id", frame.generation);
    const auto [member, is_new] = change_->put.try_emplace(id);
    if (!is_new) {
      return base::InvalidArgument("set {}: trigger {} twice", frame.generation, id);
    }
    member->second.opened = triggers_.Open(request, member->second.refusal);
  }
  const size_t others = change_->reset ? 0 : members_.size();
  if (change_->put.size() + others > kMaxTriggers) {
    return base::ResourceExhausted("set {}: more than {} triggers", frame.generation, kMaxTriggers);
  }
  if (!frame.complete) return absl::OkStatus();
  Apply(std::move(*change_));
  change_.reset();
  return absl::OkStatus();
}

void WatchSession::Apply(Change change) {
  generation_ = change.generation;
  std::map<std::string, Member> former;
  if (change.reset) former.swap(members_);
  for (const std::string& id : change.remove) {
    if (auto node = members_.extract(id)) former.insert(std::move(node));
  }
  for (const auto& [id, member] : change.put) {
    if (auto node = members_.extract(id)) former.insert(std::move(node));
  }
  for (auto& [id, member] : former) Drop(id, member);

  outbox_->SetGeneration(generation_);
  SetAnswer answer{.generation = generation_, .triggers = {}};
  for (const auto& [id, member] : change.put) {
    if (answer.triggers.size() == kStatesPerFrame) {
      outbox_->Add(std::exchange(answer, {.generation = generation_, .triggers = {}}));
    }
    TriggerState& state = answer.triggers.emplace_back();
    state.trigger_id = id;
    if (member.opened != nullptr) {
      state.metrics = member.opened->metrics();
    } else {
      state.refusal = member.refusal;
    }
  }
  outbox_->Add(std::move(answer));  // also when it names no trigger: the set is acknowledged

  // Only now may they push: a reading does not come before its trigger's status.
  for (auto& [id, member] : change.put) {
    if (member.opened == nullptr) continue;
    member.listener = std::make_unique<Listener>(id, *outbox_);
    member.opened->Add(member.listener.get());
  }
  members_.merge(change.put);
}

void WatchSession::Drop(const std::string& id, Member& member) {
  if (member.listener == nullptr) return;
  member.opened->Remove(member.listener.get());
  outbox_->DropPushed(id);
}

absl::Status WatchSession::OnPoll(uint64_t round, const std::vector<std::string>& ids,
                                  absl::Duration deadline) {
  if (round == 0) return base::InvalidArgument("a poll of round 0, which means pushed");
  std::vector<std::string> asked;
  std::vector<std::shared_ptr<OpenedTrigger>> triggers;
  std::vector<StampedReading> answers;
  std::set<std::string_view> unknown;
  const auto fail = [&](const std::string& id, Error error) {
    answers.push_back({.trigger_id = id,
                       .generation = generation_,
                       .round = round,
                       .reading = Reading::Failed(std::move(error))});
  };
  const auto ask = [&](const std::string& id, Member& member) {
    if (member.round == round) return;
    member.round = round;
    if (member.opened == nullptr) {
      fail(id, member.refusal.Whole());
      return;
    }
    asked.push_back(id);
    triggers.push_back(member.opened);
  };
  for (const std::string& id : ids) {
    const auto member = members_.find(id);
    if (member != members_.end()) {
      ask(id, member->second);
    } else if (unknown.insert(id).second) {
      fail(id, {.kind = ErrorKind::kUnknownTrigger,
                .message = fmt::format("the set has no trigger {}", id)});
    }
  }
  if (ids.empty()) {
    for (auto& [id, member] : members_) ask(id, member);
  }
  outbox_->Add(std::move(answers));
  if (asked.empty()) return absl::OkStatus();
  const absl::Duration timeout =
      deadline > absl::ZeroDuration() ? std::min(deadline, kMaxDeadline) : kDefaultDeadline;
  reader_.Read(triggers, timeout,
               std::make_shared<PollAnswers>(outbox_, generation_, round, std::move(asked)));
  return absl::OkStatus();
}

}  // namespace neap::sdk
