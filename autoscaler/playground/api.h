// Api: the REST API over a Cluster: from a request to an answer or a watch, without any HTTP. Owned
// by Playground, called by the server's threads. Thread-safe.
//
//   Api api(cluster, {});
//   Api::Reply reply = api.Handle(request);
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "autoscaler/base/value/value.h"
#include "autoscaler/playground/answers.h"
#include "autoscaler/playground/cluster.h"
#include "autoscaler/playground/query.h"
#include "autoscaler/playground/watch.h"

namespace neap::playground {

struct ApiOptions {
  std::string token;  // asked of every request when not empty
  absl::Duration bookmark_every = absl::Minutes(1);
  bool admit_all = false;  // see playground.h
};

class Api {
 public:
  using Reply = std::variant<Answer, WatchRequest>;

  Api(Cluster& cluster, ApiOptions options) : cluster_(cluster), options_(std::move(options)) {}

  Reply Handle(const ApiRequest& request);
  bool Authorized(std::string_view authorization_header) const;
  // An Autoscaler from a file. `origin` names file and line in errors.
  absl::Status Load(const value::Value& document, std::string_view origin);

 private:
  // What a path names.
  struct Place {
    const Kind* kind = nullptr;
    std::string ns;
    std::string name;         // "" = the collection
    std::string subresource;  // "", "status", "scale"
  };
  // The part of an object that a write may change.
  enum class Part { kMain, kStatus };

  Reply Resource(const ApiRequest& request, const Place& place);
  Reply Collection(const ApiRequest& request, const Place& place);
  Answer List(const ApiRequest& request, const Kind& kind, const Filter& filter);
  Answer Page(const ApiRequest& request, const Kind& kind, std::vector<ObjectPtr> objects,
              uint64_t version, bool filtered) NEAP_EXCLUDES(pages_mutex_);
  Answer Continue(const ApiRequest& request, const Kind& kind) NEAP_EXCLUDES(pages_mutex_);
  std::string ListText(const ApiRequest& request, const Kind& kind,
                       const std::vector<ObjectPtr>& objects, std::string_view metadata) const;
  std::string ObjectText(const ApiRequest& request, const Kind& kind,
                         const ObjectPtr& object) const;

  // api_writes.cc
  Answer Scale(const ApiRequest& request, const Place& place);
  Answer Create(const ApiRequest& request, const Place& place);
  Answer Change(const ApiRequest& request, const Place& place);  // PUT and PATCH
  Answer Delete(const ApiRequest& request, const Place& place);
  Answer Replace(const ApiRequest& request, const Kind& kind, const ObjectPtr& current,
                 Json document, Part part) NEAP_REQUIRES(cluster_.mutex);
  // What admission says: nullopt when the object may come in. Adds warnings to `warnings`.
  std::optional<Answer> Admit(const Kind& kind, const Json& document, std::string_view validation,
                              std::vector<std::string>& warnings) const;
  void ForgetOldEvents() NEAP_REQUIRES(cluster_.mutex);

  Cluster& cluster_;
  const ApiOptions options_;

  // Lists of which a client has seen the first pages: the later ones are of the same version.
  struct Paged {
    uint64_t id = 0;
    uint64_t version = 0;
    KindId kind = KindId::kPod;
    std::shared_ptr<const std::vector<ObjectPtr>> objects;
    bool filtered = false;
  };
  static constexpr size_t kPagedLists = 32;
  base::Mutex pages_mutex_;
  std::deque<Paged> paged_ NEAP_GUARDED_BY(pages_mutex_);
  uint64_t next_page_id_ NEAP_GUARDED_BY(pages_mutex_) = 1;
  std::deque<std::pair<std::string, std::string>> events_ NEAP_GUARDED_BY(cluster_.mutex);
};

}  // namespace neap::playground
