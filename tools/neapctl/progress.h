// Progress of a long run on stderr: a bar on a terminal, elsewhere (CI, a pipe) one line every
// 10 %. Silent until a second has passed, so that short runs print nothing. Used by neapctl's
// commands; one thread.
//
//   Progress progress("simulating 30 days");
//   simulation.Run([&](absl::Duration passed) { progress.Update(passed / total); return true; });
#pragma once

#include <absl/time/time.h>

#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

namespace neap::ctl {

class Progress {
 public:
  // Of stderr, by the real clock.
  explicit Progress(std::string what);

  struct Output {
    std::FILE* file = nullptr;  // borrowed
    bool terminal = false;
    std::function<absl::Duration()> elapsed = {};  // since the run began
  };
  Progress(std::string what, Output output);

  // Takes the bar away, or writes the last line if any was written.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `share` is what is done, 0 to 1; `note` is shown behind it ("seed 12 of 50"). Cheap: may be
  // called thousands of times a second.
  void Update(double share, std::string_view note = "");

 private:
  void DrawBar(double share, std::string_view note, absl::Duration elapsed);
  void PrintLine(int tenth, std::string_view note, absl::Duration elapsed);

  std::string what_;
  Output output_;
  absl::Duration drawn_at_ = -absl::InfiniteDuration();  // the bar's last time
  int tenth_ = 0;                                        // the last one printed
  bool shown_ = false;
};

}  // namespace neap::ctl
