// A scaler that does as it is told, for the tests of the SDK's serving half.
//
//   FakeControl control;
//   Server::Start(FakeScaler::Make(control), ...);
//   trigger: {type: "fake", metadata: {source: "a", value: "5", fault: "hang"}}
#pragma once

#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "scalers/sdk/scaler.h"

namespace neap::sdk {

// What the test and the scaler tell each other. Thread-safe; outlives the server.
class FakeControl {
 public:
  ~FakeControl() { Release(); }
  // Ends every hanging Read, also those to come.
  void Release() {
    base::MutexLock lock(mutex_);
    released_ = true;
    changed_.NotifyAll();
  }
  void Hang() {
    base::MutexLock lock(mutex_);
    ++hanging_;
    while (!released_) changed_.Wait(mutex_);
    --hanging_;
  }
  int hanging() const {
    base::MutexLock lock(mutex_);
    return hanging_;
  }
  void Opened() {
    base::MutexLock lock(mutex_);
    ++opened_;
  }
  int opened() const {
    base::MutexLock lock(mutex_);
    return opened_;
  }
  void Batch(size_t size) {
    base::MutexLock lock(mutex_);
    batches_.push_back(size);
  }
  std::vector<size_t> batches() const {  // sizes of the calls of Read
    base::MutexLock lock(mutex_);
    return batches_;
  }
  void SetSink(Sink* sink) {
    base::MutexLock lock(mutex_);
    sink_ = sink;
    watches_ += sink != nullptr ? 1 : 0;
  }
  bool watched() const {
    base::MutexLock lock(mutex_);
    return sink_ != nullptr;
  }
  int watches() const {  // begun so far
    base::MutexLock lock(mutex_);
    return watches_;
  }
  // Pushes to whoever watched last; false: nobody watches.
  bool Push(Reading reading) {
    base::MutexLock lock(mutex_);
    if (sink_ == nullptr) return false;
    sink_->Push(std::move(reading));
    return true;
  }

 private:
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  bool released_ NEAP_GUARDED_BY(mutex_) = false;
  int hanging_ NEAP_GUARDED_BY(mutex_) = 0;
  int opened_ NEAP_GUARDED_BY(mutex_) = 0;
  int watches_ NEAP_GUARDED_BY(mutex_) = 0;
  std::vector<size_t> batches_ NEAP_GUARDED_BY(mutex_);
  Sink* sink_ NEAP_GUARDED_BY(mutex_) = nullptr;
};

class FakeTrigger : public Trigger {
 public:
  explicit FakeTrigger(const Parameters& parameters)
      : value(parameters.Float("value")),
        values(static_cast<size_t>(parameters.Int("values"))),
        source(parameters.Text("source")),
        fault(parameters.Text("fault")) {}
  std::vector<MetricSpec> metrics() const override {
    return {{.name = "fake", .target = Target{.kind = TargetKind::kAverageValue, .amount = 1000}}};
  }
  std::string source_key() const override { return source; }

  const double value;
  const size_t values;
  const std::string source;
  const std::string fault;
};

class FakeScaler : public Scaler {
 public:
  explicit FakeScaler(FakeControl& control) : control_(control) {}
  static std::vector<std::unique_ptr<Scaler>> Make(FakeControl& control) {
    std::vector<std::unique_ptr<Scaler>> out;
    out.push_back(std::make_unique<FakeScaler>(control));
    return out;
  }

  std::string_view manifest() const override {
    return R"(
      trigger_types {
        type: "fake" summary: "for tests" pushes: true allowed_targets: AVERAGE_VALUE
        parameters { name: "value" kind: FLOAT default_value: "1" }
        parameters { name: "values" kind: INT default_value: "1" description: "so many of them" }
        parameters { name: "source" kind: STRING default_value: "here" }
        parameters { name: "fault" kind: STRING default_value: "none" description: "what goes wrong" }
        parameters { name: "password" kind: STRING secret: true sources: AUTH sources: ENV }
      })";
  }

  absl::StatusOr<std::unique_ptr<Trigger>> Open(const Parameters& parameters) override {
    control_.Opened();
    if (parameters.Text("fault") == "open") throw std::runtime_error("open threw");
    return std::make_unique<FakeTrigger>(parameters);
  }

  std::vector<Reading> Read(std::span<const Trigger* const> triggers, ReadContext&) override {
    control_.Batch(triggers.size());
    std::vector<Reading> out;
    for (const Trigger* trigger : triggers) {
      const auto& fake = static_cast<const FakeTrigger&>(*trigger);
      if (fake.fault == "hang") control_.Hang();
      if (fake.fault == "throw") throw std::runtime_error("read threw");
      if (fake.fault == "count") return {};
      if (fake.fault == "error") {
        out.push_back(Reading::Failed({.kind = ErrorKind::kNotFound, .message = "no \xff here"}));
        continue;
      }
      Reading reading = Reading::Of(fake.fault == "name" ? "other" : "fake", fake.value, 0);
      if (fake.fault == "nan") reading = Reading::Of("fake", 0.0 / 0.0 * fake.value, 0);
      if (fake.fault == "inactive") reading.metrics[0].active.reset();
      std::get<Series>(reading.metrics[0].result).real.resize(fake.values);
      out.push_back(std::move(reading));
    }
    return out;
  }

  std::unique_ptr<Subscription> Watch(const Trigger&, Sink& sink) override {
    control_.SetSink(&sink);
    return std::make_unique<FakeSubscription>(control_);
  }

 private:
  class FakeSubscription : public Subscription {
   public:
    explicit FakeSubscription(FakeControl& control) : control_(control) {}
    ~FakeSubscription() override { control_.SetSink(nullptr); }

   private:
    FakeControl& control_;
  };
  FakeControl& control_;
};

}  // namespace neap::sdk
