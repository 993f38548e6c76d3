// The pods' side of Requests: processes that come up and end, and the queue in each.

#include <algorithm>
#include <limits>
#include <utility>

#include "autoscaler/sim/requests.h"

namespace neap::sim {
namespace {

// `work` thousandths of a unit that takes `unit`; what would not fit never ends.
int64_t WorkTime(int64_t unit, int64_t work) {
  if (work == 1000) return unit;
  if (unit > 0 && work > std::numeric_limits<int64_t>::max() / unit) return kNever / 2;
  return unit * work / 1000;
}

}  // namespace

// ---- what World says ----

int Requests::Add() {
  const int32_t id = pods_.Take();
  Pod& pod = pods_[id];
  const uint32_t process = pod.process + 1;  // what was planned for its predecessor is void
  pod = Pod();
  pod.process = process;
  pod.busy_at = now_;
  return id;
}

int Requests::AddServing() {
  const int32_t id = Add();
  pods_[id].listening = true;
  pods_[id].ready = true;
  pods_[id].up_since = std::numeric_limits<int64_t>::min() / 2;
  balancer_.Join(id);
  return id;
}

int64_t Requests::Run(int id) {
  if (pods_[id].deleted) return kNever;
  const int64_t boot = spec_.boot.Draw(chance_);
  if (boot == 0) {
    Listen(id);
  } else {
    Plan(now_ + boot, EventKind::kListens, id, pods_[id].process);
  }
  return now_ + boot;
}

void Requests::Listen(int32_t id) {
  pods_[id].listening = true;
  pods_[id].up_since = now_;
}

void Requests::SetReady(int id, bool ready) {
  Pod& pod = pods_[id];
  if (pod.ready == ready) return;
  pod.ready = ready;
  pod.heard_at = std::max(pod.heard_at, now_ + spec_.endpoint_delay.Draw(chance_));
  if (pod.heard == 0 && pod.heard_at <= now_) {
    Hear(id, ready);
    return;
  }
  ++pod.heard;
  Plan(pod.heard_at, ready ? EventKind::kReady : EventKind::kNotReady, id, 0);
}

void Requests::Hear(int32_t id, bool ready) {
  if (ready) {
    balancer_.Join(id);
  } else {
    balancer_.Leave(id);
  }
  FreeIfForgotten(id);
}

void Requests::Delete(int id) {
  Pod& pod = pods_[id];
  if (pod.deleted) return;
  pod.deleted = true;
  SetReady(id, false);
  if (spec_.drain && pod.listening) {
    pod.listening = false;
  } else {
    EndProcess(id);
  }
  if (in_flight(id) == 0) drained_.push_back(id);
  Settle();
}

void Requests::Stop(int id) {
  EndProcess(id);
  Settle();
}

void Requests::Remove(int id) {
  SetReady(id, false);
  EndProcess(id);
  drained_.erase(std::remove(drained_.begin(), drained_.end(), id), drained_.end());
  pods_[id].removed = true;  // from here on it may be freed, once
  FreeIfForgotten(id);
  Settle();
}

int Requests::TakeDrained() {
  if (drained_.empty()) return kNone;
  const int32_t id = drained_.front();
  drained_.erase(drained_.begin());
  return id;
}

// A pod that is gone is still sent to until the balancer has heard of it.
void Requests::FreeIfForgotten(int32_t id) {
  const Pod& pod = pods_[id];
  if (pod.removed && pod.heard == 0 && !balancer_.Knows(id)) pods_.Free(id);
}

// ---- what it serves ----

// A try comes to the pod. Its failure, when it fails at once.
std::optional<Requests::Outcome> Requests::Offer(int32_t id, int32_t pod_id) {
  Pod& pod = pods_[pod_id];
  const bool full = pod.serving >= spec_.concurrency && pod.queued >= spec_.queue;
  if (!pod.listening || full) {
    CountAgainst(pod_id);
    return pod.listening ? Outcome::kOverflowed : Outcome::kRefused;
  }
  const int32_t job_id = jobs_.Take();
  Job& job = jobs_[job_id];
  job.request = id;
  job.pod = pod_id;
  job.began = kNever;
  requests_[id].job = job_id;
  balancer_.Began(pod_id);
  if (pod.serving < spec_.concurrency) {
    Serve(job_id);
  } else {
    pod.queue.Append(jobs_, job_id);
    ++pod.queued;
  }
  return std::nullopt;
}

void Requests::Serve(int32_t id) {
  Job& job = jobs_[id];
  Pod& pod = pods_[job.pod];
  job.began = now_;
  CountBusy(pod);
  ++pod.serving;
  pod.served.Append(jobs_, id);
  const int64_t takes = WorkTime(spec_.service.Draw(chance_), requests_[job.request].work);
  Plan(now_ + std::min(takes, kNever / 2), EventKind::kServed, id, job.stamp);
}

void Requests::Served(int32_t id) {
  const Job job = jobs_[id];
  Pod& pod = pods_[job.pod];
  CountBusy(pod);
  --pod.serving;
  pod.served.Remove(jobs_, id);
  FreeJob(id);
  if (job.request != kNone) {
    const bool cold = spec_.boot_wrong_permille > 0 &&
                      job.began < pod.up_since + absl::ToInt64Nanoseconds(spec_.warm_up);
    if (cold && chance_.Below(1000) < static_cast<uint64_t>(spec_.boot_wrong_permille)) {
      CountAgainst(job.pod);
      FailTry(job.request, Outcome::kWrong);
    } else {
      balancer_.Worked(job.pod);
      Succeed(job.request, job.began);
    }
  }
  ServeNext(job.pod);
}

void Requests::ServeNext(int32_t id) {
  Pod& pod = pods_[id];
  if (!pod.queue.empty()) {
    const int32_t next = pod.queue.first();
    pod.queue.Remove(jobs_, next);
    --pod.queued;
    Serve(next);
  } else if (pod.deleted && pod.serving == 0) {
    drained_.push_back(id);
  }
}

// Its client does not wait for it any more.
void Requests::Abandon(int32_t id) {
  Job& job = jobs_[id];
  if (job.began != kNever) {
    balancer_.Ended(job.pod);
    job.request = kNone;
    return;
  }
  Pod& pod = pods_[job.pod];
  pod.queue.Remove(jobs_, id);
  --pod.queued;
  FreeJob(id);
}

// Its place is free, and it is under way no longer; it is in no list.
void Requests::FreeJob(int32_t id) {
  Job& job = jobs_[id];
  ++job.stamp;
  if (job.request != kNone) {
    balancer_.Ended(job.pod);
    requests_[job.request].job = kNone;
  }
  jobs_.Free(id);
}

void Requests::EndProcess(int32_t id) {
  Pod& pod = pods_[id];
  CountBusy(pod);
  pod.listening = false;
  ++pod.process;
  const auto reset = [&](int32_t job) {
    const int32_t request = jobs_[job].request;
    FreeJob(job);
    CountAgainst(id);
    if (request != kNone) FailTry(request, Outcome::kReset);
  };
  while (!pod.served.empty()) {
    const int32_t job = pod.served.first();
    pod.served.Remove(jobs_, job);
    --pod.serving;
    reset(job);
  }
  while (!pod.queue.empty()) {
    const int32_t job = pod.queue.first();
    pod.queue.Remove(jobs_, job);
    --pod.queued;
    reset(job);
  }
}

void Requests::CountBusy(Pod& pod) const {
  pod.busy += pod.serving * (now_ - pod.busy_at);
  pod.busy_at = now_;
}

int64_t Requests::BusyNanos(int id) const {
  const Pod& pod = pods_[id];
  return pod.busy + pod.serving * (now_ - pod.busy_at);
}

void Requests::CountAgainst(int32_t id) {
  if (!balancer_.Failed(id)) return;
  const int64_t until = now_ + std::min(absl::ToInt64Nanoseconds(spec_.eject_for), kNever / 2);
  Plan(until, EventKind::kReturn, id, balancer_.ejection(id));
}

}  // namespace neap::sim
