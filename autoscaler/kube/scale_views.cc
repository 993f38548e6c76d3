#include "autoscaler/kube/scale_views.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <set>

#include "autoscaler/kube/collection.h"
#include "autoscaler/kube/decode.h"

namespace neap::kube {
namespace {

using control::ScaleChange;
using control::TargetRef;
using KindKey = std::pair<std::string, std::string>;  // group, kind

struct WatchedKind {
  const char* kind;
  const char* plural;
};
constexpr std::array<WatchedKind, 3> kWatchedKinds = {{{"Deployment", "deployments"},
                                                       {"ReplicaSet", "replicasets"},
                                                       {"StatefulSet", "statefulsets"}}};

const WatchedKind* FindWatched(const KindKey& key) {
  if (key.first != "apps") return nullptr;
  for (const WatchedKind& kind : kWatchedKinds) {
    if (key.second == kind.kind) return &kind;
  }
  return nullptr;
}

KindKey KindOf(const TargetRef& target) { return {target.group, target.kind}; }
std::string ScopeOf(const KindKey& key) { return key.first + "/" + key.second; }

}  // namespace

// All of it on the http::Client's thread; the face above hands over.
class ScaleViews::Impl {
 public:
  Impl(Context context, ScaleViewsOptions options)
      : context_(std::move(context)), options_(options), alive_(std::make_shared<bool>(true)) {}
  ~Impl() {
    http().RunAndWait([this] {
      *alive_ = false;
      kinds_.clear();
      for (const auto& [target, timer] : poll_timers_) http().Drop(timer);
      for (const http::Id id : gets_) http().Drop(id);
    });
  }

  void SetTargets(std::vector<TargetRef> targets) {
    std::map<KindKey, std::set<TargetRef>> wanted;
    for (TargetRef& target : targets) wanted[KindOf(target)].insert(std::move(target));
    std::erase_if(kinds_, [&](auto& entry) {
      if (wanted.contains(entry.first)) return false;
      for (const TargetRef& target : entry.second->targets) StopPolling(target);
      return true;
    });
    for (auto& [key, set] : wanted) SetKind(key, std::move(set));
  }

  void Refresh(const TargetRef& target) { Get(target); }

  http::Client& http() { return context_.client->http(); }
  std::shared_ptr<const bool> alive() const { return alive_; }

 private:
  struct Kind {
    std::set<TargetRef> targets;
    std::unique_ptr<Collection<core::Scale>> watched;  // null: polled
    std::set<TargetRef> late;  // watched: became targets while the list was under way
    bool complete = false;     // polled: ScalesReplaced was sent
    std::map<TargetRef, ScaleChange> collected;  // polled: until it is
    absl::Duration heard_at = -absl::InfiniteDuration();
  };

  Kind* Find(const TargetRef& target) {
    const auto at = kinds_.find(KindOf(target));
    return at == kinds_.end() || !at->second->targets.contains(target) ? nullptr : at->second.get();
  }

  void SetKind(const KindKey& key, std::set<TargetRef> targets) {
    std::unique_ptr<Kind>& slot = kinds_[key];
    const bool is_new = slot == nullptr;
    if (is_new) slot = std::make_unique<Kind>();
    Kind& kind = *slot;
    std::vector<TargetRef> added;
    std::set_difference(targets.begin(), targets.end(), kind.targets.begin(), kind.targets.end(),
                        std::back_inserter(added));
    std::vector<TargetRef> removed;
    std::set_difference(kind.targets.begin(), kind.targets.end(), targets.begin(), targets.end(),
                        std::back_inserter(removed));
    kind.targets = std::move(targets);
    for (const TargetRef& target : removed) {
      StopPolling(target);
      kind.late.erase(target);
      kind.collected.erase(target);
    }
    const WatchedKind* watched = FindWatched(key);
    if (watched == nullptr) {
      for (const TargetRef& target : added) Get(target);
      if (!kind.complete && !is_new) CompletePolled(key, kind);  // the last missing one may be gone
      return;
    }
    if (is_new) {
      OpenWatch(key, *watched, kind);
    } else if (!kind.watched->synced()) {
      kind.late.insert(added.begin(), added.end());
    } else if (added.size() > options_.gets_before_relist) {
      kind.watched.reset();
      OpenWatch(key, *watched, kind);
    } else {
      for (const TargetRef& target : added) Get(target);
    }
  }

  void OpenWatch(const KindKey& key, const WatchedKind& watched, Kind& kind) {
    using Scales = Collection<core::Scale>;
    kind.watched = std::make_unique<Scales>(
        context_, watched.plural,
        [plural = watched.plural](const std::string& ns) {
          return api::ResourcePath("apps", "v1", plural, ns);
        },
        Scales::Callbacks{
            .decode =
                [this, key](api::JsonObject& object, Scales::Item* item, bool* wanted) {
                  Workload workload;
                  NEAP_RETURN_IF_ERROR(DecodeWorkload(object, &workload));
                  item->ns = std::move(workload.ns);
                  item->name = std::move(workload.name);
                  item->value = std::move(workload.scale);
                  *wanted = kinds_.at(key)->targets.contains(
                      TargetRef{key.first, key.second, item->ns, item->name});
                  return absl::OkStatus();
                },
            .replaced = [this,
                         key](std::vector<Scales::Item> all) { Replaced(key, std::move(all)); },
            .changed =
                [this, key](Scales::Item item) {
                  const TargetRef target{key.first, key.second, item.ns, item.name};
                  if (under_way_.contains(target)) outdated_.insert(target);
                  context_.sink(ScaleChange{
                      .target = target, .scale = std::move(item.value), .error = std::nullopt});
                },
            .deleted =
                [this, key](const std::string& ns, const std::string& name) {
                  const TargetRef target{key.first, key.second, ns, name};
                  if (under_way_.contains(target)) outdated_.insert(target);
                  context_.sink(
                      ScaleChange{.target = target, .scale = std::nullopt, .error = std::nullopt});
                },
            .heard =
                [this, key] {
                  context_.sink(
                      control::ViewHeard{.view = control::View::kScales, .scope = ScopeOf(key)});
                }});
  }

  void Replaced(const KindKey& key, std::vector<Collection<core::Scale>::Item> all) {
    control::ScalesReplaced message{.group = key.first, .kind = key.second, .all = {}};
    message.all.reserve(all.size());
    for (auto& item : all) {
      const TargetRef target{key.first, key.second, item.ns, item.name};
      if (under_way_.contains(target)) outdated_.insert(target);
      message.all.push_back(
          {.target = target, .scale = std::move(item.value), .error = std::nullopt});
    }
    context_.sink(std::move(message));
    for (const TargetRef& target : std::exchange(kinds_.at(key)->late, {})) Get(target);
  }

  // ---- reading one scale subresource

  void Get(const TargetRef& target) {
    if (under_way_.contains(target)) return;  // its answer will do
    under_way_.insert(target);
    queue_.push_back(target);
    Pump();
  }

  void Pump() {
    while (!queue_.empty() && running_ < options_.gets_at_a_time) {
      const TargetRef target = std::move(queue_.front());
      queue_.pop_front();
      ++running_;
      const KindKey key = KindOf(target);
      if (const WatchedKind* watched = FindWatched(key)) {
        Send(target,
             {.group = "apps", .version = "v1", .plural = watched->plural, .kind = target.kind});
        continue;
      }
      context_.discovery->Find(
          key.first, key.second,
          [this, alive = alive_, target](absl::StatusOr<api::Resource> resource) {
            if (!*alive) return;
            if (!resource.ok()) {
              Deliver(target, {.target = target,
                               .scale = std::nullopt,
                               .error = ReadingErrorOf(resource.status())});
            } else {
              Send(target, *resource);
            }
          });
    }
  }

  void Send(const TargetRef& target, const api::Resource& resource) {
    outdated_.erase(target);
    auto id = std::make_shared<http::Id>(0);
    *id = context_.client->Send(
        {.path = api::ResourcePath(resource.group, resource.version, resource.plural, target.ns,
                                   target.name, "scale"),
         .timeout = options_.get_timeout},
        [this, target, id](absl::StatusOr<api::Reply> reply) {
          gets_.erase(*id);
          OnReply(target, std::move(reply));
        });
    gets_.insert(*id);
  }

  void OnReply(const TargetRef& target, absl::StatusOr<api::Reply> reply) {
    ScaleChange change{.target = target, .scale = std::nullopt, .error = std::nullopt};
    if (reply.ok()) {
      auto scale = DecodeScale(reply->body, reply->where);
      if (scale.ok()) {
        change.scale = *std::move(scale);
      } else {
        change.error = ReadingErrorOf(scale.status());
      }
    } else if (absl::IsNotFound(reply.status())) {
      // Gone, or the kind has moved to another version.
      if (FindWatched(KindOf(target)) == nullptr) context_.discovery->Forget(target.group);
    } else {
      change.error = ReadingErrorOf(reply.status());
    }
    if (change.error) {
      context_.Report("scale of " + target.Text(),
                      reply.ok() ? base::DataLoss("{}", change.error->message) : reply.status());
    }
    Deliver(target, std::move(change));
  }

  void Deliver(const TargetRef& target, ScaleChange change) {
    --running_;
    under_way_.erase(target);
    // The watch has spoken meanwhile: what it said is newer than this answer may be.
    const bool outdated = outdated_.erase(target) > 0;
    if (Kind* kind = Find(target)) {
      if (kind->watched == nullptr) {
        Polled(KindOf(target), *kind, std::move(change));
      } else if (!outdated) {
        context_.sink(std::move(change));
      }
    }
    Pump();
  }

  // ---- kinds that are not watched

  void Polled(const KindKey& key, Kind& kind, ScaleChange change) {
    const TargetRef target = change.target;
    const bool answered = !change.error || change.error->kind == core::ErrorKind::kNotFound;
    poll_timers_[target] = http().After(options_.poll_period, [this, target] {
      poll_timers_.erase(target);
      if (Find(target) != nullptr) Get(target);
    });
    if (!kind.complete) {
      kind.collected.insert_or_assign(target, std::move(change));
      CompletePolled(key, kind);
    } else {
      context_.sink(std::move(change));
    }
    if (kind.complete && answered && clock_.Elapsed() - kind.heard_at >= absl::Seconds(1)) {
      kind.heard_at = clock_.Elapsed();
      context_.sink(control::ViewHeard{.view = control::View::kScales, .scope = ScopeOf(key)});
    }
  }

  void CompletePolled(const KindKey& key, Kind& kind) {
    if (kind.collected.size() < kind.targets.size()) return;
    kind.complete = true;
    control::ScalesReplaced message{.group = key.first, .kind = key.second, .all = {}};
    for (auto& [target, change] : kind.collected) message.all.push_back(std::move(change));
    kind.collected.clear();
    context_.sink(std::move(message));
  }

  void StopPolling(const TargetRef& target) {
    if (const auto at = poll_timers_.find(target); at != poll_timers_.end()) {
      http().Drop(at->second);
      poll_timers_.erase(at);
    }
  }

  const Context context_;
  const ScaleViewsOptions options_;
  const base::Clock clock_;
  const std::shared_ptr<bool> alive_;  // for discovery's callbacks
  std::map<KindKey, std::unique_ptr<Kind>> kinds_;
  std::deque<TargetRef> queue_;
  std::set<TargetRef> under_way_;  // queued or sent
  std::set<TargetRef> outdated_;   // the watch spoke of it while its GET was under way
  std::set<http::Id> gets_;
  size_t running_ = 0;
  std::map<TargetRef, http::Id> poll_timers_;
};

ScaleViews::ScaleViews(Context context, ScaleViewsOptions options)
    : impl_(std::make_unique<Impl>(std::move(context), options)) {}
ScaleViews::~ScaleViews() = default;

// Not RunAndWait: the caller is the controller's thread, and the http::Client's may be waiting for
// it to take messages.
void ScaleViews::SetTargets(std::vector<TargetRef> targets) {
  impl_->http().After(absl::ZeroDuration(),
                      [impl = impl_.get(), alive = impl_->alive(), targets = std::move(targets)] {
                        if (*alive) impl->SetTargets(targets);
                      });
}
void ScaleViews::Refresh(const TargetRef& target) {
  impl_->http().After(absl::ZeroDuration(), [impl = impl_.get(), alive = impl_->alive(), target] {
    if (*alive) impl->Refresh(target);
  });
}

}  // namespace neap::kube
