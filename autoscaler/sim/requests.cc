#include "autoscaler/sim/requests.h"

#include <algorithm>
#include <utility>

namespace neap::sim {
namespace {

// 300 years: later than that, nothing is planned.
constexpr int64_t kLast = kNever / 2;

int64_t Nanos(absl::Duration duration) {
  return duration >= absl::Nanoseconds(kLast) ? kNever : absl::ToInt64Nanoseconds(duration);
}

int64_t After(int64_t when, int64_t span) { return span >= kLast - when ? kNever : when + span; }

// Streams of workloads that have nothing to do with each other, nor with the world's own.
Random ChanceOf(uint64_t seed, int number) {
  Random world(seed);
  Random workload(world.Next() + static_cast<uint64_t>(number) * 0xd1342543de82ef95);
  return Random(workload.Next());
}

Arrivals ArrivalsOf(const RequestsSpec& spec, std::unique_ptr<TraceReader> rows, Random& chance) {
  return rows == nullptr ? Arrivals(spec.random, chance) : Arrivals(std::move(rows));
}

}  // namespace

Requests::Requests(const RequestsSpec& spec, Options options)
    : spec_(spec),
      timeout_(Nanos(spec.timeout)),
      client_per_try_(Nanos(spec.client.per_try)),
      gateway_per_try_(Nanos(spec.gateway.per_try)),
      objective_(Nanos(options.objective)),
      chance_(ChanceOf(options.seed, options.number)),
      arrivals_(ArrivalsOf(spec, std::move(options.rows), chance_)),
      balancer_(spec) {
  for (int i = 0; i < spec_.connections; ++i) {
    connections_.emplace_back();
    idle_.push_back(spec_.connections - 1 - i);
  }
}

// ---- time ----

int64_t Requests::next() const {
  return std::min({events_.next(), NextTimeout(), arrivals_.next()});
}

int64_t Requests::Advance(int64_t to) {
  const size_t drained = drained_.size();
  for (int64_t when = next(); when <= to && when != kNever; when = next()) {
    now_ = std::max(now_, when);
    if (events_.next() == when) {
      Handle(events_.Take());
    } else if (NextTimeout() == when) {
      TimeOut();
    } else {
      Arrive(arrivals_.Take(chance_));
    }
    Settle();
    if (drained_.size() != drained) return now_;
  }
  now_ = std::max(now_, to);
  Settle();
  return now_;
}

// What every step and every word from outside ends with: freed connections go to those who wait for
// one. In a loop here rather than where they are freed, since a refused try frees its own at once.
void Requests::Settle() {
  while (!line_.empty() && !idle_.empty()) {
    const int32_t id = line_.first();
    line_.Remove(requests_, id);
    Send(id);
  }
  service_.oldest = live_.empty() ? 0 : now_ - requests_[live_.first()].arrived;
}

void Requests::Plan(int64_t when, EventKind kind, int32_t id, uint32_t stamp) {
  if (when != kNever) events_.At(when, {.kind = kind, .id = id, .stamp = stamp});
}

void Requests::Handle(const Event& event) {
  switch (event.kind) {
    case EventKind::kServed:
      if (jobs_[event.id].stamp == event.stamp) Served(event.id);
      return;
    case EventKind::kClientTry:
      if (requests_[event.id].stamp == event.stamp) TryAsClient(event.id);
      return;
    case EventKind::kGatewayTry:
      if (requests_[event.id].stamp == event.stamp) TryAsGateway(event.id);
      return;
    case EventKind::kLetThrough:
      if (requests_[event.id].stamp == event.stamp) Route(event.id);
      return;
    case EventKind::kListens:
      if (pods_[event.id].process == event.stamp) Listen(event.id);
      return;
    case EventKind::kReady:
    case EventKind::kNotReady:
      --pods_[event.id].heard;
      Hear(event.id, event.kind == EventKind::kReady);
      return;
    case EventKind::kReturn:
      balancer_.Return(event.id, event.stamp);
      return;
  }
}

int64_t Requests::NextTimeout() const {
  int64_t next = kNever;
  if (!live_.empty()) next = After(requests_[live_.first()].arrived, timeout_);
  if (!client_tries_.empty()) {
    const int64_t began = requests_[client_tries_.first()].client_try_began;
    next = std::min(next, After(began, client_per_try_));
  }
  if (!gateway_tries_.empty()) {
    const int64_t began = requests_[gateway_tries_.first()].gateway_try_began;
    next = std::min(next, After(began, gateway_per_try_));
  }
  return next;
}

// The one that is due: of several, the whole request before a try of it.
void Requests::TimeOut() {
  if (const int32_t id = live_.first(); After(requests_[id].arrived, timeout_) == now_) {
    FailRequest(id, Outcome::kTimedOut);
  } else if (const int32_t client = client_tries_.first();
             client != kNone &&
             After(requests_[client].client_try_began, client_per_try_) == now_) {
    FailClientTry(client, Outcome::kTimedOut);
  } else {
    const int32_t late = gateway_tries_.first();
    const int32_t job = requests_[late].job;
    if (job != kNone) CountAgainst(jobs_[job].pod);
    FailTry(late, Outcome::kTimedOut);
  }
}

void Requests::SetRate(int64_t rate) { arrivals_.SetRate(now_, rate); }

// ---- the client ----

void Requests::Arrive(int64_t work) {
  const int32_t id = requests_.Take();
  Request& request = requests_[id];
  request.arrived = now_;
  request.work = work;
  request.client_tries = 0;
  request.failed_by = kNone;
  live_.Append(requests_, id);
  service_.arrived += 1000;
  service_.waiting += 1000;
  TryAsClient(id);
}

void Requests::TryAsClient(int32_t id) {
  Request& request = requests_[id];
  if (request.client_tries++ > 0) service_.retries += 1000;
  if (spec_.connections > 0 && (idle_.empty() || !line_.empty())) {
    request.at = Request::At::kLine;
    line_.Append(requests_, id);
  } else {
    Send(id);
  }
}

// A connection is free, or there is no limit.
void Requests::Send(int32_t id) {
  Request& request = requests_[id];
  if (pooled()) {
    if (idle_.empty()) {
      idle_.push_back(static_cast<int32_t>(connections_.size()));
      connections_.emplace_back();
    }
    request.connection = idle_.back();
    idle_.pop_back();
  }
  request.client_try_began = now_;
  if (client_per_try_ != kNever) client_tries_.Append(requests_, id);
  request.gateway_tries = 0;
  TryAsGateway(id);
}

// ---- the way ----

void Requests::TryAsGateway(int32_t id) {
  Request& request = requests_[id];
  if (request.gateway_tries++ > 0) service_.retries += 1000;
  request.at = Request::At::kOnWay;
  request.gateway_try_began = now_;
  if (gateway_per_try_ != kNever) gateway_tries_.Append(requests_, id);
  const auto meets = [this](int permille) {
    return permille > 0 && chance_.Below(1000) < static_cast<uint64_t>(permille);
  };
  if (meets(spec_.error_permille)) {
    request.failed_by = kNone;
    FailTry(id, Outcome::kWrong);
  } else if (meets(spec_.delay_permille)) {
    const int64_t until = After(now_, spec_.delay.Draw(chance_));
    Plan(until, EventKind::kLetThrough, id, ++request.stamp);
  } else {
    Route(id);
  }
}

void Requests::Route(int32_t id) {
  Request& request = requests_[id];
  const int32_t pod = PodFor(request);
  request.failed_by = pod;  // unless it works
  if (pod == kNone) {
    FailTry(id, Outcome::kRefused);
    return;
  }
  if (spec_.keep_alive) {
    connections_[static_cast<size_t>(request.connection)] = {.pod = pod,
                                                             .process = pods_[pod].process};
  }
  if (const std::optional<Outcome> failed = Offer(id, pod)) FailTry(id, *failed);
}

// The pod that the connection is kept to, when it still listens; a further try may go elsewhere.
int32_t Requests::PodFor(const Request& request) {
  int32_t avoid = kNone;
  if (request.gateway_tries > 1) {
    if (spec_.gateway.other_endpoint) avoid = request.failed_by;
  } else if (request.client_tries > 1 && spec_.client.other_endpoint) {
    avoid = request.failed_by;
  }
  if (spec_.keep_alive && request.gateway_tries == 1) {
    const Connection& kept = connections_[static_cast<size_t>(request.connection)];
    if (kept.pod != kNone && kept.pod != avoid && pods_[kept.pod].listening &&
        pods_[kept.pod].process == kept.process) {
      return kept.pod;
    }
  }
  return balancer_.Pick(avoid, chance_);
}

// ---- how tries and requests end ----

void Requests::EndGatewayTry(int32_t id) {
  Request& request = requests_[id];
  if (request.at != Request::At::kOnWay) return;
  request.at = Request::At::kAtGateway;
  if (gateway_per_try_ != kNever) gateway_tries_.Remove(requests_, id);
  if (request.job != kNone) Abandon(std::exchange(request.job, kNone));
}

void Requests::EndClientTry(int32_t id) {
  Request& request = requests_[id];
  EndGatewayTry(id);
  if (request.at != Request::At::kAtGateway) return;
  request.at = Request::At::kBetweenTries;
  if (client_per_try_ != kNever) client_tries_.Remove(requests_, id);
  if (pooled()) idle_.push_back(std::exchange(request.connection, kNone));
}

void Requests::Finish(int32_t id) {
  Request& request = requests_[id];
  EndClientTry(id);
  if (request.at == Request::At::kLine) line_.Remove(requests_, id);
  ++request.stamp;
  live_.Remove(requests_, id);
  requests_.Free(id);
  service_.waiting -= 1000;
}

void Requests::Succeed(int32_t id, int64_t began) {
  const int64_t arrived = requests_[id].arrived;
  service_.served += 1000;
  if (began - arrived > objective_) service_.late += 1000;
  service_.waits.Add(began - arrived);
  service_.latencies.Add(now_ - arrived);
  Finish(id);
}

// A connection ends with a failure, but not with an error that was answered on it.
void Requests::ForgetPod(const Request& request, Outcome outcome) {
  if (!spec_.keep_alive || request.connection == kNone || Answered(outcome)) return;
  connections_[static_cast<size_t>(request.connection)] = {};
}

void Requests::FailTry(int32_t id, Outcome outcome) {
  Request& request = requests_[id];
  EndGatewayTry(id);
  ForgetPod(request, outcome);
  if (request.gateway_tries >= spec_.gateway.attempts || !TriesAgain(spec_.gateway, outcome)) {
    FailClientTry(id, outcome);
    return;
  }
  const int64_t until = After(now_, spec_.gateway.pause.Draw(chance_));
  Plan(until, EventKind::kGatewayTry, id, ++request.stamp);
}

void Requests::FailClientTry(int32_t id, Outcome outcome) {
  Request& request = requests_[id];
  ForgetPod(request, outcome);
  EndClientTry(id);
  if (request.client_tries >= spec_.client.attempts || !TriesAgain(spec_.client, outcome)) {
    FailRequest(id, outcome);
    return;
  }
  const int64_t until = After(now_, spec_.client.pause.Draw(chance_));
  Plan(until, EventKind::kClientTry, id, ++request.stamp);
}

void Requests::FailRequest(int32_t id, Outcome outcome) {
  ForgetPod(requests_[id], outcome);
  switch (outcome) {
    case Outcome::kRefused:
      service_.refused += 1000;
      break;
    case Outcome::kReset:
      service_.reset += 1000;
      break;
    case Outcome::kWrong:
      service_.wrong += 1000;
      break;
    case Outcome::kOverflowed:
      service_.overflowed += 1000;
      break;
    case Outcome::kTimedOut:
      service_.timed_out += 1000;
      break;
  }
  Finish(id);
}

}  // namespace neap::sim
