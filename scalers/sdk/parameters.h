// Parameters: what a scaler is given to open a trigger, already checked against its manifest.
// Immutable; thread-safe. Secret: text that does not print.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autoscaler/catalog/catalog.h"

namespace neap::sdk {

enum class TargetKind;

// A password, token or key. Has no conversion to text and no formatter; `Reveal` is called where it
// is sent and nowhere else.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  const std::string& Reveal() const { return text_; }
  bool empty() const { return text_.empty(); }
  // Equal for equal secrets, and of no use to find one: for source keys.
  uint64_t Fingerprint() const;

 private:
  std::string text_;
};

// The object a trigger belongs to.
struct ObjectContext {
  std::string ns;
  std::string kind;
  std::string name;
  std::string uid;
  std::string pod_selector;  // canonical, from scale.status.selector
};

// A trigger as the host sends it.
struct TriggerRequest {
  std::string type;
  catalog::TriggerText text;
  ObjectContext context;
  absl::Duration interval = absl::ZeroDuration();  // longest time between polls, a hint
  TargetKind requested_target{};                   // the user's metricType
};

// Getters take a name that the manifest declares (NEAP_CHECK: anything else is a fault of the
// scaler) and a value of its kind. Not set and without default: "" / 0 / false / empty.
class Parameters {
 public:
  // `type` and `request` outlive this; the request has passed catalog::Check.
  Parameters(const catalog::TriggerType& type, const TriggerRequest& request)
      : type_(type), request_(request) {}

  const std::string& type() const { return request_.type; }
  const ObjectContext& context() const { return request_.context; }
  absl::Duration interval() const { return request_.interval; }
  TargetKind requested_target() const { return request_.requested_target; }
  // "" when there is none.
  std::string pod_identity() const;

  // Set by the user; a default does not count. `source` tells where, when not nullptr.
  bool IsSet(std::string_view name, catalog::Source* source = nullptr) const;
  std::string Text(std::string_view name) const;
  Secret GetSecret(std::string_view name) const;
  int64_t Int(std::string_view name) const;
  double Float(std::string_view name) const;
  bool Bool(std::string_view name) const;
  absl::Duration Duration(std::string_view name) const;
  std::vector<std::string> List(std::string_view name) const;
  std::vector<std::pair<std::string, std::string>> Map(std::string_view name) const;

 private:
  std::string Value(std::string_view name) const;

  const catalog::TriggerType& type_;
  const TriggerRequest& request_;
};

// InvalidArgument "<parameter>: <message>" that remembers the parameter.
absl::Status BadParameterStatus(std::string_view parameter, std::string_view message);
template <typename... Args>
[[nodiscard]] absl::Status BadParameter(std::string_view parameter,
                                        fmt::format_string<Args...> format, Args&&... args) {
  return BadParameterStatus(parameter, fmt::format(format, std::forward<Args>(args)...));
}
// The parameter and message of such a status; the parameter is "" for any other status.
catalog::FieldError ToFieldError(const absl::Status& status);

}  // namespace neap::sdk
