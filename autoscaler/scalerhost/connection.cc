#include "autoscaler/scalerhost/connection.h"

#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <chrono>
#include <deque>
#include <fstream>
#include <map>
#include <utility>

#include "autoscaler/base/mutex.h"
#include "autoscaler/base/status.h"
#include "neap/scaler/v1/scaler.grpc.pb.h"

namespace neap::scalerhost {
namespace {

constexpr int kMinConnectMilliseconds = 5000;  // one attempt to connect may take so long
constexpr unsigned kCertificateRefreshSeconds = 10;
constexpr std::chrono::milliseconds kStatusWait(500);  // between the last frame and the status

absl::Status FromGrpc(const std::string& address, const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                      fmt::format("scaler {}: {}", address, status.error_message()));
}

// gRPC 1.51 ends its callback threads with the last channel that uses them, and aborts the process
// ("prior > 0") when another one is made at that moment. So one channel is never given back. It
// connects to nobody: the call that ties it to the threads is past its deadline when it begins.
void KeepCallbackThreads() {
  struct Keeper {
    std::unique_ptr<pb::ScalerService::Stub> stub = pb::ScalerService::NewStub(
        grpc::CreateChannel("unix:/dev/null", grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    pb::DescribeRequest request;
    pb::DescribeResponse response;
  };
  [[gnu::used]] static const Keeper* const keeper = [] {  // so that a leak check finds it in use
    auto* kept = new Keeper;
    kept->context.set_deadline(std::chrono::system_clock::now() - std::chrono::hours(1));
    kept->stub->async()->Describe(&kept->context, &kept->request, &kept->response,
                                  [](const grpc::Status&) {});
    return kept;
  }();
}

// The calls under way, so that Close can end them. Shared with the calls, since the last one may
// still be leaving Remove when Close returns.
class Calls {
 public:
  // `cancel` is called with the lock held. False after Close: the call must not begin.
  bool Add(const void* call, std::function<void()> cancel) NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (closed_) return false;
    cancels_.emplace(call, std::move(cancel));
    return true;
  }
  void Remove(const void* call) NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    cancels_.erase(call);
    if (cancels_.empty()) none_left_.NotifyAll();
  }
  // A cancelled call ends without the peer, so this does not wait for anybody outside.
  void Close() NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    closed_ = true;
    for (const auto& [call, cancel] : cancels_) cancel();
    while (!cancels_.empty()) none_left_.Wait(mutex_);
  }

 private:
  base::Mutex mutex_;
  base::CondVar none_left_;
  bool closed_ NEAP_GUARDED_BY(mutex_) = false;
  std::map<const void*, std::function<void()>> cancels_ NEAP_GUARDED_BY(mutex_);
};

// A Watch. It keeps itself alive until gRPC is done with it. gRPC's hold lets Write and Next be
// called from outside of its reactions; it is given back when a read fails, so a cancelled call
// must have a read under way, whether or not somebody still calls Next.
class WatchCall final : public Stream,
                        public grpc::ClientBidiReactor<pb::WatchRequest, pb::WatchResponse> {
 public:
  WatchCall(std::string address, std::shared_ptr<Calls> calls, StreamHandlers handlers)
      : address_(std::move(address)), calls_(std::move(calls)), handlers_(std::move(handlers)) {}

  void Start(pb::ScalerService::Stub& stub, std::shared_ptr<WatchCall> self) {
    if (!calls_->Add(this, [this] { Cancel(); })) {
      base::MutexLock lock(mutex_);
      ended_ = true;
      return;
    }
    self_ = std::move(self);
    stub.async()->Watch(&context_, this);
    AddHold();
    Next();
    StartCall();
  }

  void Write(pb::WatchRequest frame) override NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    if (ended_) return;
    queue_.push_back(std::move(frame));
    if (queue_.size() == 1) StartWrite(&queue_.front());
  }
  size_t unsent() const override NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return queue_.size();
  }
  void Next() override NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    ReadOn();
  }
  void Cancel() override NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    cancelled_ = true;
    context_.TryCancel();
    ReadOn();
  }

  void OnReadDone(bool ok) override NEAP_EXCLUDES(mutex_) {
    std::unique_ptr<pb::WatchResponse> frame;
    {
      base::MutexLock lock(mutex_);
      reading_ = false;
      frame = std::move(frame_);
      if (ok && cancelled_) return ReadOn();
      if (!ok) ended_ = true;
    }
    if (ok) {
      handlers_.on_frame(std::move(frame));
    } else {
      CancelSoon();
      RemoveHold();
    }
  }
  void OnWriteDone(bool ok) override NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    queue_.pop_front();
    if (ok && !ended_ && !queue_.empty()) StartWrite(&queue_.front());
  }
  void OnDone(const grpc::Status& status) override {
    status_is_due_.Cancel();
    handlers_.on_end(FromGrpc(address_, status));
    calls_->Remove(this);
    self_.reset();
  }

 private:
  // Reading ends with the call, whose status then follows, but also at a message that can't be
  // parsed; then nothing follows. A cancel at once would hide the status.
  void CancelSoon() {
    status_is_due_.Set(std::chrono::system_clock::now() + kStatusWait,
                       [weak = std::weak_ptr<WatchCall>(self_)](bool expired) {
                         const std::shared_ptr<WatchCall> call = weak.lock();
                         if (expired && call) call->context_.TryCancel();
                       });
  }
  void ReadOn() NEAP_REQUIRES(mutex_) {
    if (reading_ || ended_) return;
    reading_ = true;
    frame_ = std::make_unique<pb::WatchResponse>();
    StartRead(frame_.get());
  }

  const std::string address_;
  const std::shared_ptr<Calls> calls_;
  const StreamHandlers handlers_;
  grpc::ClientContext context_;
  std::shared_ptr<WatchCall> self_;
  grpc::Alarm status_is_due_;
  mutable base::Mutex mutex_;
  std::unique_ptr<pb::WatchResponse> frame_ NEAP_GUARDED_BY(mutex_);  // being read
  bool reading_ NEAP_GUARDED_BY(mutex_) = false;
  std::deque<pb::WatchRequest> queue_ NEAP_GUARDED_BY(mutex_);  // the first is being written
  bool cancelled_ NEAP_GUARDED_BY(mutex_) = false;
  bool ended_ NEAP_GUARDED_BY(mutex_) = false;
};

class GrpcConnection final : public Connection {
 public:
  GrpcConnection(std::string address, bool is_private, std::shared_ptr<grpc::Channel> channel)
      : address_(std::move(address)),
        is_private_(is_private),
        stub_(pb::ScalerService::NewStub(channel)) {}
  ~GrpcConnection() override { Close(); }

  void Describe(absl::Duration timeout, Done<pb::DescribeResponse> done) override {
    Start(&Async::Describe, pb::DescribeRequest(), timeout, std::move(done));
  }
  void Read(pb::ReadRequest request, absl::Duration timeout, Done<pb::ReadResponse> done) override {
    Start(&Async::Read, std::move(request), timeout, std::move(done));
  }
  void Validate(pb::ValidateRequest request, absl::Duration timeout,
                Done<pb::ValidateResponse> done) override {
    Start(&Async::Validate, std::move(request), timeout, std::move(done));
  }
  std::shared_ptr<Stream> Watch(StreamHandlers handlers) override {
    auto call = std::make_shared<WatchCall>(address_, calls_, std::move(handlers));
    call->Start(*stub_, call);
    return call;
  }
  void Close() override { calls_->Close(); }
  bool is_private() const override { return is_private_; }

 private:
  using Async = pb::ScalerService::StubInterface::async_interface;

  template <typename Request, typename Response>
  struct UnaryCall {
    grpc::ClientContext context;
    Request request;
    Response response;
  };

  template <typename Request, typename Response>
  void Start(void (Async::*method)(grpc::ClientContext*, const Request*, Response*,
                                   std::function<void(grpc::Status)>),
             Request request, absl::Duration timeout, Done<Response> done) {
    auto call = std::make_shared<UnaryCall<Request, Response>>();
    call->request = std::move(request);
    call->context.set_deadline(std::chrono::system_clock::now() +
                               absl::ToChronoMicroseconds(timeout));
    if (!calls_->Add(call.get(), [raw = call.get()] { raw->context.TryCancel(); })) return;
    (stub_->async()->*method)(
        &call->context, &call->request, &call->response,
        [call, done = std::move(done), calls = calls_, address = address_](grpc::Status status) {
          if (status.ok()) {
            done(std::move(call->response));
          } else {
            done(FromGrpc(address, status));
          }
          calls->Remove(call.get());
        });
  }

  const std::string address_;
  const bool is_private_;
  const std::unique_ptr<pb::ScalerService::Stub> stub_;
  const std::shared_ptr<Calls> calls_ = std::make_shared<Calls>();
};

absl::Status CheckFile(const std::string& address, std::string_view what, const std::string& path) {
  if (path.empty() || std::ifstream(path).good()) return absl::OkStatus();
  return base::InvalidArgument("scaler {}: {} {} can't be read", address, what, path);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsOf(const std::string& address,
                                                                const Tls& tls) {
  if (tls.cert_file.empty() != tls.key_file.empty()) {
    return base::InvalidArgument("scaler {}: a certificate and its key are given together",
                                 address);
  }
  NEAP_RETURN_IF_ERROR(CheckFile(address, "CA file", tls.ca_file));
  NEAP_RETURN_IF_ERROR(CheckFile(address, "certificate file", tls.cert_file));
  NEAP_RETURN_IF_ERROR(CheckFile(address, "key file", tls.key_file));
  grpc::experimental::TlsChannelCredentialsOptions options;
  if (!tls.ca_file.empty() || !tls.cert_file.empty()) {
    options.set_certificate_provider(
        std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
            tls.key_file, tls.cert_file, tls.ca_file, kCertificateRefreshSeconds));
  }
  if (!tls.ca_file.empty()) options.watch_root_certs();
  if (!tls.cert_file.empty()) options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

grpc::ChannelArguments ArgumentsOf(const ConnectionOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options.keepalive_time));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options.keepalive_timeout));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, Milliseconds(options.first_backoff));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Milliseconds(options.last_backoff));
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kMinConnectMilliseconds);
  // What is tried again, and when, is the endpoint's decision; scalers are peers of this
  // installation, reached directly.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Connection>> Connection::Make(const std::string& address,
                                                             const std::optional<Tls>& tls,
                                                             const ConnectionOptions& options) {
  NEAP_RETURN_IF_ERROR(CheckAddress(address));
  KeepCallbackThreads();
  grpc::ChannelArguments arguments = ArgumentsOf(options);
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (tls) {
    if (IsUnixAddress(address)) {
      return base::InvalidArgument("scaler {}: a Unix socket takes no TLS", address);
    }
    NEAP_ASSIGN_OR_RETURN(credentials, TlsOf(address, *tls));
    if (!tls->server_name.empty()) arguments.SetSslTargetNameOverride(tls->server_name);
  }
  return std::make_unique<GrpcConnection>(
      address, tls.has_value() || IsUnixAddress(address),
      grpc::CreateCustomChannel(address, credentials, arguments));
}

}  // namespace neap::scalerhost
