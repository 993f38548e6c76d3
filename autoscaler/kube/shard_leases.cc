#include "autoscaler/kube/shard_leases.h"

#include <absl/time/clock.h>

#include <atomic>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>
#include <vector>

#include "autoscaler/base/check.h"
#include "autoscaler/base/clock.h"
#include "autoscaler/base/duration.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/base/names.h"
#include "autoscaler/base/status.h"
#include "autoscaler/kube/json_fields.h"
#include "autoscaler/kube/lease_election.h"

namespace neap::kube {
namespace {

using Json = nlohmann::json;

constexpr char kGroup[] = "coordination.k8s.io";
constexpr char kInstallation[] = "neap.dev/leases";  // label: which leases a member lists
constexpr char kShards[] = "neap.dev/shards";        // annotation: how many the holder counts

// Values of MayWrite's table that are no time.
constexpr int64_t kNever = std::numeric_limits<int64_t>::min();
constexpr int64_t kGivenBack = kNever + 1;  // by Release, until the next acquisition

absl::Time TimeOf(const Json& object, const char* name) {
  const auto time = base::ParseTime(TextOf(object, name));
  return time.ok() ? *time : absl::InfinitePast();
}

absl::StatusOr<LeaseRecord> RecordOf(const Json& lease, std::string_view where) {
  const Json& metadata = Member(lease, "metadata");
  const Json& spec = Member(lease, "spec");
  LeaseRecord record{.name = TextOf(metadata, "name"),
                     .version = TextOf(metadata, "resourceVersion"),
                     .holder = TextOf(spec, "holderIdentity"),
                     .lasts = absl::Seconds(NumberOf(spec, "leaseDurationSeconds")),
                     .renewed = TimeOf(spec, "renewTime"),
                     .created = TimeOf(metadata, "creationTimestamp"),
                     .transitions = NumberOf(spec, "leaseTransitions")};
  if (record.name.empty() || record.version.empty()) {
    return base::DataLoss("{}: a Lease without name or resourceVersion", where);
  }
  const std::string shards = TextOf(Member(metadata, "annotations"), kShards);
  if (!shards.empty()) record.shards = std::atoi(shards.c_str());
  return record;
}

absl::StatusOr<LeaseRecord> DecodeLease(const absl::StatusOr<api::Reply>& reply) {
  if (!reply.ok()) return reply.status();
  const Json lease = Json::parse(reply->body, nullptr, /*allow_exceptions=*/false);
  if (!lease.is_object()) return base::DataLoss("{}: not a JSON object", reply->where);
  return RecordOf(lease, reply->where);
}

absl::StatusOr<std::vector<LeaseRecord>> DecodeLeases(const absl::StatusOr<api::Reply>& reply) {
  if (!reply.ok()) return reply.status();
  const Json list = Json::parse(reply->body, nullptr, /*allow_exceptions=*/false);
  const auto items = list.is_object() ? list.find("items") : list.end();
  if (!list.is_object() || items == list.end() || !(items->is_array() || items->is_null())) {
    return base::DataLoss("{}: not a list", reply->where);
  }
  std::vector<LeaseRecord> out;
  for (const Json& item : *items) {
    NEAP_ASSIGN_OR_RETURN(out.emplace_back(), RecordOf(item, reply->where));
  }
  return out;
}

}  // namespace

absl::Status Check(const ShardLeasesOptions& options) {
  const auto wrong = [](std::string_view option, std::string_view why) {
    return base::InvalidArgument("shard leases: {} {}", option, why);
  };
  if (!base::IsDnsLabel(options.ns)) return wrong("ns", "is not the name of a namespace");
  if (!base::IsDnsLabel(options.name)) return wrong("name", "is not a DNS label");
  const std::string longest = fmt::format("{}-member-{}", options.name, options.identity);
  if (!base::IsDnsSubdomain(options.identity) || !base::IsDnsSubdomain(longest)) {
    return wrong("identity", "makes no name of a Lease");
  }
  if (options.shards < 1 || options.shards > kMostShards) {
    return wrong("shards", fmt::format("{} is not from 1 to {}", options.shards, kMostShards));
  }
  if (options.lease_duration < absl::Seconds(1) ||
      absl::Trunc(options.lease_duration, absl::Seconds(1)) != options.lease_duration) {
    return wrong("lease_duration", "is not a whole number of seconds from 1");
  }
  if (options.renew_deadline >= options.lease_duration) {
    return wrong("renew_deadline", "is not less than lease_duration");
  }
  if (options.retry_period <= absl::ZeroDuration()) return wrong("retry_period", "is not positive");
  if (options.renew_interval < options.retry_period) {
    return wrong("renew_interval", "is less than retry_period");
  }
  // So that one renewal may fail.
  if (options.renew_interval + options.retry_period >= options.renew_deadline) {
    return wrong("renew_deadline", "is not more than renew_interval and retry_period together");
  }
  if (options.timeout <= absl::ZeroDuration()) return wrong("timeout", "is not positive");
  return absl::OkStatus();
}

// On the http::Client's thread but for MayWrite, GiveBack and counts; kept alive by callbacks under
// way.
class ShardLeases::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const Context& context, ShardLeasesOptions options, ShardCallbacks callbacks)
      : context_(context),
        options_(std::move(options)),
        callbacks_(std::move(callbacks)),
        election_(options_, context.watch.jitter),
        until_(static_cast<size_t>(options_.shards)) {
    for (std::atomic<int64_t>& until : until_) until = kNever;
  }

  void Pump() {
    if (closed_) return;
    http().Drop(std::exchange(timer_, 0));
    const absl::Duration now = Elapsed();
    LeaseElection::Actions actions = election_.Step(now);
    for (const LeaseElection::Event& event : actions.events) {
      if (const auto* acquired = std::get_if<ShardAcquired>(&event)) {
        until_[static_cast<size_t>(acquired->shard)] = kNever;  // from here it counts again
      }
    }
    for (int shard = 0; shard < options_.shards; ++shard) Publish(shard);
    {
      base::MutexLock lock(mutex_);
      counts_ = election_.counts();
    }
    for (LeaseWrite& write : actions.writes) Send(std::move(write));
    if (actions.list) List(now);
    if (actions.wake_at != absl::InfiniteDuration()) {
      timer_ = http().After(actions.wake_at - now, [self = shared_from_this()] {
        self->timer_ = 0;
        self->Pump();
      });
    }
    for (LeaseElection::Event& event : actions.events) {
      if (!closed_) std::visit([this](auto& e) { Tell(e); }, event);
    }
  }

  bool MayWrite(int shard) const {
    return absl::ToInt64Nanoseconds(Elapsed()) < until_.at(static_cast<size_t>(shard)).load();
  }
  void GiveBack(int shard) { until_.at(static_cast<size_t>(shard)) = kGivenBack; }
  void Release(int shard) {
    election_.Release(shard);
    Pump();
  }
  void Resign(std::function<void()> done) {
    resigned_.push_back(std::move(done));
    election_.Resign();
    Pump();
  }

  ShardLeaseCounts counts() const NEAP_EXCLUDES(mutex_) {
    base::MutexLock lock(mutex_);
    return counts_;
  }

  void Close() {
    closed_ = true;
    http().Drop(timer_);
    for (std::atomic<int64_t>& until : until_) until = kNever;
  }
  http::Client& http() { return context_.client->http(); }

 private:
  absl::Duration Elapsed() const {
    return options_.elapsed ? options_.elapsed() : base::SinceBoot();
  }
  absl::Time Wall() const { return options_.wall ? options_.wall() : absl::Now(); }

  // What MayWrite reads; Release on another thread wins.
  void Publish(int shard) {
    const absl::Duration until = election_.MayWriteUntil(shard);
    const int64_t value =
        until == -absl::InfiniteDuration() ? kNever : absl::ToInt64Nanoseconds(until);
    std::atomic<int64_t>& cell = until_[static_cast<size_t>(shard)];
    int64_t before = cell.load();
    while (before != kGivenBack && !cell.compare_exchange_weak(before, value)) {
    }
  }

  void Tell(ShardAcquired& event) {
    if (callbacks_.acquired) callbacks_.acquired(event);
  }
  void Tell(LeaseElection::Leave& event) {
    if (callbacks_.leave) callbacks_.leave(event.shard);
  }
  void Tell(LeaseElection::Lost& event) {
    if (callbacks_.lost) callbacks_.lost(event.shard, event.why);
  }
  void Tell(LeaseElection::Resigned&) {
    for (auto& done : std::exchange(resigned_, {})) done();
  }
  void Tell(LeaseElection::Trouble& event) { context_.Report(event.what, event.error); }

  std::string Path(const std::string& name = "") const {
    return api::ResourcePath(kGroup, "v1", "leases", options_.ns, name);
  }

  void List(absl::Duration now) {
    context_.client->Send(
        {.path = Path(),
         .query = {{"labelSelector", fmt::format("{}={}", kInstallation, options_.name)}},
         .timeout = options_.timeout},
        [self = shared_from_this(), now](const absl::StatusOr<api::Reply>& reply) {
          if (self->closed_) return;
          self->election_.OnList(self->Elapsed(), now, DecodeLeases(reply));
          self->Pump();
        });
  }

  void Send(LeaseWrite write) {
    using Kind = LeaseWrite::Kind;
    const bool create = write.kind == Kind::kCreate;
    Json body = Json::object();
    if (create) body = {{"apiVersion", "coordination.k8s.io/v1"}, {"kind", "Lease"}};
    if (write.kind == Kind::kDelete) {
      if (!write.version.empty()) body["preconditions"]["resourceVersion"] = write.version;
    } else {
      Json& metadata = body["metadata"];
      Json& spec = body["spec"];
      const std::string now = base::FormatTimeMicro(Wall());
      if (create) {
        metadata["name"] = write.name;
        metadata["namespace"] = options_.ns;
      } else {
        metadata["resourceVersion"] = write.version;
      }
      if (create || write.kind == Kind::kTake) {
        metadata["labels"][kInstallation] = options_.name;
        metadata["annotations"][kShards] = std::to_string(options_.shards);
        spec["holderIdentity"] = options_.identity;
        spec["leaseDurationSeconds"] = absl::ToInt64Seconds(options_.lease_duration);
        spec["acquireTime"] = now;
        spec["leaseTransitions"] = write.transitions;
      }
      if (write.kind == Kind::kClear) spec["holderIdentity"] = nullptr;
      spec["renewTime"] = now;
    }
    const char* method = create ? "POST" : write.kind == Kind::kDelete ? "DELETE" : "PATCH";
    api::Call call{
        .method = method,
        .path = create ? Path() : Path(write.name),
        .body = body.empty() ? "" : body.dump(),
        .content_type = method == std::string_view("PATCH") ? api::kMergePatch : api::kJson,
        .timeout = options_.timeout};
    context_.client->Send(std::move(call), [self = shared_from_this(), write = std::move(write)](
                                               const absl::StatusOr<api::Reply>& reply) {
      if (self->closed_) return;
      const bool gone = write.kind == Kind::kDelete && reply.ok();
      self->election_.OnWritten(self->Elapsed(), write, gone ? LeaseRecord{} : DecodeLease(reply));
      self->Pump();
    });
  }

  const Context context_;
  const ShardLeasesOptions options_;
  const ShardCallbacks callbacks_;
  LeaseElection election_;
  std::vector<std::atomic<int64_t>> until_;  // nanoseconds of Elapsed; see MayWrite
  http::Id timer_ = 0;
  std::vector<std::function<void()>> resigned_;
  bool closed_ = false;
  mutable base::Mutex mutex_;
  ShardLeaseCounts counts_ NEAP_GUARDED_BY(mutex_);
};

ShardLeases::ShardLeases(const Context& context, ShardLeasesOptions options,
                         ShardCallbacks callbacks)
    : impl_([&] {
        const absl::Status wrong = Check(options);
        NEAP_CHECK(wrong.ok(), "{}", base::Message(wrong));
        return std::make_shared<Impl>(context, std::move(options), std::move(callbacks));
      }()) {
  impl_->http().After(absl::ZeroDuration(), [impl = impl_] { impl->Pump(); });
}

ShardLeases::~ShardLeases() {
  impl_->http().RunAndWait([this] { impl_->Close(); });
}

bool ShardLeases::MayWrite(int shard) const { return impl_->MayWrite(shard); }

void ShardLeases::Release(int shard) {
  impl_->GiveBack(shard);
  impl_->http().After(absl::ZeroDuration(), [impl = impl_, shard] { impl->Release(shard); });
}

void ShardLeases::Resign(std::function<void()> done) {
  impl_->http().After(absl::ZeroDuration(), [impl = impl_, done = std::move(done)]() mutable {
    impl->Resign(std::move(done));
  });
}

ShardLeaseCounts ShardLeases::counts() const { return impl_->counts(); }

}  // namespace neap::kube
