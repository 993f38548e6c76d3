// Endpoint, third part: polls and what answers them. Each id of a poll is answered once: `round` of
// its trigger is set until then.
#include <algorithm>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/scalerhost/endpoint.h"
#include "autoscaler/scalerhost/wire.h"

namespace neap::scalerhost {
namespace {

constexpr size_t kMaxUnsent = 1000;   // frames that a scaler may leave lying
constexpr int kMaxReads = 64;         // under way at a time
constexpr size_t kMaxPerRead = 1000;  // triggers, so that an answer stays far below its limit

// How much earlier than control the host gives up, and the scaler than the host, so that the more
// exact error arrives in time.
absl::Duration Margin(absl::Duration deadline) {
  return std::clamp(deadline / 20, absl::Milliseconds(1), absl::Milliseconds(250));
}

}  // namespace

void Endpoint::Poll(uint64_t round, std::vector<std::string> ids, absl::Duration deadline) {
  std::vector<std::string> taken;
  taken.reserve(ids.size());
  for (std::string& id : ids) {
    Trigger* found = triggers_.Find(id);
    if (found == nullptr || found->round == round) continue;  // twice in one poll
    if (found->round != 0) {
      ++now_.counters.timeouts;
      Fail(*found, {.kind = core::ErrorKind::kTimeout,
                    .message = fmt::format("scaler {}: no answer before the next poll", address_)});
    }
    found->round = round;
    taken.push_back(std::move(id));
  }
  now_.counters.polls += taken.size();

  const absl::Duration left = std::max(deadline - Margin(deadline), absl::ZeroDuration());
  Round asked{.round = round, .ids = std::move(taken), .deadline = context_.clock.Elapsed() + left};
  switch (state_) {
    case State::kConnecting:
      break;  // sent when there is a session
    case State::kWatching:
      SendPoll(asked);
      break;
    case State::kReading:
      SendReads(asked);
      break;
    case State::kDown:
      FailRound(asked, down_error_);
      break;
  }
  if (state_ != State::kDown) {
    const uint64_t key = ++last_round_key_;
    rounds_.emplace(key, std::move(asked));
    context_.loop.After(left, [this, key] { OnDeadline(key); });
  }
  Publish();
}

void Endpoint::GiveUp(const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    Trigger* found = triggers_.Find(id);
    if (found == nullptr || found->round == 0) continue;
    Fail(*found, {.kind = core::ErrorKind::kUnavailable,
                  .message = fmt::format("scaler {}: it serves the trigger no longer", address_)});
  }
  Publish();
}

absl::Duration Endpoint::Left(const Round& round) const {
  return round.deadline - context_.clock.Elapsed();
}

std::vector<std::string> Endpoint::Unanswered(const Round& round) {
  std::vector<std::string> ids;
  for (const std::string& id : round.ids) {
    const Trigger* found = triggers_.Find(id);
    if (found != nullptr && found->round == round.round) ids.push_back(id);
  }
  return ids;
}

void Endpoint::SendPoll(const Round& round) {
  const std::vector<std::string> ids = Unanswered(round);
  const absl::Duration left = Left(round);
  if (ids.empty() || left <= absl::ZeroDuration()) return;  // an empty list would mean "all"
  if (stream_->unsent() > kMaxUnsent) {
    FailRound(round, {.kind = core::ErrorKind::kUnavailable,
                      .message = fmt::format("scaler {}: it takes no requests", address_)});
    return;
  }
  const int64_t nanoseconds = absl::ToInt64Nanoseconds(std::max(left - Margin(left), left / 2));
  pb::WatchRequest frame;
  size_t bytes = 0;
  const auto flush = [&] {
    pb::Poll& poll = *frame.mutable_poll();
    poll.set_round(round.round);
    poll.mutable_deadline()->set_seconds(nanoseconds / 1'000'000'000);
    poll.mutable_deadline()->set_nanos(static_cast<int32_t>(nanoseconds % 1'000'000'000));
    stream_->Write(std::move(frame));
    frame = {};
    bytes = 0;
  };
  for (const std::string& id : ids) {
    Trigger& trigger = triggers_.At(id);
    trigger.asked_generation = trigger.generation;
    if (bytes > 0 && bytes + id.size() + kFieldOverhead > kFrameBudget) flush();
    bytes += id.size() + kFieldOverhead;
    frame.mutable_poll()->add_trigger_ids(id);
  }
  flush();
  if (!unanswered_since_) unanswered_since_ = context_.clock.Elapsed();
}

void Endpoint::SendReads(const Round& round) {
  const size_t most = max_triggers_per_read_ == 0
                          ? kMaxPerRead
                          : std::min<size_t>(kMaxPerRead, max_triggers_per_read_);
  const std::vector<std::string> ids = Unanswered(round);
  for (size_t i = 0; i < ids.size(); i += most) {
    const auto first = ids.begin() + static_cast<ptrdiff_t>(i);
    const auto last = ids.begin() + static_cast<ptrdiff_t>(std::min(i + most, ids.size()));
    queued_reads_.push_back(
        {.round = round.round, .ids = {first, last}, .deadline = round.deadline});
  }
  StartQueuedReads();
}

void Endpoint::StartQueuedReads() {
  while (reads_under_way_ < kMaxReads && !queued_reads_.empty()) {
    Round batch = std::move(queued_reads_.front());
    queued_reads_.pop_front();
    batch.ids = Unanswered(batch);
    const absl::Duration left = Left(batch);
    if (batch.ids.empty() || left <= absl::ZeroDuration()) continue;
    pb::ReadRequest request;
    size_t bytes = 0;
    for (size_t i = 0; i < batch.ids.size(); ++i) {
      pb::Trigger wire = ToWire(*triggers_.At(batch.ids[i]).subscription);
      bytes += wire.ByteSizeLong() + kFieldOverhead;
      if (i > 0 && bytes > kFrameBudget) {  // the rest goes into a call of its own
        const auto rest = batch.ids.begin() + static_cast<ptrdiff_t>(i);
        queued_reads_.push_front(
            {.round = batch.round, .ids = {rest, batch.ids.end()}, .deadline = batch.deadline});
        batch.ids.erase(rest, batch.ids.end());
        break;
      }
      *request.add_triggers() = std::move(wire);
    }
    ++reads_under_way_;
    const uint64_t session = session_;
    connection_->Read(std::move(request), left,
                      [this, session, batch = std::move(batch)](auto answer) {
                        const absl::Time received = context_.clock.Now();
                        context_.loop.Post(
                            [this, session, batch, received, answer = std::move(answer)]() mutable {
                              if (session == session_) OnRead(batch, std::move(answer), received);
                            });
                      });
  }
}

void Endpoint::OnRead(const Round& batch, absl::StatusOr<pb::ReadResponse> answer,
                      absl::Time received) {
  --reads_under_way_;
  if (!answer.ok()) {
    if (answer.status().code() == absl::StatusCode::kUnavailable) {
      EndSession(answer.status());
      return;
    }
    const size_t failed = FailRound(batch, ErrorOf(answer.status()));
    if (answer.status().code() == absl::StatusCode::kDeadlineExceeded) {
      now_.counters.timeouts += failed;
    }
  } else {
    now_.counters.bytes += answer->ByteSizeLong();
    TakeAnswer(batch, *answer, received);
  }
  StartQueuedReads();
  ReportNewViolations();
  Publish();
}

void Endpoint::TakeAnswer(const Round& batch, const pb::ReadResponse& answer, absl::Time received) {
  std::map<std::string_view, std::vector<const pb::Reading*>> readings;
  for (const std::string& id : batch.ids) readings[id];
  for (const pb::TriggerStatus& status : answer.statuses()) {
    Trigger* found = triggers_.Find(status.trigger_id());
    if (!readings.contains(status.trigger_id())) {
      Count(Violation::kUnknownId);
    } else if (found != nullptr) {  // else it was removed meanwhile
      Acknowledge(*found, status);
    }
  }
  for (const pb::Reading& reading : answer.readings()) {
    const auto found = readings.find(reading.trigger_id());
    if (found == readings.end()) {
      Count(Violation::kUnknownId);
    } else {
      found->second.push_back(&reading);
    }
  }
  for (const auto& [id, found] : readings) {
    Trigger* trigger = triggers_.Find(id);
    if (trigger == nullptr) continue;
    if (trigger->round != batch.round) {
      if (!found.empty()) Count(Violation::kLateAnswer);
    } else if (found.size() == 1) {
      control::TriggerReading reading = Judge(*found.front(), *trigger, received);
      reading.round = batch.round;  // 0 in a Read
      Answer(*trigger, std::move(reading));
    } else {
      Count(found.empty() ? Violation::kMissingAnswer : Violation::kDuplicateAnswer);
      Fail(*trigger, {.kind = core::ErrorKind::kBadAnswer,
                      .message = found.empty() ? "bad answer of the scaler: the trigger is missing"
                                               : "bad answer of the scaler: the trigger twice"});
    }
  }
}

void Endpoint::OnReading(const pb::Reading& reading, absl::Time received) {
  Trigger* found = triggers_.Find(reading.trigger_id());
  if (found == nullptr) {
    // Of an older set it may be one that was removed since.
    if (reading.generation() >= generation_) Count(Violation::kUnknownId);
    return;
  }
  Trigger& trigger = *found;
  if (reading.round() == 0) {
    // Read under an older set: of the trigger as it was. The contract drops it.
    if (reading.generation() < trigger.generation) return;
    ++now_.counters.pushed;
    Deliver(Judge(reading, trigger, received));
  } else if (reading.round() == trigger.round) {
    trigger.answered_round = trigger.round;
    Answer(trigger, Judge(reading, trigger, received));
  } else {
    Count(reading.round() == trigger.answered_round ? Violation::kDuplicateAnswer
                                                    : Violation::kLateAnswer);
  }
}

control::TriggerReading Endpoint::Judge(const pb::Reading& reading, const Trigger& trigger,
                                        absl::Time received) {
  const auto refuse = [&](Violation violation, std::string_view what) {
    Count(violation);
    return FailedReading(trigger.subscription->id, reading.round(),
                         {.kind = core::ErrorKind::kBadAnswer,
                          .message = fmt::format("bad answer of the scaler: {}", what)});
  };
  const uint64_t oldest = reading.round() == 0 ? trigger.generation : trigger.asked_generation;
  if (state_ == State::kWatching &&
      (reading.generation() < oldest || reading.generation() > generation_)) {
    return refuse(Violation::kBadGeneration, "the reading belongs to another set of triggers");
  }
  if (!trigger.acknowledged && !reading.has_error()) {
    return refuse(Violation::kReadingBeforeStatus, "a reading of a trigger without status");
  }
  static const OpenedTrigger kUnopened;
  return CheckReading(reading, trigger.subscription->type,
                      trigger.opened != nullptr ? *trigger.opened : kUnopened, received,
                      now_.counters.violations);
}

void Endpoint::OnDeadline(uint64_t key) {
  const auto overdue = rounds_.extract(key);
  if (overdue.empty()) return;  // it has failed with its session
  const size_t failed = FailRound(
      overdue.mapped(), {.kind = core::ErrorKind::kTimeout,
                         .message = fmt::format("scaler {}: no answer in time", address_)});
  now_.counters.timeouts += failed;
  Publish();
}

size_t Endpoint::FailRound(const Round& round, const core::ReadingError& error) {
  const std::vector<std::string> ids = Unanswered(round);
  for (const std::string& id : ids) Fail(triggers_.At(id), error);
  return ids.size();
}

void Endpoint::FailRounds(const core::ReadingError& error) {
  for (const auto& [key, round] : std::exchange(rounds_, {})) FailRound(round, error);
}

void Endpoint::Fail(Trigger& trigger, core::ReadingError error) {
  Answer(trigger, FailedReading(trigger.subscription->id, trigger.round, std::move(error)));
}

void Endpoint::Answer(Trigger& trigger, control::TriggerReading reading) {
  trigger.round = 0;
  Deliver(std::move(reading));
}

void Endpoint::Deliver(control::TriggerReading reading) {
  const bool any = std::any_of(reading.metrics.begin(), reading.metrics.end(),
                               [](const control::MetricReading& metric) {
                                 return metric.reading.form != core::Reading::Form::kError;
                               });
  ++(any ? now_.counters.readings : now_.counters.failed_readings);
  context_.sink(std::move(reading));
}

}  // namespace neap::scalerhost
