#include "autoscaler/control/scale_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "autoscaler/base/status.h"

namespace neap::control {

ScaleTable::Entry& ScaleTable::Use(const TargetRef& target) {
  const auto at = entries_.try_emplace(target).first;
  at->second.ref = &at->first;
  return at->second;
}

ScaleTable::Entry* ScaleTable::Find(const TargetRef& target) {
  const auto at = entries_.find(target);
  return at == entries_.end() ? nullptr : &at->second;
}

std::optional<int> ScaleTable::CompareVersions(std::string_view a, std::string_view b) {
  const auto decimal = [](std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  if (!decimal(a) || !decimal(b)) return std::nullopt;
  const auto trim = [](std::string_view text) {
    return text.substr(std::min(text.find_first_not_of('0'), text.size() - 1));
  };
  a = trim(a);
  b = trim(b);
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  const int order = a.compare(b);
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

ScaleTable::Effect ScaleTable::Put(Entry& entry, const std::optional<core::Scale>& scale,
                                   const std::optional<core::ReadingError>& error,
                                   const TargetRef& target) {
  if (scale && entry.scale && scale->uid == entry.scale->uid && !entry.written_version.empty()) {
    // A version that is no number can't be ordered; it is then taken as it comes.
    const auto order = CompareVersions(scale->resource_version, entry.written_version);
    if (order && *order < 0) return Effect::kIgnored;
  }
  const bool matters = !entry.known || scale.has_value() != entry.scale.has_value() ||
                       (scale && (scale->spec_replicas != entry.scale->spec_replicas ||
                                  scale->uid != entry.scale->uid));
  if (scale && entry.scale && scale->uid != entry.scale->uid) entry.written_version = {};
  if (!scale) entry.written_version = {};
  entry.known = true;
  const bool new_selector =
      scale && (!entry.scale || entry.scale->selector != scale->selector || matters);
  entry.scale = scale;
  entry.error.reset();
  if (!scale) {
    entry.selector_error.reset();
    entry.error = error ? *error
                        : core::ReadingError{.kind = core::ErrorKind::kNotFound,
                                             .message = target.Text() + " not found"};
  } else if (new_selector) {
    entry.selector_error.reset();
    if (const auto parsed = base::Selector::Parse(scale->selector); !parsed.ok()) {
      entry.selector_error = std::string(base::Message(parsed.status()));
    }
  }
  return matters ? Effect::kReplicas : Effect::kQuiet;
}

ScaleTable::Effect ScaleTable::Change(const ScaleChange& change) {
  if (!change.scale && !change.error) {
    const auto at = entries_.find(change.target);
    if (at == entries_.end()) return Effect::kNone;
    if (at->second.targets.empty()) {  // nobody asks and it is gone
      entries_.erase(at);
      return Effect::kNone;
    }
    return Put(at->second, change.scale, change.error, change.target);
  }
  return Put(entries_[change.target], change.scale, change.error, change.target);
}

std::vector<TargetRef> ScaleTable::Replace(const ScalesReplaced& list, uint64_t* ignored) {
  std::vector<TargetRef> changed;
  std::set<TargetRef> present;
  for (const ScaleChange& change : list.all) {
    if (change.target.group != list.group || change.target.kind != list.kind) continue;
    present.insert(change.target);
    const Effect effect = Change(change);
    if (effect == Effect::kIgnored) ++*ignored;
    if (effect == Effect::kReplicas) changed.push_back(change.target);
  }
  const TargetRef first{.group = list.group, .kind = list.kind, .ns = "", .name = ""};
  for (auto at = entries_.lower_bound(first); at != entries_.end();) {
    if (at->first.group != list.group || at->first.kind != list.kind) break;
    if (present.contains(at->first)) {
      ++at;
      continue;
    }
    if (at->second.targets.empty()) {
      at = entries_.erase(at);
      continue;
    }
    if (Put(at->second, std::nullopt, std::nullopt, at->first) == Effect::kReplicas) {
      changed.push_back(at->first);
    }
    ++at;
  }
  return changed;
}

void ScaleTable::Written(const TargetRef& target, const std::optional<core::Scale>& reply,
                         int32_t replicas) {
  Entry* entry = Find(target);
  if (entry == nullptr) return;
  if (!reply) {
    if (entry->scale) entry->scale->spec_replicas = replicas;
    return;
  }
  if (entry->scale && entry->scale->uid == reply->uid) {
    // A watch event may have overtaken the reply.
    const auto order = CompareVersions(reply->resource_version, entry->scale->resource_version);
    if (order && *order < 0) return;
  }
  core::Scale scale = *reply;
  if (entry->scale) {  // the reply is a Scale, which has less to say than the workload
    if (scale.selector.empty()) scale.selector = entry->scale->selector;
    scale.ready_replicas = entry->scale->ready_replicas;
    scale.quota_refused = entry->scale->quota_refused;
  }
  const std::string version = scale.resource_version;
  entry->written_version = {};
  Put(*entry, scale, std::nullopt, target);
  entry->written_version = version;
}

void ScaleTable::KeepKinds(const std::vector<std::string>& kinds) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    const bool listed = std::binary_search(kinds.begin(), kinds.end(), KindScope(at->first));
    if (!listed && at->second.targets.empty()) {
      at = entries_.erase(at);
      continue;
    }
    if (!listed) Forget(at->second);
    ++at;
  }
}

void ScaleTable::Forget(Entry& entry) {
  entry.known = false;
  entry.scale.reset();
  entry.error.reset();
  entry.selector_error.reset();
  entry.written_version = {};
}

std::vector<TargetRef> ScaleTable::Wanted() const {
  std::vector<TargetRef> wanted;
  for (const auto& [target, entry] : entries_) {
    if (entry.asking > 0) wanted.push_back(target);
  }
  return wanted;
}

}  // namespace neap::control
