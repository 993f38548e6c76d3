// behavior of autoscaling/v2: per field, the user's rule or the API's default.
#include <array>

#include "autoscaler/kube/objects/fields.h"

namespace neap::kube::objects {
namespace {

constexpr int32_t kMaxWindowSeconds = 3600;
constexpr int32_t kMaxPeriodSeconds = 1800;
constexpr std::array<std::string_view, 3> kSelectPolicies = {"Disabled", "Max", "Min"};
constexpr std::array<std::string_view, 2> kPolicyTypes = {"Percent", "Pods"};

core::ScalingPolicy DecodePolicy(const value::Value& value, std::string path, Report& report) {
  Fields f(&value, std::move(path), report, {"type", "value", "periodSeconds"});
  core::ScalingPolicy out;
  if (f.Get("type") == nullptr) {
    f.NotSupported("type", "", kPolicyTypes);
  } else if (const auto type = f.Enum("type", kPolicyTypes)) {
    out.type = *type == 0 ? core::PolicyType::kPercent : core::PolicyType::kPods;
  }
  // What is missing is 0 in the API, and so refused by the same check.
  const auto positive = [&f](std::string_view key) {
    const bool missing = f.Get(key) == nullptr;
    const std::optional<int32_t> number = f.Int32(key);
    if (missing) {
      f.Error(key, "Invalid value: 0: must be greater than zero");
    } else if (number && *number <= 0) {
      f.Invalid(key, "must be greater than zero");
    }
    return number.value_or(0);
  };
  out.value = positive("value");
  out.period_seconds = positive("periodSeconds");
  if (out.period_seconds > kMaxPeriodSeconds) {
    f.Invalid("periodSeconds", fmt::format("must be less than or equal to {}", kMaxPeriodSeconds));
  }
  return out;
}

core::ScalingRules DecodeRules(Fields& parent, std::string_view direction,
                               core::ScalingRules rules) {
  Fields f(parent, direction,
           {"stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance"});
  if (const auto window = f.Int32("stabilizationWindowSeconds")) {
    rules.stabilization_window_seconds = *window;
    if (*window < 0) {
      f.Invalid("stabilizationWindowSeconds", "must be greater than or equal to zero");
    } else if (*window > kMaxWindowSeconds) {
      f.Invalid("stabilizationWindowSeconds",
                fmt::format("must be less than or equal to {}", kMaxWindowSeconds));
    }
  }
  if (const auto policy = f.Enum("selectPolicy", kSelectPolicies)) {
    constexpr core::SelectPolicy kAll[] = {core::SelectPolicy::kDisabled, core::SelectPolicy::kMax,
                                           core::SelectPolicy::kMin};
    rules.select_policy = kAll[*policy];
  }
  if (const auto* policies = f.List("policies"); policies != nullptr) {
    rules.policies.clear();
    if (policies->empty()) f.Required("policies", "must specify at least one Policy");
    for (size_t i = 0; i < policies->size(); ++i) {
      rules.policies.push_back(
          DecodePolicy((*policies)[i], fmt::format("{}[{}]", f.Path("policies"), i), f.report()));
    }
  }
  if (const auto tolerance = f.Quantity("tolerance")) {
    if (tolerance->Sign() < 0) f.Invalid("tolerance", "must be greater than or equal to 0");
    rules.tolerance = tolerance->AsDouble();
  }
  return rules;
}

}  // namespace

core::Behavior DecodeBehavior(Fields& parent, std::string_view key) {
  Fields f(parent, key, {"scaleUp", "scaleDown"});
  core::ScalingRules up;
  up.stabilization_window_seconds = 0;
  up.policies = {{.type = core::PolicyType::kPods, .value = 4, .period_seconds = 15},
                 {.type = core::PolicyType::kPercent, .value = 100, .period_seconds = 15}};
  core::ScalingRules down;  // its window stays open: the installation's option fills it
  down.policies = {{.type = core::PolicyType::kPercent, .value = 100, .period_seconds = 15}};
  return {.scale_up = DecodeRules(f, "scaleUp", std::move(up)),
          .scale_down = DecodeRules(f, "scaleDown", std::move(down))};
}

}  // namespace neap::kube::objects
