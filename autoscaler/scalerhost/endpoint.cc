#include "autoscaler/scalerhost/endpoint.h"

#include <algorithm>
#include <set>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/scalerhost/wire.h"

namespace neap::scalerhost {
namespace {

constexpr absl::Duration kLasting = absl::Seconds(5);  // a session so long was a good one
constexpr int kMaxTypes = 1000;

}  // namespace

Endpoint::Endpoint(std::string address, std::unique_ptr<Connection> connection,
                   const EndpointContext& context)
    : address_(std::move(address)), connection_(std::move(connection)), context_(context) {
  now_.address = address_;
  Publish();
}

void Endpoint::Start() { Connect(); }

void Endpoint::SetRoutedTypes(std::vector<std::string> types) {
  now_.types = std::move(types);
  Publish();
}

EndpointHealth Endpoint::health() const {
  base::MutexLock lock(mutex_);
  return published_;
}

void Endpoint::Publish() {
  now_.triggers = triggers_.size();
  base::MutexLock lock(mutex_);
  published_ = now_;
}

void Endpoint::Count(Violation violation) {
  ++now_.counters.violations[static_cast<size_t>(violation)];
}

// Once per session and kind: the counters tell how often.
void Endpoint::ReportNewViolations() {
  if (!context_.report) return;
  for (size_t i = 0; i < kViolations; ++i) {
    if (reported_[i] || now_.counters.violations[i] == violations_before_[i]) continue;
    reported_.set(i);
    const auto violation = static_cast<Violation>(i);
    if (violation == Violation::kNegativeZero) continue;  // harmless
    context_.report(fmt::format("scaler {} breaks the contract", address_),
                    base::DataLoss("{}", ViolationName(violation)));
  }
}

// ---- sessions

void Endpoint::Connect() {
  const uint64_t session = ++session_;
  connection_->Describe(context_.options.describe_timeout, [this, session](auto answer) {
    context_.loop.Post([this, session, answer = std::move(answer)]() mutable {
      if (session == session_) OnDescribed(std::move(answer));
    });
  });
}

void Endpoint::OnDescribed(absl::StatusOr<pb::DescribeResponse> answer) {
  if (!answer.ok()) {
    EndSession(answer.status());
    return;
  }
  now_.name = CleanText(answer->name());
  now_.version = CleanText(answer->version());
  now_.connected = true;
  ++now_.connects;
  max_triggers_per_read_ = answer->max_triggers_per_read();
  violations_before_ = now_.counters.violations;
  reported_.reset();
  const bool changed = TakeTypes(*answer) || !described_;
  described_ = true;
  if (context_.report) {
    context_.report(fmt::format("scaler {}: connected to {} {}, {} trigger types", address_,
                                now_.name, now_.version, types_.size()),
                    absl::OkStatus());
  }
  OpenWatch();
  if (changed) context_.changed();
  ReportNewViolations();
  Publish();
}

bool Endpoint::TakeTypes(const pb::DescribeResponse& answer) {
  pb::Manifest manifest;
  *manifest.mutable_trigger_types() = answer.trigger_types();
  std::string bytes = manifest.SerializeAsString();
  if (bytes == types_bytes_) return false;
  types_bytes_ = std::move(bytes);
  types_.clear();
  std::set<std::string> names;
  for (const pb::TriggerType& type : answer.trigger_types()) {
    // One by one, so that a bad type loses itself alone.
    pb::Manifest one;
    *one.add_trigger_types() = type;
    auto parsed = catalog::ParseBinaryManifest(one.SerializeAsString(), address_);
    if (!parsed.ok() || types_.size() == kMaxTypes || !names.insert(type.type()).second) {
      Count(Violation::kBadFrame);
      now_.last_error = parsed.ok() ? fmt::format("scaler {}: trigger type {} twice, or too many",
                                                  address_, CleanText(type.type()))
                                    : CleanText(base::Message(parsed.status()));
      now_.last_error_at = context_.clock.Now();
      continue;
    }
    types_.push_back(std::move(parsed->front()));
  }
  return true;
}

void Endpoint::OpenWatch() {
  const uint64_t session = session_;
  state_ = State::kWatching;
  now_.watches = true;
  session_began_ = context_.clock.Elapsed();
  heard_ = false;
  acknowledged_generation_ = 0;
  stream_ = connection_->Watch(
      {.on_frame =
           [this, session](std::unique_ptr<pb::WatchResponse> frame) {
             const absl::Time received = context_.clock.Now();
             context_.loop.Post([this, session, received, frame = std::move(frame)] {
               if (session == session_) OnFrame(*frame, received);
             });
           },
       .on_end =
           [this, session](absl::Status status) {
             context_.loop.Post([this, session, status = std::move(status)] {
               if (session == session_) OnStreamEnd(status);
             });
           }});
  std::vector<std::string> all;
  all.reserve(triggers_.size());
  triggers_.ForEach([&](const Trigger& trigger) { all.push_back(trigger.subscription->id); });
  SendSet(all, {}, /*whole=*/true);
  for (const auto& [key, round] : rounds_) SendPoll(round);
  context_.loop.After(context_.options.silence_limit / 4, [this, session] {
    if (session == session_) Watchdog();
  });
}

void Endpoint::OnFrame(const pb::WatchResponse& frame, absl::Time received) {
  heard_ = true;
  now_.counters.bytes += frame.ByteSizeLong();
  switch (frame.frame_case()) {
    case pb::WatchResponse::kSetStatus:
      OnSetStatus(frame.set_status());
      break;
    case pb::WatchResponse::kReadings:
      unanswered_since_.reset();
      for (const pb::Reading& reading : frame.readings().readings()) OnReading(reading, received);
      break;
    case pb::WatchResponse::FRAME_NOT_SET:
      Count(Violation::kBadFrame);
      break;
  }
  ReportNewViolations();
  Publish();
  stream_->Next();
}

void Endpoint::OnStreamEnd(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kUnimplemented && !heard_) {
    StartReading();
  } else if (status.ok()) {
    EndSession(base::Unavailable("scaler {}: it closed the stream", address_));
  } else {
    EndSession(status);
  }
  Publish();
}

void Endpoint::StartReading() {
  state_ = State::kReading;
  now_.watches = false;
  stream_.reset();
  sent_sets_.clear();
  unanswered_since_.reset();
  for (const auto& [key, round] : rounds_) SendReads(round);
}

void Endpoint::EndSession(const absl::Status& why) {
  const bool decided = state_ == State::kConnecting;
  const bool was_connected = now_.connected;
  const bool lasted = was_connected && context_.clock.Elapsed() - session_began_ >= kLasting;
  ++session_;  // nothing of this one is heard any more
  if (stream_) stream_->Cancel();
  stream_.reset();
  sent_sets_.clear();
  unanswered_since_.reset();
  queued_reads_.clear();
  reads_under_way_ = 0;

  state_ = State::kDown;
  down_error_ = ErrorOf(why);
  now_.connected = now_.watches = false;
  ++now_.failures;
  if (context_.report && (was_connected || now_.last_error != down_error_.message)) {
    context_.report(fmt::format("scaler {}: no connection", address_), why);
  }
  now_.last_error = down_error_.message;
  now_.last_error_at = context_.clock.Now();

  FailRounds(down_error_);
  triggers_.ForEach([this](Trigger& trigger) {
    trigger.acknowledged = false;
    AnnounceUnavailable(trigger);
  });
  if (lasted) attempts_ = 0;
  const absl::Duration longest = context_.options.last_backoff;
  const bool unreachable = !was_connected && why.code() == absl::StatusCode::kUnavailable;
  ScheduleConnect(unreachable ? longest : 10 * longest);
  if (decided) context_.changed();
  Publish();
}

void Endpoint::ScheduleConnect(absl::Duration longest) {
  absl::Duration wait = context_.options.first_backoff;
  for (int i = 0; i < attempts_ && wait < longest; ++i) wait *= 2;
  ++attempts_;
  wait = std::min(wait, longest) * std::uniform_real_distribution<>(0.8, 1.2)(context_.random);
  const uint64_t session = session_;
  context_.loop.After(wait, [this, session] {
    if (session == session_) Connect();
  });
}

// What a stream that is neither broken nor alive gives away: it leaves something unanswered.
void Endpoint::Watchdog() {
  if (state_ != State::kWatching) return;
  const absl::Duration limit = context_.options.silence_limit;
  const absl::Duration now = context_.clock.Elapsed();
  if (unanswered_since_ && now - *unanswered_since_ > limit) {
    EndSession(base::Unavailable("scaler {}: it answered no poll for {}", address_,
                                 base::FormatDuration(limit)));
    return;
  }
  while (!sent_sets_.empty() && now - sent_sets_.front().sent_at > limit) {
    if (acknowledged_generation_ < sent_sets_.front().generation) {
      EndSession(base::Unavailable("scaler {}: it did not acknowledge its triggers for {}",
                                   address_, base::FormatDuration(limit)));
      return;
    }
    RefuseUnacknowledged(sent_sets_.front());
    sent_sets_.pop_front();
  }
  ReportNewViolations();
  Publish();
  const uint64_t session = session_;
  context_.loop.After(limit / 4, [this, session] {
    if (session == session_) Watchdog();
  });
}

}  // namespace neap::scalerhost
