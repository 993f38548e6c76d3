#include "autoscaler/scalerhost/host.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "autoscaler/base/mutex.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"
#include "autoscaler/scalerhost/check.h"
#include "autoscaler/scalerhost/connection.h"
#include "autoscaler/scalerhost/endpoint.h"
#include "autoscaler/scalerhost/loop.h"
#include "autoscaler/scalerhost/trigger_table.h"
#include "autoscaler/scalerhost/wire.h"

namespace neap::scalerhost {

std::string_view ViolationName(Violation violation) {
  switch (violation) {
    case Violation::kBadNumber:
      return "bad_number";
    case Violation::kNegativeZero:
      return "negative_zero";
    case Violation::kBadSeries:
      return "bad_series";
    case Violation::kBadColumns:
      return "bad_columns";
    case Violation::kBadForm:
      return "bad_form";
    case Violation::kBadTime:
      return "bad_time";
    case Violation::kBadActivity:
      return "bad_activity";
    case Violation::kBadTarget:
      return "bad_target";
    case Violation::kBadName:
      return "bad_name";
    case Violation::kMissingMetric:
      return "missing_metric";
    case Violation::kMissingAnswer:
      return "missing_answer";
    case Violation::kUnknownId:
      return "unknown_id";
    case Violation::kDuplicateAnswer:
      return "duplicate_answer";
    case Violation::kLateAnswer:
      return "late_answer";
    case Violation::kBadGeneration:
      return "bad_generation";
    case Violation::kReadingBeforeStatus:
      return "reading_before_status";
    case Violation::kBadFrame:
      return "bad_frame";
    case Violation::kCount:
      break;
  }
  return "";
}

TriggerTypes::TriggerTypes(std::vector<catalog::TriggerType> types, bool complete)
    : types_(std::move(types)), complete_(complete) {
  std::sort(types_.begin(), types_.end(),
            [](const auto& a, const auto& b) { return a.type < b.type; });
  for (const catalog::TriggerType& type : types_) names_.push_back(type.type);
}

const catalog::TriggerType* TriggerTypes::Find(std::string_view type) const {
  const auto at = std::lower_bound(names_.begin(), names_.end(), type);
  if (at == names_.end() || *at != type) return nullptr;
  return &types_[static_cast<size_t>(at - names_.begin())];
}

// Everything but `types_`, the counters and the endpoints' health is the loop's alone.
class Host::Impl {
 public:
  Impl(HostOptions options, const base::Clock& clock, HostHandlers handlers)
      : options_(std::move(options)),
        clock_(clock),
        handlers_(std::move(handlers)),
        random_(options_.seed != 0 ? options_.seed : std::random_device()()),
        loop_(clock) {}
  ~Impl() {
    loop_.Stop();
    for (const auto& endpoint : endpoints_) endpoint->Close();
  }

  absl::Status AddEndpoints();
  void Start();
  void Subscribe(control::Subscribe change);
  void Poll(control::Poll poll);

  std::shared_ptr<const TriggerTypes> types() const NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return types_;
  }
  std::vector<EndpointHealth> health() const;
  HostCounters counters() const NEAP_EXCLUDES(mutex_);

 private:
  struct Trigger {
    SharedSubscription subscription;
    Endpoint* endpoint = nullptr;                       // nullptr: nobody reads it
    std::unique_ptr<const core::ReadingError> refusal;  // then why, as control was told
  };
  struct HeldPoll {  // of types whose scaler may still be connecting
    uint64_t round = 0;
    std::vector<std::string> ids;
    absl::Duration deadline = absl::ZeroDuration();  // Clock::Elapsed
  };
  // What moves between endpoints in one go.
  struct Move {
    std::vector<SharedSubscription> put;
    std::vector<std::string> leave;   // to another endpoint, or to none
    std::vector<std::string> remove;  // by control, which waits for no answer any more
  };

  absl::StatusOr<Endpoint*> EndpointOf(const std::string& address);
  void OnEndpointChanged();
  void RebuildRoutes();
  void WarnOfSecondServers();
  void PublishTypes() NEAP_EXCLUDES(mutex_);
  // Finds the trigger's endpoint; notes in `moves` what endpoints must be told.
  void Route(Trigger& trigger, std::map<Endpoint*, Move>& moves);
  core::ReadingError RefusalOf(const control::Subscription& subscription) const;
  void Apply(std::map<Endpoint*, Move> moves);
  void TakeChange(control::Subscribe change);
  void TakePoll(uint64_t round, std::vector<std::string> ids, absl::Duration deadline);
  bool Undecided() const;  // an endpoint's first attempt is under way
  void ReleaseHeld();      // takes held polls again; what must wait longer is held again
  void FailOverdueHeld();

  const HostOptions options_;
  const base::Clock& clock_;
  const HostHandlers handlers_;
  std::mt19937_64 random_;

  std::map<std::string, Endpoint*> explicit_;  // by type
  std::vector<Endpoint*> scalers_;             // whose Describe says what they serve, in order
  std::map<std::string, Endpoint*, std::less<>> routes_;  // by type, both of the above
  TriggerTable<Trigger> triggers_;
  std::vector<HeldPoll> held_;
  std::set<std::string> warned_;  // "type address" of second servers

  mutable base::Mutex mutex_;
  std::shared_ptr<const TriggerTypes> types_ NEAP_GUARDED_BY(mutex_) =
      std::make_shared<const TriggerTypes>(std::vector<catalog::TriggerType>(), false);
  HostCounters counters_ NEAP_GUARDED_BY(mutex_);

  Loop loop_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;  // in the order of the options
};

// ---- endpoints and routes

absl::StatusOr<Endpoint*> Host::Impl::EndpointOf(const std::string& address) {
  for (const auto& endpoint : endpoints_) {
    if (endpoint->address() == address) return endpoint.get();
  }
  const auto tls = options_.tls.find(address);
  NEAP_ASSIGN_OR_RETURN(
      auto connection,
      Connection::Make(address,
                       tls == options_.tls.end() ? std::nullopt : std::optional(tls->second),
                       {.keepalive_time = options_.keepalive_time,
                        .keepalive_timeout = options_.keepalive_timeout,
                        .first_backoff = options_.first_backoff,
                        .last_backoff = options_.last_backoff}));
  endpoints_.push_back(
      std::make_unique<Endpoint>(address, std::move(connection),
                                 EndpointContext{.loop = loop_,
                                                 .clock = clock_,
                                                 .options = options_,
                                                 .random = random_,
                                                 .sink = handlers_.sink,
                                                 .report = handlers_.report,
                                                 .changed = [this] { OnEndpointChanged(); }}));
  return endpoints_.back().get();
}

absl::Status Host::Impl::AddEndpoints() {
  for (const std::string& address : options_.scalers) {
    NEAP_ASSIGN_OR_RETURN(Endpoint * endpoint, EndpointOf(address));
    if (std::find(scalers_.begin(), scalers_.end(), endpoint) == scalers_.end()) {
      scalers_.push_back(endpoint);
    }
  }
  for (const auto& [type, address] : options_.trigger_endpoints) {
    if (type.empty()) return base::InvalidArgument("scaler {}: the trigger type is empty", address);
    NEAP_ASSIGN_OR_RETURN(Endpoint * endpoint, EndpointOf(address));
    const auto [at, added] = explicit_.emplace(type, endpoint);
    if (!added && at->second != endpoint) {
      return base::InvalidArgument("trigger type {} is given two scalers, {} and {}", type,
                                   at->second->address(), address);
    }
  }
  for (const auto& [address, tls] : options_.tls) {
    if (std::none_of(endpoints_.begin(), endpoints_.end(),
                     [&](const auto& endpoint) { return endpoint->address() == address; })) {
      return base::InvalidArgument("TLS is set for {}, which is no scaler's address", address);
    }
  }
  return absl::OkStatus();
}

void Host::Impl::Start() {
  loop_.Post([this] {
    RebuildRoutes();
    PublishTypes();
    for (const auto& endpoint : endpoints_) endpoint->Start();
  });
}

void Host::Impl::OnEndpointChanged() {
  RebuildRoutes();
  WarnOfSecondServers();
  std::map<Endpoint*, Move> moves;
  triggers_.ForEach([&](Trigger& trigger) { Route(trigger, moves); });
  Apply(std::move(moves));
  PublishTypes();
  ReleaseHeld();
}

void Host::Impl::RebuildRoutes() {
  routes_.clear();
  routes_.insert(explicit_.begin(), explicit_.end());
  for (Endpoint* endpoint : scalers_) {
    for (const catalog::TriggerType& type : endpoint->types()) {
      routes_.emplace(type.type, endpoint);  // the first wins
    }
  }
  std::map<const Endpoint*, std::vector<std::string>> served;
  for (const auto& [type, endpoint] : routes_) served[endpoint].push_back(type);
  for (const auto& endpoint : endpoints_) {
    endpoint->SetRoutedTypes(std::move(served[endpoint.get()]));
  }
}

void Host::Impl::WarnOfSecondServers() {
  if (!handlers_.report) return;
  for (Endpoint* endpoint : scalers_) {
    for (const catalog::TriggerType& type : endpoint->types()) {
      const Endpoint* used = routes_.at(type.type);
      if (used == endpoint || explicit_.contains(type.type)) continue;
      if (!warned_.insert(type.type + " " + endpoint->address()).second) continue;
      handlers_.report(
          fmt::format("scaler {}: trigger type {} is not used", endpoint->address(), type.type),
          base::AlreadyExists("{} serves it, too, and comes first", used->address()));
    }
  }
}

void Host::Impl::PublishTypes() {
  std::vector<catalog::TriggerType> all;
  for (const auto& [name, endpoint] : routes_) {
    for (const catalog::TriggerType& type : endpoint->types()) {
      if (type.type == name) all.push_back(type);
    }
  }
  const bool complete = std::all_of(endpoints_.begin(), endpoints_.end(),
                                    [](const auto& endpoint) { return endpoint->described(); });
  auto types = std::make_shared<const TriggerTypes>(std::move(all), complete);
  {
    base::MutexLock lock(mutex_);
    types_ = types;
  }
  if (handlers_.types_changed) handlers_.types_changed(std::move(types));
}

// ---- triggers

void Host::Impl::Route(Trigger& trigger, std::map<Endpoint*, Move>& moves) {
  const auto route = routes_.find(trigger.subscription->type);
  Endpoint* endpoint = route == routes_.end() ? nullptr : route->second;
  if (ToWire(*trigger.subscription).ByteSizeLong() > kMaxTriggerBytes) endpoint = nullptr;
  if (endpoint == trigger.endpoint && endpoint != nullptr) return;
  if (trigger.endpoint != nullptr)
    moves[trigger.endpoint].leave.push_back(trigger.subscription->id);
  trigger.endpoint = endpoint;
  if (endpoint != nullptr) {
    trigger.refusal.reset();
    moves[endpoint].put.push_back(trigger.subscription);
    return;
  }
  if (Undecided()) return;  // one that may serve it is about to answer
  core::ReadingError refusal = RefusalOf(*trigger.subscription);
  if (trigger.refusal != nullptr && *trigger.refusal == refusal) return;
  trigger.refusal = std::make_unique<const core::ReadingError>(refusal);
  handlers_.sink(control::TriggerOpened{
      .trigger_id = trigger.subscription->id, .metrics = {}, .error = std::move(refusal)});
}

core::ReadingError Host::Impl::RefusalOf(const control::Subscription& subscription) const {
  const std::string& type = subscription.type;
  if (routes_.contains(type)) {
    return {.kind = core::ErrorKind::kBadParameter,
            .message =
                fmt::format("the trigger's parameters are larger than {} bytes", kMaxTriggerBytes)};
  }
  if (endpoints_.empty()) {
    return {.kind = core::ErrorKind::kUnknownTrigger,
            .message = fmt::format("trigger type \"{}\": no scaler is configured", type)};
  }
  std::vector<std::string_view> silent;
  for (const auto& endpoint : endpoints_) {
    if (!endpoint->described()) silent.push_back(endpoint->address());
  }
  if (!silent.empty()) {
    return {.kind = core::ErrorKind::kUnavailable,
            .message = fmt::format("no connected scaler serves trigger type \"{}\"; not reached so "
                                   "far: {}",
                                   type, fmt::join(silent, ", "))};
  }
  std::vector<std::string_view> known;
  for (const auto& [name, endpoint] : routes_) known.push_back(name);
  return {.kind = core::ErrorKind::kUnknownTrigger,
          .message = fmt::format("no scaler serves trigger type \"{}\"{}; known: {}", type,
                                 base::DidYouMean(type, known), fmt::join(known, ", "))};
}

void Host::Impl::Apply(std::map<Endpoint*, Move> moves) {
  // Removals first: a trigger that moves is at one endpoint at a time.
  for (auto& [endpoint, move] : moves) {
    if (!move.leave.empty()) {
      endpoint->GiveUp(move.leave);
      endpoint->Change({}, move.leave);
    }
    if (!move.remove.empty()) endpoint->Change({}, move.remove);
  }
  for (auto& [endpoint, move] : moves) {
    if (!move.put.empty()) endpoint->Change(move.put, {});
  }
}

void Host::Impl::Subscribe(control::Subscribe change) {
  loop_.Post([this, change = std::move(change)]() mutable { TakeChange(std::move(change)); });
}

void Host::Impl::TakeChange(control::Subscribe change) {
  std::map<Endpoint*, Move> moves;
  for (const std::string& id : change.remove) {
    const Trigger* found = triggers_.Find(id);
    if (found == nullptr) continue;
    if (found->endpoint != nullptr) moves[found->endpoint].remove.push_back(id);
    triggers_.Erase(id);
  }
  // A change may take an id out and put it in again: first out.
  Apply(std::exchange(moves, {}));
  for (SharedSubscription& subscription : change.put) {
    const auto [trigger, fresh] = triggers_.Put(subscription);
    if (!fresh && *trigger.subscription == *subscription) continue;
    trigger.subscription = std::move(subscription);
    const Endpoint* before = trigger.endpoint;
    Route(trigger, moves);
    // The same id with another interval, say: its endpoint is told again.
    if (before != nullptr && before == trigger.endpoint) {
      moves[trigger.endpoint].put.push_back(trigger.subscription);
    }
  }
  Apply(std::move(moves));
}

// ---- polls

void Host::Impl::Poll(control::Poll poll) {
  const absl::Duration deadline = clock_.Elapsed() + poll.deadline;
  loop_.Post([this, deadline, poll = std::move(poll)]() mutable {
    TakePoll(poll.round, std::move(poll.trigger_ids), deadline);
  });
}

void Host::Impl::TakePoll(uint64_t round, std::vector<std::string> ids, absl::Duration deadline) {
  std::map<Endpoint*, std::vector<std::string>> asked;
  HeldPoll held{.round = round, .ids = {}, .deadline = deadline};
  for (std::string& id : ids) {
    const Trigger* found = triggers_.Find(id);
    if (found == nullptr) {
      handlers_.sink(FailedReading(
          std::move(id), round,
          {.kind = core::ErrorKind::kUnknownTrigger, .message = "the trigger is not subscribed"}));
      base::MutexLock lock(mutex_);
      ++counters_.unknown_triggers;
    } else if (found->endpoint != nullptr) {
      asked[found->endpoint].push_back(std::move(id));
    } else if (found->refusal == nullptr) {
      held.ids.push_back(std::move(id));
    } else {
      handlers_.sink(FailedReading(std::move(id), round, *found->refusal));
      base::MutexLock lock(mutex_);
      ++counters_.refused_types;
    }
  }
  const absl::Duration left = deadline - clock_.Elapsed();
  for (auto& [endpoint, its] : asked) endpoint->Poll(round, std::move(its), left);
  if (held.ids.empty()) return;
  held_.push_back(std::move(held));
  loop_.After(left, [this] { FailOverdueHeld(); });
}

bool Host::Impl::Undecided() const {
  return std::any_of(endpoints_.begin(), endpoints_.end(),
                     [](const auto& endpoint) { return endpoint->undecided(); });
}

void Host::Impl::ReleaseHeld() {
  for (HeldPoll& poll : std::exchange(held_, {})) {
    TakePoll(poll.round, std::move(poll.ids), poll.deadline);
  }
}

void Host::Impl::FailOverdueHeld() {
  const absl::Duration now = clock_.Elapsed();
  for (HeldPoll& poll : std::exchange(held_, {})) {
    if (poll.deadline > now) {
      held_.push_back(std::move(poll));
      continue;
    }
    for (std::string& id : poll.ids) {
      handlers_.sink(FailedReading(
          std::move(id), poll.round,
          {.kind = core::ErrorKind::kTimeout, .message = "no scaler has answered yet"}));
    }
  }
}

std::vector<EndpointHealth> Host::Impl::health() const {
  std::vector<EndpointHealth> all;
  for (const auto& endpoint : endpoints_) all.push_back(endpoint->health());
  return all;
}

HostCounters Host::Impl::counters() const {
  HostCounters sum;
  {
    base::MutexLock lock(mutex_);
    sum = counters_;
  }
  for (const EndpointHealth& endpoint : health()) {
    const EndpointCounters& one = endpoint.counters;
    sum.endpoints.polls += one.polls;
    sum.endpoints.readings += one.readings;
    sum.endpoints.pushed += one.pushed;
    sum.endpoints.failed_readings += one.failed_readings;
    sum.endpoints.timeouts += one.timeouts;
    sum.endpoints.bytes += one.bytes;
    for (size_t i = 0; i < kViolations; ++i) sum.endpoints.violations[i] += one.violations[i];
  }
  return sum;
}

// ---- Host

Host::Host(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Host::~Host() = default;

absl::StatusOr<std::unique_ptr<Host>> Host::Make(HostOptions options, const base::Clock& clock,
                                                 HostHandlers handlers) {
  auto impl = std::make_unique<Impl>(std::move(options), clock, std::move(handlers));
  NEAP_RETURN_IF_ERROR(impl->AddEndpoints());
  impl->Start();
  return std::unique_ptr<Host>(new Host(std::move(impl)));
}

void Host::Subscribe(control::Subscribe change) { impl_->Subscribe(std::move(change)); }
void Host::Poll(control::Poll poll) { impl_->Poll(std::move(poll)); }
std::shared_ptr<const TriggerTypes> Host::types() const { return impl_->types(); }
std::vector<EndpointHealth> Host::health() const { return impl_->health(); }
HostCounters Host::counters() const { return impl_->counters(); }

}  // namespace neap::scalerhost
