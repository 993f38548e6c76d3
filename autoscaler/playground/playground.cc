#include "autoscaler/playground/playground.h"

#include <pthread.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>

#include "autoscaler/base/file.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"
#include "autoscaler/kube/objects/objects.h"
#include "autoscaler/playground/api.h"
#include "autoscaler/playground/certificate.h"
#include "autoscaler/playground/cluster.h"
#include "autoscaler/playground/server.h"
#include "autoscaler/sim/world_file.h"

namespace neap::playground {
namespace {

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t block = 0;
    for (size_t k = 0; k < 3; ++k) {
      block = block << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kLetters[(block >> (18 - 6 * k)) & 63];
    }
  }
  return out;
}

std::string Kubeconfig(const std::string& url, const std::string& token,
                       const std::string& authority) {
  std::string cluster = fmt::format("server: \"{}\"", url);
  if (!authority.empty()) {
    cluster += fmt::format(", certificate-authority-data: \"{}\"", Base64(authority));
  }
  const std::string user = token.empty() ? "" : fmt::format("token: {}", Json(token).dump());
  return fmt::format(
      "apiVersion: v1\n"
      "kind: Config\n"
      "clusters:\n"
      "- {{name: playground, cluster: {{{}}}}}\n"
      "users:\n"
      "- {{name: playground, user: {{{}}}}}\n"
      "contexts:\n"
      "- {{name: playground, context: {{cluster: playground, user: playground}}}}\n"
      "current-context: playground\n",
      cluster, user);
}

// By renaming, so that nobody reads half a file; for its owner alone, since it holds the token.
absl::Status WriteFile(const std::string& path, const std::string& text) {
  namespace fs = std::filesystem;
  const std::string part = path + ".part";
  std::error_code error;
  {
    std::ofstream out(part, std::ios::trunc);
    fs::permissions(part, fs::perms::owner_read | fs::perms::owner_write, error);
    if (!(out << text << std::flush)) return base::Unavailable("{}: cannot be written", part);
  }
  fs::rename(part, path, error);
  if (error) return base::Unavailable("{}: {}", path, error.message());
  return absl::OkStatus();
}

}  // namespace

struct Playground::Impl {
  explicit Impl(Options o) : options(std::move(o)) {}

  absl::Status LoadObjects() {
    for (const std::string& file : options.object_files) {
      NEAP_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(file));
      NEAP_ASSIGN_OR_RETURN(const auto documents, value::ParseDocuments(text, file));
      for (const value::Value* document : kube::objects::Flatten(documents)) {
        NEAP_RETURN_IF_ERROR(api->Load(*document, file));
      }
    }
    return absl::OkStatus();
  }

  const Options options;
  std::optional<Certificate> certificate;
  std::unique_ptr<Cluster> cluster;
  std::unique_ptr<Api> api;
  std::unique_ptr<Server> server;
};

Playground::Playground(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Playground::~Playground() { Stop(); }

absl::Status Playground::Start() {
  const Options& options = impl_->options;
  NEAP_ASSIGN_OR_RETURN(sim::WorldSpec spec, sim::LoadWorldFile(options.world_file));
  impl_->cluster = std::make_unique<Cluster>(std::move(spec), options.kept_events);
  impl_->api =
      std::make_unique<Api>(*impl_->cluster, ApiOptions{.token = options.token,
                                                        .bookmark_every = options.bookmark_every,
                                                        .admit_all = options.admit_all});
  NEAP_RETURN_IF_ERROR(impl_->LoadObjects());
  if (options.tls) {
    NEAP_ASSIGN_OR_RETURN(impl_->certificate, MakeCertificate());
  }
  impl_->server = std::make_unique<Server>(
      *impl_->cluster, *impl_->api,
      ServerOptions{.port = options.port,
                    .threads = options.threads,
                    .tls = impl_->certificate ? &*impl_->certificate : nullptr});
  NEAP_RETURN_IF_ERROR(impl_->server->Start());
  impl_->cluster->Start();
  if (options.kubeconfig.empty()) return absl::OkStatus();
  return WriteFile(
      options.kubeconfig,
      Kubeconfig(url(), options.token, impl_->certificate ? impl_->certificate->cert : ""));
}

void Playground::Stop() {
  if (impl_->server) impl_->server->Stop();
  if (impl_->cluster) impl_->cluster->Stop();
}

std::string Playground::url() const {
  return fmt::format("{}://127.0.0.1:{}", impl_->options.tls ? "https" : "http",
                     impl_->server->port());
}

int Run(const Options& options) {
  // Blocked in this thread and in all that it starts; taken by sigtimedwait below.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  Playground playground(options);
  if (const absl::Status started = playground.Start(); !started.ok()) {
    fmt::print(stderr, "{}\n", base::Message(started));
    return 1;
  }
  fmt::print(
      "playground at {}{}\n", playground.url(),
      options.kubeconfig.empty() ? "" : fmt::format(" (kubeconfig: {})", options.kubeconfig));
  std::fflush(stdout);
  if (options.duration == absl::InfiniteDuration()) {
    int signal_number = 0;
    sigwait(&signals, &signal_number);
  } else {
    const timespec timeout = absl::ToTimespec(options.duration);
    while (sigtimedwait(&signals, nullptr, &timeout) < 0 && errno == EINTR) {
    }
  }
  playground.Stop();
  return 0;
}

}  // namespace neap::playground
