#include "autoscaler/telemetry/scrape.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/support/process.h"

namespace neap::telemetry {
namespace {

using testing_support::WaitFor;

// A world of `objects` objects, `chunk` per call, `bytes` of text each; the key is the number.
Scrapes::Writer World(int objects, int chunk, size_t bytes) {
  return [=](int family, std::string* after, std::string* out) {
    int next = after->empty() ? 0 : std::stoi(*after) + 1;
    if (after->empty()) *out += "# family " + std::to_string(family) + "\n";
    for (int i = 0; i < chunk; ++i, ++next) {
      if (next >= objects) return false;
      *after = std::to_string(next);
      *out += std::to_string(family) + ":" + *after + std::string(bytes, 'x') + "\n";
    }
    return true;
  };
}

// The whole text of a scrape, read on the calling thread while another one serves.
std::string ReadAll(Scrape& scrape, Scrape::State* end) {
  std::string text;
  for (;;) {
    std::string chunk;
    *end = scrape.Next(&chunk);
    text += chunk;
    if (*end != Scrape::State::kMore) return text;
  }
}

TEST(Scrape, WritesEveryFamilyInOrder) {
  std::atomic<bool> stop = false;
  Scrapes scrapes([] {});
  std::thread controller([&] {
    while (!stop) scrapes.Serve(2, World(5, 2, 0));
  });
  const auto scrape = scrapes.Open();
  ASSERT_NE(scrape, nullptr);
  Scrape::State end;
  EXPECT_EQ(ReadAll(*scrape, &end),
            "# family 0\n0:0\n0:1\n0:2\n0:3\n0:4\n# family 1\n1:0\n1:1\n1:2\n1:3\n1:4\n");
  EXPECT_EQ(end, Scrape::State::kDone);
  stop = true;
  controller.join();
}

TEST(Scrape, ASlowReaderCostsABoundedBufferAndNobodysTime) {
  std::atomic<int> wakes = 0;
  Scrapes scrapes([&] { ++wakes; });
  const auto slow = scrapes.Open();
  const auto quick = scrapes.Open();
  // 20 MB of text; the slow reader reads nothing.
  const Scrapes::Writer world = World(20000, 100, 1000);
  std::string quick_text;
  Scrape::State quick_end = Scrape::State::kMore;
  int serves = 0;
  while (quick_end == Scrape::State::kMore) {
    scrapes.Serve(1, world);
    ASSERT_LT(++serves, 100000);
    std::string chunk;
    quick_end = quick->Next(&chunk);
    quick_text += chunk;
  }
  EXPECT_EQ(quick_end, Scrape::State::kDone);
  EXPECT_GT(quick_text.size(), size_t{20} << 20 >> 1);
  // With the slow one alone there is nothing to do: the controller may sleep.
  EXPECT_FALSE(scrapes.Serve(1, world));
  wakes = 0;
  std::string chunk;
  ASSERT_EQ(slow->Next(&chunk), Scrape::State::kMore);
  EXPECT_GE(chunk.size(), Scrapes::kBufferLimit);
  EXPECT_LT(chunk.size(), Scrapes::kBufferLimit + 200000);  // at most one chunk more
  EXPECT_EQ(wakes, 1);                                      // there is room: the writer is told
  EXPECT_TRUE(scrapes.Serve(1, world));
  // In the end it has all, too.
  std::string slow_text = chunk;
  Scrape::State slow_end = Scrape::State::kMore;
  while (slow_end == Scrape::State::kMore) {
    scrapes.Serve(1, world);
    chunk.clear();
    slow_end = slow->Next(&chunk);
    slow_text += chunk;
  }
  EXPECT_EQ(slow_text, quick_text);
}

TEST(Scrape, IsBrokenWhenNobodyServesIt) {
  Scrapes scrapes([] {});
  const auto scrape = scrapes.Open();
  std::string chunk;
  EXPECT_EQ(scrape->Next(&chunk, absl::Milliseconds(10)), Scrape::State::kBroken);
  EXPECT_FALSE(scrapes.Serve(1, World(1, 1, 1)));
}

TEST(Scrape, OnlySoManyAtATime) {
  Scrapes scrapes([] {});
  std::vector<std::shared_ptr<Scrape>> open;
  for (size_t i = 0; i < Scrapes::kMaxOpen; ++i) open.push_back(scrapes.Open());
  EXPECT_NE(open.back(), nullptr);
  EXPECT_EQ(scrapes.Open(), nullptr);
  open[0]->Abandon();  // its reader went away
  scrapes.Serve(1, World(1, 1, 1));
  EXPECT_NE(scrapes.Open(), nullptr);
}

TEST(Scrape, CloseBreaksReadersThatWait) {
  Scrapes scrapes([] {});
  const auto scrape = scrapes.Open();
  std::atomic<bool> broken = false;
  std::thread reader([&] {
    std::string chunk;
    broken = scrape->Next(&chunk, absl::Minutes(10)) == Scrape::State::kBroken;
  });
  scrapes.Close();
  ASSERT_TRUE(WaitFor([&] { return broken.load(); }));
  reader.join();
  EXPECT_EQ(scrapes.Open(), nullptr);
}

}  // namespace
}  // namespace neap::telemetry
