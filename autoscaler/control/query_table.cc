#include "autoscaler/control/query_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "autoscaler/base/duration.h"
#include "autoscaler/control/digest.h"

namespace neap::control {
namespace {

core::Reading ErrorReading(core::ErrorKind kind, std::string message) {
  core::Reading reading;
  reading.form = core::Reading::Form::kError;
  reading.error = {.kind = kind, .message = std::move(message)};
  return reading;
}

core::Reading NeverRead() {
  return ErrorReading(core::ErrorKind::kNeverRead, "no reading has arrived yet");
}

// The part of the deadline that is the scaler's: the rest is for its answer's way back, so that a
// poll is answered before the next one is due.
absl::Duration ScalersShare(absl::Duration wait) { return wait * 9 / 10; }

// 0 when the source does not date its values: then each reading is a new one.
uint64_t ContentOf(const MetricReading& metric) {
  const core::Reading& reading = metric.reading;
  Digest digest;
  if (reading.form == core::Reading::Form::kPods) {
    for (const NamedPodSample& sample : metric.pod_samples) {
      if (sample.at == absl::InfinitePast()) return 0;
      digest.Text(sample.pod).Signed(sample.milli).At(sample.at).For(sample.window);
    }
  } else {
    if (reading.sampled_at == absl::InfinitePast()) return 0;
    digest.At(reading.sampled_at);
    for (const int64_t value : reading.milli) digest.Signed(value);
    for (const double value : reading.real) digest.Real(value);
  }
  const uint64_t value = digest.Word(reading.absent ? 1 : 0).value();
  return value == 0 ? 1 : value;
}

}  // namespace

Query* QueryTable::Use(Subscription wanted, Target* target, absl::Duration interval) {
  std::string id = ContentId(wanted);
  Query* query = nullptr;
  for (;; id += '+') {  // other content with the same hash
    const auto* found = queries_.Find(id);
    if (found == nullptr) break;
    if (SameQuery(*(*found)->subscription, wanted)) {
      query = found->get();
      break;
    }
  }
  if (query == nullptr) {
    auto made = std::make_unique<Query>();
    query = made.get();
    query->serial = ++serial_;
    query->timer = deadlines_.Add(query);
    if (wanted.type.starts_with("hpa-")) {
      query->slots.resize(1);
      query->slots[0].reading = NeverRead();
      if (!wanted.pod_selector.empty()) {
        // Canonical text parses: it came from a parsed selector.
        if (const auto selector = base::Selector::Parse(wanted.pod_selector); selector.ok()) {
          query->pods = pods_->Acquire(wanted.ns, *selector, wanted.pod_selector);
        }
      }
    }
    wanted.id = id;
    wanted.interval = interval;
    query->subscription = std::make_shared<const Subscription>(std::move(wanted));
    queries_.Insert(query->id(), std::move(made));
    changed_[id] = query;
  }
  abandoned_.erase(query->serial);
  const auto user = std::find_if(query->users.begin(), query->users.end(),
                                 [&](const Query::User& u) { return u.target == target; });
  if (user == query->users.end()) {
    query->users.push_back({target, interval});
  } else {
    user->interval = interval;
  }
  Retime(*query);
  return query;
}

void QueryTable::Retime(Query& query) {
  absl::Duration least = absl::InfiniteDuration();
  for (const Query::User& user : query.users) least = std::min(least, user.interval);
  if (least == query.subscription->interval) return;
  Subscription retimed = *query.subscription;
  retimed.interval = least;
  query.subscription = std::make_shared<const Subscription>(std::move(retimed));
  changed_[query.id()] = &query;
}

// It goes at the end of the step: who leaves and comes back within one finds its readings and the
// poll that is outstanding.
void QueryTable::Leave(Query* query, Target* target) {
  std::erase_if(query->users, [&](const Query::User& user) { return user.target == target; });
  if (query->users.empty()) {
    abandoned_[query->serial] = query;
  } else {
    Retime(*query);
  }
}

void QueryTable::DropAbandoned() {
  for (const auto& [serial, query] : abandoned_) {
    Close(*query);
    deadlines_.Remove(query->timer);
    if (query->pods != nullptr) pods_->Release(query->pods);
    const std::string id = query->id();
    changed_[id] = nullptr;
    queries_.Erase(id);
    in_order_.Forget();
  }
  abandoned_.clear();
}

Query* QueryTable::Find(const std::string& id) {
  return in_order_.Get([&](const Query& next) { return next.id() == id; },
                       [&]() -> Query* {
                         auto* found = queries_.Find(id);
                         return found == nullptr ? nullptr : found->get();
                       });
}

void QueryTable::Fail(Query& query, core::ReadingError error) {
  if (query.slots.empty()) {
    query.failed = std::make_unique<core::Reading>(ErrorReading(error.kind, error.message));
  }
  for (Query::Slot& slot : query.slots) {
    slot.reading = ErrorReading(error.kind, error.message);
    slot.by_pod.reset();
  }
}

bool QueryTable::Opened(Query& query, TriggerOpened opened) {
  if (opened.error) {
    query.refused =
        std::make_unique<core::Reading>(ErrorReading(opened.error->kind, opened.error->message));
    return false;
  }
  query.refused.reset();
  if (query.subscription->type.starts_with("hpa-")) return false;
  for (core::MetricSpec& metric : opened.metrics) metric.from_trigger = true;
  if (opened.metrics == query.metrics) return false;
  std::vector<Query::Slot> slots(opened.metrics.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    const auto old = std::find_if(query.slots.begin(), query.slots.end(), [&](const auto& slot) {
      return slot.name == opened.metrics[i].name;
    });
    if (old != query.slots.end()) {
      slots[i] = std::move(*old);
      old->name.clear();
    } else {
      slots[i].reading = query.failed == nullptr ? NeverRead() : *query.failed;
    }
    slots[i].name = opened.metrics[i].name;
  }
  query.slots = std::move(slots);
  query.metrics = std::move(opened.metrics);
  return true;
}

bool QueryTable::Put(Query::Slot& slot, MetricReading metric, bool pushed, absl::Time now) {
  core::Reading& reading = metric.reading;
  const bool was_value = slot.reading.form != core::Reading::Form::kError;
  if (pushed && was_value && reading.form != core::Reading::Form::kError &&
      reading.observed_at < slot.reading.observed_at) {
    return false;
  }
  reading.observed_at = std::min<base::Stamp>(reading.observed_at, now);
  if (reading.form == core::Reading::Form::kError) {
    slot.reading = std::move(reading);
    slot.by_pod.reset();
    return true;
  }
  std::stable_sort(metric.pod_samples.begin(), metric.pod_samples.end(),
                   [](const NamedPodSample& a, const NamedPodSample& b) { return a.pod < b.pod; });
  const uint64_t content = ContentOf(metric);
  if (content == 0 || content != slot.content) slot.sequence = ++sequence_;
  slot.content = content;
  reading.sequence = slot.sequence;
  reading.pods = {};
  slot.reading = reading;  // into the room that is there; what came in is warm and free again
  slot.by_pod.reset();
  if (reading.form == core::Reading::Form::kPods) {
    slot.by_pod = Query::ByPod{.samples = std::move(metric.pod_samples)};
  }
  return true;
}

bool QueryTable::Answered(Query& query, TriggerReading answer, absl::Time now, uint64_t* unknown) {
  const bool pushed = answer.round == 0;
  if (!pushed && answer.round == query.round) {
    Close(query);
    query.answered_at = now;
  } else if (!pushed && (answer.error || query.round != 0)) {
    return false;  // too late: of an earlier poll
  }
  if (answer.error) {
    Fail(query, std::move(*answer.error));
    return true;
  }
  bool taken = false;
  std::vector<bool> filled(query.slots.size(), false);
  for (MetricReading& metric : answer.metrics) {
    const auto slot = std::find_if(query.slots.begin(), query.slots.end(),
                                   [&](const Query::Slot& s) { return s.name == metric.name; });
    if (slot == query.slots.end()) {
      ++*unknown;
      continue;
    }
    filled[static_cast<size_t>(slot - query.slots.begin())] = true;
    taken = Put(*slot, std::move(metric), pushed, now) || taken;
  }
  if (pushed) return taken;
  for (size_t i = 0; i < query.slots.size(); ++i) {
    if (filled[i]) continue;
    Query::Slot& slot = query.slots[i];
    slot.reading = ErrorReading(
        core::ErrorKind::kBadAnswer,
        fmt::format("the answer of scaler type {} holds no value{}", query.subscription->type,
                    slot.name.empty() ? "" : " of metric " + slot.name));
    slot.by_pod.reset();
  }
  return true;
}

void QueryTable::Ask(Query& query, absl::Time now, absl::Duration wait) {
  Poll& poll = polls_[wait];
  if (poll.round == 0) {
    poll.round = ++round_;
    poll.deadline = ScalersShare(wait);
  }
  poll.trigger_ids.push_back(query.id());
  query.round = poll.round;
  query.asked_at = now;
  query.until = now + wait;
  deadlines_.Set(query.timer, query.until);
}

void QueryTable::Close(Query& query) {
  if (query.round == 0) return;
  deadlines_.Set(query.timer, absl::InfiniteFuture());
  query.round = 0;
  query.until = absl::InfiniteFuture();
}

std::vector<Query*> QueryTable::Expire(absl::Time now) {
  std::vector<Query*> expired;
  while (deadlines_.NextAt() <= now) {
    Query* query = deadlines_.Next();
    Close(*query);
    Fail(*query, {.kind = core::ErrorKind::kTimeout,
                  .message = fmt::format("the scaler of type {} did not answer within {}",
                                         query->subscription->type,
                                         base::FormatDuration(now - query->asked_at))});
    expired.push_back(query);
  }
  return expired;
}

absl::Time QueryTable::NextDeadline() const { return deadlines_.NextAt(); }

std::optional<Subscribe> QueryTable::TakeChanges() {
  DropAbandoned();
  if (changed_.empty()) return std::nullopt;
  Subscribe changes;
  for (const auto& [id, query] : changed_) {
    if (query != nullptr) {
      changes.put.push_back(query->subscription);
    } else {
      changes.remove.push_back(id);
    }
  }
  changed_.clear();
  return changes;
}

std::vector<Poll> QueryTable::TakePolls() {
  std::vector<Poll> polls;
  polls.reserve(polls_.size());
  for (auto& [wait, poll] : polls_) polls.push_back(std::move(poll));
  polls_.clear();
  return polls;
}

// Both sides are sorted by name; of several samples of one name the last counts, as upstream's map.
void QueryTable::Join(Query::Slot& slot, const PodTable::Set& set) {
  core::PodSamples& joined = slot.reading.pods;
  joined.by_pod.assign(set.pods.size(), {});
  joined.stray.clear();
  size_t pod = 0;
  const std::vector<NamedPodSample>& samples = slot.by_pod->samples;
  for (size_t i = 0; i < samples.size(); ++i) {
    const NamedPodSample& sample = samples[i];
    if (i + 1 < samples.size() && samples[i + 1].pod == sample.pod) continue;
    while (pod < set.pods.size() && set.pods[pod].name < sample.pod) ++pod;
    if (pod < set.pods.size() && set.pods[pod].name == sample.pod) {
      joined.by_pod[pod] = {
          .milli = sample.milli, .at = sample.at, .window = sample.window, .present = true};
    } else {
      joined.stray.push_back(sample.milli);
    }
  }
  slot.by_pod->joined_version = set.version;
}

const core::Reading* QueryTable::Read(Query& query, int index) {
  static const core::Reading kNeverRead = NeverRead();
  if (query.refused != nullptr) return query.refused.get();
  if (index < 0 || static_cast<size_t>(index) >= query.slots.size()) {
    return query.failed == nullptr ? &kNeverRead : query.failed.get();
  }
  Query::Slot& slot = query.slots[static_cast<size_t>(index)];
  if (query.pods != nullptr && slot.by_pod && slot.by_pod->joined_version != query.pods->version) {
    Join(slot, *query.pods);
  }
  return &slot.reading;
}

}  // namespace neap::control
