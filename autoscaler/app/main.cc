// neapd: flags, then the daemon, then signals.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <string>

#include "autoscaler/app/check_config.h"
#include "autoscaler/app/neapd.h"
#include "autoscaler/app/options.h"
#include "autoscaler/app/startup_pages.h"
#include "autoscaler/base/status.h"
#include "autoscaler/telemetry/logging.h"

// Read by jemalloc: one arena and small caches for each thread, since few threads allocate much,
// and what is freed goes back to the system within a second: lists of ten thousand objects pass
// through memory at the start.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf =
    "narenas:1,tcache_max:4096,tcache_nslots_small_max:32,dirty_decay_ms:1000,muzzy_decay_ms:0";
}

namespace {

using neap::app::Parsed;

constexpr int kOk = 0;
constexpr int kCouldNotRun = 1;
constexpr int kBadConfiguration = 2;

int Check(const neap::app::Options& options) {
  const neap::app::ConfigReport report = neap::app::CheckConfig(options);
  for (const std::string& line : report.errors) fmt::print(stderr, "error: {}\n", line);
  for (const std::string& line : report.warnings) fmt::print(stderr, "warning: {}\n", line);
  for (const std::string& line : report.notes) fmt::print("{}\n", line);
  if (!report.errors.empty()) return kBadConfiguration;
  fmt::print("the configuration is valid\n");
  return kOk;
}

// Configuration is at fault with these, everything else is the world's.
bool IsConfiguration(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status);
}

// As process 1 of a container we are given the children of children that ended before them (a
// credential plugin's). Those that we started are reaped by who did, and at once; what is still
// there at the second look is nobody's.
void ReapOrphans() {
  static pid_t seen = 0;
  siginfo_t info = {};
  if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
    seen = 0;
  } else if (info.si_pid == seen) {
    waitpid(seen, nullptr, WNOHANG);
    seen = 0;
  } else {
    seen = info.si_pid;
  }
}

// Waits for one of `ends`.
int AwaitSignal(const sigset_t& ends) {
  constexpr timespec kTick = {.tv_sec = 10, .tv_nsec = 0};
  constexpr int kStarted = 3;  // ticks, after which lists and first decisions are over
  for (int ticks = 0;;) {
    const int signal = sigtimedwait(&ends, nullptr, &kTick);
    if (signal > 0) return signal;
    if (errno != EAGAIN) continue;
    if (ticks < kStarted && ++ticks == kStarted) neap::app::ReleaseStartupPages();
    if (getpid() == 1) ReapOrphans();
  }
}

int Run(const neap::app::Options& options) {
  // Before any thread is made, so that all inherit it and sigwait below is the only receiver.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a journal that may grow no more is a failed write, not our end

  neap::telemetry::StartLogging("neapd");
  auto daemon = neap::app::Neapd::Start(options);
  if (!daemon.ok()) {
    fmt::print(stderr, "neapd: {}\n", neap::base::Message(daemon.status()));
    return IsConfiguration(daemon.status()) ? kBadConfiguration : kCouldNotRun;
  }
  const int signal = AwaitSignal(ends);
  neap::telemetry::LogInfo(fmt::format("{}: stopping", strsignal(signal)));
  // A second signal, or a stop that takes too long, ends the process at once. Handled, since the
  // kernel keeps a signal's default action from process 1.
  pthread_sigmask(SIG_UNBLOCK, &ends, nullptr);
  const auto at_once = [](int) { _exit(kCouldNotRun); };
  ::signal(SIGTERM, at_once);
  ::signal(SIGINT, at_once);
  ::signal(SIGALRM, [](int) {
    static constexpr char kText[] = "neapd: the clean stop took too long\n";
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kText, sizeof(kText) - 1);
    _exit(kCouldNotRun);
  });
  alarm(static_cast<unsigned>(absl::ToInt64Seconds(options.shutdown_timeout)));
  (*daemon)->Stop();
  daemon->reset();
  neap::telemetry::LogInfo("stopped");
  return kOk;
}

}  // namespace

int main(int argc, char** argv) {
  const absl::StatusOr<Parsed> parsed = neap::app::ParseOptions(argc, argv);
  if (!parsed.ok()) {
    fmt::print(stderr, "neapd: {}\nTry neapd --help.\n", neap::base::Message(parsed.status()));
    return kBadConfiguration;
  }
  switch (parsed->what) {
    case Parsed::Do::kExit:
      fmt::print("{}", parsed->output);
      return parsed->exit_code;
    case Parsed::Do::kCheckConfig:
      return Check(parsed->options);
    case Parsed::Do::kRun:
      return Run(parsed->options);
  }
  return kCouldNotRun;
}
