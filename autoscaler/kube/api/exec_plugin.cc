#include "autoscaler/kube/api/exec_plugin.h"

#include <absl/strings/escaping.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/duration.h"
#include "autoscaler/base/file.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"

namespace neap::kube::api {
namespace {

using Json = nlohmann::json;

constexpr size_t kSaid = 500;  // of stderr, its end

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { Close(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

struct Pipe {
  Fd read;
  Fd write;
  bool Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read = Fd(ends[0]);
    write = Fd(ends[1]);
    return fcntl(read.get(), F_SETFL, O_NONBLOCK) == 0;
  }
};

// What there is to read now, into `text` up to `limit`; closes at the end. False: too much.
bool Drain(Fd& from, size_t limit, std::string* text) {
  std::array<char, 16384> buffer;
  while (from.open()) {
    const ssize_t n = read(from.get(), buffer.data(), buffer.size());
    if (n > 0) {
      text->append(buffer.data(), static_cast<size_t>(n));
      if (text->size() > limit) return false;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      from.Close();
    } else if (errno == EAGAIN) {
      break;
    }
  }
  return true;
}

std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// Ours, without the names that are set anew, and with those.
std::vector<std::string> Environment(const ExecPlugin& plugin, const std::string& info) {
  std::vector<std::pair<std::string, std::string>> added = plugin.env;
  added.emplace_back("KUBERNETES_EXEC_INFO", info);
  std::vector<std::string> out;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view text = *one;
    const std::string_view name = text.substr(0, text.find('='));
    if (std::ranges::none_of(added, [&](const auto& a) { return a.first == name; })) {
      out.emplace_back(text);
    }
  }
  for (const auto& [name, value] : added) out.push_back(name + "=" + value);
  return out;
}

// One running program. Destroyed only after it was reaped.
struct Run {
  pid_t pid = -1;
  Fd process;  // readable when it has ended
  Pipe out;
  Pipe err;
};

// 0, or errno.
int Spawn(const ExecPlugin& plugin, const std::string& info, Run* run) {
  if (!run->out.Open() || !run->err.Open()) return errno;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, run->out.write.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, run->err.write.get(), STDERR_FILENO);
  // A group of its own, so that what it starts can be ended with it; no signal of ours blocked.
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  sigset_t pipe_signal;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  posix_spawnattr_setsigdefault(&attributes, &pipe_signal);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> words = {plugin.command};
  words.insert(words.end(), plugin.args.begin(), plugin.args.end());
  std::vector<std::string> environment = Environment(plugin, info);
  const int error = posix_spawnp(&run->pid, plugin.command.c_str(), &actions, &attributes,
                                 Pointers(words).data(), Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  run->out.write.Close();
  run->err.write.Close();
  return error;
}

// Waits until the program ends; "" or why it had to be killed.
std::string Attend(Run& run, const ExecLimits& limits, const Fd& stop, std::string* out,
                   std::string* err) {
  const base::Clock clock;
  while (true) {
    const absl::Duration left = limits.timeout - clock.Elapsed();
    if (left <= absl::ZeroDuration()) {
      return fmt::format("it did not end within {}", base::FormatDuration(limits.timeout));
    }
    std::array<pollfd, 4> watched = {{{stop.get(), POLLIN, 0},
                                      {run.process.get(), POLLIN, 0},
                                      {run.out.read.get(), POLLIN, 0},
                                      {run.err.read.get(), POLLIN, 0}}};
    const int64_t wait = absl::ToInt64Milliseconds(left) + 1;
    poll(watched.data(), watched.size(), static_cast<int>(std::min<int64_t>(wait, 60000)));
    if (watched[0].revents != 0) return "neap stops";
    const bool ended = watched[1].revents != 0;  // looked at before what it wrote last
    if (!Drain(run.out.read, limits.output_bytes, out)) {
      return fmt::format("it printed more than {} bytes", limits.output_bytes);
    }
    if (!Drain(run.err.read, limits.output_bytes, err)) {
      return fmt::format("it printed more than {} bytes to stderr", limits.output_bytes);
    }
    if (ended) return "";
  }
}

// Reaps it. "" when it ended well. Where another part of the process reaps all children, how it
// ended is unknown, and what it printed decides.
std::string Reap(pid_t pid) {
  int status = 0;
  pid_t reaped = -1;
  do {
    reaped = waitpid(pid, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  if (reaped != pid) return "";
  if (WIFSIGNALED(status)) return fmt::format("it was ended by signal {}", WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) return fmt::format("exit code {}", WEXITSTATUS(status));
  return "";
}

absl::StatusOr<std::string> Data(const value::Value& root, std::string_view field) {
  const value::Value* found = root.Find(fmt::format("status.{}", field));
  if (found == nullptr || found->is_null()) return std::string();
  if (!found->is_string()) return base::InvalidArgument("status.{} is no string", field);
  return found->AsString();
}

}  // namespace

absl::StatusOr<std::string> ExecInfo(const ClusterConfig& config) {
  const ExecPlugin& plugin = *config.exec;
  Json info = {{"apiVersion", plugin.api_version},
               {"kind", "ExecCredential"},
               {"spec", {{"interactive", false}}}};
  if (plugin.provide_cluster_info) {
    Json cluster = {{"server", config.server}};
    if (!config.tls.server_name.empty()) cluster["tls-server-name"] = config.tls.server_name;
    if (config.tls.insecure) cluster["insecure-skip-tls-verify"] = true;
    std::string ca = config.tls.ca_pem;
    if (ca.empty() && !config.tls.ca_file.empty()) {
      NEAP_ASSIGN_OR_RETURN(ca, base::ReadFile(config.tls.ca_file));
    }
    if (!ca.empty()) cluster["certificate-authority-data"] = absl::Base64Escape(ca);
    if (config.proxy) cluster["proxy-url"] = *config.proxy;
    if (!plugin.cluster_extension.empty()) {
      cluster["config"] = Json::parse(plugin.cluster_extension, nullptr, false);
    }
    info["spec"]["cluster"] = std::move(cluster);
  }
  return info.dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<ExecCredential> ParseExecCredential(std::string_view json,
                                                   std::string_view api_version) {
  const auto parsed = value::ParseJson(json, "its output");
  // The parser's message may quote what was printed, perhaps a secret.
  if (!parsed.ok()) return base::InvalidArgument("its output is no JSON");
  const value::Value& root = *parsed;
  if (root.StringAt("kind") != "ExecCredential") {
    return base::InvalidArgument("its output is no ExecCredential");
  }
  if (root.StringAt("apiVersion") != api_version) {
    return base::InvalidArgument("its output has apiVersion \"{}\", the kubeconfig asks for \"{}\"",
                                 root.StringAt("apiVersion").substr(0, 100), api_version);
  }
  ExecCredential out;
  NEAP_ASSIGN_OR_RETURN(out.token, Data(root, "token"));
  NEAP_ASSIGN_OR_RETURN(out.cert_pem, Data(root, "clientCertificateData"));
  NEAP_ASSIGN_OR_RETURN(out.key_pem, Data(root, "clientKeyData"));
  if (out.cert_pem.empty() != out.key_pem.empty()) {
    return base::InvalidArgument(
        "status.clientCertificateData and status.clientKeyData belong together");
  }
  if (out.token.empty() && out.cert_pem.empty()) {
    return base::InvalidArgument("its output has neither status.token nor a client certificate");
  }
  if (out.token.find_first_of("\r\n") != std::string::npos) {
    return base::InvalidArgument("status.token has a line break");
  }
  NEAP_ASSIGN_OR_RETURN(const std::string expires, Data(root, "expirationTimestamp"));
  if (!expires.empty()) {
    const auto time = base::ParseTime(expires);
    if (!time.ok()) {
      return base::InvalidArgument("status.expirationTimestamp: {}", base::Message(time.status()));
    }
    out.expires = *time;
  }
  return out;
}

absl::StatusOr<ExecCredential> RunExecPlugin(const ClusterConfig& config, const ExecLimits& limits,
                                             std::stop_token stop) {
  if (stop.stop_requested()) return base::Cancelled("credential plugin: neap stops");
  const ExecPlugin& plugin = *config.exec;
  const auto fail = [&](std::string_view why) {
    return base::Unauthenticated("{}: credential plugin {}: {}", Describe(config), plugin.command,
                                 why);
  };
  const auto info = ExecInfo(config);
  if (!info.ok()) return fail(base::Message(info.status()));
  const Fd stopped(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stopped.open()) return fail(std::strerror(errno));
  const std::stop_callback wake(stop, [&] { eventfd_write(stopped.get(), 1); });

  Run run;
  if (const int error = Spawn(plugin, *info, &run); error != 0) {
    const std::string hint = error == ENOENT && !plugin.install_hint.empty()
                                 ? ". " + Printable(plugin.install_hint)
                                 : "";
    return fail(fmt::format("can't be started: {}{}", std::strerror(error), hint));
  }
  // Not the C library's function: its header of Debian 12 does not say that it is C.
  run.process = Fd(static_cast<int>(syscall(SYS_pidfd_open, run.pid, 0)));
  std::string out;
  std::string err;
  std::string why = run.process.open() ? Attend(run, limits, stopped, &out, &err)
                                       : std::string(std::strerror(errno));
  if (!why.empty()) kill(-run.pid, SIGKILL);  // before it is reaped: the number is still its own
  const std::string end = Reap(run.pid);
  if (stop.stop_requested()) return base::Cancelled("credential plugin: neap stops");
  if (why.empty()) why = end;
  if (!why.empty()) {
    const std::string said = Printable(err.size() > kSaid ? err.substr(err.size() - kSaid) : err);
    return fail(said.empty() ? why : fmt::format("{}: {}", why, said));
  }
  auto credential = ParseExecCredential(out, plugin.api_version);
  if (!credential.ok()) return fail(base::Message(credential.status()));
  return credential;
}

}  // namespace neap::kube::api
