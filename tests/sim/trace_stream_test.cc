// A trace longer than memory should be: a gigabyte of rows from a pipe.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "autoscaler/base/status.h"
#include "autoscaler/sim/trace.h"

namespace neap::sim {
namespace {

constexpr int64_t kBytes = int64_t{1} << 30;
constexpr int64_t kFirst = 1'600'000'000;

// "1600000015,2345.678\n"
char* WriteRow(char* to, int64_t row) {
  to = std::to_chars(to, to + 20, kFirst + 15 * row).ptr;
  *to++ = ',';
  to = std::to_chars(to, to + 20, 1000 + row % 9000).ptr;
  std::memcpy(to, ".678\n", 5);
  return to + 5;
}

// Writes rows until the pipe has taken kBytes; 0 when all went well. The child's whole life.
int Generate(int pipe) {
  std::vector<char> block(size_t{1} << 20);
  int64_t row = 0;
  for (int64_t written = 0; written < kBytes;) {
    char* end = block.data();
    while (end < block.data() + block.size() - 64) end = WriteRow(end, row++);
    const char* from = block.data();
    while (from < end) {
      const ssize_t n = write(pipe, from, static_cast<size_t>(end - from));
      if (n <= 0) return 1;
      from += n;
      written += n;
    }
  }
  return 0;
}

// A line of /proc/self/status, in KiB.
int64_t Memory(const std::string& what) {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == what) {
      int64_t kilobytes = 0;
      status >> kilobytes;
      return kilobytes;
    }
  }
  ADD_FAILURE() << "/proc/self/status has no " << what;
  return 0;
}

TEST(TraceStream, AGigabyteFromAPipeTakesNoMemory) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    close(ends[0]);
    _exit(Generate(ends[1]));
  }
  close(ends[1]);
  std::ofstream("/proc/self/clear_refs") << 5;  // the peak begins anew
  const int64_t before = Memory("VmRSS:");

  auto trace = TraceReader::Open(fmt::format("/dev/fd/{}", ends[0]), {});
  ASSERT_TRUE(trace.ok()) << trace.status();
  TraceRow row;
  int64_t rows = 0;
  int64_t wrong = 0;
  while ((*trace)->Next(&row)) {
    wrong += row.at != absl::Seconds(15 * rows) || row.milli != (1000 + rows % 9000) * 1000 + 678;
    ++rows;
  }
  EXPECT_TRUE((*trace)->status().ok()) << (*trace)->status();
  EXPECT_EQ(wrong, 0);
  EXPECT_GT(rows, kBytes / 21);
  EXPECT_LT(Memory("VmHWM:") - before, 16 * 1024);
  RecordProperty("rows", std::to_string(rows));

  close(ends[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace neap::sim
