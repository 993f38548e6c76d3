#include "autoscaler/playground/faults.h"

#include <algorithm>
#include <array>
#include <limits>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"
#include "autoscaler/base/value/value.h"
#include "autoscaler/playground/json.h"

namespace neap::playground {
namespace {

using value::Value;

constexpr std::array<std::string_view, 7> kNames = {"cut",    "delay",   "throttle", "error",
                                                    "expire", "garbage", "truncate"};
constexpr std::array<std::string_view, 8> kFields = {"fault", "path",       "method", "code",
                                                     "delay", "retryAfter", "for",    "count"};

absl::Status WrongField(std::string_view key, const Value& at, std::string_view expected) {
  return base::InvalidArgument("{}: expected {}, got {} {}", key, expected,
                               value::KindName(at.kind()), at.text());
}

absl::StatusOr<int64_t> Whole(const Value& map, std::string_view key, int64_t fallback, int64_t min,
                              int64_t max) {
  const Value* at = map.Get(key);
  if (at == nullptr) return fallback;
  if (at->kind() != value::Kind::kInt || at->AsInt() < min || at->AsInt() > max) {
    return WrongField(key, *at, fmt::format("a whole number from {} to {}", min, max));
  }
  return at->AsInt();
}

absl::StatusOr<absl::Duration> Time(const Value& map, std::string_view key,
                                    absl::Duration fallback) {
  const Value* at = map.Get(key);
  if (at == nullptr) return fallback;
  if (!at->is_string()) return WrongField(key, *at, "a duration such as \"500ms\"");
  absl::StatusOr<absl::Duration> parsed = base::ParseDuration(at->AsString());
  if (!parsed.ok() || *parsed < absl::ZeroDuration()) {
    return WrongField(key, *at, "a duration such as \"500ms\"");
  }
  return parsed;
}

absl::StatusOr<Fault> Decode(const Value& map, absl::Time now) {
  if (!map.is_map()) return base::InvalidArgument("a fault is a JSON object");
  for (const auto& [key, at] : map.map()) {
    if (std::find(kFields.begin(), kFields.end(), key) == kFields.end()) {
      return base::InvalidArgument("{}: unknown field{}", key, base::DidYouMean(key, kFields));
    }
  }
  Fault fault;
  const std::string name(map.StringAt("fault"));
  const auto kind = std::find(kNames.begin(), kNames.end(), name);
  if (kind == kNames.end()) {
    return base::InvalidArgument(
        "fault: \"{}\" is none of cut, delay, throttle, error, expire, "
        "garbage, truncate",
        name);
  }
  fault.kind = static_cast<Fault::Kind>(kind - kNames.begin());
  fault.path = map.StringAt("path", "/");
  fault.method = map.StringAt("method");
  NEAP_ASSIGN_OR_RETURN(const int64_t code, Whole(map, "code", 500, 400, 599));
  NEAP_ASSIGN_OR_RETURN(const int64_t retry_after, Whole(map, "retryAfter", 1, 0, 3600));
  NEAP_ASSIGN_OR_RETURN(fault.left,
                        Whole(map, "count", -1, 1, std::numeric_limits<int64_t>::max()));
  NEAP_ASSIGN_OR_RETURN(fault.delay, Time(map, "delay", absl::ZeroDuration()));
  NEAP_ASSIGN_OR_RETURN(const absl::Duration lasts, Time(map, "for", absl::InfiniteDuration()));
  fault.code = static_cast<int>(code);
  fault.retry_after = static_cast<int>(retry_after);
  fault.until = now + lasts;
  if (fault.kind == Fault::Kind::kDelay && fault.delay == absl::ZeroDuration()) {
    return base::InvalidArgument("delay: missing");
  }
  return fault;
}

bool Fits(const Fault& fault, std::string_view method, std::string_view path) {
  return path.starts_with(fault.path) && (fault.method.empty() || fault.method == method);
}

}  // namespace

absl::Status Faults::Add(std::string_view json, absl::Time now) {
  NEAP_ASSIGN_OR_RETURN(const Value document, value::ParseJson(json, "faults"));
  std::vector<Fault> added;
  if (document.is_list()) {
    for (const Value& one : document.list()) {
      NEAP_ASSIGN_OR_RETURN(added.emplace_back(), Decode(one, now));
    }
  } else {
    NEAP_ASSIGN_OR_RETURN(added.emplace_back(), Decode(document, now));
  }
  base::MutexLock lock(mutex_);
  for (Fault& fault : added) faults_.push_back(std::move(fault));
  return absl::OkStatus();
}

void Faults::Clear() {
  base::MutexLock lock(mutex_);
  faults_.clear();
}

void Faults::Forget(absl::Time now) {
  std::erase_if(faults_,
                [now](const Fault& fault) { return fault.left == 0 || fault.until <= now; });
}

std::string Faults::ToJson(absl::Time now) {
  base::MutexLock lock(mutex_);
  Forget(now);
  Json out = Json::array();
  for (const Fault& fault : faults_) {
    Json one = {{"fault", kNames[static_cast<size_t>(fault.kind)]}, {"path", fault.path}};
    if (!fault.method.empty()) one["method"] = fault.method;
    if (fault.kind == Fault::Kind::kError) one["code"] = fault.code;
    if (fault.kind == Fault::Kind::kThrottle) one["retryAfter"] = fault.retry_after;
    if (fault.delay > absl::ZeroDuration()) one["delay"] = base::FormatDuration(fault.delay);
    if (fault.until != absl::InfiniteFuture()) one["for"] = base::FormatDuration(fault.until - now);
    if (fault.left >= 0) one["count"] = fault.left;
    out.push_back(std::move(one));
  }
  return out.dump();
}

Faults::Verdict Faults::Judge(std::string_view method, std::string_view path, absl::Time now) {
  base::MutexLock lock(mutex_);
  Forget(now);
  Verdict verdict;
  for (Fault& fault : faults_) {
    if (!Fits(fault, method, path)) continue;
    if (fault.left > 0) --fault.left;
    if (fault.kind == Fault::Kind::kDelay) {
      verdict.delay += fault.delay;
      continue;
    }
    verdict.fault = fault;
    break;
  }
  return verdict;
}

std::optional<Fault> Faults::JudgeWatch(std::string_view path, absl::Time now) {
  base::MutexLock lock(mutex_);
  Forget(now);
  for (Fault& fault : faults_) {
    const bool ends = fault.kind == Fault::Kind::kCut || fault.kind == Fault::Kind::kExpire;
    if (!ends || !Fits(fault, "GET", path)) continue;
    if (fault.left > 0) --fault.left;
    return fault;
  }
  return std::nullopt;
}

}  // namespace neap::playground
