#include "autoscaler/app/object_table.h"

#include <fmt/format.h>

#include <set>

#include "autoscaler/kube/objects/status_json.h"

namespace neap::app {

using kube::objects::Mode;

bool ObjectTable::Put(const std::string& uid, Object object) {
  base::MutexLock lock(mutex_);
  const auto [at, fresh] = objects_.try_emplace(uid);
  Object& known = at->second;
  const bool news = known.errors != object.errors || known.warnings != object.warnings;
  // What was stored may be older than what we said since.
  if (!fresh) object.own_conditions = std::move(known.own_conditions);
  known = std::move(object);
  return news;
}

void ObjectTable::Apply(const std::string& source, const control::Message& message) {
  base::MutexLock lock(mutex_);
  if (const auto* gone = std::get_if<control::SpecGone>(&message)) {
    objects_.erase(gone->uid);
  } else if (const auto* replaced = std::get_if<control::SpecsReplaced>(&message)) {
    std::set<std::string_view> there;
    for (const control::SpecChange& change : replaced->all) there.insert(change.uid);
    std::erase_if(objects_, [&](const auto& entry) {
      return entry.second.source == source && !there.contains(entry.first);
    });
  }
}

bool ObjectTable::Withheld(std::string_view uid) const {
  if (dry_run_) return true;
  base::MutexLock lock(mutex_);
  const auto at = objects_.find(uid);
  return at == objects_.end() || at->second.mode != Mode::kLive;
}

bool ObjectTable::InApi(std::string_view uid) const {
  base::MutexLock lock(mutex_);
  const auto at = objects_.find(uid);
  return at != objects_.end() && at->second.source == "api";
}

std::vector<core::Condition> ObjectTable::OwnConditions(std::string_view uid, absl::Time now) {
  base::MutexLock lock(mutex_);
  const auto at = objects_.find(uid);
  if (at == objects_.end()) return {};
  Object& object = at->second;
  const bool by_mode = object.mode == Mode::kDryRun;
  core::Condition dry_run{.type = std::string(kube::objects::kDryRunCondition),
                          .status = core::ConditionStatus::kFalse,
                          .reason = std::string(kube::objects::ModeName(object.mode)),
                          .message = object.mode == Mode::kPaused
                                         ? "spec.mode is Paused: nothing is decided"
                                         : "the scale is written",
                          .last_transition = now};
  if (dry_run_ || by_mode) {
    dry_run.status = core::ConditionStatus::kTrue;
    dry_run.reason = dry_run_ ? "Installation" : "Mode";
    dry_run.message = dry_run_ ? "neapd runs with --dry-run: the scale is not written"
                               : "spec.mode is DryRun: the scale is not written";
  }
  kube::objects::SetCondition(object.own_conditions, std::move(dry_run), now);

  core::Condition accepted{.type = std::string(kube::objects::kAcceptedCondition),
                           .status = core::ConditionStatus::kTrue,
                           .reason = "Valid",
                           .message = "the object is valid",
                           .last_transition = now};
  if (!object.errors.empty()) {
    accepted.status = core::ConditionStatus::kFalse;
    accepted.reason = "Invalid";
    accepted.message = fmt::format("{}", fmt::join(object.errors, "; "));
  } else if (!object.warnings.empty()) {
    accepted.reason = "ValidWithWarnings";
    accepted.message = fmt::format("{}", fmt::join(object.warnings, "; "));
  }
  kube::objects::SetCondition(object.own_conditions, std::move(accepted), now);
  return object.own_conditions;
}

ObjectTable::Problems ObjectTable::ProblemsOf(std::string_view source) const {
  base::MutexLock lock(mutex_);
  Problems out;
  for (const auto& [uid, object] : objects_) {
    if (object.source != source) continue;
    out.errors += object.errors.size();
    out.warnings += object.warnings.size();
  }
  return out;
}

size_t ObjectTable::size() const {
  base::MutexLock lock(mutex_);
  return objects_.size();
}

}  // namespace neap::app
