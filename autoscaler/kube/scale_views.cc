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
      for (const TargetRef& target : entry.second.targets) StopPolling(target);
      return true;
    });
    for (auto& [key, set] : wanted) SetKind(key, std::move(set));
  }

  void Refresh(const TargetRef& target) {
    if (IsPolled(target)) Get(target);
  }

  http::Client& http() { return context_.client->http(); }
  std::shared_ptr<const bool> alive() const { return alive_; }

 private:
  struct Kind {
    std::set<TargetRef> targets;                       // of a polled kind
    std::unique_ptr<Collection<core::Scale>> watched;  // null: polled
  };

  bool IsPolled(const TargetRef& target) const {
    const auto at = kinds_.find(KindOf(target));
    return at != kinds_.end() && at->second.watched == nullptr &&
           at->second.targets.contains(target);
  }

  void SetKind(const KindKey& key, std::set<TargetRef> targets) {
    const auto [at, is_new] = kinds_.try_emplace(key);
    Kind& kind = at->second;
    if (const WatchedKind* watched = FindWatched(key)) {
      if (is_new) OpenWatch(key, *watched, kind);
      return;
    }
    const std::set<TargetRef> before = std::exchange(kind.targets, std::move(targets));
    for (const TargetRef& target : before) {
      if (!kind.targets.contains(target)) StopPolling(target);
    }
    for (const TargetRef& target : kind.targets) {
      if (!before.contains(target)) Get(target);
    }
  }

  void OpenWatch(const KindKey& key, const WatchedKind& watched, Kind& kind) {
    using Scales = Collection<core::Scale>;
    const auto target_of = [key](const std::string& ns, const std::string& name) {
      return TargetRef{.group = key.first, .kind = key.second, .ns = ns, .name = name};
    };
    Scales::Callbacks callbacks;
    callbacks.decode = [](api::JsonObject& object, Scales::Item* item) {
      Workload workload;
      NEAP_RETURN_IF_ERROR(DecodeWorkload(object, &workload));
      item->ns = std::move(workload.ns);
      item->name = std::move(workload.name);
      item->value = std::move(workload.scale);
      return absl::OkStatus();
    };
    callbacks.replaced = [this, key, target_of](std::vector<Scales::Item> all) {
      control::ScalesReplaced message{.group = key.first, .kind = key.second, .all = {}};
      message.all.reserve(all.size());
      for (auto& item : all) {
        message.all.push_back({.target = target_of(item.ns, item.name),
                               .scale = std::move(item.value),
                               .error = std::nullopt});
      }
      context_.sink(std::move(message));
    };
    callbacks.changed = [this, target_of](Scales::Item item) {
      context_.sink(ScaleChange{.target = target_of(item.ns, item.name),
                                .scale = std::move(item.value),
                                .error = std::nullopt});
    };
    callbacks.deleted = [this, target_of](const std::string& ns, const std::string& name) {
      context_.sink(
          ScaleChange{.target = target_of(ns, name), .scale = std::nullopt, .error = std::nullopt});
    };
    callbacks.heard = [this, key] {
      context_.sink(control::ViewHeard{.view = control::View::kScales, .scope = ScopeOf(key)});
    };
    kind.watched = std::make_unique<Scales>(
        context_, watched.plural,
        [plural = watched.plural](const std::string& ns) {
          return api::ResourcePath("apps", "v1", plural, ns);
        },
        std::move(callbacks));
  }

  // ---- kinds that are not watched

  void Get(const TargetRef& target) {
    if (!under_way_.insert(target).second) return;  // its answer will do
    queue_.push_back(target);
    Pump();
  }

  void Pump() {
    while (!queue_.empty() && running_ < options_.gets_at_a_time) {
      const TargetRef target = std::move(queue_.front());
      queue_.pop_front();
      ++running_;
      context_.discovery->Find(
          target.group, target.kind,
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
      context_.discovery->Forget(target.group);  // gone, or its kind has moved to another version
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
    if (IsPolled(target)) {
      StopPolling(target);
      poll_timers_[target] = http().After(options_.poll_period, [this, target] {
        poll_timers_.erase(target);
        Get(target);
      });
      context_.sink(std::move(change));
    }
    Pump();
  }

  void StopPolling(const TargetRef& target) {
    if (const auto at = poll_timers_.find(target); at != poll_timers_.end()) {
      http().Drop(at->second);
      poll_timers_.erase(at);
    }
  }

  const Context context_;
  const ScaleViewsOptions options_;
  const std::shared_ptr<bool> alive_;  // for discovery's callbacks
  std::map<KindKey, Kind> kinds_;
  std::deque<TargetRef> queue_;
  std::set<TargetRef> under_way_;  // queued or sent
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
