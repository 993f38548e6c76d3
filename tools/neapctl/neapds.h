// The running neapds that a command asks: one by its URL, or those in a cluster, through the API
// server's proxy to their pods. Borrows nothing; one thread.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <string>
#include <vector>

#include "autoscaler/http/client.h"
#include "autoscaler/kube/api/client.h"

namespace neap::ctl {

// How kubectl's commands name a cluster and a namespace in it.
struct ClusterFlags {
  std::string kubeconfig;  // "" : KUBECONFIG, then ~/.kube/config
  std::string context;     // "" : current-context
  std::string ns;          // "" : the context's
  bool all_namespaces = false;
  std::string address;  // of a neapd, http://host:port: it is asked instead of those in the cluster
  std::string neap_namespace;  // where neapds are looked for; "" : everywhere
};

class Cluster {
 public:
  static absl::StatusOr<std::unique_ptr<Cluster>> Open(const ClusterFlags& flags);

  // Waits for the answer; see kube::api::Client.
  absl::StatusOr<kube::api::Reply> Do(kube::api::Call call) { return api_.Do(std::move(call)); }
  kube::api::Client& api() { return api_; }
  const std::string& ns() const { return ns_; }  // the flag's, or the context's

 private:
  Cluster(kube::api::ClusterConfig config, std::string ns);

  http::Client http_;
  kube::api::Client api_;
  const std::string ns_;
};

// What a neapd said to a question.
struct Answered {
  std::string who;        // its URL, or "pod neap-system/neap-7d9f"
  int status = 0;         // HTTP; 0: no answer, `body` says why
  std::string body = {};  // without a line feed at the end, when it is an error's

  std::string Refusal() const;  // who, and what it said, of a status other than 200
};

// Asks `path` (with `query`) of the neapd at `address`. Errors: nobody answers.
absl::StatusOr<Answered> AskAddress(const std::string& address, const std::string& path,
                                    const http::Headers& query, absl::Duration patience);

// Asks all neapds of the cluster at once (they share its objects), or the one of flags.address; in
// the order of their names. Errors: none was found, or not one answers.
absl::StatusOr<std::vector<Answered>> AskAll(const ClusterFlags& flags, const std::string& path,
                                             const http::Headers& query, absl::Duration patience);

}  // namespace neap::ctl
