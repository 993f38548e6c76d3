// For the tests of scalerhost: a sink that remembers, and a host with a clock that asks one trigger
// and waits for its answer.
#pragma once

#include <absl/time/time.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/scalerhost/host.h"
#include "tests/support/process.h"

namespace neap::scalerhost {

using testing_support::WaitFor;

inline control::Subscription Stub(const std::string& id,
                                  std::vector<std::pair<std::string, std::string>> metadata = {},
                                  const std::string& type = "stub") {
  control::Subscription subscription;
  subscription.id = id;
  subscription.type = type;
  subscription.metadata = std::move(metadata);
  subscription.ns = "shop";
  subscription.interval = absl::Seconds(15);
  return subscription;
}

// What a host has said. Thread-safe.
class Recorder {
 public:
  HostHandlers Handlers() {
    return {.sink = [this](control::Message message) { Take(std::move(message)); },
            .types_changed = {},
            .report =
                [this](std::string_view what, const absl::Status& error) {
                  base::MutexLock lock(mutex_);
                  reports_.push_back(std::string(what) + ": " + error.ToString());
                }};
  }
  // Every answer of that id and round (0: pushed).
  std::vector<control::TriggerReading> Answers(const std::string& id, uint64_t round) const {
    base::MutexLock lock(mutex_);
    std::vector<control::TriggerReading> found;
    for (const control::TriggerReading& reading : readings_) {
      if (reading.trigger_id == id && reading.round == round) found.push_back(reading);
    }
    return found;
  }
  size_t readings() const {
    base::MutexLock lock(mutex_);
    return readings_.size();
  }
  std::vector<control::TriggerOpened> Opened(const std::string& id) const {
    base::MutexLock lock(mutex_);
    std::vector<control::TriggerOpened> found;
    for (const control::TriggerOpened& opened : opened_) {
      if (opened.trigger_id == id) found.push_back(opened);
    }
    return found;
  }
  size_t opened() const {
    base::MutexLock lock(mutex_);
    return opened_.size();
  }
  std::vector<std::string> reports() const {
    base::MutexLock lock(mutex_);
    return reports_;
  }

 private:
  void Take(control::Message message) {
    base::MutexLock lock(mutex_);
    if (auto* reading = std::get_if<control::TriggerReading>(&message)) {
      readings_.push_back(std::move(*reading));
    } else if (auto* opened = std::get_if<control::TriggerOpened>(&message)) {
      opened_.push_back(std::move(*opened));
    } else {
      ADD_FAILURE() << "a message that is no scaler's";
    }
  }

  mutable base::Mutex mutex_;
  std::vector<control::TriggerReading> readings_ NEAP_GUARDED_BY(mutex_);
  std::vector<control::TriggerOpened> opened_ NEAP_GUARDED_BY(mutex_);
  std::vector<std::string> reports_ NEAP_GUARDED_BY(mutex_);
};

class TestHost {
 public:
  explicit TestHost(HostOptions options) {
    options.seed = 7;
    auto host = Host::Make(std::move(options), clock_, recorder_.Handlers());
    if (!host.ok()) {
      ADD_FAILURE() << host.status();
      std::abort();
    }
    host_ = *std::move(host);
  }
  Host* operator->() { return host_.get(); }
  Recorder& recorder() { return recorder_; }
  const base::Clock& clock() const { return clock_; }
  void Destroy() { host_.reset(); }

  void Put(std::vector<control::Subscription> put, std::vector<std::string> remove = {}) {
    control::Subscribe change{.put = {}, .remove = std::move(remove)};
    for (control::Subscription& one : put) {
      change.put.push_back(std::make_shared<const control::Subscription>(std::move(one)));
    }
    host_->Subscribe(std::move(change));
  }
  // Polls and returns the round.
  uint64_t Poll(std::vector<std::string> ids, absl::Duration deadline = absl::Seconds(30)) {
    host_->Poll({.round = ++round_, .trigger_ids = std::move(ids), .deadline = deadline});
    return round_;
  }
  // Polls one trigger and waits for its answer.
  control::TriggerReading Ask(const std::string& id, absl::Duration deadline = absl::Seconds(30)) {
    return Await(id, Poll({id}, deadline));
  }
  control::TriggerReading Await(const std::string& id, uint64_t round) {
    EXPECT_TRUE(WaitFor([&] { return !recorder_.Answers(id, round).empty(); }, absl::Seconds(60)))
        << id << " got no answer in round " << round;
    const auto answers = recorder_.Answers(id, round);
    return answers.empty() ? control::TriggerReading{} : answers.front();
  }
  // Polls until the answer is a value.
  bool AskUntilValue(const std::string& id, absl::Duration timeout = absl::Seconds(30)) {
    return WaitFor([&] { return !Ask(id, absl::Seconds(5)).error.has_value(); }, timeout);
  }
  control::TriggerOpened AwaitOpened(const std::string& id) {
    EXPECT_TRUE(WaitFor([&] { return !recorder_.Opened(id).empty(); })) << id;
    const auto opened = recorder_.Opened(id);
    return opened.empty() ? control::TriggerOpened{} : opened.back();
  }
  uint64_t Violations(Violation violation) const {
    return host_->counters().endpoints.violations[static_cast<size_t>(violation)];
  }
  // Counters are published once per turn of the host's loop: after what the same turn announced.
  bool AwaitViolations(Violation violation, uint64_t count) const {
    return WaitFor([&] { return Violations(violation) == count; });
  }

 private:
  base::Clock clock_;
  Recorder recorder_;
  uint64_t round_ = 0;
  std::unique_ptr<Host> host_;
};

// The only metric's only value.
inline double ValueOf(const control::TriggerReading& reading) {
  if (reading.error || reading.metrics.size() != 1 || reading.metrics[0].reading.real.size() != 1) {
    ADD_FAILURE() << reading.trigger_id << ": no single value: "
                  << (reading.error             ? reading.error->message
                      : reading.metrics.empty() ? "no metrics"
                                                : reading.metrics[0].reading.error.message);
    return -1;
  }
  return reading.metrics[0].reading.real[0];
}

// The error of the trigger, or of its only metric; a failure when there is a value.
inline core::ReadingError ErrorIn(const control::TriggerReading& reading) {
  if (reading.error) return *reading.error;
  if (reading.metrics.size() == 1 &&
      reading.metrics[0].reading.form == core::Reading::Form::kError) {
    return reading.metrics[0].reading.error;
  }
  ADD_FAILURE() << reading.trigger_id << ": a value where an error is due";
  return {};
}

}  // namespace neap::scalerhost
