#include "autoscaler/kube/status_writer.h"

#include <algorithm>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>

#include "autoscaler/base/lookup.h"
#include "autoscaler/base/status.h"

namespace neap::kube {
namespace {

// Left out of a status they would stay as they were: a merge patch removes what is null.
constexpr const char* kOptionalFields[] = {"lastScaleTime", "observedGeneration", "currentMetrics",
                                           "conditions", "explanation"};

// What is worth writing soon: counts, and conditions without their words.
std::string Headline(const core::Status& status) {
  std::string text = fmt::format("{} {}", status.current_replicas, status.desired_replicas);
  for (const core::Condition& condition : status.conditions) {
    text += fmt::format(" {}={}:{}", condition.type, static_cast<int>(condition.status),
                        condition.reason);
  }
  return text;
}

}  // namespace

// On the http::Client's thread; kept alive by callbacks under way.
class StatusWriter::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const Context& context, StatusWriterOptions options)
      : context_(context), options_(options), tokens_(options.burst) {}

  void Add(core::ObjectKey key, std::string uid, std::string headline, std::string json) {
    if (closed_) return;
    Object& object = objects_[uid];
    object.key = std::move(key);
    if (object.waiting.empty() && !object.in_flight && json == object.written) return;
    const bool urgent = headline != object.headline;
    object.waiting = std::move(json);
    object.headline = std::move(headline);
    if (!object.queued && !object.in_flight) {
      object.queued = true;
      (urgent ? urgent_ : routine_).push_back(uid);
    } else if (object.queued && urgent) {
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
  struct Object {
    core::ObjectKey key;
    std::string headline;  // of the latest status given
    std::string waiting;   // JSON to be written, "" = none
    std::string written;   // what the server has from us
    bool queued = false;
    bool in_flight = false;
  };

  void Pump() {
    const absl::Duration now = clock_.Elapsed();
    tokens_ = std::min(options_.burst,
                       tokens_ + absl::ToDoubleSeconds(now - refilled_at_) * options_.per_second);
    refilled_at_ = now;
    while (running_ < options_.at_a_time && (!urgent_.empty() || !routine_.empty())) {
      if (tokens_ < 1) {
        WaitForToken();
        return;
      }
      tokens_ -= 1;
      std::deque<std::string>& queue = urgent_.empty() ? routine_ : urgent_;
      const std::string uid = std::move(queue.front());
      queue.pop_front();
      Send(uid);
    }
  }

  void WaitForToken() {
    if (timer_pending_) return;
    timer_pending_ = true;
    http().After(absl::Seconds((1 - tokens_) / options_.per_second), [self = shared_from_this()] {
      self->timer_pending_ = false;
      if (!self->closed_) self->Pump();
    });
  }

  void Send(const std::string& uid) {
    Object& object = *objects_.Find(uid);
    object.queued = false;
    object.in_flight = true;
    ++running_;
    const std::string sent = std::exchange(object.waiting, {});
    nlohmann::json status = nlohmann::json::parse(sent, nullptr, /*allow_exceptions=*/false);
    for (const char* field : kOptionalFields) {
      if (!status.contains(field)) status[field] = nullptr;
    }
    const nlohmann::json body = {{"metadata", {{"uid", uid}}}, {"status", std::move(status)}};
    context_.client->Send(
        {.method = "PATCH",
         .path = api::ResourcePath("neap.dev", "v1alpha1", "autoscalers", object.key.ns,
                                   object.key.name, "status"),
         .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
         .content_type = api::kMergePatch,
         .timeout = options_.timeout},
        [self = shared_from_this(), uid, sent](absl::StatusOr<api::Reply> reply) {
          if (!self->closed_) self->OnReply(uid, sent, reply.status());
        });
  }

  void OnReply(const std::string& uid, const std::string& sent, const absl::Status& status) {
    --running_;
    Object& object = *objects_.Find(uid);
    object.in_flight = false;
    if (status.ok()) {
      object.written = sent;
      if (object.waiting == sent) object.waiting.clear();
    } else {
      object.written.clear();  // the next status is written whatever it says
      const bool gone = absl::IsNotFound(status) || absl::IsAborted(status);
      if (!gone) context_.Report("status of " + object.key.Text(), status);
      if (gone && object.waiting.empty()) {  // deleted, or another object of that name
        objects_.Erase(uid);
        Pump();
        return;
      }
    }
    if (!object.waiting.empty()) {
      object.queued = true;
      routine_.push_back(uid);
    }
    Pump();
  }

  const Context context_;
  const StatusWriterOptions options_;
  const base::Clock clock_;
  base::StringLookup<Object> objects_;  // by uid; those deleted go at the next 404
  std::deque<std::string> urgent_;
  std::deque<std::string> routine_;
  size_t running_ = 0;
  double tokens_;
  absl::Duration refilled_at_;
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
  impl_->http().After(
      absl::ZeroDuration(),
      [impl = impl_, key = status.key, uid = status.uid, headline = Headline(status.status),
       json = encode_(status)] { impl->Add(key, uid, headline, json); });
}

}  // namespace neap::kube
