#include "autoscaler/kube/api/credentials.h"

#include <algorithm>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/file.h"
#include "autoscaler/base/status.h"

namespace neap::kube::api {

Credentials::Credentials(const ClusterConfig& config, CredentialOptions options)
    : config_(config), options_(options) {}

Credentials::~Credentials() { Stop(); }

std::optional<absl::StatusOr<Credential>> Credentials::Current() {
  base::MutexLock lock(mutex_);
  return Look();
}

void Credentials::Get(Done done) {
  Result result;
  {
    base::MutexLock lock(mutex_);
    result = Look();
    if (!result) {
      waiting_.push_back(std::move(done));
      return;
    }
  }
  done(*std::move(result));
}

Credentials::Result Credentials::Look() {
  if (config_.exec) return FromPlugin();
  if (!config_.token_file.empty()) return FromTokenFile();
  Credential out;
  if (!config_.token.empty()) {
    out.authorization = "Bearer " + config_.token;
  } else if (!config_.username.empty()) {
    out.authorization = http::BasicAuthorization(config_.username, config_.password);
  }
  return out;
}

absl::StatusOr<Credential> Credentials::FromTokenFile() {
  if (clock_.Elapsed() - token_read_at_ >= options_.token_check) {
    std::string text = base::ReadFile(config_.token_file).value_or("");
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) {
      text.pop_back();
    }
    // While a token file is being replaced the old token is better than none.
    if (!text.empty()) {
      token_ = std::move(text);
      token_read_at_ = clock_.Elapsed();
    }
  }
  if (token_.empty()) {
    return base::Unauthenticated("{}: {}: the token file is empty or can't be read",
                                 Describe(config_), config_.token_file);
  }
  return Credential{.authorization = "Bearer " + token_};
}

Credentials::Result Credentials::FromPlugin() {
  if (stopped_) return base::Cancelled("{}: no request is made any more", Describe(config_));
  const absl::Time now = clock_.Now();
  const bool valid = given_ && now < expires_;
  if (!valid || now >= renew_at_) {
    if (!asked_ && clock_.Elapsed() >= retry_at_) AskPlugin();
    if (!valid && !asked_) return failure_;
  }
  if (!valid) return std::nullopt;
  return *given_;
}

void Credentials::AskPlugin() {
  asked_ = true;
  ++counters_.plugin_runs;
  if (!plugin_.joinable()) plugin_ = std::thread([this] { RunPlugin(); });
  asks_or_stops_.NotifyAll();
}

void Credentials::RunPlugin() {
  while (true) {
    {
      base::MutexLock lock(mutex_);
      while (!asked_ && !stopped_) asks_or_stops_.Wait(mutex_);
      if (!asked_) return;
    }
    Take(RunExecPlugin(config_, options_.exec, stop_.get_token()));
  }
}

void Credentials::Take(absl::StatusOr<ExecCredential> given) {
  std::vector<Done> waiting;
  absl::StatusOr<Credential> answer = absl::CancelledError();
  {
    base::MutexLock lock(mutex_);
    asked_ = false;
    waiting.swap(waiting_);
    const absl::Time now = clock_.Now();
    if (given.ok() && given->expires <= now) {
      given = base::Unauthenticated("{}: credential plugin {}: what it gave expired at {}",
                                    Describe(config_), config_.exec->command,
                                    base::FormatTime(given->expires));
    }
    if (given.ok()) {
      const uint64_t number = given_ ? given_->number + 1 : 1;
      given_ = Credential{.authorization = given->token.empty() ? "" : "Bearer " + given->token,
                          .cert_pem = std::move(given->cert_pem),
                          .key_pem = std::move(given->key_pem),
                          .number = number};
      given_at_ = clock_.Elapsed();
      expires_ = given->expires;
      renew_at_ = expires_ - std::min(options_.renew_before, (expires_ - now) / 5);
      failures_ = 0;
      retry_at_ = -absl::InfiniteDuration();
      answer = *given_;
    } else {
      ++counters_.plugin_failures;
      failure_ = given.status();
      absl::Duration wait = options_.retry_min;
      for (int i = 0; i < failures_ && wait < options_.retry_max; ++i) wait *= 2;
      ++failures_;
      retry_at_ = clock_.Elapsed() + std::min(wait, options_.retry_max);
      answer = failure_;
    }
  }
  for (const Done& done : waiting) done(answer);
}

void Credentials::Refused(uint64_t number) {
  base::MutexLock lock(mutex_);
  token_read_at_ = -absl::InfiniteDuration();
  if (!given_ || given_->number != number) return;  // a later one is in use already
  if (clock_.Elapsed() - given_at_ < options_.refusal_spacing) return;
  expires_ = absl::InfinitePast();
}

void Credentials::Stop() {
  std::thread plugin;
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
    plugin.swap(plugin_);
    asks_or_stops_.NotifyAll();
  }
  stop_.request_stop();
  if (plugin.joinable()) plugin.join();  // it answers those who wait
}

CredentialCounters Credentials::counters() const {
  base::MutexLock lock(mutex_);
  return counters_;
}

}  // namespace neap::kube::api
