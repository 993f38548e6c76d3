#include "autoscaler/scalerhost/client.h"

#include <algorithm>
#include <future>
#include <utility>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/status.h"
#include "autoscaler/scalerhost/check.h"
#include "autoscaler/scalerhost/connection.h"
#include "autoscaler/scalerhost/wire.h"

namespace neap::scalerhost {
namespace {

constexpr size_t kMaxPerRead = 1000;

// Waits for a call's answer.
template <typename Response>
struct Waiter {
  std::promise<absl::StatusOr<Response>> promise;
  Connection::Done<Response> Done() {
    return [this](absl::StatusOr<Response> answer) { promise.set_value(std::move(answer)); };
  }
  absl::StatusOr<Response> Wait() { return promise.get_future().get(); }
};

}  // namespace

class Client::Impl {
 public:
  Impl(std::string address, std::unique_ptr<Connection> connection)
      : address_(std::move(address)), connection_(std::move(connection)) {}

  absl::StatusOr<Description> Describe(absl::Duration timeout);
  absl::StatusOr<std::vector<TriggerAnswer>> Read(const std::vector<TriggerRequest>& triggers,
                                                  absl::Duration timeout);
  absl::StatusOr<Validation> Validate(const TriggerRequest& trigger, bool try_source,
                                      absl::Duration timeout);

 private:
  absl::StatusOr<pb::DescribeResponse> AskDescription(absl::Duration timeout);
  absl::StatusOr<pb::Trigger> ToWireWithSecrets(const TriggerRequest& request) const;
  absl::Status ReadSome(const std::vector<pb::Trigger>& triggers, absl::Duration timeout,
                        std::vector<TriggerAnswer>& answers);

  const std::string address_;
  const std::unique_ptr<Connection> connection_;
  const base::Clock clock_;
};

absl::StatusOr<pb::DescribeResponse> Client::Impl::AskDescription(absl::Duration timeout) {
  Waiter<pb::DescribeResponse> waiter;
  connection_->Describe(timeout, waiter.Done());
  return waiter.Wait();
}

absl::StatusOr<Description> Client::Impl::Describe(absl::Duration timeout) {
  NEAP_ASSIGN_OR_RETURN(pb::DescribeResponse answer, AskDescription(timeout));
  Description description{.name = CleanText(answer.name()),
                          .version = CleanText(answer.version()),
                          .contract_minor = answer.contract_minor(),
                          .max_triggers_per_read = answer.max_triggers_per_read(),
                          .types = {}};
  pb::Manifest manifest;
  *manifest.mutable_trigger_types() = answer.trigger_types();
  auto types = catalog::ParseBinaryManifest(manifest.SerializeAsString(), "scaler " + address_);
  if (!types.ok()) return base::DataLoss("{}", base::Message(types.status()));
  description.types = *std::move(types);
  return description;
}

absl::StatusOr<pb::Trigger> Client::Impl::ToWireWithSecrets(const TriggerRequest& request) const {
  pb::Trigger wire = ToWire(request.subscription);
  if (!connection_->is_private() && (!request.auth.empty() || !request.env.empty())) {
    return base::FailedPrecondition(
        "scaler {}: the trigger's credentials would travel in the open; use a Unix socket or TLS",
        address_);
  }
  wire.mutable_auth()->insert(request.auth.begin(), request.auth.end());
  wire.mutable_env()->insert(request.env.begin(), request.env.end());
  wire.set_pod_identity(request.pod_identity);
  return wire;
}

absl::StatusOr<std::vector<TriggerAnswer>> Client::Impl::Read(
    const std::vector<TriggerRequest>& triggers, absl::Duration timeout) {
  const absl::Duration deadline = clock_.Elapsed() + timeout;
  std::vector<pb::Trigger> wire;
  for (const TriggerRequest& request : triggers) {
    NEAP_ASSIGN_OR_RETURN(pb::Trigger one, ToWireWithSecrets(request));
    if (one.id().empty()) one.set_id(fmt::format("{}", wire.size()));
    wire.push_back(std::move(one));
  }
  NEAP_ASSIGN_OR_RETURN(const pb::DescribeResponse described, AskDescription(timeout));
  const size_t most = described.max_triggers_per_read() == 0
                          ? kMaxPerRead
                          : std::min<size_t>(kMaxPerRead, described.max_triggers_per_read());
  std::vector<TriggerAnswer> answers;
  for (size_t i = 0; i < wire.size(); i += most) {
    const auto first = wire.begin() + static_cast<ptrdiff_t>(i);
    const auto last = wire.begin() + static_cast<ptrdiff_t>(std::min(i + most, wire.size()));
    NEAP_RETURN_IF_ERROR(ReadSome({first, last}, deadline - clock_.Elapsed(), answers));
  }
  return answers;
}

absl::Status Client::Impl::ReadSome(const std::vector<pb::Trigger>& triggers,
                                    absl::Duration timeout, std::vector<TriggerAnswer>& answers) {
  pb::ReadRequest request;
  for (const pb::Trigger& trigger : triggers) *request.add_triggers() = trigger;
  Waiter<pb::ReadResponse> waiter;
  connection_->Read(std::move(request), timeout, waiter.Done());
  NEAP_ASSIGN_OR_RETURN(const pb::ReadResponse answer, waiter.Wait());
  const int count = static_cast<int>(triggers.size());
  if (answer.statuses_size() != count || answer.readings_size() != count) {
    return base::DataLoss("scaler {}: {} triggers were asked for, {} statuses and {} readings came",
                          address_, count, answer.statuses_size(), answer.readings_size());
  }
  Violations violations = {};  // each is an error of its metric, too
  for (int i = 0; i < count; ++i) {
    const pb::Trigger& trigger = triggers[static_cast<size_t>(i)];
    if (answer.statuses(i).trigger_id() != trigger.id() ||
        answer.readings(i).trigger_id() != trigger.id()) {
      return base::DataLoss("scaler {}: the answer is not in the order of the triggers", address_);
    }
    control::TriggerOpened opened = CheckStatus(answer.statuses(i), trigger.type(), violations);
    control::TriggerReading reading =
        CheckReading(answer.readings(i), trigger.type(), opened, clock_.Now(), violations);
    answers.push_back({.opened = std::move(opened), .reading = std::move(reading)});
  }
  return absl::OkStatus();
}

absl::StatusOr<Validation> Client::Impl::Validate(const TriggerRequest& trigger, bool try_source,
                                                  absl::Duration timeout) {
  pb::ValidateRequest request;
  NEAP_ASSIGN_OR_RETURN(*request.mutable_trigger(), ToWireWithSecrets(trigger));
  request.set_try_source(try_source);
  Waiter<pb::ValidateResponse> waiter;
  connection_->Validate(std::move(request), timeout, waiter.Done());
  NEAP_ASSIGN_OR_RETURN(const pb::ValidateResponse answer, waiter.Wait());
  Validation result;
  for (const pb::FieldError& error : answer.errors()) {
    result.errors.push_back(
        {.parameter = CleanText(error.parameter()), .message = CleanText(error.message())});
  }
  for (const std::string& warning : answer.warnings()) {
    result.warnings.push_back(CleanText(warning));
  }
  if (answer.has_source_error()) result.source_error = ErrorOf(answer.source_error());
  if (result.errors.empty() && !IsHpaType(trigger.subscription.type)) {
    Violations violations = {};
    auto metrics = CheckMetrics(answer.metrics(), /*zero_targets=*/true, violations);
    if (!metrics.ok()) {
      return base::DataLoss("scaler {}: {}", address_, base::Message(metrics.status()));
    }
    result.metrics = *std::move(metrics);
  }
  return result;
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

absl::StatusOr<std::unique_ptr<Client>> Client::Make(const std::string& address,
                                                     const std::optional<Tls>& tls) {
  NEAP_ASSIGN_OR_RETURN(auto connection, Connection::Make(address, tls, ConnectionOptions()));
  return std::unique_ptr<Client>(
      new Client(std::make_unique<Impl>(address, std::move(connection))));
}

absl::StatusOr<Description> Client::Describe(absl::Duration timeout) {
  return impl_->Describe(timeout);
}
absl::StatusOr<std::vector<TriggerAnswer>> Client::Read(const std::vector<TriggerRequest>& triggers,
                                                        absl::Duration timeout) {
  return impl_->Read(triggers, timeout);
}
absl::StatusOr<Validation> Client::Validate(const TriggerRequest& trigger, bool try_source,
                                            absl::Duration timeout) {
  return impl_->Validate(trigger, try_source, timeout);
}

}  // namespace neap::scalerhost
