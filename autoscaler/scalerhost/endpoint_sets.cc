// Endpoint, second part: the set of triggers that a scaler holds for us, and what it says of them.
#include <algorithm>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/control/subscriptions.h"
#include "autoscaler/scalerhost/endpoint.h"
#include "autoscaler/scalerhost/wire.h"

namespace neap::scalerhost {

void Endpoint::Change(const std::vector<SharedSubscription>& put,
                      const std::vector<std::string>& remove) {
  std::vector<std::string> removed;
  for (const std::string& id : remove) {
    if (triggers_.Erase(id)) removed.push_back(id);
  }
  std::vector<std::string> changed;
  for (const SharedSubscription& subscription : put) {
    changed.push_back(subscription->id);
    const auto [trigger, fresh] = triggers_.Put(subscription);
    // With another interval it is still the same query: what is known of it and what is on its way
    // stay good.
    if (!fresh && !control::SameQuery(*trigger.subscription, *subscription)) {
      if (trigger.round != 0) {
        Fail(trigger, {.kind = core::ErrorKind::kUnavailable,
                       .message = "the trigger was changed while it was read"});
      }
      trigger.acknowledged = false;
    }
    trigger.subscription = subscription;
    if (state_ == State::kDown) AnnounceUnavailable(trigger);
  }
  if (state_ == State::kWatching && (!changed.empty() || !removed.empty())) {
    SendSet(changed, removed, /*whole=*/false);
  }
  Publish();
}

// Frames of one change share a generation; the last one is marked. At least one is sent, so that an
// empty set is said, too.
void Endpoint::SendSet(const std::vector<std::string>& put, const std::vector<std::string>& remove,
                       bool whole) {
  ++generation_;
  pb::WatchRequest frame;
  size_t bytes = 0;
  const auto flush = [&](bool complete) {
    pb::TriggerSet& set = *frame.mutable_set();
    set.set_generation(generation_);
    set.set_reset(whole);
    set.set_complete(complete);
    stream_->Write(std::move(frame));
    frame = {};
    bytes = 0;
  };
  const auto make_room = [&](size_t size) {
    if (bytes > 0 && bytes + size > kFrameBudget) flush(/*complete=*/false);
    bytes += size;
  };
  for (const std::string& id : remove) {
    make_room(id.size() + kFieldOverhead);
    frame.mutable_set()->add_remove(id);
  }
  for (const std::string& id : put) {
    Trigger& trigger = triggers_.At(id);
    trigger.generation = generation_;
    pb::Trigger wire = ToWire(*trigger.subscription);
    make_room(wire.ByteSizeLong() + kFieldOverhead);
    *frame.mutable_set()->add_put() = std::move(wire);
  }
  flush(/*complete=*/true);
  sent_sets_.push_back(
      {.generation = generation_, .sent_at = context_.clock.Elapsed(), .ids = put});
}

void Endpoint::OnSetStatus(const pb::SetStatus& status) {
  if (status.generation() > generation_) {
    Count(Violation::kBadGeneration);
    return;
  }
  for (const pb::TriggerStatus& one : status.triggers()) {
    Trigger* found = triggers_.Find(one.trigger_id());
    if (found == nullptr) {
      // Of an older set it may be one that was removed since.
      if (status.generation() == generation_) Count(Violation::kUnknownId);
    } else if (found->generation <= status.generation()) {
      Acknowledge(*found, one);
    }
  }
  acknowledged_generation_ = std::max(acknowledged_generation_, status.generation());
}

void Endpoint::Acknowledge(Trigger& trigger, const pb::TriggerStatus& status) {
  trigger.acknowledged = true;
  Announce(trigger, CheckStatus(status, trigger.subscription->type, now_.counters.violations));
}

// A status may come in several frames, so what is missing is known only after a time.
void Endpoint::RefuseUnacknowledged(const SentSet& set) {
  for (const std::string& id : set.ids) {
    Trigger* found = triggers_.Find(id);
    if (found == nullptr || found->acknowledged) continue;
    if (found->generation != set.generation) continue;  // put again since
    Count(Violation::kMissingAnswer);
    Announce(*found,
             {.trigger_id = id,
              .metrics = {},
              .error = core::ReadingError{
                  .kind = core::ErrorKind::kBadAnswer,
                  .message = fmt::format(
                      "bad answer of the scaler: {} says nothing of this trigger", address_)}});
  }
}

void Endpoint::AnnounceUnavailable(Trigger& trigger) {
  // Of a trigger that was open, what it measures is still known.
  if (trigger.opened != nullptr) return;
  Announce(trigger, {.trigger_id = trigger.subscription->id, .metrics = {}, .error = down_error_});
}

void Endpoint::Announce(Trigger& trigger, control::TriggerOpened opened) {
  OpenedTrigger kept = opened;
  if (trigger.opened != nullptr && *trigger.opened == kept) return;
  trigger.opened = Share(std::move(kept));
  context_.sink(std::move(opened));
}

std::shared_ptr<const OpenedTrigger> Endpoint::Share(OpenedTrigger opened) {
  if (opened_.size() >= sweep_opened_at_) {
    std::erase_if(opened_, [](const auto& one) { return one.use_count() == 1; });
    sweep_opened_at_ = std::max<size_t>(64, opened_.size() * 2);
  }
  return *opened_.insert(std::make_shared<const OpenedTrigger>(std::move(opened))).first;
}

}  // namespace neap::scalerhost
