// Real servers for tests: child processes on loopback, temporary directories, free ports, waiting
// for a condition. For tests alone; one thread.
//
//   TempDir dir;
//   const int port = FreePort();
//   Process redis({"redis-server", "--port", std::to_string(port), "--save", ""}, dir.path());
//   ASSERT_TRUE(WaitFor([&] { return CanConnect(port); }));
#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace neap::testing_support {

// A directory that is removed with all it holds.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  // Writes a file in it and returns its path.
  std::string Write(const std::string& name, const std::string& text) const;

 private:
  std::string path_;
};

// A port of 127.0.0.1 that nobody listened on a moment ago.
int FreePort();
bool CanConnect(int port);

// A child process that is ended with this object (SIGTERM, after 5 s SIGKILL), and with the test if
// that dies.
class Process {
 public:
  // Runs argv[0] (found in PATH) in `directory`; stdout and stderr go to the file `log` there.
  // Aborts the test program when it can't be started.
  Process(const std::vector<std::string>& argv, const std::string& directory,
          const std::string& log = "log");
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;
  bool Running();
  // Ends it and returns its wait status (as waitpid gives it). Idempotent.
  int Stop();
  // What it has written so far.
  std::string Log() const;

 private:
  pid_t pid_ = -1;
  bool ended_ = false;
  int status_ = 0;
  std::string log_;
};

// Whether the program is in PATH.
bool HaveProgram(const std::string& name);

// Asks `condition` every 10 ms until it holds; false when `timeout` passed first.
bool WaitFor(const std::function<bool()>& condition, absl::Duration timeout = absl::Seconds(20));

}  // namespace neap::testing_support
