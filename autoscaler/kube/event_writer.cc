#include "autoscaler/kube/event_writer.h"

#include <deque>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"

namespace neap::kube {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxMessage = 1024;  // the API's limit of an event's note

std::pair<const char*, const char*> KindAndVersion(core::ObjectKind kind) {
  switch (kind) {
    case core::ObjectKind::kAutoscaler:
      return {"Autoscaler", "neap.dev/v1alpha1"};
    case core::ObjectKind::kHpa:
      return {"HorizontalPodAutoscaler", "autoscaling/v2"};
    case core::ObjectKind::kScaledObject:
      return {"ScaledObject", "keda.sh/v1alpha1"};
  }
  return {"Autoscaler", "neap.dev/v1alpha1"};
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

// On the http::Client's thread; kept alive by callbacks under way.
class EventWriter::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(const Context& context, EventWriterOptions options)
      : context_(context), options_(std::move(options)), thinner_(options_.thinning) {}

  void Add(const control::EmitEvent& event) {
    if (closed_) return;
    const absl::Time now = clock_.Now();
    auto write = thinner_.Thin(event.uid.empty() ? event.key.Text() : event.uid, event.event, now);
    if (!write) return;
    if (queue_.size() >= options_.waiting) {
      if (!overflowing_) {
        context_.Report("events", base::ResourceExhausted(
                                      "{} events wait: further ones are dropped", queue_.size()));
      }
      overflowing_ = true;
      return;
    }
    // It is being created: the next one of it counts this one, too.
    if (write->name.empty() && !creating_.insert(write->key).second) return;
    queue_.push_back({event, *std::move(write), now});
    Pump();
  }

  void Close() {
    closed_ = true;
    queue_.clear();
  }
  http::Client& http() { return context_.client->http(); }

 private:
  struct Waiting {
    control::EmitEvent event;
    EventThinner::Write write;
    absl::Time at;
  };

  void Pump() {
    while (!queue_.empty() && running_ < options_.at_a_time) {
      Waiting next = std::move(queue_.front());
      queue_.pop_front();
      ++running_;
      Send(std::move(next));
    }
    if (queue_.empty()) overflowing_ = false;
  }

  void Send(Waiting waiting) {
    const bool update = !waiting.write.name.empty();
    const std::string ns = waiting.event.key.ns.empty() ? "default" : waiting.event.key.ns;
    api::Call call{.path = api::ResourcePath("", "v1", "events", ns, waiting.write.name),
                   .timeout = options_.timeout,
                   .may_send = context_.MaySend(waiting.event.uid)};
    std::string name = waiting.write.name;
    if (update) {
      call.method = "PATCH";
      call.content_type = api::kMergePatch;
      call.body = Dump({{"count", waiting.write.count},
                        {"message", waiting.write.message.substr(0, kMaxMessage)},
                        {"lastTimestamp", base::FormatTime(waiting.at)}});
    } else {
      name = fmt::format("{}.{:x}", waiting.event.key.name, NextSuffix(waiting.at));
      call.method = "POST";
      call.body = Dump(NewEvent(waiting, ns, name));
    }
    context_.client->Send(std::move(call), [self = shared_from_this(), waiting = std::move(waiting),
                                            update, name](absl::StatusOr<api::Reply> reply) {
      if (!self->closed_) self->OnReply(waiting, update, name, reply.status());
    });
  }

  void OnReply(const Waiting& waiting, bool update, const std::string& name,
               const absl::Status& status) {
    --running_;
    if (!update) creating_.erase(waiting.write.key);
    if (status.ok()) {
      thinner_.Written(waiting.write, name);
    } else if (update && absl::IsNotFound(status)) {  // events live an hour: it is a new one
      Waiting again = waiting;
      again.write.name.clear();
      again.write.count = 1;
      again.write.first = waiting.at;
      thinner_.Forget(waiting.write);
      if (creating_.insert(waiting.write.key).second) queue_.push_front(std::move(again));
    } else {
      context_.Report("event of " + waiting.event.key.Text(), status);
    }
    Pump();
  }

  // Nanoseconds as the HPA's recorder uses them, made unique.
  uint64_t NextSuffix(absl::Time at) {
    suffix_ = std::max(suffix_ + 1, static_cast<uint64_t>(absl::ToUnixNanos(at)));
    return suffix_;
  }

  Json NewEvent(const Waiting& waiting, const std::string& ns, const std::string& name) const {
    const auto [kind, version] = KindAndVersion(waiting.event.kind);
    return {{"apiVersion", "v1"},
            {"kind", "Event"},
            {"metadata", {{"name", name}, {"namespace", ns}}},
            {"involvedObject",
             {{"kind", kind},
              {"apiVersion", version},
              {"namespace", waiting.event.key.ns},
              {"name", waiting.event.key.name},
              {"uid", waiting.event.uid}}},
            {"reason", waiting.event.event.reason},
            {"message", waiting.write.message.substr(0, kMaxMessage)},
            {"type", waiting.event.event.type == core::EventType::kWarning ? "Warning" : "Normal"},
            {"source", {{"component", options_.component}}},
            {"reportingComponent", options_.component},
            {"reportingInstance", options_.instance},
            {"firstTimestamp", base::FormatTime(waiting.write.first)},
            {"lastTimestamp", base::FormatTime(waiting.at)},
            {"count", waiting.write.count}};
  }

  const Context context_;
  const EventWriterOptions options_;
  const base::Clock clock_;
  EventThinner thinner_;
  std::deque<Waiting> queue_;
  std::set<std::string> creating_;  // keys of events whose creation waits or is under way
  size_t running_ = 0;
  uint64_t suffix_ = 0;
  bool overflowing_ = false;
  bool closed_ = false;
};

EventWriter::EventWriter(const Context& context, EventWriterOptions options)
    : impl_(std::make_shared<Impl>(context, std::move(options))) {}

EventWriter::~EventWriter() {
  impl_->http().RunAndWait([this] { impl_->Close(); });
}

void EventWriter::Write(const control::EmitEvent& event) {
  impl_->http().After(absl::ZeroDuration(), [impl = impl_, event] { impl->Add(event); });
}

}  // namespace neap::kube
