#include "autoscaler/kube/event_thinner.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace neap::kube {

EventThinner::EventThinner(EventThinnerOptions options)
    : options_(options),
      similar_(options.remembered),
      seen_(options.remembered),
      buckets_(options.remembered) {}

bool EventThinner::TakeToken(const std::string& object, absl::Time now) {
  Bucket& bucket = buckets_[object];
  if (!bucket.started) {
    bucket = {.started = true, .tokens = options_.burst, .at = now};
  } else {
    const double refilled = absl::FDivDuration(now - bucket.at, options_.refill);
    bucket.tokens = std::min(options_.burst, bucket.tokens + std::max(0.0, refilled));
    bucket.at = now;
  }
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

std::optional<EventThinner::Write> EventThinner::Thin(const std::string& object,
                                                      const core::Event& event, absl::Time now) {
  const std::string group =
      fmt::format("{}\n{}\n{}", object, static_cast<int>(event.type), event.reason);
  Similar& similar = similar_[group];
  if (now - similar.last > options_.similar_within) similar.messages.clear();
  similar.last = now;
  const size_t hash = std::hash<std::string>()(event.message);
  if (std::ranges::find(similar.messages, hash) == similar.messages.end()) {
    similar.messages.push_back(hash);
  }
  std::string key = group;
  std::string message = event.message;
  if (similar.messages.size() < options_.similar) {
    key += "\n" + event.message;
  } else {  // bounded: the set never holds more than `similar`
    similar.messages.erase(similar.messages.begin());
    message = "(combined from similar events): " + message;
  }
  Seen& seen = seen_[key];
  // An object's flood must not reach the server, not even as counts.
  if (seen.count == 0) seen.first = now;
  ++seen.count;
  if (!TakeToken(object, now)) return std::nullopt;
  return Write{.key = std::move(key),
               .name = seen.name,
               .message = std::move(message),
               .count = seen.count,
               .first = seen.first};
}

void EventThinner::Written(const Write& write, const std::string& name) {
  seen_[write.key].name = name;
}

void EventThinner::Forget(const Write& write) { seen_[write.key] = {}; }

}  // namespace neap::kube
