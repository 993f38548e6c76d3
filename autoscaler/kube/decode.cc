#include "autoscaler/kube/decode.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"

namespace neap::kube {
namespace {

using api::EachElement;
using api::EachMember;
using api::GetInt32;
using api::GetString;
using api::GetText;
using api::JsonObject;
using api::JsonValue;

absl::Status DecodeSelector(JsonValue& value, base::LabelSelector* out) {
  return EachMember(value, [&](std::string_view key, JsonValue& member) {
    if (key == "matchLabels") {
      return EachMember(member, [&](std::string_view label, JsonValue& text) {
        std::string name(label);
        std::string wanted;
        NEAP_RETURN_IF_ERROR(GetString(text, &wanted));
        out->match_labels.emplace_back(std::move(name), std::move(wanted));
        return absl::OkStatus();
      });
    }
    if (key == "matchExpressions") {
      return EachElement(member, [&](JsonValue& element) {
        base::LabelSelector::Expression& expression = out->match_expressions.emplace_back();
        return EachMember(element, [&](std::string_view field, JsonValue& text) {
          if (field == "key") return GetString(text, &expression.key);
          if (field == "operator") return GetString(text, &expression.op);
          if (field != "values") return absl::OkStatus();
          return EachElement(text, [&](JsonValue& one) {
            return GetString(one, &expression.values.emplace_back());
          });
        });
      });
    }
    return absl::OkStatus();
  });
}

// An RFC 3339 time; what can't be read stays unset and is named in *problem.
absl::Status DecodeTime(JsonValue& value, std::string_view field, absl::Time* out,
                        std::string* problem) {
  std::string text;
  NEAP_RETURN_IF_ERROR(GetString(value, &text));
  if (text.empty()) return absl::OkStatus();
  const auto time = base::ParseTime(text);
  if (time.ok()) {
    *out = *time;
  } else {
    *problem = fmt::format("{}: {}", field, base::Message(time.status()));
  }
  return absl::OkStatus();
}

// {"cpu": "100m", ...}, sorted by name. An amount that can't be read is left out, which makes the
// request missing, never zero.
absl::Status DecodeAmounts(JsonValue& value, core::ResourceAmounts* out, std::string* problem) {
  const auto each = [&](std::string_view key, JsonValue& amount) -> absl::Status {
    std::string name(key);
    std::string text;
    simdjson::ondemand::json_type type{};
    if (auto error = amount.type().get(type)) return api::JsonError(error);
    if (type == simdjson::ondemand::json_type::number) {  // the API accepts numbers, too
      double number = 0;
      std::string_view token = amount.raw_json_token();
      while (!token.empty() && token.back() <= ' ') token.remove_suffix(1);
      text = token;
      if (auto error = amount.get_double().get(number)) return api::JsonError(error);
    } else {
      NEAP_RETURN_IF_ERROR(GetString(amount, &text));
    }
    const auto quantity = base::Quantity::Parse(text);
    if (quantity.ok()) {
      out->push_back(core::ResourceAmount::Of(std::move(name), *quantity));
    } else {
      *problem = fmt::format("resources.requests.{}: {}", name, base::Message(quantity.status()));
    }
    return absl::OkStatus();
  };
  NEAP_RETURN_IF_ERROR(EachMember(value, each));
  std::sort(out->begin(), out->end(),
            [](const auto& a, const auto& b) { return a.resource < b.resource; });
  return absl::OkStatus();
}

absl::Status DecodeRequests(JsonValue& resources, core::ResourceAmounts* out,
                            std::string* problem) {
  return EachMember(resources, [&](std::string_view key, JsonValue& member) {
    return key == "requests" ? DecodeAmounts(member, out, problem) : absl::OkStatus();
  });
}

absl::Status DecodeContainers(JsonValue& value, std::vector<core::PodRequests::Container>* out,
                              std::string* problem) {
  return EachElement(value, [&](JsonValue& element) {
    core::PodRequests::Container& container = out->emplace_back();
    return EachMember(element, [&](std::string_view key, JsonValue& member) -> absl::Status {
      if (key == "name") return GetString(member, &container.name);
      if (key == "resources") return DecodeRequests(member, &container.requests, problem);
      if (key == "restartPolicy") {
        std::string policy;
        NEAP_RETURN_IF_ERROR(GetString(member, &policy));
        container.sidecar = policy == "Always";
      }
      return absl::OkStatus();
    });
  });
}

absl::Status DecodePodSpec(JsonValue& value, core::PodRequests* out, std::string* problem) {
  return EachMember(value, [&](std::string_view key, JsonValue& member) -> absl::Status {
    if (key == "containers") return DecodeContainers(member, &out->containers, problem);
    if (key == "initContainers") return DecodeContainers(member, &out->init_containers, problem);
    if (key == "overhead") return DecodeAmounts(member, &out->overhead, problem);
    if (key == "resources") {
      return EachMember(member, [&](std::string_view field, JsonValue& amounts) {
        if (field != "requests") return absl::OkStatus();
        return DecodeAmounts(amounts, &out->pod_level.emplace(), problem);
      });
    }
    return absl::OkStatus();
  });
}

core::PodPhase PhaseOf(std::string_view text) {
  if (text == "Pending") return core::PodPhase::kPending;
  if (text == "Running") return core::PodPhase::kRunning;
  if (text == "Succeeded") return core::PodPhase::kSucceeded;
  if (text == "Failed") return core::PodPhase::kFailed;
  return core::PodPhase::kUnknown;
}

// status.containerStatuses or initContainerStatuses: whether one waits in CrashLoopBackOff.
absl::Status DecodeContainerStatuses(JsonValue& value, core::PodTrouble* trouble) {
  return EachElement(value, [&](JsonValue& element) {
    return EachMember(element, [&](std::string_view key, JsonValue& state) {
      if (key != "state") return absl::OkStatus();
      return EachMember(state, [&](std::string_view kind, JsonValue& member) {
        if (kind != "waiting") return absl::OkStatus();
        return EachMember(member, [&](std::string_view field, JsonValue& text) -> absl::Status {
          if (field != "reason") return absl::OkStatus();
          std::string reason;
          NEAP_RETURN_IF_ERROR(GetString(text, &reason));
          if (reason == "CrashLoopBackOff") *trouble = core::PodTrouble::kCrashLoop;
          return absl::OkStatus();
        });
      });
    });
  });
}

// The fields that conditions of all kinds have; the time with those of pods.
struct ConditionFields {
  std::string type;
  std::string status;
  std::string reason;
  std::string message;
  absl::Time changed = absl::InfinitePast();
};
absl::Status DecodeCondition(JsonValue& value, ConditionFields* out, std::string* problem) {
  return EachMember(value, [&](std::string_view field, JsonValue& text) -> absl::Status {
    if (field == "type") return GetString(text, &out->type);
    if (field == "status") return GetString(text, &out->status);
    if (field == "reason") return GetString(text, &out->reason);
    if (field == "message") return GetString(text, &out->message);
    if (field == "lastTransitionTime") {
      return DecodeTime(text, "status.conditions.lastTransitionTime", &out->changed, problem);
    }
    return absl::OkStatus();
  });
}

absl::Status DecodePodStatus(JsonValue& value, core::Pod* pod, std::string* problem) {
  return EachMember(value, [&](std::string_view key, JsonValue& member) -> absl::Status {
    if (key == "phase") {
      std::string phase;
      NEAP_RETURN_IF_ERROR(GetString(member, &phase));
      pod->phase = PhaseOf(phase);
      return absl::OkStatus();
    }
    if (key == "startTime") {
      absl::Time start = pod->start;
      NEAP_RETURN_IF_ERROR(DecodeTime(member, "status.startTime", &start, problem));
      pod->start = start;
      return absl::OkStatus();
    }
    if (key == "containerStatuses" || key == "initContainerStatuses") {
      return DecodeContainerStatuses(member, &pod->trouble);
    }
    if (key != "conditions") return absl::OkStatus();
    return EachElement(member, [&](JsonValue& element) {
      ConditionFields condition;
      NEAP_RETURN_IF_ERROR(DecodeCondition(element, &condition, problem));
      if (condition.type == "PodScheduled" && condition.status == "False" &&
          condition.reason == "Unschedulable") {
        pod->trouble = core::PodTrouble::kUnschedulable;
      }
      if (condition.type != "Ready" || pod->ready != core::PodReady::kNone) return absl::OkStatus();
      pod->ready = condition.status == "True"    ? core::PodReady::kTrue
                   : condition.status == "False" ? core::PodReady::kFalse
                                                 : core::PodReady::kUnknown;
      pod->ready_at = condition.changed;
      return absl::OkStatus();
    });
  });
}

// What guards want to know of a workload: how many of its pods are ready, and whether a quota
// refuses more. Deployments and ReplicaSets say the latter by a condition, in these words;
// StatefulSets have none and say it by events alone.
absl::Status DecodeWorkloadStatus(JsonValue& value, core::Scale* scale) {
  scale->ready_replicas = 0;  // the API leaves out a zero
  return EachMember(value, [&](std::string_view field, JsonValue& member) -> absl::Status {
    if (field == "replicas") return GetInt32(member, &scale->status_replicas);
    if (field == "readyReplicas") return GetInt32(member, &*scale->ready_replicas);
    if (field != "conditions") return absl::OkStatus();
    return EachElement(member, [&](JsonValue& element) {
      ConditionFields condition;
      std::string problem;  // its time does not matter here
      NEAP_RETURN_IF_ERROR(DecodeCondition(element, &condition, &problem));
      if (condition.type == "ReplicaFailure" && condition.status == "True" &&
          condition.message.find("exceeded quota") != std::string::npos) {
        scale->quota_refused = true;
      }
      return absl::OkStatus();
    });
  });
}

}  // namespace

absl::Status DecodeWorkload(JsonObject& object, Workload* out) {
  *out = {};
  out->scale.spec_replicas = 1;  // the API's default where the field is missing
  base::LabelSelector selector;
  NEAP_RETURN_IF_ERROR(EachMember(object, [&](std::string_view key, JsonValue& value) {
    if (key == "metadata") {
      return EachMember(value, [&](std::string_view field, JsonValue& text) {
        if (field == "name") return GetString(text, &out->name);
        if (field == "namespace") return GetString(text, &out->ns);
        if (field == "uid") return GetString(text, &out->scale.uid);
        if (field == "resourceVersion") return GetString(text, &out->scale.resource_version);
        return absl::OkStatus();
      });
    }
    if (key == "spec") {
      return EachMember(value, [&](std::string_view field, JsonValue& member) {
        if (field == "replicas") return GetInt32(member, &out->scale.spec_replicas);
        if (field == "selector") return DecodeSelector(member, &selector);
        return absl::OkStatus();
      });
    }
    if (key == "status") return DecodeWorkloadStatus(value, &out->scale);
    return absl::OkStatus();
  }));
  if (out->name.empty()) return base::DataLoss("an object without metadata.name");
  std::sort(selector.match_labels.begin(), selector.match_labels.end());
  // The server checked it; one that it should not have let through selects as the empty text does,
  // which the decision refuses by name.
  if (const auto parsed = selector.ToSelector(); parsed.ok()) out->scale.selector = parsed->Text();
  return absl::OkStatus();
}

absl::StatusOr<core::Scale> DecodeScale(std::string_view json, std::string_view where) {
  const auto parsed = value::ParseJson(json, where);
  if (!parsed.ok()) return base::DataLoss("{}", base::Message(parsed.status()));
  const std::string_view uid = parsed->StringAt("metadata.uid");
  if (parsed->StringAt("kind") != "Scale" || uid.empty()) {
    return base::DataLoss("{}: the answer is no Scale", where);
  }
  const int64_t spec = parsed->IntAt("spec.replicas");
  const int64_t status = parsed->IntAt("status.replicas");
  if (spec < 0 || spec > INT32_MAX || status < 0 || status > INT32_MAX) {
    return base::DataLoss("{}: replicas {} and {} make no sense", where, spec, status);
  }
  return core::Scale{.uid = std::string(uid),
                     .resource_version = std::string(parsed->StringAt("metadata.resourceVersion")),
                     .spec_replicas = static_cast<int32_t>(spec),
                     .status_replicas = static_cast<int32_t>(status),
                     .selector = std::string(parsed->StringAt("status.selector"))};
}

absl::Status DecodePod(JsonObject& object, Interner& interner, DecodedPod* out) {
  *out = {};
  core::Pod& pod = out->state.pod;
  std::string_view name;
  std::vector<base::LabelSet::Label> labels;
  core::PodRequests requests;
  std::string deletion_time;
  NEAP_RETURN_IF_ERROR(EachMember(object, [&](std::string_view key, JsonValue& value) {
    if (key == "metadata") {
      return EachMember(value, [&](std::string_view field, JsonValue& member) -> absl::Status {
        if (field == "name") return GetText(member, &name);
        if (field == "namespace") return GetString(member, &out->ns);
        if (field == "deletionTimestamp") return GetString(member, &deletion_time);
        if (field != "labels") return absl::OkStatus();
        return EachMember(member, [&](std::string_view label, JsonValue& text) {
          return GetText(text, &labels.emplace_back(label, std::string_view()).second);
        });
      });
    }
    if (key == "spec") return DecodePodSpec(value, &requests, &out->problem);
    if (key == "status") return DecodePodStatus(value, &pod, &out->problem);
    return absl::OkStatus();
  }));
  if (name.empty()) return base::DataLoss("a pod without metadata.name");
  pod.name = interner.Name(name);
  pod.deleting = !deletion_time.empty();
  out->state.labels = interner.Labels(labels);
  out->state.requests = interner.Requests(std::move(requests));
  return absl::OkStatus();
}

}  // namespace neap::kube
