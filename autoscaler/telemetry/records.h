// Records: the last decisions of the objects that somebody asked about, for the page /records. The
// controller keeps no observation beyond a step, and keeping one for each object would not fit the
// memory budget. So the first question about an object waits for its next decision; from then on
// its records are kept for the next questions, until others take its place.
//
// What is handed out is a segment of a journal (neap.record.v1) with the decisions of that one
// object, the last at its end: the journal's reader explains and replays it.
//
// Thread-safe. Get is called on the HTTP server's threads; OnDecision, OnOutcome and Serve on the
// controller's, in which they cost next to nothing while nobody asks. Owned by Neapd.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <atomic>
#include <functional>
#include <list>
#include <string>
#include <string_view>

#include "autoscaler/base/mutex.h"
#include "autoscaler/control/controller.h"
#include "autoscaler/record/segment_encoder.h"

namespace neap::telemetry {

class Records {
 public:
  static constexpr size_t kMostObjects = 16;       // whose records are kept
  static constexpr size_t kMostBytes = 256 << 10;  // of one object's; then it begins anew
  static constexpr int kMostWaiting = 4;           // questions at a time
  static constexpr int kChunk = 1000;              // objects looked through per call of Serve

  // `build` and `options` are what a segment begins with; `wake` makes the controller's thread call
  // Serve soon.
  Records(std::string build, core::HpaOptions options, std::function<void()> wake);

  // The records of an object, waiting at most `patience` for its first. Errors: NotFound, there is
  // no such object; DeadlineExceeded, it was not decided in time; ResourceExhausted, too many wait;
  // Unavailable, the server stops.
  absl::StatusOr<std::string> Get(const core::ObjectKey& key, absl::Duration patience)
      NEAP_EXCLUDES(mutex_);

  void OnDecision(const control::DecisionRecord& record, absl::Time now) NEAP_EXCLUDES(mutex_);
  void OnOutcome(const control::OutcomeRecord& record) NEAP_EXCLUDES(mutex_);
  // Between steps: looks up objects that are asked about for the first time.
  void Serve(const control::Controller& controller) NEAP_EXCLUDES(mutex_);
  void Close() NEAP_EXCLUDES(mutex_);  // ends all waiting

 private:
  struct Object {
    core::ObjectKey key;
    int waiting = 0;           // questions that wait for it: it stays
    bool asked = true;         // a question came since Serve looked at it
    bool nowhere = false;      // the controller has no such object
    std::string after;         // the uid up to which the controller's objects were looked at
    std::string uid;           // "" until it is found
    uint64_t decision_id = 0;  // the last in `segment`
    std::string segment;       // "" until it was decided
    record::SegmentEncoder encoder;
  };

  // The object's place, as the one asked about last; null when all places are waited for.
  Object* Enter(const core::ObjectKey& key) NEAP_REQUIRES(mutex_);
  Object* FindUid(std::string_view uid) NEAP_REQUIRES(mutex_);
  absl::StatusOr<std::string> Await(Object& object, absl::Duration patience) NEAP_REQUIRES(mutex_);
  // Whether there is more to look through.
  static bool LookUp(Object& object, const control::Controller& controller);

  const std::string build_;
  const core::HpaOptions options_;
  const std::function<void()> wake_;
  std::atomic<bool> idle_ = true;  // there are no objects: records pass without the lock

  base::Mutex mutex_;
  base::CondVar changed_;
  std::list<Object> objects_ NEAP_GUARDED_BY(mutex_);  // asked about last is first
  int waiting_ NEAP_GUARDED_BY(mutex_) = 0;
  bool closed_ NEAP_GUARDED_BY(mutex_) = false;
};

}  // namespace neap::telemetry
