#include "scalers/sdk/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "autoscaler/base/status.h"
#include "scalers/sdk/listen.h"
#include "scalers/sdk/opened_triggers.h"
#include "scalers/sdk/reader.h"
#include "scalers/sdk/service.h"

namespace neap::sdk {
namespace {

constexpr char kServiceName[] = "neap.scaler.v1.ScalerService";
// Hosts ask a silent connection for a sign of life every few seconds, which gRPC's defaults take
// for an attack.
constexpr int kMinPingMilliseconds = 1000;
// And so do we, so that streams of a machine that is gone do not stay.
constexpr int kKeepaliveMilliseconds = 60'000;

std::shared_ptr<grpc::ServerCredentials> CredentialsOf(const ServerTls& tls) {
  if (tls.cert_file.empty()) return grpc::InsecureServerCredentials();
  const int64_t seconds = std::max<int64_t>(1, absl::ToInt64Seconds(tls.reload_every));
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          tls.key_file, tls.cert_file, tls.client_ca_file, static_cast<unsigned>(seconds)));
  options.watch_identity_key_cert_pairs();
  if (!tls.client_ca_file.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

class GrpcServer final : public Server {
 public:
  GrpcServer(ServerOptions options, std::unique_ptr<OpenedTriggers> triggers)
      : options_(std::move(options)),
        triggers_(std::move(triggers)),
        reader_({.threads = options_.threads, .per_key = options_.reads_per_source}),
        service_(ScalerService::Make(options_.name, *triggers_, reader_)) {}
  ~GrpcServer() override { Stop(absl::Seconds(5)); }

  absl::Status Listen(const ListenAddress& where) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.SetMaxSendMessageSize(kMaxMessageBytes);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // one process for a port
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               kMinPingMilliseconds);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
    builder.RegisterService(service_->grpc_service());
    int port = 0;
    if (where.path.empty()) {
      builder.AddListeningPort(fmt::format("{}:{}", where.host, where.port),
                               CredentialsOf(options_.tls), &port);
    } else {
      NEAP_ASSIGN_OR_RETURN(lock_, SocketLock::Take(where.path));
      builder.AddListeningPort("unix:" + where.path, grpc::InsecureServerCredentials(), &port);
    }
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return base::Unavailable("can't listen on {}", options_.listen);
    }
    address_ = where.path.empty() ? fmt::format("{}:{}", where.host, port) : options_.listen;
    server_->GetHealthCheckService()->SetServingStatus(kServiceName, true);
    if (!where.path.empty() && chmod(where.path.c_str(), options_.socket_mode) != 0) {
      return base::Unavailable("can't set the mode of {}: {}", where.path, std::strerror(errno));
    }
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }

  bool Stop(absl::Duration grace) override {
    const auto end = std::chrono::system_clock::now() +
                     absl::ToChronoMicroseconds(std::min(grace, absl::Hours(1)));
    if (server_ != nullptr) {
      server_->GetHealthCheckService()->Shutdown();
      service_->EndStreams();
      server_->Shutdown(end);
      server_->Wait();
      lock_.reset();
    }
    return reader_.Stop(absl::FromChrono(end - std::chrono::system_clock::now()));
  }

 private:
  const ServerOptions options_;
  std::unique_ptr<SocketLock> lock_;
  std::string address_;
  const std::unique_ptr<OpenedTriggers> triggers_;
  Reader reader_;
  const std::unique_ptr<ScalerService> service_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(std::vector<std::unique_ptr<Scaler>> scalers,
                                                      ServerOptions options) {
  NEAP_ASSIGN_OR_RETURN(const ListenAddress where, ParseListen(options.listen));
  const bool wants_tls = !(options.tls.cert_file.empty() && options.tls.key_file.empty() &&
                           options.tls.client_ca_file.empty());
  if (wants_tls && !where.path.empty()) {
    return base::InvalidArgument("--listen {}: a Unix socket takes no TLS", options.listen);
  }
  if (wants_tls) NEAP_RETURN_IF_ERROR(CheckTlsFiles(options.tls));
  const bool is_private = wants_tls || !where.path.empty();
  NEAP_ASSIGN_OR_RETURN(auto triggers, OpenedTriggers::Make(std::move(scalers), is_private));
  auto server = std::make_unique<GrpcServer>(std::move(options), std::move(triggers));
  NEAP_RETURN_IF_ERROR(server->Listen(where));
  return server;
}

}  // namespace neap::sdk
