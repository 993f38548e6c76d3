#include "tools/neapctl/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "tools/neapctl/report/format.h"

namespace neap::ctl {
namespace {

constexpr absl::Duration kQuiet = absl::Seconds(1);
constexpr absl::Duration kRedraw = absl::Milliseconds(100);
constexpr int kBar = 24;       // columns of the bar
constexpr size_t kWidth = 79;  // of the whole line

Progress::Output Stderr() {
  const auto begin = std::chrono::steady_clock::now();
  return {stderr, isatty(STDERR_FILENO) == 1,
          [begin] { return absl::FromChrono(std::chrono::steady_clock::now() - begin); }};
}

// What is left at this speed; "" before that can be told.
std::string LeftText(double share, absl::Duration elapsed) {
  if (share < 0.01) return "";
  return SecondsText(absl::ToInt64Seconds(elapsed * ((1 - share) / share))) + " left";
}

}  // namespace

Progress::Progress(std::string what) : Progress(std::move(what), Stderr()) {}

Progress::Progress(std::string what, Output output)
    : what_(std::move(what)), output_(std::move(output)) {}

Progress::~Progress() {
  if (!shown_) return;
  if (output_.terminal) {
    fmt::print(output_.file, "\r\x1b[K");
  } else {
    fmt::print(output_.file, "{}: done in {}\n", what_,
               SecondsText(absl::ToDoubleSeconds(output_.elapsed())));
  }
  std::fflush(output_.file);
}

void Progress::Update(double share, std::string_view note) {
  share = std::clamp(share, 0.0, 1.0);
  const absl::Duration elapsed = output_.elapsed();
  if (elapsed < kQuiet) return;
  if (output_.terminal) {
    if (elapsed - drawn_at_ >= kRedraw) DrawBar(share, note, elapsed);
  } else if (const int tenth = static_cast<int>(share * 10); tenth > tenth_ && tenth < 10) {
    PrintLine(tenth, note, elapsed);
  }
}

void Progress::DrawBar(double share, std::string_view note, absl::Duration elapsed) {
  drawn_at_ = elapsed;
  shown_ = true;
  const int full = static_cast<int>(share * kBar);
  std::string bar;
  for (int i = 0; i < kBar; ++i) bar += i < full ? "█" : "░";
  const std::string line = fmt::format("{} {} {:>3.0f} %  {}{}{}", what_, bar, share * 100,
                                       LeftText(share, elapsed), note.empty() ? "" : "  ", note);
  fmt::print(output_.file, "\r{}\x1b[K", Clip(line, kWidth));
  std::fflush(output_.file);
}

void Progress::PrintLine(int tenth, std::string_view note, absl::Duration elapsed) {
  tenth_ = tenth;
  shown_ = true;
  fmt::print(output_.file, "{}: {} %, {}{}{}\n", what_, tenth * 10,
             LeftText(static_cast<double>(tenth) / 10, elapsed), note.empty() ? "" : ", ", note);
  std::fflush(output_.file);
}

}  // namespace neap::ctl
