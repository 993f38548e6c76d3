#include "autoscaler/app/inbox.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/process.h"

namespace neap::app {
namespace {

using control::Message;
using control::SpecGone;
using control::TriggerReading;

Message Reading(const std::string& id, uint64_t round, const std::string& metric) {
  TriggerReading reading{.trigger_id = id, .round = round, .metrics = {}, .error = {}};
  reading.metrics.push_back({.name = metric, .reading = {}, .pod_samples = {}});
  return reading;
}
Message Gone(int n) { return SpecGone{.uid = std::to_string(n)}; }

// "a:0:m" for a reading of trigger a, round 0, metric m; the uid of a SpecGone.
std::vector<std::string> Texts(const std::vector<Message>& messages) {
  std::vector<std::string> out;
  for (const Message& message : messages) {
    if (const auto* reading = std::get_if<TriggerReading>(&message)) {
      out.push_back(reading->trigger_id + ":" + std::to_string(reading->round) + ":" +
                    reading->metrics[0].name);
    } else {
      out.push_back(std::get<SpecGone>(message).uid);
    }
  }
  return out;
}
using Want = std::vector<std::string>;

TEST(Inbox, KeepsTheOrder) {
  Inbox inbox;
  for (int i = 0; i < 3; ++i) inbox.Push(Gone(i));
  EXPECT_EQ(Texts(inbox.Take(absl::ZeroDuration())), (Want{"0", "1", "2"}));
  EXPECT_TRUE(inbox.Take(absl::ZeroDuration()).empty());
}

TEST(Inbox, KeepsOnlyTheLatestPushedReadingOfATrigger) {
  Inbox inbox;
  inbox.Push(Reading("a", 0, "old"));
  inbox.Push(Reading("b", 0, "b"));
  inbox.Push(Reading("a", 0, "new"));
  EXPECT_EQ(Texts(inbox.Take(absl::ZeroDuration())), (Want{"a:0:new", "b:0:b"}));
  EXPECT_EQ(inbox.coalesced(), 1u);
  // What was taken is not replaced any more.
  inbox.Push(Reading("a", 0, "next"));
  EXPECT_EQ(Texts(inbox.Take(absl::ZeroDuration())), (Want{"a:0:next"}));
  EXPECT_EQ(inbox.coalesced(), 1u);
}

TEST(Inbox, NeverDropsAPolledReading) {
  Inbox inbox;
  inbox.Push(Reading("a", 7, "x"));
  inbox.Push(Reading("a", 8, "y"));
  EXPECT_EQ(Texts(inbox.Take(absl::ZeroDuration())), (Want{"a:7:x", "a:8:y"}));
}

TEST(Inbox, APushedReadingStaysAfterThePolledOneThatCameBefore) {
  Inbox inbox;
  inbox.Push(Reading("a", 0, "first"));
  inbox.Push(Reading("a", 7, "polled"));
  inbox.Push(Reading("a", 0, "last"));
  EXPECT_EQ(Texts(inbox.Take(absl::ZeroDuration())), (Want{"a:0:first", "a:7:polled", "a:0:last"}));
}

TEST(Inbox, AMessageEndsTheWait) {
  Inbox inbox;
  std::thread sender([&] { inbox.Push(Gone(1)); });
  std::vector<Message> got;
  while (got.empty()) got = inbox.Take(absl::InfiniteDuration());
  EXPECT_EQ(Texts(got), Want{"1"});
  sender.join();
}

TEST(Inbox, WakeEndsTheNextWait) {
  Inbox inbox;
  inbox.Wake();
  EXPECT_TRUE(inbox.Take(absl::InfiniteDuration()).empty());
  EXPECT_TRUE(inbox.Take(absl::Milliseconds(1)).empty());
}

TEST(Inbox, AFullInboxMakesSendersWaitAndLosesNothing) {
  constexpr int kSenders = 4;
  constexpr int kEach = 2000;
  Inbox inbox(/*limit=*/16);
  std::vector<std::thread> senders;
  for (int s = 0; s < kSenders; ++s) {
    senders.emplace_back([&inbox, s] {
      for (int i = 0; i < kEach; ++i) inbox.Push(Gone(s * kEach + i));
    });
  }
  std::vector<int> next(kSenders, 0);
  size_t most = 0;
  for (int got = 0; got < kSenders * kEach;) {
    const std::vector<Message> messages = inbox.Take(absl::Seconds(1));
    most = std::max(most, messages.size());
    for (const std::string& text : Texts(messages)) {
      const int n = std::stoi(text);
      EXPECT_EQ(n % kEach, next[n / kEach]++);  // in each sender's order
      ++got;
    }
  }
  EXPECT_LE(most, 16u);
  for (std::thread& sender : senders) sender.join();
}

TEST(Inbox, TheReaderItselfNeverWaits) {
  Inbox inbox(/*limit=*/2);
  inbox.Take(absl::ZeroDuration());  // this thread is the reader
  for (int i = 0; i < 5; ++i) inbox.Push(Gone(i));
  EXPECT_EQ(inbox.Take(absl::ZeroDuration()).size(), 5u);
}

TEST(Inbox, CloseLetsWaitingSendersGo) {
  Inbox inbox(/*limit=*/1);
  inbox.Push(Gone(0));
  std::atomic<bool> returned = false;
  std::thread sender([&] {
    inbox.Push(Gone(1));
    returned = true;
  });
  inbox.Close();
  ASSERT_TRUE(testing_support::WaitFor([&] { return returned.load(); }));
  sender.join();
  inbox.Push(Gone(2));
  EXPECT_LE(inbox.Take(absl::ZeroDuration()).size(), 1u);
}

}  // namespace
}  // namespace neap::app
