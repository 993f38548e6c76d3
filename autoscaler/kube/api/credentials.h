// Credentials: what a request to an API server proves itself with, kept fresh: a token file is read
// again as it changes, a credential plugin is run again before its credential expires and when the
// server refuses it. Owned by api::Client, one each. Thread-safe; plugins run on a thread of its
// own, one at a time, so no caller waits for them.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/kube/api/config.h"
#include "autoscaler/kube/api/exec_plugin.h"

namespace neap::kube::api {

struct Credential {
  std::string authorization = {};  // header value, "" = none
  std::string cert_pem = {};       // instead of the config's, "" = the config's
  std::string key_pem = {};
  uint64_t number = 0;  // grows with each one that a plugin gives; for Refused
};

struct CredentialOptions {
  // How often a token file is looked at; before that when the server answers 401.
  absl::Duration token_check = absl::Minutes(1);
  ExecLimits exec = {};
  // A plugin's credential is renewed so long before it expires, or at 80 % of its life if that is
  // later; until it expires the old one serves.
  absl::Duration renew_before = absl::Minutes(5);
  // After a failure a plugin is not asked again for so long, doubled up to the second.
  absl::Duration retry_min = absl::Seconds(1);
  absl::Duration retry_max = absl::Minutes(1);
  // One that is refused when it is younger than this is not renewed: the next would be refused,
  // too.
  absl::Duration refusal_spacing = absl::Seconds(10);
};

struct CredentialCounters {
  uint64_t plugin_runs = 0;
  uint64_t plugin_failures = 0;
};

class Credentials {
 public:
  using Done = std::function<void(absl::StatusOr<Credential>)>;

  explicit Credentials(const ClusterConfig& config, CredentialOptions options = {});
  ~Credentials();  // Stop

  // The present one, or why there is none. nullopt: a plugin is asked; use Get.
  std::optional<absl::StatusOr<Credential>> Current() NEAP_EXCLUDES(mutex_);
  // `done` runs once: inside Get, or later on the plugin's thread or in Stop.
  void Get(Done done) NEAP_EXCLUDES(mutex_);
  // The server refused the credential of that number (401, or our certificate).
  void Refused(uint64_t number) NEAP_EXCLUDES(mutex_);
  // Ends a running plugin; who waits for it gets Cancelled. Idempotent. Not from a `done`.
  void Stop() NEAP_EXCLUDES(mutex_);

  CredentialCounters counters() const NEAP_EXCLUDES(mutex_);

 private:
  using Result = std::optional<absl::StatusOr<Credential>>;

  absl::StatusOr<Credential> FromTokenFile() NEAP_REQUIRES(mutex_);
  Result FromPlugin() NEAP_REQUIRES(mutex_);
  void AskPlugin() NEAP_REQUIRES(mutex_);
  void RunPlugin() NEAP_EXCLUDES(mutex_);  // the plugin's thread: until Stop
  void Take(absl::StatusOr<ExecCredential> given) NEAP_EXCLUDES(mutex_);
  Result Look() NEAP_REQUIRES(mutex_);

  const ClusterConfig config_;
  const CredentialOptions options_;
  const base::Clock clock_;

  mutable base::Mutex mutex_;
  // Of a token file.
  std::string token_ NEAP_GUARDED_BY(mutex_);
  absl::Duration token_read_at_ NEAP_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  // Of a plugin.
  std::optional<Credential> given_ NEAP_GUARDED_BY(mutex_);
  absl::Duration given_at_ NEAP_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  absl::Time expires_ NEAP_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Time renew_at_ NEAP_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Status failure_ NEAP_GUARDED_BY(mutex_);  // of the last run
  int failures_ NEAP_GUARDED_BY(mutex_) = 0;      // in a row
  absl::Duration retry_at_ NEAP_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  bool asked_ NEAP_GUARDED_BY(mutex_) = false;  // it is to run, or runs
  base::CondVar asks_or_stops_;
  bool stopped_ NEAP_GUARDED_BY(mutex_) = false;
  std::vector<Done> waiting_ NEAP_GUARDED_BY(mutex_);
  CredentialCounters counters_ NEAP_GUARDED_BY(mutex_);
  std::stop_source stop_;
  std::thread plugin_ NEAP_GUARDED_BY(mutex_);  // begun when a plugin is first asked
};

}  // namespace neap::kube::api
