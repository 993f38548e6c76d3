// For the tests of scalers: opens and reads triggers without a server in between, and checks a
// scaler against the recorded parse rows of KEDA's own constructors. One thread.
//
//   TestScaler redis(scalers::redis::Make());
//   auto trigger = redis.Open("redis", {{"address", address}, {"listName", "jobs"}});
//   sdk::Reading reading = redis.Read(*trigger);
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "autoscaler/http/client.h"
#include "scalers/sdk/scaler.h"

namespace neap::sdk {

// A context with a deadline from now and a clock that tests may set.
class TestContext : public ReadContext {
 public:
  explicit TestContext(http::Client& client, absl::Duration deadline = absl::Seconds(5));
  absl::Duration remaining() const override;
  bool cancelled() const override { return cancelled_; }
  absl::Time now() const override;
  http::Client& http() override { return client_; }

  void set_now(absl::Time now) { now_ = now; }
  void Cancel() { cancelled_ = true; }

 private:
  http::Client& client_;
  const std::chrono::steady_clock::time_point end_;
  absl::Time now_ = absl::InfinitePast();  // InfinitePast: the machine's clock
  std::atomic<bool> cancelled_ = false;
};

// A trigger that was opened, or why not.
struct Opened {
  std::unique_ptr<Trigger> trigger;
  std::vector<catalog::FieldError> errors;
  // "parameter: message; ..." of the errors, "" when it was opened.
  std::string ErrorText() const;
  const Trigger* operator->() const { return trigger.get(); }
};

class TestScaler {
 public:
  // Aborts when a manifest can't be parsed.
  explicit TestScaler(std::vector<std::unique_ptr<Scaler>> scalers);

  Opened Open(const TriggerRequest& request);
  Opened Open(const std::string& type, catalog::Texts metadata, catalog::Texts auth = {},
              catalog::Texts env = {});
  // Reads triggers of one type together.
  std::vector<Reading> Read(const std::vector<const Trigger*>& triggers, ReadContext& context);
  // Reads one trigger; the test aborts when it was not opened.
  Reading Read(const Opened& opened, absl::Duration deadline = absl::Seconds(5));
  Reading Read(const Opened& opened, ReadContext& context);

  http::Client& http() { return client_; }
  const std::vector<catalog::TriggerType>& types() const { return types_; }

 private:
  http::Client client_;
  std::vector<std::unique_ptr<Scaler>> scalers_;
  std::vector<catalog::TriggerType> types_;
  std::vector<Scaler*> scaler_of_type_;  // parallel to types_
};

// The only value of a reading as text: "42", "absent 0", or "Kind: message" of its error.
std::string Describe(const Reading& reading);

// Runs the rows of tests/conformance/keda/parse.jsonl.gz of one trigger type through Open and
// compares what was accepted and the metrics that came of it. Rows whose id is listed in
// tests/conformance/keda_differences.txt ("<id> <reason>" a line) must differ. Gives one line per
// disagreement; `passed` counts the rows that agree or differ as listed.
std::vector<std::string> CompareParseRows(TestScaler& scaler, const std::string& type, int& passed);

}  // namespace neap::sdk
