#include "autoscaler/kube/status_writer.h"

#include <algorithm>
#include <deque>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "autoscaler/base/budget.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/uid.h"

namespace neap::kube {
namespace {

constexpr size_t kSweepFrom = 1024;  // objects

size_t HashOf(const std::string& text) { return std::hash<std::string>()(text); }

// What is worth writing soon, counts and conditions without their words, as a hash.
size_t HeadlineOf(const core::Status& status) {
  std::string text = fmt::format("{} {}", status.current_replicas, status.desired_replicas);
  for (const core::Condition& condition : status.conditions) {
    text += fmt::format(" {}={}:{}", condition.type, static_cast<int>(condition.status),
                        condition.reason);
  }
  return HashOf(text);
}

}  // namespace

// On the http::Client's thread; kept alive by callbacks under way.
class StatusWriter::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const Context& context, StatusWriterOptions options)
      : context_(context), options_(options), requests_(options.per_second, options.burst) {}

  void Add(core::ObjectKey key, const base::Uid& uid, size_t headline, std::string json) {
    if (closed_) return;
    Object& object = objects_[uid];
    object.used_at = clock_.Elapsed();
    if (object.work == nullptr) {
      if (HashOf(json) == object.written) return;
      object.work = std::make_unique<Work>();
    }
    Work& work = *object.work;
    const bool urgent = headline != object.headline;
    work.key = std::move(key);
    work.waiting = std::move(json);
    object.headline = headline;
    if (!work.queued && !work.in_flight && work.retry == 0) {
      work.queued = true;
      (urgent ? urgent_ : routine_).push_back(uid);
    } else if (work.queued && urgent) {
      if (const auto at = std::find(routine_.begin(), routine_.end(), uid); at != routine_.end()) {
        routine_.erase(at);
        urgent_.push_back(uid);
      }
    }
    Pump();
  }

  void Close() { closed_ = true; }
  http::Client& http() { return context_.client->http(); }

 private:
  // A status that waits or is under way: of few objects at a time.
  struct Work {
    core::ObjectKey key;
    std::string waiting;  // JSON to be written, "" = none
    bool queued = false;
    bool in_flight = false;
    http::Id retry = 0;  // the timer until the next attempt, 0 = none
    int failures = 0;    // in a row
  };
  // Kept small: there is one of it per object.
  struct Object {
    size_t headline = 0;         // of the latest status given
    size_t written = 0;          // hash of the JSON that the server has from us, 0 = none
    std::unique_ptr<Work> work;  // null: there is nothing to do
    absl::Duration used_at;
  };

  void Pump() {
    const absl::Time now = clock_.Now();
    requests_.Refill(now);
    while (running_ < options_.at_a_time && (!urgent_.empty() || !routine_.empty())) {
      if (!requests_.Has()) return WaitForBudget(requests_.When(1) - now);
      requests_.Take();
      std::deque<base::Uid>& queue = urgent_.empty() ? routine_ : urgent_;
      const base::Uid uid = std::move(queue.front());
      queue.pop_front();
      Send(uid);
    }
  }

  void WaitForBudget(absl::Duration wait) {
    if (timer_pending_) return;
    timer_pending_ = true;
    http().After(wait, [self = shared_from_this()] {
      self->timer_pending_ = false;
      if (!self->closed_) self->Pump();
    });
  }

  void Send(const base::Uid& uid) {
    Work& work = *objects_.at(uid).work;
    work.queued = false;
    work.in_flight = true;
    ++running_;
    const std::string uid_text = uid.Text();
    std::string sent = std::exchange(work.waiting, {});
    std::string body = fmt::format(R"({{"metadata":{{"uid":{}}},"status":{}}})",
                                   nlohmann::json(uid_text).dump(), sent);
    context_.client->Send({.method = "PATCH",
                           .path = api::ResourcePath("neap.dev", "v1alpha1", "autoscalers",
                                                     work.key.ns, work.key.name, "status"),
                           .body = std::move(body),
                           .content_type = api::kMergePatch,
                           .timeout = options_.timeout,
                           .may_send = context_.MaySend(uid_text)},
                          [self = shared_from_this(), uid,
                           sent = std::move(sent)](absl::StatusOr<api::Reply> reply) mutable {
                            if (!self->closed_) self->OnReply(uid, std::move(sent), reply.status());
                          });
  }

  void OnReply(const base::Uid& uid, std::string sent, const absl::Status& status) {
    --running_;
    const auto at = objects_.find(uid);
    Object& object = at->second;
    Work& work = *object.work;
    work.in_flight = false;
    object.used_at = clock_.Elapsed();
    object.written = 0;  // unless it is known to be there
    if (status.ok()) {
      work.failures = 0;
      object.written = HashOf(sent);
      if (work.waiting == sent) work.waiting.clear();
    } else if (absl::IsNotFound(status) || absl::IsAborted(status)) {
      // Deleted, another object of that name, or another process's by now: nobody misses it.
      if (work.waiting.empty()) {
        objects_.erase(at);
        Pump();
        return;
      }
    } else {
      context_.Report("status of " + work.key.Text(), status);
      if (IsPassing(status)) {
        if (work.waiting.empty()) work.waiting = std::move(sent);
        RetryLater(uid, work, status);
        Pump();
        return;
      }
      work.failures = 0;  // refused: the next status may please better
    }
    if (work.waiting.empty()) {
      object.work.reset();
    } else {
      Queue(uid, work);
    }
    Sweep();
    Pump();
  }

  // Whether the same request may succeed later: the server is away or busy, or our credentials are
  // being renewed.
  static bool IsPassing(const absl::Status& status) {
    if (absl::IsUnauthenticated(status)) return true;
    const auto error = api::ApiErrorOf(status);
    if (error) return error->code == 429 || error->code >= 500;
    return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
  }

  void RetryLater(const base::Uid& uid, Work& work, const absl::Status& status) {
    absl::Duration delay = options_.retry_min;
    for (int i = 0; i < work.failures && delay < options_.retry_max; ++i) delay *= 2;
    delay = std::min(delay, options_.retry_max);
    if (const auto error = api::ApiErrorOf(status); error && error->retry_after) {
      delay = std::max(delay, *error->retry_after);
    }
    ++work.failures;
    work.retry = http().After(delay, [self = shared_from_this(), uid] {
      if (self->closed_) return;
      Work& again = *self->objects_.at(uid).work;
      again.retry = 0;
      self->Queue(uid, again);
      self->Pump();
    });
  }

  void Queue(const base::Uid& uid, Work& work) {
    work.queued = true;
    routine_.push_back(uid);
  }

  // Objects that are gone are not told to us: those that were quiet for long are forgotten, which
  // costs at most one write that says nothing new.
  void Sweep() {
    if (objects_.size() < sweep_at_) return;
    const absl::Duration now = clock_.Elapsed();
    std::erase_if(objects_, [&](const auto& entry) {
      const Object& object = entry.second;
      return object.work == nullptr && now - object.used_at > options_.forget_after;
    });
    sweep_at_ = std::max(kSweepFrom, objects_.size() * 2);
  }

  const Context context_;
  const StatusWriterOptions options_;
  const base::Clock clock_;
  std::unordered_map<base::Uid, Object> objects_;
  size_t sweep_at_ = kSweepFrom;
  std::deque<base::Uid> urgent_;
  std::deque<base::Uid> routine_;
  size_t running_ = 0;
  base::Budget requests_;
  bool timer_pending_ = false;
  bool closed_ = false;
};

StatusWriter::StatusWriter(const Context& context, Encode encode, StatusWriterOptions options)
    : encode_(std::move(encode)), impl_(std::make_shared<Impl>(context, options)) {}

StatusWriter::~StatusWriter() {
  impl_->http().RunAndWait([this] { impl_->Close(); });
}

void StatusWriter::Write(const control::WriteStatus& status) {
  if (status.kind != core::ObjectKind::kAutoscaler) return;  // other kinds are others' to write
  impl_->http().After(absl::ZeroDuration(),
                      [impl = impl_, key = status.key, uid = base::Uid(status.uid),
                       headline = HeadlineOf(status.status),
                       json = encode_(status)] { impl->Add(key, uid, headline, json); });
}

}  // namespace neap::kube
