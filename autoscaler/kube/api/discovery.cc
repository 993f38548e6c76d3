#include "autoscaler/kube/api/discovery.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>
#include <vector>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/value/value.h"

namespace neap::kube::api {
namespace {

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// The resources of an APIResourceList, with what their subresources say.
absl::StatusOr<std::vector<Resource>> ReadResources(const Reply& reply, const std::string& group,
                                                    const std::string& version) {
  NEAP_ASSIGN_OR_RETURN(const value::Value list, value::ParseJson(reply.body, reply.where));
  const value::Value* entries = list.Get("resources");
  if (entries == nullptr || !entries->is_list()) {
    return base::DataLoss("{}: the answer is no APIResourceList", reply.where);
  }
  std::vector<Resource> resources;
  for (const value::Value& entry : entries->list()) {
    const std::string name(entry.StringAt("name"));
    if (name.empty() || name.find('/') != std::string::npos) continue;
    const value::Value* namespaced = entry.Get("namespaced");
    resources.push_back({.group = group,
                         .version = version,
                         .plural = name,
                         .kind = std::string(entry.StringAt("kind")),
                         .namespaced = namespaced != nullptr &&
                                       namespaced->kind() == value::Kind::kBool &&
                                       namespaced->AsBool()});
  }
  for (const value::Value& entry : entries->list()) {
    const std::string_view name = entry.StringAt("name");
    for (Resource& resource : resources) {
      if (name == resource.plural + "/scale") resource.has_scale = true;
      if (name == resource.plural + "/status") resource.has_status = true;
    }
  }
  return resources;
}

}  // namespace

// On the http::Client's thread alone. Shared with the callbacks of requests.
class Discovery::Cache : public std::enable_shared_from_this<Cache> {
 public:
  Cache(Client& client, DiscoveryOptions options) : client_(client), options_(options) {}

  void Find(const std::string& group, const std::string& kind, Callback done) {
    Group& entry = groups_[group];
    const absl::Duration age = clock_.Elapsed() - entry.read_at;
    if (!entry.reading && age < options_.keep) {
      if (const Resource* found = Lookup(entry, kind)) {
        done(*found);
        return;
      }
      if (age < options_.keep_missing) {
        done(Missing(group, kind));
        return;
      }
    }
    entry.waiting.emplace_back(kind, std::move(done));
    if (!entry.reading) Read(group);
  }

  void Forget(const std::string& group) {
    if (auto at = groups_.find(group); at != groups_.end()) {
      at->second.read_at = -absl::InfiniteDuration();
    }
  }

  void Close() {
    closed_ = true;
    groups_.clear();
  }

 private:
  struct Group {
    bool reading = false;
    absl::Duration read_at = -absl::InfiniteDuration();
    std::vector<Resource> resources;  // preferred version first
    std::vector<Resource> incoming;
    std::vector<std::string> versions_left;  // of this reading, last first
    std::vector<std::pair<std::string, Callback>> waiting;
  };

  static absl::Status Missing(const std::string& group, const std::string& kind) {
    return base::NotFound("no matches for kind \"{}\" in group \"{}\"", kind, group);
  }

  static const Resource* Lookup(const Group& group, const std::string& kind) {
    const std::string lower = Lower(kind);
    for (const Resource& resource : group.resources) {
      if (resource.kind == kind || Lower(resource.kind) == kind ||
          (kind == lower && Lower(resource.kind) == lower)) {
        return &resource;
      }
    }
    return nullptr;
  }

  void Read(const std::string& group) {
    Group& entry = groups_[group];
    entry.reading = true;
    entry.incoming.clear();
    if (group.empty()) {
      entry.versions_left = {"v1"};
      ReadNextVersion(group);
      return;
    }
    client_.Send({.path = "/apis/" + http::UrlEncode(group)},
                 [self = shared_from_this(), group](absl::StatusOr<Reply> reply) {
                   if (!self->closed_) self->OnGroup(group, std::move(reply));
                 });
  }

  void OnGroup(const std::string& group, absl::StatusOr<Reply> reply) {
    if (!reply.ok()) {
      if (absl::IsNotFound(reply.status())) {
        Done(group, absl::OkStatus());  // no such group: no kinds
      } else {
        Done(group, reply.status());
      }
      return;
    }
    const auto parsed = value::ParseJson(reply->body, reply->where);
    if (!parsed.ok()) {
      Done(group, parsed.status());
      return;
    }
    const std::string_view preferred = parsed->StringAt("preferredVersion.version");
    std::vector<std::string> versions;
    if (!preferred.empty()) versions.emplace_back(preferred);
    if (const value::Value* list = parsed->Get("versions"); list != nullptr && list->is_list()) {
      for (const value::Value& version : list->list()) {
        const std::string_view name = version.StringAt("version");
        if (!name.empty() && name != preferred) versions.emplace_back(name);
      }
    }
    if (versions.empty()) {
      Done(group, base::DataLoss("{}: the answer is no APIGroup", reply->where));
      return;
    }
    std::reverse(versions.begin(), versions.end());
    groups_[group].versions_left = std::move(versions);
    ReadNextVersion(group);
  }

  void ReadNextVersion(const std::string& group) {
    Group& entry = groups_[group];
    if (entry.versions_left.empty()) {
      Done(group, absl::OkStatus());
      return;
    }
    const std::string version = entry.versions_left.back();
    entry.versions_left.pop_back();
    const std::string path =
        group.empty() ? "/api/" + http::UrlEncode(version)
                      : "/apis/" + http::UrlEncode(group) + "/" + http::UrlEncode(version);
    client_.Send({.path = path},
                 [self = shared_from_this(), group, version](absl::StatusOr<Reply> reply) {
                   if (!self->closed_) self->OnVersion(group, version, std::move(reply));
                 });
  }

  void OnVersion(const std::string& group, const std::string& version,
                 absl::StatusOr<Reply> reply) {
    if (!reply.ok() && !absl::IsNotFound(reply.status())) {
      Done(group, reply.status());
      return;
    }
    if (reply.ok()) {
      auto resources = ReadResources(*reply, group, version);
      if (!resources.ok()) {
        Done(group, resources.status());
        return;
      }
      Group& entry = groups_[group];
      entry.incoming.insert(entry.incoming.end(), resources->begin(), resources->end());
    }
    ReadNextVersion(group);
  }

  void Done(const std::string& group, const absl::Status& status) {
    Group& entry = groups_[group];
    entry.reading = false;
    entry.versions_left.clear();
    if (status.ok()) {
      entry.resources = std::move(entry.incoming);
      entry.read_at = clock_.Elapsed();
    }
    // A callback may call Find again.
    for (auto& [kind, done] : std::exchange(entry.waiting, {})) {
      const Resource* found = status.ok() ? Lookup(groups_[group], kind) : nullptr;
      if (found != nullptr) {
        done(Resource(*found));
      } else {
        done(status.ok() ? Missing(group, kind) : status);
      }
      if (closed_) return;
    }
  }

  Client& client_;
  const DiscoveryOptions options_;
  const base::Clock clock_;
  bool closed_ = false;
  std::map<std::string, Group> groups_;
};

Discovery::Discovery(Client& client, DiscoveryOptions options)
    : client_(client), cache_(std::make_shared<Cache>(client, options)) {}

Discovery::~Discovery() {
  client_.http().RunAndWait([this] { cache_->Close(); });
}

void Discovery::Find(std::string group, std::string kind, Callback done) {
  client_.http().After(absl::ZeroDuration(),
                       [cache = cache_, group = std::move(group), kind = std::move(kind),
                        done = std::move(done)] { cache->Find(group, kind, done); });
}

void Discovery::Forget(std::string group) {
  client_.http().After(absl::ZeroDuration(),
                       [cache = cache_, group = std::move(group)] { cache->Forget(group); });
}

}  // namespace neap::kube::api
