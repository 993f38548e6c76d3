#include "tests/support/process.h"

#include <absl/time/clock.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "autoscaler/base/check.h"

namespace neap::testing_support {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "neap-test-XXXXXX").string();
  NEAP_CHECK(mkdtemp(pattern.data()) != nullptr, "mkdtemp {}: {}", pattern, std::strerror(errno));
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::Write(const std::string& name, const std::string& text) const {
  const std::string path = path_ + "/" + name;
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  NEAP_CHECK(file.good(), "can't write {}", path);
  return path;
}

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  NEAP_CHECK(fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                 getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0,
             "no free port: {}", std::strerror(errno));
  close(fd);
  return ntohs(address.sin_port);
}

bool CanConnect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  const bool connected =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return connected;
}

Process::Process(const std::vector<std::string>& argv, const std::string& directory,
                 const std::string& log)
    : log_(directory + "/" + log) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_ = fork();
  NEAP_CHECK(pid_ >= 0, "fork: {}", std::strerror(errno));
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int out = open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    const int in = open("/dev/null", O_RDONLY);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    if (chdir(directory.c_str()) == 0) execvp(arguments[0], arguments.data());
    _exit(127);
  }
}

Process::~Process() { Stop(); }

void Process::Signal(int signal) const {
  if (!ended_) kill(pid_, signal);
}

bool Process::Running() {
  if (!ended_ && waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
  return !ended_;
}

int Process::Stop() {
  if (!Running()) return status_;
  kill(pid_, SIGCONT);  // a stopped process does not hear SIGTERM
  kill(pid_, SIGTERM);
  if (!WaitFor([&] { return !Running(); }, absl::Seconds(5))) {
    kill(pid_, SIGKILL);
    waitpid(pid_, &status_, 0);
    ended_ = true;
  }
  return status_;
}

std::string Process::Log() const {
  std::ifstream file(log_, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool HaveProgram(const std::string& name) {
  std::stringstream path(getenv("PATH") == nullptr ? "" : getenv("PATH"));
  for (std::string directory; std::getline(path, directory, ':');) {
    if (access((directory + "/" + name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

bool WaitFor(const std::function<bool()>& condition, absl::Duration timeout) {
  const absl::Time end = absl::Now() + timeout;
  while (!condition()) {
    if (absl::Now() >= end) return false;
    usleep(10000);
  }
  return true;
}

}  // namespace neap::testing_support
