#include "scalers/sdk/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/process.h"

namespace neap::sdk {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing_support::WaitFor;

// Records what becomes of it.
class TestTask : public Task {
 public:
  TestTask(std::string key, std::chrono::nanoseconds timeout)
      : Task(std::move(key), Clock::now() + timeout) {}
  void Expire() override { ++expired; }
  std::atomic<int> expired = 0;
  std::atomic<int> ran = 0;
};

std::shared_ptr<TestTask> Make(const std::string& key,
                               std::chrono::nanoseconds timeout = hours(1)) {
  return std::make_shared<TestTask>(key, timeout);
}

// Keys that begin with "hang" wait for Release; the others return at once.
class ExecutorTest : public ::testing::Test {
 protected:
  ~ExecutorTest() override { Release(); }

  Executor& Start(ExecutorOptions options) {
    executor_ = std::make_unique<Executor>(options, [this](const Tasks& tasks) { Run(tasks); });
    return *executor_;
  }
  void Release() {
    base::MutexLock lock(mutex_);
    released_ = true;
    changed_.NotifyAll();
  }
  int hanging() {
    base::MutexLock lock(mutex_);
    return hanging_;
  }

  base::Mutex mutex_;
  base::CondVar changed_;
  bool released_ NEAP_GUARDED_BY(mutex_) = false;
  int hanging_ NEAP_GUARDED_BY(mutex_) = 0;
  std::vector<size_t> batches_ NEAP_GUARDED_BY(mutex_);
  std::unique_ptr<Executor> executor_;

 private:
  void Run(const Tasks& tasks) {
    {
      base::MutexLock lock(mutex_);
      batches_.push_back(tasks.size());
      if (tasks[0]->key().starts_with("hang")) {
        ++hanging_;
        while (!released_) changed_.Wait(mutex_);
        --hanging_;
      }
    }
    for (const auto& task : tasks) ++static_cast<TestTask&>(*task).ran;
  }
};

TEST_F(ExecutorTest, AKeyThatHangsTakesNoMoreThanItsPlaces) {
  Executor& executor = Start({.threads = 8, .per_key = 2, .max_batch = 1});
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(executor.Submit({Make("hang")}));
  ASSERT_TRUE(WaitFor([&] { return hanging() == 2; }));
  for (int i = 0; i < 100; ++i) {
    const auto task = Make("key" + std::to_string(i));
    ASSERT_TRUE(executor.Submit({task}));
    ASSERT_TRUE(WaitFor([&] { return task->ran == 1; })) << i;
  }
  EXPECT_EQ(hanging(), 2);
  Release();
}

TEST_F(ExecutorTest, WaitingTasksOfAKeyGoTogether) {
  Executor& executor = Start({.threads = 4, .per_key = 1, .max_batch = 50});
  const auto first = Make("hang");
  ASSERT_TRUE(executor.Submit({first}));
  ASSERT_TRUE(WaitFor([&] { return hanging() == 1; }));
  std::vector<std::shared_ptr<TestTask>> tasks;
  for (int i = 0; i < 100; ++i) {
    tasks.push_back(Make("hang"));
    ASSERT_TRUE(executor.Submit({tasks.back()}));
  }
  Release();
  for (const auto& task : tasks) ASSERT_TRUE(WaitFor([&] { return task->ran == 1; }));
  base::MutexLock lock(mutex_);
  EXPECT_EQ(batches_, (std::vector<size_t>{1, 50, 50}));
}

TEST_F(ExecutorTest, OverrunningKeysShareHalfOfTheThreads) {
  Executor& executor = Start({.threads = 8, .per_key = 1});
  std::vector<std::shared_ptr<TestTask>> late;
  // More hanging keys than threads. At first nobody knows them, and they may take all.
  for (int i = 0; i < 20; ++i) {
    late.push_back(Make("hang" + std::to_string(i), milliseconds(100)));
    ASSERT_TRUE(executor.Submit({late.back()}));
  }
  for (const auto& task : late) ASSERT_TRUE(WaitFor([&] { return task->expired == 1; }));
  Release();
  ASSERT_TRUE(WaitFor([&] { return hanging() == 0; }));
  {
    base::MutexLock lock(mutex_);
    released_ = false;
  }
  // From now on they are known, and the others have their half.
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(executor.Submit({Make("hang" + std::to_string(i))}));
  ASSERT_TRUE(WaitFor([&] { return hanging() == 4; }));
  for (int i = 0; i < 50; ++i) {
    const auto task = Make("key" + std::to_string(i));
    ASSERT_TRUE(executor.Submit({task}));
    ASSERT_TRUE(WaitFor([&] { return task->ran == 1; })) << i;
  }
  EXPECT_EQ(hanging(), 4);
  Release();
}

TEST_F(ExecutorTest, ATaskExpiresOnceWhetherItWaitsOrRuns) {
  Executor& executor = Start({.threads = 4, .per_key = 1, .max_batch = 1});
  const auto runs = Make("hang", milliseconds(50));
  const auto waits = Make("hang", milliseconds(60));
  ASSERT_TRUE(executor.Submit({runs, waits}));
  ASSERT_TRUE(WaitFor([&] { return runs->expired == 1 && waits->expired == 1; }));
  Release();
  ASSERT_TRUE(WaitFor([&] { return runs->ran == 1; }));
  const auto next = Make("hang");
  ASSERT_TRUE(executor.Submit({next}));
  ASSERT_TRUE(WaitFor([&] { return next->ran == 1; }));
  EXPECT_EQ(waits->ran, 0);
  EXPECT_EQ(runs->expired, 1);
  EXPECT_EQ(waits->expired, 1);
  EXPECT_EQ(next->expired, 0);
}

TEST_F(ExecutorTest, RefusesMoreThanMayBeUnfinished) {
  Executor& executor = Start({.threads = 2, .per_key = 1, .max_batch = 1, .max_unfinished = 3});
  ASSERT_TRUE(executor.Submit({Make("hang"), Make("hang"), Make("hang")}));
  EXPECT_FALSE(executor.Submit({Make("key")}));
  Release();
  ASSERT_TRUE(WaitFor([&] { return executor.Submit({Make("key")}); }));
}

TEST_F(ExecutorTest, StopExpiresWhatWaitsAndSaysWhatHangs) {
  Executor& executor = Start({.threads = 2, .per_key = 1, .max_batch = 1});
  const auto runs = Make("hang");
  const auto waits = Make("hang");
  ASSERT_TRUE(executor.Submit({runs, waits}));
  ASSERT_TRUE(WaitFor([&] { return hanging() == 1; }));
  EXPECT_FALSE(executor.Stop(absl::Milliseconds(20)));
  EXPECT_EQ(waits->expired, 1);
  EXPECT_FALSE(executor.Submit({Make("key")}));
  Release();
  EXPECT_TRUE(executor.Stop(absl::Seconds(20)));
  EXPECT_EQ(runs->ran, 1);
  EXPECT_EQ(waits->ran, 0);
}

}  // namespace
}  // namespace neap::sdk
