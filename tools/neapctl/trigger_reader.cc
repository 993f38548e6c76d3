#include "tools/neapctl/trigger_reader.h"

#include <utility>

#include "autoscaler/base/status.h"

namespace neap::ctl {

TriggerReader::TriggerReader(std::string address, bool may_read)
    : address_(std::move(address)), may_read_(may_read) {}

absl::Status TriggerReader::Connect() {
  if (client_ != nullptr) return absl::OkStatus();
  if (address_.empty()) {
    NEAP_ASSIGN_OR_RETURN(own_, OwnScalers::Start());
    address_ = own_->address();
  }
  NEAP_ASSIGN_OR_RETURN(client_, scalerhost::Client::Make(address_));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<core::MetricSpec>> TriggerReader::Read(
    const core::AutoscalerSpec& spec, const core::TriggerSpec& trigger) {
  NEAP_RETURN_IF_ERROR(Connect());
  scalerhost::TriggerRequest request;
  request.subscription.type = trigger.type;
  request.subscription.metadata = trigger.metadata;
  request.subscription.ns = spec.key.ns;
  request.subscription.object_kind = "Autoscaler";
  request.subscription.object_name = spec.key.name;
  request.subscription.requested_target = trigger.metric_type;
  auto answer = client_->Validate(request, /*try_source=*/false);
  if (may_read_ && absl::IsUnimplemented(answer.status())) return Opened(request);
  if (!answer.ok()) return answer.status();
  std::string problems;
  for (const catalog::FieldError& e : answer->errors) {
    problems += fmt::format("{}{}: {}", problems.empty() ? "" : "; ", e.parameter, e.message);
  }
  if (!problems.empty()) return base::InvalidArgument("{}", problems);
  for (core::MetricSpec& metric : answer->metrics) metric.from_trigger = true;
  return std::move(answer->metrics);
}

absl::StatusOr<std::vector<core::MetricSpec>> TriggerReader::Opened(
    const scalerhost::TriggerRequest& request) {
  auto answers = client_->Read({request});
  if (!answers.ok()) return answers.status();
  control::TriggerOpened& opened = answers->front().opened;
  if (opened.error) return base::Unavailable("{}", opened.error->message);
  return std::move(opened.metrics);
}

}  // namespace neap::ctl
