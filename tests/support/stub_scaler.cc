#include "tests/support/stub_scaler.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "autoscaler/base/check.h"
#include "autoscaler/base/mutex.h"
#include "neap/scaler/v1/scaler.grpc.pb.h"

namespace neap::testing_support {
namespace {

constexpr int kReadingsPerFrame = 5000;

std::string MetadataOf(const pb::Trigger& trigger, const std::string& key,
                       const std::string& otherwise) {
  const auto found = trigger.metadata().find(key);
  return found == trigger.metadata().end() ? otherwise : found->second;
}

// What is kept of a trigger.
struct StubTrigger {
  std::string key;
  double value = 0;
};

void AddParameter(pb::TriggerType& type, const std::string& name, pb::Parameter::Kind kind,
                  const std::string& otherwise, const std::string& description) {
  pb::Parameter& parameter = *type.add_parameters();
  parameter.set_name(name);
  parameter.set_kind(kind);
  if (!otherwise.empty()) parameter.set_default_value(otherwise);
  parameter.set_description(description);
}

pb::TriggerStatus StatusOf(const pb::Trigger& trigger) {
  pb::TriggerStatus status;
  status.set_trigger_id(trigger.id());
  pb::MetricSpec& metric = *status.add_metrics();
  metric.set_name("stub");
  metric.set_has_activity(true);
  metric.mutable_target()->set_kind(trigger.requested_target() == pb::VALUE ? pb::VALUE
                                                                            : pb::AVERAGE_VALUE);
  metric.mutable_target()->set_amount(
      std::llround(1000 * std::strtod(MetadataOf(trigger, "target", "1").c_str(), nullptr)));
  return status;
}

StubTrigger Parse(const pb::Trigger& trigger) {
  return {.key = MetadataOf(trigger, "key", trigger.id()),
          .value = std::strtod(MetadataOf(trigger, "value", "0").c_str(), nullptr)};
}

// The values and faults that the test sets.
class Values {
 public:
  void Set(const std::string& key, double value) NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    values_[key] = value;
  }
  void SetFault(const std::string& key, StubScaler::Fault fault) NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    faults_[key] = fault;
  }
  // False: it hangs.
  bool Read(const StubTrigger& trigger, pb::Reading& reading) const NEAP_EXCLUDES(mutex_) {
    double value = trigger.value;
    StubScaler::Fault fault = StubScaler::Fault::kNone;
    {
      base::MutexLock lock(mutex_);
      if (auto set = values_.find(trigger.key); set != values_.end()) value = set->second;
      auto found = faults_.find(trigger.key);
      if (found == faults_.end()) found = faults_.find("*");
      if (found != faults_.end()) fault = found->second;
    }
    if (fault == StubScaler::Fault::kHang) return false;
    if (fault == StubScaler::Fault::kError) {
      reading.mutable_error()->set_kind(pb::Error::UNAVAILABLE);
      reading.mutable_error()->set_message("stub: the source of " + trigger.key + " is down");
      return true;
    }
    pb::MetricReading& metric = *reading.add_metrics();
    metric.set_name("stub");
    metric.set_active(value > 0);
    metric.mutable_series()->add_real(
        fault == StubScaler::Fault::kNan ? std::numeric_limits<double>::quiet_NaN() : value);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    metric.mutable_sampled_at()->set_seconds(
        std::chrono::duration_cast<std::chrono::seconds>(now).count());
    return true;
  }

 private:
  mutable base::Mutex mutex_;
  std::map<std::string, double> values_ NEAP_GUARDED_BY(mutex_);
  std::map<std::string, StubScaler::Fault> faults_ NEAP_GUARDED_BY(mutex_);
};

}  // namespace

class StubScaler::Impl final : public pb::ScalerService::CallbackService {
 public:
  explicit Impl(StubOptions options) : options_(std::move(options)) { Listen(); }
  ~Impl() override { server_->Shutdown(std::chrono::system_clock::now()); }

  const std::string& address() const { return address_; }
  Values& values() { return values_; }
  Stats stats() const NEAP_EXCLUDES(mutex_);
  void Push(const std::string& key) NEAP_EXCLUDES(mutex_);
  void Inject(const pb::WatchResponse& frame) NEAP_EXCLUDES(mutex_);
  void CloseStreams() NEAP_EXCLUDES(mutex_);

  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const pb::DescribeRequest* request,
                                     pb::DescribeResponse* response) override;
  grpc::ServerUnaryReactor* Read(grpc::CallbackServerContext* context,
                                 const pb::ReadRequest* request,
                                 pb::ReadResponse* response) override;
  grpc::ServerBidiReactor<pb::WatchRequest, pb::WatchResponse>* Watch(
      grpc::CallbackServerContext* context) override;

 private:
  class WatchCall;
  class Answered final : public grpc::ServerUnaryReactor {
   public:
    Answered() { Finish(grpc::Status::OK); }
    void OnDone() override { delete this; }
  };
  // Until the caller gives up.
  class Hanging final : public grpc::ServerUnaryReactor {
   public:
    void OnCancel() override { Finish(grpc::Status::CANCELLED); }
    void OnDone() override { delete this; }
  };

  void Listen();

  const StubOptions options_;
  std::string address_;
  Values values_;
  mutable base::Mutex mutex_;
  Stats stats_ NEAP_GUARDED_BY(mutex_);
  std::set<WatchCall*> streams_ NEAP_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Server> server_;
};

// One stream. gRPC calls its reactions one at a time, save that pushes come from other threads: so
// everything is under the mutex.
class StubScaler::Impl::WatchCall final
    : public grpc::ServerBidiReactor<pb::WatchRequest, pb::WatchResponse> {
 public:
  explicit WatchCall(Impl& owner) : owner_(owner) { StartRead(&request_); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Close();
      return;
    }
    if (owner_.options_.on_request) owner_.options_.on_request(request_);
    if (request_.has_set()) TakeSet(request_.set());
    if (request_.has_poll()) TakePoll(request_.poll());
    request_.Clear();
    StartRead(&request_);
  }
  void OnWriteDone(bool ok) override {
    base::MutexLock lock(mutex_);
    queue_.pop_front();
    if (ok && !closed_ && !queue_.empty()) StartWrite(&queue_.front());
  }
  void OnCancel() override { Close(); }
  void OnDone() override {
    {
      base::MutexLock lock(owner_.mutex_);
      owner_.streams_.erase(this);
    }
    delete this;
  }

  void Send(pb::WatchResponse frame, bool honest = true) {
    if (honest && owner_.options_.edit_frame && !owner_.options_.edit_frame(frame)) return;
    base::MutexLock lock(mutex_);
    if (closed_) return;
    queue_.push_back(std::move(frame));
    if (queue_.size() == 1) StartWrite(&queue_.front());
  }
  void Push(const std::string& key) {
    pb::WatchResponse frame;
    {
      base::MutexLock lock(mutex_);
      for (const auto& [id, trigger] : triggers_) {
        if (trigger.key == key) Answer(id, trigger, 0, *frame.mutable_readings());
      }
    }
    if (frame.has_readings()) Send(std::move(frame));
  }
  void Close() {
    base::MutexLock lock(mutex_);
    if (std::exchange(closed_, true)) return;
    Finish(grpc::Status::OK);
  }
  size_t triggers() const {
    base::MutexLock lock(mutex_);
    return triggers_.size();
  }

 private:
  void TakeSet(const pb::TriggerSet& set) {
    pb::WatchResponse frame;
    {
      base::MutexLock lock(mutex_);
      if (set.reset() && set.generation() != generation_) triggers_.clear();
      generation_ = set.generation();
      for (const std::string& id : set.remove()) triggers_.erase(id);
      for (const pb::Trigger& trigger : set.put()) {
        triggers_[trigger.id()] = Parse(trigger);
        *status_.add_triggers() = StatusOf(trigger);
      }
      if (!set.complete()) return;
      status_.set_generation(generation_);
      frame.mutable_set_status()->Swap(&status_);
      status_.Clear();
    }
    {
      base::MutexLock lock(owner_.mutex_);
      ++owner_.stats_.sets;
    }
    Send(std::move(frame));
  }

  void TakePoll(const pb::Poll& poll) {
    std::vector<pb::WatchResponse> frames(1);
    {
      base::MutexLock lock(mutex_);
      for (const std::string& id : poll.trigger_ids()) {
        const auto found = triggers_.find(id);
        if (found == triggers_.end()) continue;
        if (frames.back().readings().readings_size() == kReadingsPerFrame) frames.emplace_back();
        Answer(id, found->second, poll.round(), *frames.back().mutable_readings());
      }
    }
    {
      base::MutexLock lock(owner_.mutex_);
      ++owner_.stats_.rounds;
      owner_.stats_.polls += static_cast<uint64_t>(poll.trigger_ids_size());
    }
    for (pb::WatchResponse& frame : frames) {
      if (frame.readings().readings_size() > 0) Send(std::move(frame));
    }
  }

  void Answer(const std::string& id, const StubTrigger& trigger, uint64_t round,
              pb::Readings& readings) NEAP_REQUIRES(mutex_) {
    pb::Reading& reading = *readings.add_readings();
    reading.set_trigger_id(id);
    reading.set_generation(generation_);
    reading.set_round(round);
    if (!owner_.values_.Read(trigger, reading)) readings.mutable_readings()->RemoveLast();
  }

  Impl& owner_;
  pb::WatchRequest request_;
  mutable base::Mutex mutex_;
  std::map<std::string, StubTrigger> triggers_ NEAP_GUARDED_BY(mutex_);
  uint64_t generation_ NEAP_GUARDED_BY(mutex_) = 0;
  pb::SetStatus status_ NEAP_GUARDED_BY(mutex_);                 // of the set that is coming in
  std::deque<pb::WatchResponse> queue_ NEAP_GUARDED_BY(mutex_);  // the first is being written
  bool closed_ NEAP_GUARDED_BY(mutex_) = false;
};

void StubScaler::Impl::Listen() {
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (options_.tls != nullptr) {
    grpc::SslServerCredentialsOptions tls(
        options_.client_ca.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                                   : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_root_certs = options_.client_ca;
    tls.pem_key_cert_pairs.push_back({options_.tls->key, options_.tls->cert});
    credentials = grpc::SslServerCredentials(tls);
  }
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options_.address, credentials, &port);
  builder.SetMaxReceiveMessageSize(16 << 20);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  NEAP_CHECK(server_ != nullptr, "the stub scaler can't listen on {}", options_.address);
  address_ = options_.address;
  if (address_.ends_with(":0")) {
    address_.pop_back();
    address_ += std::to_string(port);
  }
}

grpc::ServerUnaryReactor* StubScaler::Impl::Describe(grpc::CallbackServerContext*,
                                                     const pb::DescribeRequest*,
                                                     pb::DescribeResponse* response) {
  response->set_name("stub");
  response->set_version("1");
  response->set_max_triggers_per_read(options_.max_triggers_per_read);
  for (const std::string& name : options_.types) {
    pb::TriggerType& type = *response->add_trigger_types();
    type.set_type(name);
    type.set_summary("values and faults that a test sets");
    type.set_pushes(true);
    type.set_target_parameter("target");
    type.add_allowed_targets(pb::AVERAGE_VALUE);
    type.add_allowed_targets(pb::VALUE);
    AddParameter(type, "key", pb::Parameter::STRING, "", "what the test names");
    AddParameter(type, "value", pb::Parameter::FLOAT, "0", "until the test sets another");
    AddParameter(type, "target", pb::Parameter::FLOAT, "1", "per pod");
  }
  if (options_.edit_description && !options_.edit_description(*response)) return new Hanging;
  return new Answered;
}

grpc::ServerUnaryReactor* StubScaler::Impl::Read(grpc::CallbackServerContext*,
                                                 const pb::ReadRequest* request,
                                                 pb::ReadResponse* response) {
  if (options_.on_read) options_.on_read(*request);
  {
    base::MutexLock lock(mutex_);
    ++stats_.rounds;
    stats_.polls += static_cast<uint64_t>(request->triggers_size());
  }
  bool answers = true;
  for (const pb::Trigger& trigger : request->triggers()) {
    *response->add_statuses() = StatusOf(trigger);
    pb::Reading& reading = *response->add_readings();
    reading.set_trigger_id(trigger.id());
    answers = values_.Read(Parse(trigger), reading) && answers;
  }
  if (options_.edit_read && !options_.edit_read(*response)) answers = false;
  if (!answers) return new Hanging;
  return new Answered;
}

grpc::ServerBidiReactor<pb::WatchRequest, pb::WatchResponse>* StubScaler::Impl::Watch(
    grpc::CallbackServerContext* context) {
  if (!options_.watch) return pb::ScalerService::CallbackService::Watch(context);
  auto* call = new WatchCall(*this);
  base::MutexLock lock(mutex_);
  ++stats_.streams;
  streams_.insert(call);
  return call;
}

StubScaler::Stats StubScaler::Impl::stats() const {
  base::MutexLock lock(mutex_);
  Stats stats = stats_;
  for (const WatchCall* stream : streams_) stats.triggers += stream->triggers();
  return stats;
}

void StubScaler::Impl::Push(const std::string& key) {
  base::MutexLock lock(mutex_);
  for (WatchCall* stream : streams_) stream->Push(key);
}

void StubScaler::Impl::Inject(const pb::WatchResponse& frame) {
  base::MutexLock lock(mutex_);
  for (WatchCall* stream : streams_) stream->Send(frame, /*honest=*/false);
}

void StubScaler::Impl::CloseStreams() {
  base::MutexLock lock(mutex_);
  for (WatchCall* stream : streams_) stream->Close();
}

StubScaler::StubScaler(StubOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
StubScaler::~StubScaler() = default;
const std::string& StubScaler::address() const { return impl_->address(); }
void StubScaler::Set(const std::string& key, double value) { impl_->values().Set(key, value); }
void StubScaler::SetFault(const std::string& key, Fault fault) {
  impl_->values().SetFault(key, fault);
}
void StubScaler::Push(const std::string& key) { impl_->Push(key); }
void StubScaler::Inject(const pb::WatchResponse& frame) { impl_->Inject(frame); }
void StubScaler::CloseStreams() { impl_->CloseStreams(); }
StubScaler::Stats StubScaler::stats() const { return impl_->stats(); }

}  // namespace neap::testing_support
