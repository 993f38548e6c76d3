#include "scalers/sdk/service.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/version.h"
#include "neap/scaler/v1/scaler.grpc.pb.h"
#include "scalers/sdk/opened_triggers.h"
#include "scalers/sdk/outbox.h"
#include "scalers/sdk/reader.h"
#include "scalers/sdk/server.h"
#include "scalers/sdk/watch_session.h"
#include "scalers/sdk/wire.h"

namespace neap::sdk {
namespace {

constexpr absl::Duration kDefaultTimeout = absl::Seconds(30);  // of a call without deadline
constexpr absl::Duration kMaxTimeout = absl::Minutes(10);
// So much may wait to be sent on a stream before we stop reading its requests.
constexpr size_t kMaxOutboxBytes = 32 << 20;

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(base::Message(status))};
}

absl::Duration TimeLeft(const grpc::ServerContextBase& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return kDefaultTimeout;
  return std::clamp(absl::FromChrono(deadline - std::chrono::system_clock::now()),
                    absl::ZeroDuration(), kMaxTimeout);
}

absl::Duration DurationOf(const google::protobuf::Duration& duration) {
  return absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
}

// Gathers the readings of a unary call and hands them over when all are there. May live longer than
// the call: a Read that hangs still knows it.
class Gathering : public ReadAnswers {
 public:
  using Done = std::function<void(std::vector<Reading>)>;
  // `done` runs under a lock, once, unless Abandon comes first.
  Gathering(size_t count, Done done) : readings_(count), left_(count), done_(std::move(done)) {}

  void OnReadings(std::vector<std::pair<size_t, Reading>> readings) override {
    base::MutexLock lock(mutex_);
    for (auto& [place, reading] : readings) readings_[place] = std::move(reading);
    left_ -= readings.size();
    if (left_ > 0 || done_ == nullptr) return;
    std::exchange(done_, nullptr)(std::move(readings_));
  }
  bool abandoned() const override {
    base::MutexLock lock(mutex_);
    return done_ == nullptr;
  }
  // False: it is done.
  bool Abandon() {
    base::MutexLock lock(mutex_);
    return std::exchange(done_, nullptr) != nullptr;
  }

 private:
  mutable base::Mutex mutex_;
  std::vector<Reading> readings_ NEAP_GUARDED_BY(mutex_);
  size_t left_ NEAP_GUARDED_BY(mutex_);
  Done done_ NEAP_GUARDED_BY(mutex_);
};

// A unary call that waits for readings. Deletes itself.
class ReadingCall : public grpc::ServerUnaryReactor {
 public:
  // `fill` writes the response and says whether it can be sent.
  void Start(Reader& reader, const std::vector<std::shared_ptr<OpenedTrigger>>& triggers,
             absl::Duration timeout, std::function<absl::Status(std::vector<Reading>)> fill) {
    const auto done = [this, fill = std::move(fill)](std::vector<Reading> readings) {
      Finish(ToGrpc(fill(std::move(readings))));
    };
    if (triggers.empty()) {
      done({});
      return;
    }
    const auto gathering = std::make_shared<Gathering>(triggers.size(), done);
    gathering_ = gathering;  // this may be gone when Read returns
    reader.Read(triggers, timeout, gathering);
  }
  void OnCancel() override {
    if (gathering_ != nullptr && gathering_->Abandon()) Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

 private:
  std::shared_ptr<Gathering> gathering_;
};

class WatchCall;

// The Watch streams that are open. Thread-safe.
class Streams {
 public:
  bool Add(WatchCall* call);  // false: no more streams
  void Remove(WatchCall* call);
  void End();

 private:
  base::Mutex mutex_;
  std::set<WatchCall*> calls_ NEAP_GUARDED_BY(mutex_);
  bool ended_ NEAP_GUARDED_BY(mutex_) = false;
};

// A Watch stream. Deletes itself. gRPC calls OnReadDone one at a time and OnDone last.
class WatchCall : public grpc::ServerBidiReactor<pb::WatchRequest, pb::WatchResponse> {
 public:
  WatchCall(Streams& streams, OpenedTriggers& triggers, Reader& reader)
      : streams_(streams),
        outbox_(std::make_shared<Outbox>([this](const OutFrame& frame) { Write(frame); })),
        session_(triggers, reader, outbox_) {
    if (streams_.Add(this)) {
      ReadNext();
    } else {
      End({grpc::StatusCode::UNAVAILABLE, "this scaler stops"});
    }
  }

  // Idempotent.
  void End(const grpc::Status& status) {
    outbox_->Close();
    base::MutexLock lock(mutex_);
    if (std::exchange(ended_, true)) return;
    Finish(status);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {  // the host has closed its side
      End(grpc::Status::OK);
      return;
    }
    const absl::Status status = Take();
    if (!status.ok()) {
      End(ToGrpc(status));
      return;
    }
    paused_ = true;
    ReadWhenThereIsRoom();
  }
  void OnWriteDone(bool ok) override {
    if (!ok) {
      End({grpc::StatusCode::UNAVAILABLE, "the stream broke"});
      return;
    }
    outbox_->Sent();
    ReadWhenThereIsRoom();
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override {
    streams_.Remove(this);
    delete this;
  }

 private:
  void ReadNext() {
    base::MutexLock lock(mutex_);
    if (!ended_) StartRead(&request_);
  }
  void ReadWhenThereIsRoom() {
    if (outbox_->bytes() < kMaxOutboxBytes && paused_.exchange(false)) ReadNext();
  }
  absl::Status Take() {
    switch (request_.frame_case()) {
      case pb::WatchRequest::kSet: {
        const pb::TriggerSet& set = request_.set();
        SetFrame frame{.generation = set.generation(),
                       .reset = set.reset(),
                       .put = {},
                       .remove = {set.remove().begin(), set.remove().end()},
                       .complete = set.complete()};
        for (const pb::Trigger& trigger : set.put()) {
          frame.put.emplace_back(trigger.id(), FromWire(trigger));
        }
        return session_.OnSet(frame);
      }
      case pb::WatchRequest::kPoll: {
        const pb::Poll& poll = request_.poll();
        return session_.OnPoll(poll.round(), {poll.trigger_ids().begin(), poll.trigger_ids().end()},
                               DurationOf(poll.deadline()));
      }
      case pb::WatchRequest::FRAME_NOT_SET:
        break;
    }
    return base::InvalidArgument("an empty frame");
  }
  // Called by the outbox, under its lock.
  void Write(const OutFrame& frame) {
    response_.Clear();
    if (const auto* answer = std::get_if<SetAnswer>(&frame)) {
      pb::SetStatus& status = *response_.mutable_set_status();
      status.set_generation(answer->generation);
      for (const TriggerState& state : answer->triggers) ToWire(state, *status.add_triggers());
    } else {
      pb::Readings& readings = *response_.mutable_readings();
      for (const StampedReading& reading : std::get<std::vector<StampedReading>>(frame)) {
        ToWire(reading, *readings.add_readings());
      }
    }
    StartWrite(&response_);
  }

  Streams& streams_;
  pb::WatchRequest request_;
  pb::WatchResponse response_;
  std::atomic<bool> paused_ = false;  // no request is being read
  base::Mutex mutex_;
  bool ended_ NEAP_GUARDED_BY(mutex_) = false;
  const std::shared_ptr<Outbox> outbox_;
  WatchSession session_;
};

bool Streams::Add(WatchCall* call) {
  base::MutexLock lock(mutex_);
  if (!ended_) calls_.insert(call);
  return !ended_;
}
void Streams::Remove(WatchCall* call) {
  base::MutexLock lock(mutex_);
  calls_.erase(call);
}
void Streams::End() {
  base::MutexLock lock(mutex_);
  ended_ = true;
  for (WatchCall* call : calls_) call->End({grpc::StatusCode::UNAVAILABLE, "this scaler stops"});
}

class GrpcService final : public ScalerService, public pb::ScalerService::CallbackService {
 public:
  GrpcService(std::string name, OpenedTriggers& triggers, Reader& reader)
      : name_(std::move(name)), triggers_(triggers), reader_(reader) {}

  grpc::Service* grpc_service() override { return this; }
  void EndStreams() override { streams_.End(); }

  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const pb::DescribeRequest*,
                                     pb::DescribeResponse* response) override {
    response->set_name(name_);
    response->set_version(std::string(base::Version()));
    response->set_contract_minor(kContractMinor);
    response->set_max_triggers_per_read(kMaxTriggersPerRead);
    for (const catalog::TriggerType& type : triggers_.types()) {
      ToWire(type, *response->add_trigger_types());
    }
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerUnaryReactor* Read(grpc::CallbackServerContext* context,
                                 const pb::ReadRequest* request,
                                 pb::ReadResponse* response) override {
    if (request->triggers_size() > static_cast<int>(kMaxTriggersPerRead)) {
      grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
      reactor->Finish(ToGrpc(base::InvalidArgument("{} triggers, at most {} are taken",
                                                   request->triggers_size(), kMaxTriggersPerRead)));
      return reactor;
    }
    std::vector<std::shared_ptr<OpenedTrigger>> triggers;
    std::vector<int> places;  // of `triggers` in the response
    for (int i = 0; i < request->triggers_size(); ++i) {
      const pb::Trigger& trigger = request->triggers(i);
      TriggerState state{.trigger_id = trigger.id(), .metrics = {}};
      Refusal refusal;
      pb::Reading& reading = *response->add_readings();
      if (auto opened = triggers_.OpenForCall(FromWire(trigger), refusal)) {
        state.metrics = opened->metrics();
        triggers.push_back(std::move(opened));
        places.push_back(i);
      } else {
        reading.set_trigger_id(trigger.id());
        ToWire(refusal, *reading.mutable_error());
        state.refusal = std::move(refusal);
      }
      ToWire(state, *response->add_statuses());
    }
    auto* call = new ReadingCall;
    call->Start(reader_, triggers, TimeLeft(*context),
                [request, response, places = std::move(places)](std::vector<Reading> readings) {
                  for (size_t i = 0; i < readings.size(); ++i) {
                    ToWire(StampedReading{.trigger_id = request->triggers(places[i]).id(),
                                          .reading = std::move(readings[i])},
                           *response->mutable_readings(places[i]));
                  }
                  const size_t size = response->ByteSizeLong();
                  if (size <= static_cast<size_t>(kMaxMessageBytes)) return absl::OkStatus();
                  return base::ResourceExhausted(
                      "the answer has {} bytes, a message has at most {}: ask for fewer triggers",
                      size, kMaxMessageBytes);
                });
    return call;
  }

  grpc::ServerUnaryReactor* Validate(grpc::CallbackServerContext* context,
                                     const pb::ValidateRequest* request,
                                     pb::ValidateResponse* response) override {
    const TriggerRequest trigger = FromWire(request->trigger());
    Refusal refusal;
    std::vector<std::shared_ptr<OpenedTrigger>> triggers;
    if (const catalog::TriggerType* type = triggers_.FindType(trigger.type)) {
      for (std::string& key : catalog::UnknownKeys(*type, trigger.text)) {
        response->add_warnings(std::move(key));
      }
    }
    if (auto opened = triggers_.OpenForCall(trigger, refusal)) {
      for (const MetricSpec& metric : opened->metrics()) ToWire(metric, *response->add_metrics());
      if (request->try_source()) triggers.push_back(std::move(opened));
    } else {
      if (refusal.fields.empty()) {
        refusal.fields.push_back({.parameter = "", .message = refusal.error.message});
      }
      pb::Error error;
      ToWire(refusal, error);
      *response->mutable_errors() = std::move(*error.mutable_fields());
    }
    auto* call = new ReadingCall;
    call->Start(reader_, triggers, TimeLeft(*context),
                [response](const std::vector<Reading>& readings) {
                  for (const Reading& reading : readings) {
                    if (const Error* error = FirstError(reading)) {
                      ToWire(*error, *response->mutable_source_error());
                    }
                  }
                  return absl::OkStatus();
                });
    return call;
  }

  grpc::ServerBidiReactor<pb::WatchRequest, pb::WatchResponse>* Watch(
      grpc::CallbackServerContext*) override {
    return new WatchCall(streams_, triggers_, reader_);
  }

 private:
  static const Error* FirstError(const Reading& reading) {
    if (reading.error) return &*reading.error;
    for (const MetricReading& metric : reading.metrics) {
      if (const Error* error = std::get_if<Error>(&metric.result)) return error;
    }
    return nullptr;
  }

  const std::string name_;
  OpenedTriggers& triggers_;
  Reader& reader_;
  Streams streams_;
};

}  // namespace

std::unique_ptr<ScalerService> ScalerService::Make(std::string name, OpenedTriggers& triggers,
                                                   Reader& reader) {
  return std::make_unique<GrpcService>(std::move(name), triggers, reader);
}

}  // namespace neap::sdk
