// Serve: a Server as a process, with flags and signals.
#include <pthread.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/version.h"
#include "scalers/sdk/server.h"

namespace neap::sdk {
namespace {

// Exit codes: 0 stopped by a signal, 1 can't serve, 2 wrong usage.
constexpr int kCanNotServe = 1;
constexpr int kWrongUsage = 2;

struct Flags {
  ServerOptions server;
  absl::Duration grace = absl::Seconds(5);
};

std::string Program(const char* path) {
  const std::string_view text = path == nullptr ? "neap-scaler" : path;
  return std::string(text.substr(text.rfind('/') + 1));
}

// nullopt and `code`: the process ends.
std::optional<Flags> ParseFlags(int argc, char** argv, int& code) {
  Flags flags;
  flags.server.name = Program(argv[0]);
  CLI::App app("Serves Neap's scaler contract (neap.scaler.v1) with health and reflection.",
               flags.server.name);
  std::string mode = "0660";
  std::string grace = "5s";
  app.add_option("--listen", flags.server.listen,
                 "unix:///PATH or HOST:PORT; port 0 picks a free one. The address is printed")
      ->capture_default_str();
  app.add_option("--socket-mode", mode, "permissions of a Unix socket, octal")
      ->capture_default_str();
  app.add_option("--tls-cert-file", flags.server.tls.cert_file,
                 "PEM certificate (chain) of a HOST:PORT; read again when it changes. Without it, "
                 "triggers with secrets are refused there");
  app.add_option("--tls-private-key-file", flags.server.tls.key_file, "PEM key of the certificate");
  app.add_option("--client-ca-file", flags.server.tls.client_ca_file,
                 "PEM authorities: only clients with a certificate of theirs are served");
  app.add_option("--threads", flags.server.threads, "reads of sources at a time")
      ->check(CLI::Range(2, 4096))
      ->capture_default_str();
  app.add_option("--reads-per-source", flags.server.reads_per_source,
                 "of them, those of one source at a time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--shutdown-grace", grace, "how long reads may finish after SIGTERM or SIGINT")
      ->capture_default_str();
  app.set_version_flag("--version", flags.server.name + " " + std::string(base::Version()));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    code = app.exit(e) == 0 ? 0 : kWrongUsage;
    return std::nullopt;
  }
  const auto refuse = [&](std::string_view what) {
    std::fputs(fmt::format("{}: {}\n", flags.server.name, what).c_str(), stderr);
    code = kWrongUsage;
    return std::nullopt;
  };
  char* end = nullptr;
  const unsigned long bits = std::strtoul(mode.c_str(), &end, 8);
  if (mode.empty() || *end != '\0' || bits > 0777) {
    return refuse(fmt::format("--socket-mode {}: not an octal mode like 0660", mode));
  }
  flags.server.socket_mode = static_cast<mode_t>(bits);
  const absl::StatusOr<absl::Duration> parsed = base::ParseDuration(grace);
  if (!parsed.ok()) {
    return refuse(fmt::format("--shutdown-grace: {}", base::Message(parsed.status())));
  }
  flags.grace = *parsed;
  return flags;
}

}  // namespace

int Serve(std::vector<std::unique_ptr<Scaler>> scalers, int argc, char** argv) {
  int code = 0;
  const std::optional<Flags> flags = ParseFlags(argc, argv, code);
  if (!flags) return code;
  const std::string& name = flags->server.name;

  // Blocked before any thread starts, so that all of them leave the signals to sigwait.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(std::move(scalers), flags->server);
  if (!server.ok()) {
    std::fputs(fmt::format("{}: {}\n", name, base::Message(server.status())).c_str(), stderr);
    return absl::IsInvalidArgument(server.status()) ? kWrongUsage : kCanNotServe;
  }
  std::printf("listening on %s\n", (*server)->address().c_str());
  std::fflush(stdout);

  int signal = 0;
  sigwait(&signals, &signal);
  std::fputs(fmt::format("{}: stopping\n", name).c_str(), stderr);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // a second signal ends the process at once
  if (!(*server)->Stop(flags->grace)) {
    std::fputs(fmt::format("{}: a source still hangs, not waiting for it\n", name).c_str(), stderr);
    std::fflush(stdout);
    std::_Exit(0);
  }
  return 0;
}

}  // namespace neap::sdk
