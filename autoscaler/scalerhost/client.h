// Client: one-shot calls to a scaler for tools (neapctl scaler describe and read, validate,
// conformance). It waits for each answer; the daemon uses Host instead. Answers pass the same
// checks as Host's. Thread-safe.
//
//   NEAP_ASSIGN_OR_RETURN(auto client, scalerhost::Client::Make("unix:///run/neap/scalers.sock"));
//   NEAP_ASSIGN_OR_RETURN(scalerhost::Description scaler, client->Describe());
//
// Errors of every call name the address: Unavailable (nobody there, or the connection broke),
// DeadlineExceeded, Unimplemented, DataLoss for an answer that breaks the contract,
// FailedPrecondition for secrets that would travel in the open, else what the scaler says.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autoscaler/catalog/catalog.h"
#include "autoscaler/control/messages.h"
#include "autoscaler/scalerhost/address.h"

namespace neap::scalerhost {

struct Description {
  std::string name;
  std::string version;
  uint32_t contract_minor = 0;
  uint32_t max_triggers_per_read = 0;  // 0 = no limit
  std::vector<catalog::TriggerType> types;
};

// A trigger with its secrets. `subscription.id` may be "": one is given.
struct TriggerRequest {
  control::Subscription subscription = {};
  // Resolved secrets: only for Unix sockets and TLS.
  catalog::Texts auth = {};
  catalog::Texts env = {};
  std::string pod_identity = {};  // provider; "" = none
};

// One per request, in the same order.
struct TriggerAnswer {
  control::TriggerOpened opened;
  control::TriggerReading reading;
};

struct Validation {
  std::vector<core::MetricSpec> metrics;  // as TriggerOpened's
  std::vector<catalog::FieldError> errors;
  std::vector<std::string> warnings;
  std::optional<core::ReadingError> source_error;  // with try_source: why it could not be read
};

class Client {
 public:
  // Connects at the first call. Errors: InvalidArgument naming the address or file.
  static absl::StatusOr<std::unique_ptr<Client>> Make(const std::string& address,
                                                      const std::optional<Tls>& tls = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  absl::StatusOr<Description> Describe(absl::Duration timeout = absl::Seconds(5));
  // Asks in as many calls as the scaler's limit makes necessary; `timeout` is for all of them.
  absl::StatusOr<std::vector<TriggerAnswer>> Read(const std::vector<TriggerRequest>& triggers,
                                                  absl::Duration timeout = absl::Seconds(10));
  // Unimplemented: this scaler only has its manifest to check against.
  absl::StatusOr<Validation> Validate(const TriggerRequest& trigger, bool try_source,
                                      absl::Duration timeout = absl::Seconds(10));

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace neap::scalerhost
