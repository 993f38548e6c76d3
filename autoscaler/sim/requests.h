// Requests: the traffic of one workload, request by request: clients that send, wait and try again,
// the way to a pod (kube-proxy, a mesh, a gateway), and the queue in each pod. Owned by World, one
// per workload with RequestsSpec, and moved by it; it knows no World. Chance comes from a Random of
// its own. One thread only. Times are nanoseconds since the world began.
//
//   Requests requests(spec, {.seed = 1, .number = 0, .objective = absl::InfiniteDuration()});
//   const int pod = requests.Add();
//   requests.Run(pod);                          // its process boots
//   requests.SetReady(pod, true);
//   requests.SetRate(10'000);                   // ten per second from now()
//   while (requests.Advance(kMinute) < kMinute) Remove(requests.TakeDrained());
//   requests.service().served;
//
// The way of a request:
//   client     takes a connection (or waits for one, in turn) for each of its tries; between tries
//              it has none. `timeout` ends the request whatever it is doing.
//   gateway    each try of the client is up to `gateway.attempts` tries at a pod, each `per_try`
//              long at most. What the pod works on for a try given up, it works on to its end; what
//              still waits in its queue then leaves.
//   mesh       stands before the pods, behind the gateway: its errors and delays meet each try.
//   balancer   picks among the endpoints it knows (balancer.h); none: refused at once. A pod that
//              does not listen refuses, a full queue overflows: both at once.
//   pod        serves `concurrency` at once, the rest in order. Its answer is late by nothing else:
//              the network takes no time.
// A request that fails counts by how its last try failed; per-try time-outs and the total one are
// `timed_out`. At one moment, what is due in a pod comes first, then time-outs, then arrivals.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "autoscaler/sim/arrivals.h"
#include "autoscaler/sim/balancer.h"
#include "autoscaler/sim/events.h"
#include "autoscaler/sim/random.h"
#include "autoscaler/sim/service.h"
#include "autoscaler/sim/slots.h"
#include "autoscaler/sim/spec.h"
#include "autoscaler/sim/trace.h"

namespace neap::sim {

class Requests {
 public:
  struct Options {
    uint64_t seed = 1;  // the world's
    int number = 0;     // of the workload in it: each has its own chance
    absl::Duration objective = absl::InfiniteDuration();  // who waits longer is served late
    std::unique_ptr<TraceReader> rows = {};  // kRequests: instead of a rate, from time 0 on
  };
  Requests(const RequestsSpec& spec, Options options);

  // ---- time ----
  int64_t now() const { return now_; }
  // When Advance will next have something to do; kNever: not by itself.
  int64_t next() const;
  // Processes what happens up to and including `to`, but stops where a draining pod became empty
  // (see TakeDrained). Returns now(): `to`, or the moment where it stopped.
  int64_t Advance(int64_t to);

  // ---- load ----
  // Thousandths per second from now() on, 0 to kMaxRate. Without meaning for a trace.
  void SetRate(int64_t rate);
  bool ended() const { return arrivals_.ended(); }  // all rows of the trace have arrived
  // Why the trace could not be read further.
  const absl::Status& status() const { return arrivals_.status(); }

  // ---- pods, by a number that is theirs until Remove ----
  // What is said holds from now() on: Advance to the moment first.
  int Add();         // one without a process
  int AddServing();  // one that has been up, ready and known for long, as at a world's beginning
  // Its process boots from now() on. Returns when it will listen; without a boot it does now;
  // kNever for a deleted pod.
  int64_t Run(int pod);
  void SetReady(int pod, bool ready);  // the balancer hears of it `endpoint_delay` later
  // Its deletion was asked for: it is not ready and listens no longer. What it has is served (with
  // `drain`), or reset at once. When it has nothing left, which may be now, TakeDrained names it.
  void Delete(int pod);
  void Stop(int pod);    // its process ended by itself: what it had is reset; it may Run again
  void Remove(int pod);  // it is gone: what it still had is reset
  // A deleted pod that has nothing left and was not taken yet; kNone: there is none.
  int TakeDrained();

  bool listens(int pod) const { return pods_[pod].listening; }
  int in_flight(int pod) const { return pods_[pod].serving + pods_[pod].queued; }
  // The work it did since Add, in nanoseconds, summed over what it served at once.
  int64_t BusyNanos(int pod) const;

  // What became of them, as of now().
  const Service& service() const { return service_; }

 private:
  enum class Outcome : uint8_t { kRefused, kReset, kWrong, kOverflowed, kTimedOut };  // of a try
  static bool Answered(Outcome outcome) {
    return outcome == Outcome::kWrong || outcome == Outcome::kOverflowed;
  }
  static bool TriesAgain(const RetrySpec& retry, Outcome outcome) {
    return retry.on_error || !Answered(outcome);
  }
  enum class EventKind : uint8_t {
    kServed,      // of a job
    kClientTry,   // of a request whose pause is over
    kGatewayTry,  // likewise
    kLetThrough,  // of a request that the mesh delayed
    kListens,     // of a pod whose process is up
    kReady,       // the balancer hears that a pod is ready
    kNotReady,    // or is not
    kReturn,      // of an ejected pod
  };
  struct Event {
    EventKind kind;
    int32_t id;
    uint32_t stamp;  // of `id` when this was planned; when it has another one now, this is void
  };
  struct Request {
    enum class At : uint8_t {
      kLine,          // waits for a connection
      kBetweenTries,  // of the client: it pauses
      kAtGateway,     // which pauses between its tries
      kOnWay,         // to a pod, or in one
    };
    At at = At::kLine;
    int64_t arrived = 0;
    int64_t work = 0;
    int64_t client_try_began = 0;
    int64_t gateway_try_began = 0;
    int32_t client_tries = 0;
    int32_t gateway_tries = 0;  // of this try of the client
    int32_t connection = kNone;
    int32_t job = kNone;
    int32_t failed_by = kNone;  // the last try's pod
    uint32_t stamp = 0;
    Link live, line, client_try, gateway_try;
  };
  // A request, or what is left of it, in a pod.
  struct Job {
    int32_t request = kNone;  // kNone: nobody waits for it any more
    int32_t pod = kNone;
    int64_t began = kNever;  // kNever: it is in the queue
    uint32_t stamp = 0;
    Link in_pod;
  };
  struct Pod {
    bool listening = false;
    bool ready = false;  // what World says
    bool deleted = false;
    bool removed = false;
    int32_t heard = 0;     // endpoint events that are planned
    int64_t heard_at = 0;  // the last of them: they keep their order
    int64_t up_since = 0;
    uint32_t process = 0;  // changes with each end of one
    int32_t serving = 0;
    int32_t queued = 0;
    int64_t busy = 0;  // as of busy_at
    int64_t busy_at = 0;
    List<Job, &Job::in_pod> served;
    List<Job, &Job::in_pod> queue;
  };
  struct Connection {
    int32_t pod = kNone;  // that it is kept to
    uint32_t process = 0;
  };

  // requests.cc: time, the client, the way
  void Plan(int64_t when, EventKind kind, int32_t id, uint32_t stamp);
  void Handle(const Event& event);
  int64_t NextTimeout() const;
  void TimeOut();
  void Settle();
  void Arrive(int64_t work);
  void TryAsClient(int32_t id);
  void Send(int32_t id);
  void TryAsGateway(int32_t id);
  void Route(int32_t id);
  int32_t PodFor(const Request& request);
  void Succeed(int32_t id, int64_t began);
  void FailTry(int32_t id, Outcome outcome);
  void FailClientTry(int32_t id, Outcome outcome);
  void FailRequest(int32_t id, Outcome outcome);
  void ForgetPod(const Request& request, Outcome outcome);
  void EndGatewayTry(int32_t id);
  void EndClientTry(int32_t id);
  void Finish(int32_t id);
  bool pooled() const { return spec_.connections > 0 || spec_.keep_alive; }

  // requests_pods.cc: pods and what they serve
  std::optional<Outcome> Offer(int32_t id, int32_t pod);
  void Serve(int32_t job);
  void Served(int32_t job);
  void ServeNext(int32_t pod);
  void Abandon(int32_t job);
  void FreeJob(int32_t job);
  void EndProcess(int32_t pod);
  void Listen(int32_t pod);
  void Hear(int32_t pod, bool ready);
  void FreeIfForgotten(int32_t pod);
  void CountBusy(Pod& pod) const;
  void CountAgainst(int32_t pod);  // a failure, for outlier ejection

  const RequestsSpec spec_;
  const int64_t timeout_;
  const int64_t client_per_try_;
  const int64_t gateway_per_try_;
  const int64_t objective_;
  int64_t now_ = 0;
  Random chance_;
  Arrivals arrivals_;
  Balancer balancer_;
  EventQueue<Event> events_;
  Service service_;

  Slots<Request> requests_;
  Slots<Job> jobs_;
  Slots<Pod> pods_;
  // By age: time-outs come in the order of beginnings, so the first of each is the next.
  List<Request, &Request::live> live_;
  List<Request, &Request::client_try> client_tries_;
  List<Request, &Request::gateway_try> gateway_tries_;
  List<Request, &Request::line> line_;  // who waits for a connection
  std::vector<Connection> connections_;
  std::vector<int32_t> idle_;  // of the connections; the one used last is used first
  std::vector<int32_t> drained_;
};

}  // namespace neap::sim
