#include "autoscaler/app/object_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "autoscaler/kube/autoscaler_view.h"
#include "autoscaler/kube/objects/status_json.h"

namespace neap::app {

using kube::objects::Mode;

namespace {
constexpr char kRivalReason[] = "TargetScaledByHPA";  // of conditions
}  // namespace

bool ObjectTable::Put(const std::string& uid, Object object) {
  base::MutexLock lock(mutex_);
  const auto [at, fresh] = objects_.try_emplace(base::Uid(uid));
  Entry& entry = at->second;
  Said said{.errors = std::move(object.errors), .warnings = std::move(object.warnings)};
  const bool news = entry.said == nullptr ? said != Said() : said != *entry.said;
  if (fresh) {  // later on, what was stored may be older than what we said since
    entry.dry_run = SinceOf(object.own_conditions, kube::objects::kDryRunCondition);
    entry.accepted = SinceOf(object.own_conditions, kube::objects::kAcceptedCondition);
  }
  entry.source = SourceOf(object.source);
  entry.mode = object.mode;
  if (news) entry.said = said == Said() ? nullptr : std::make_unique<const Said>(std::move(said));
  return news;
}

uint16_t ObjectTable::SourceOf(std::string_view source) {
  const auto at = std::find(sources_.begin(), sources_.end(), source);
  const auto index = static_cast<uint16_t>(at - sources_.begin());
  if (at == sources_.end()) sources_.emplace_back(source);  // a handful: what the flags name
  return index;
}

ObjectTable::Since ObjectTable::SinceOf(const std::vector<core::Condition>& stored,
                                        std::string_view type) {
  for (const core::Condition& condition : stored) {
    if (condition.type == type) {
      return {.at = condition.last_transition, .status = condition.status};
    }
  }
  return {};
}

void ObjectTable::Date(core::Condition& condition, Since& since, absl::Time now) {
  if (since.status != condition.status) since = {.at = now, .status = condition.status};
  condition.last_transition = since.at;
}

void ObjectTable::Apply(const std::string& source, const control::Message& message) {
  base::MutexLock lock(mutex_);
  if (const auto* gone = std::get_if<control::SpecGone>(&message)) {
    objects_.erase(base::Uid(gone->uid));
  } else if (const auto* replaced = std::get_if<control::SpecsReplaced>(&message)) {
    std::unordered_set<base::Uid> there;
    for (const control::SpecChange& change : replaced->all) there.emplace(change.uid);
    std::erase_if(objects_, [&, of = SourceOf(source)](const auto& entry) {
      return entry.second.source == of && !there.contains(entry.first);
    });
  }
}

bool ObjectTable::Withheld(std::string_view uid) const {
  if (dry_run_) return true;
  base::MutexLock lock(mutex_);
  const auto at = objects_.find(base::Uid(uid));
  return at == objects_.end() || at->second.mode != Mode::kLive;
}

bool ObjectTable::InApi(std::string_view uid) const {
  base::MutexLock lock(mutex_);
  const auto at = objects_.find(base::Uid(uid));
  return at != objects_.end() && sources_[at->second.source] == kube::kApiSource;
}

bool ObjectTable::SetRival(std::string_view uid, std::string why) {
  base::MutexLock lock(mutex_);
  const auto at = objects_.find(base::Uid(uid));
  if (at == objects_.end()) return false;
  std::unique_ptr<Rival>& rival = at->second.rival;
  if (why == (rival == nullptr ? "" : rival->why)) return false;
  if (why.empty()) {
    rival.reset();
  } else {
    if (rival == nullptr) rival = std::make_unique<Rival>();
    rival->why = std::move(why);
  }
  return true;
}

core::Condition ObjectTable::DryRunOf(const Entry& object) const {
  core::Condition out;
  out.type = std::string(kube::objects::kDryRunCondition);
  out.status = core::ConditionStatus::kFalse;
  out.reason = std::string(kube::objects::ModeName(object.mode));
  if (dry_run_) {
    out.status = core::ConditionStatus::kTrue;
    out.reason = "Installation";
    out.message = "neapd runs with --dry-run: the scale is not written";
  } else if (object.mode == Mode::kDryRun) {
    out.status = core::ConditionStatus::kTrue;
    out.message = "spec.mode is DryRun: the scale is not written";
  } else if (object.mode == Mode::kPaused) {
    out.message = "spec.mode is Paused: nothing is decided";
  } else if (object.rival != nullptr) {
    out.status = core::ConditionStatus::kTrue;
    out.reason = kRivalReason;
    out.message = object.rival->why;
  } else {
    out.message = "the scale is written";
  }
  return out;
}

core::Condition ObjectTable::AcceptedOf(const Entry& object) {
  core::Condition out;
  out.type = std::string(kube::objects::kAcceptedCondition);
  out.status = core::ConditionStatus::kTrue;
  out.reason = "Valid";
  out.message = "the object is valid";
  if (object.said == nullptr) return out;
  if (!object.said->errors.empty()) {
    out.status = core::ConditionStatus::kFalse;
    out.reason = "Invalid";
    out.message = fmt::format("{}", fmt::join(object.said->errors, "; "));
  } else {
    out.reason = "ValidWithWarnings";
    out.message = fmt::format("{}", fmt::join(object.said->warnings, "; "));
  }
  return out;
}

ObjectTable::FullStatus ObjectTable::Complete(std::string_view uid, core::Status status,
                                              absl::Time now) {
  base::MutexLock lock(mutex_);
  const auto at = objects_.find(base::Uid(uid));
  if (at == objects_.end()) return {.status = std::move(status), .own_conditions = {}};
  Entry& object = at->second;
  core::Condition dry_run = DryRunOf(object);
  std::erase_if(status.conditions, [&](const core::Condition& condition) {
    if (condition.type != dry_run.type) return false;
    // Core leaves it in place until a change is applied, so it may speak of an earlier decision.
    if (dry_run.status == core::ConditionStatus::kTrue &&
        status.desired_replicas != status.current_replicas) {
      dry_run.reason = condition.reason;
      dry_run.message = condition.message;
    }
    return true;
  });
  for (core::Condition& condition : status.conditions) {
    if (condition.type != "AbleToScale" || object.rival == nullptr) continue;
    condition.status = core::ConditionStatus::kFalse;
    condition.reason = kRivalReason;
    condition.message = object.rival->why;
    Date(condition, object.rival->able, now);
  }
  core::Condition accepted = AcceptedOf(object);
  Date(dry_run, object.dry_run, now);
  Date(accepted, object.accepted, now);
  return {.status = std::move(status), .own_conditions = {std::move(dry_run), std::move(accepted)}};
}

ObjectTable::Problems ObjectTable::ProblemsOf(std::string_view source) const {
  base::MutexLock lock(mutex_);
  Problems out;
  for (const auto& [uid, object] : objects_) {
    if (object.said == nullptr || sources_[object.source] != source) continue;
    out.errors += object.said->errors.size();
    out.warnings += object.said->warnings.size();
  }
  return out;
}

size_t ObjectTable::size() const {
  base::MutexLock lock(mutex_);
  return objects_.size();
}

}  // namespace neap::app
