#include "autoscaler/telemetry/records.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"

namespace neap::telemetry {

Records::Records(std::string build, core::HpaOptions options, std::function<void()> wake)
    : build_(std::move(build)), options_(options), wake_(std::move(wake)) {}

absl::StatusOr<std::string> Records::Get(const core::ObjectKey& key, absl::Duration patience) {
  Object* object = nullptr;
  {
    base::MutexLock lock(mutex_);
    if (closed_) return base::Unavailable("neapd stops");
    if (waiting_ >= kMostWaiting) {
      return base::ResourceExhausted("{} questions wait for decisions already", waiting_);
    }
    object = Enter(key);
    if (object == nullptr) {
      return base::ResourceExhausted("{} objects are waited for already", kMostObjects);
    }
    object->asked = true;
    object->nowhere = false;
    ++object->waiting;
    ++waiting_;
    idle_ = false;
  }
  wake_();
  base::MutexLock lock(mutex_);
  auto out = Await(*object, patience);
  --object->waiting;
  --waiting_;
  return out;
}

absl::StatusOr<std::string> Records::Await(Object& object, absl::Duration patience) {
  const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(patience);
  for (;;) {
    if (closed_) return base::Unavailable("neapd stops");
    if (object.nowhere) {
      return base::NotFound("{}: there is no such object, or it is refused", object.key.Text());
    }
    if (!object.asked && !object.segment.empty()) return object.segment;
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= std::chrono::nanoseconds(0)) {
      return base::DeadlineExceeded("{}: it was not decided within {}; its next decision is kept",
                                    object.key.Text(), base::FormatDuration(patience));
    }
    changed_.WaitFor(mutex_, left);
  }
}

Records::Object* Records::Enter(const core::ObjectKey& key) {
  auto found = std::find_if(objects_.begin(), objects_.end(),
                            [&](const Object& object) { return object.key == key; });
  if (found == objects_.end()) {
    if (objects_.size() >= kMostObjects) {
      const auto oldest = std::find_if(objects_.rbegin(), objects_.rend(),
                                       [](const Object& object) { return object.waiting == 0; });
      if (oldest == objects_.rend()) return nullptr;
      objects_.erase(std::prev(oldest.base()));
    }
    found = objects_.emplace(objects_.begin());
    found->key = key;
  }
  objects_.splice(objects_.begin(), objects_, found);
  return &*found;
}

Records::Object* Records::FindUid(std::string_view uid) {
  for (Object& object : objects_) {
    if (object.uid == uid) return &object;
  }
  return nullptr;
}

void Records::OnDecision(const control::DecisionRecord& record, absl::Time now) {
  if (idle_) return;
  base::MutexLock lock(mutex_);
  Object* object = FindUid(record.uid);
  if (object == nullptr) return;
  if (object->segment.empty() || object->segment.size() > kMostBytes) {
    object->segment.clear();
    object->encoder.Begin(build_, options_, now, 0, &object->segment);
  }
  object->encoder.Decision(record, &object->segment);
  object->decision_id = record.decision_id;
}

void Records::OnOutcome(const control::OutcomeRecord& record) {
  if (idle_) return;
  base::MutexLock lock(mutex_);
  Object* object = FindUid(record.uid);
  if (object == nullptr || object->segment.empty() || object->decision_id != record.decision_id) {
    return;
  }
  object->encoder.Outcome(record, &object->segment);
}

void Records::Serve(const control::Controller& controller) {
  if (idle_) return;
  bool more = false;
  {
    base::MutexLock lock(mutex_);
    for (Object& object : objects_) {
      if (object.asked) more = LookUp(object, controller) || more;
    }
    // Also for those that were decided in the step before.
    changed_.NotifyAll();
  }
  if (more) wake_();
}

bool Records::LookUp(Object& object, const control::Controller& controller) {
  control::TargetInfo info;
  if (!object.uid.empty()) {
    if (controller.FindTarget(object.uid, &info) && info.spec->key == object.key) {
      object.asked = false;
      return false;
    }
    object.uid.clear();  // gone; another one may have its name
    object.segment.clear();
    object.after.clear();
  }
  for (int i = 0; i < kChunk; ++i) {
    if (!controller.NextTarget(object.after, &info)) {
      object.nowhere = true;
      object.asked = false;
      object.after.clear();
      return false;
    }
    object.after = info.uid;
    if (info.spec->key != object.key) continue;
    object.uid = info.uid;
    object.asked = false;
    return false;
  }
  return true;
}

void Records::Close() {
  base::MutexLock lock(mutex_);
  closed_ = true;
  changed_.NotifyAll();
}

}  // namespace neap::telemetry
