// OpenedTriggers: finds the scaler of a trigger, opens it, and shares it: triggers of equal content
// are opened once, for all streams and calls. Asks scalers what they make of a trigger and refuses
// what the contract does not allow.
//
// Owned by Server. Thread-safe. Scaler::Open and Scaler::Watch are called here, on the caller's
// thread; what they throw becomes an error.
#pragma once

#include <absl/status/statusor.h>

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "scalers/sdk/scaler.h"

namespace neap::sdk {

// Hears the readings that a shared trigger pushes.
class PushListener {
 public:
  virtual ~PushListener() = default;
  virtual void OnPush(const Reading& reading) = 0;  // checked; on any thread; short
};

// A trigger that is open, with what its scaler says of it. Thread-safe.
class OpenedTrigger {
 public:
  OpenedTrigger(Scaler& scaler, std::unique_ptr<Trigger> trigger, std::vector<MetricSpec> metrics,
                std::string key, bool pushes);
  ~OpenedTrigger();  // nobody listens any more
  OpenedTrigger(const OpenedTrigger&) = delete;
  OpenedTrigger& operator=(const OpenedTrigger&) = delete;

  Scaler& scaler() const { return scaler_; }
  const Trigger& trigger() const { return *trigger_; }
  const std::vector<MetricSpec>& metrics() const { return metrics_; }
  // The scaler and its source_key: what is read together.
  const std::string& key() const { return key_; }

  // Pushed readings go to `listener` until Remove, which returns when none is on its way to it. The
  // scaler watches while there is a listener. Neither is called by a listener.
  void Add(PushListener* listener) NEAP_EXCLUDES(watching_, mutex_);
  void Remove(PushListener* listener) NEAP_EXCLUDES(watching_, mutex_);

 private:
  class Fan;  // the Sink
  Scaler& scaler_;
  const std::unique_ptr<Trigger> trigger_;
  const std::vector<MetricSpec> metrics_;
  const std::string key_;
  const bool pushes_;

  base::Mutex watching_;  // held while the scaler begins to watch; taken before mutex_
  base::Mutex mutex_;
  std::vector<PushListener*> listeners_ NEAP_GUARDED_BY(mutex_);
  const std::unique_ptr<Fan> fan_;
  std::unique_ptr<Subscription> subscription_ NEAP_GUARDED_BY(watching_);
};

// Why a trigger can't be read.
struct Refusal {
  Error error;
  std::vector<catalog::FieldError> fields = {};  // what exactly, when the parameters are at fault
  // As one text, for a reading: it has no fields.
  Error Whole() const;
};

class OpenedTriggers {
 public:
  // `is_private`: what comes in travels over a Unix socket or TLS. Otherwise triggers with secrets
  // are refused. Errors: InvalidArgument naming the manifest or a type that two scalers serve.
  static absl::StatusOr<std::unique_ptr<OpenedTriggers>> Make(
      std::vector<std::unique_ptr<Scaler>> scalers, bool is_private);

  // All types, in the order of the scalers.
  const std::vector<catalog::TriggerType>& types() const { return types_; }
  const catalog::TriggerType* FindType(std::string_view type) const;

  // The open trigger, or nullptr and `refusal`.
  std::shared_ptr<OpenedTrigger> Open(const TriggerRequest& request, Refusal& refusal);
  // The same; it stays open for some minutes after its last use, for callers that do not keep it.
  std::shared_ptr<OpenedTrigger> OpenForCall(const TriggerRequest& request, Refusal& refusal);

 private:
  using Clock = std::chrono::steady_clock;
  struct Type {
    Scaler* scaler = nullptr;
    size_t scaler_index = 0;
    size_t index = 0;  // in types_
  };
  struct Kept {
    std::shared_ptr<OpenedTrigger> trigger;
    Clock::time_point used;
  };
  using KeptList = std::list<Kept>;  // the latest used first

  explicit OpenedTriggers(bool is_private) : is_private_(is_private) {}
  std::shared_ptr<OpenedTrigger> Make(const TriggerRequest& request, Refusal& refusal) const;

  const bool is_private_;
  std::vector<std::unique_ptr<Scaler>> scalers_;
  std::vector<catalog::TriggerType> types_;
  std::map<std::string, Type, std::less<>> by_name_;

  base::Mutex mutex_;
  // By a hash of the content, which shows no secret.
  std::map<std::string, std::weak_ptr<OpenedTrigger>> shared_ NEAP_GUARDED_BY(mutex_);
  size_t sweep_at_ NEAP_GUARDED_BY(mutex_) = 1000;  // size of shared_ at which the dead are removed
  KeptList kept_ NEAP_GUARDED_BY(mutex_);
  std::map<const OpenedTrigger*, KeptList::iterator> kept_at_ NEAP_GUARDED_BY(mutex_);
};

}  // namespace neap::sdk
