// EventThinner: how often events reach the API server, by the rules of the HPA's event recorder
// (client-go, record): an event seen before only counts up; more than 10 similar ones of an object
// within 600 s become one combined event; and an object may send 25 at once, then one per 300 s.
// Pure state, no clock, no I/O; one thread only. Owned by EventWriter.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "autoscaler/core/status.h"

namespace neap::kube {

struct EventThinnerOptions {
  size_t similar = 10;  // distinct messages before they are combined
  absl::Duration similar_within = absl::Seconds(600);
  double burst = 25;                           // per object
  absl::Duration refill = absl::Seconds(300);  // for one more
  size_t remembered = 4096;                    // objects, events; the least recently used go
};

// The least recently used entries go when there are more than `limit`. Of a key its hash is kept, a
// tenth of it: the chance that two of 4,096 share one, and an event is counted as another, is
// 10^-12. One thread only.
template <typename V>
class RecentlyUsed {
 public:
  explicit RecentlyUsed(size_t limit) : limit_(limit) {}
  V& operator[](std::string_view key) {
    const size_t hash = std::hash<std::string_view>()(key);
    if (auto at = index_.find(hash); at != index_.end()) {
      order_.splice(order_.begin(), order_, at->second);
      return at->second->second;
    }
    order_.emplace_front(hash, V());
    index_.emplace(hash, order_.begin());
    if (order_.size() > limit_) {
      index_.erase(order_.back().first);
      order_.pop_back();
    }
    return order_.front().second;
  }
  size_t size() const { return order_.size(); }

 private:
  using Order = std::list<std::pair<size_t, V>>;
  const size_t limit_;
  Order order_;
  std::unordered_map<size_t, typename Order::iterator> index_;
};

class EventThinner {
 public:
  // An event to write: a new one, or (with `name`) one that exists, whose count goes up.
  struct Write {
    std::string key;      // for Written and Forget
    std::string name;     // of the existing event, "" = create one
    std::string message;  // perhaps "(combined from similar events): ..."
    int32_t count = 1;
    absl::Time first;
  };

  explicit EventThinner(EventThinnerOptions options = {});

  // `object` is the object's uid (or ns/name). nullopt: not to be written.
  std::optional<Write> Thin(const std::string& object, const core::Event& event, absl::Time now);
  void Written(const Write& write, const std::string& name);  // it exists under that name
  void Forget(const Write& write);                            // it no longer exists

 private:
  struct Similar {
    absl::Time last = absl::InfinitePast();
    std::vector<size_t> messages;  // hashes of the distinct ones
  };
  struct Seen {
    std::string name;
    int32_t count = 0;
    absl::Time first;
  };
  struct Bucket {
    bool started = false;
    double tokens = 0;
    absl::Time at;
  };
  bool TakeToken(const std::string& object, absl::Time now);

  const EventThinnerOptions options_;
  RecentlyUsed<Similar> similar_;
  RecentlyUsed<Seen> seen_;
  RecentlyUsed<Bucket> buckets_;
};

}  // namespace neap::kube
