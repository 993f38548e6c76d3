// SegmentFiles: the journal's directory on disk, written by a thread of its own so that the
// controller never waits for a disk. It appends bytes to the newest segment and removes the oldest
// beyond the size bound. Owned by the journal's Writer.
//
// Thread-safe. A failed write ends the segment: it is cut back to the last whole batch, what else
// is handed over for it is lost and counted, and only Begin writes again.
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "autoscaler/record/segment.h"

namespace neap::record {

class SegmentFiles {
 public:
  struct State {
    uint64_t broken = 0;   // the newest segment that failed; 0 = none
    uint64_t written = 0;  // the newest segment of which a batch was written whole
    absl::Status error;    // why `broken` is
    int64_t pending_bytes = 0;
    uint64_t written_bytes = 0;  // counts since Open
    uint64_t lost_records = 0;
  };

  // Makes the directory when missing, and locks it. Errors: it can't be made, read or written, or
  // another process holds it.
  static absl::StatusOr<std::unique_ptr<SegmentFiles>> Open(const std::string& directory,
                                                            int64_t max_bytes);
  ~SegmentFiles();  // writes what is pending
  SegmentFiles(const SegmentFiles&) = delete;
  SegmentFiles& operator=(const SegmentFiles&) = delete;

  uint64_t NextNumber() const { return next_number_; }  // at Open: above all that are there

  // A new segment; what was handed over before is written to the former first.
  void Begin(uint64_t number, std::string name) NEAP_EXCLUDES(mutex_);
  // Whole frames, `records` of them decisions or outcomes.
  void Append(std::string bytes, uint64_t records) NEAP_EXCLUDES(mutex_);
  void WaitUntilWritten() NEAP_EXCLUDES(mutex_);
  State state() const NEAP_EXCLUDES(mutex_);

 private:
  struct Work {  // a new segment, or bytes for the newest
    uint64_t begin = 0;
    std::string name;
    std::string bytes;
    uint64_t records = 0;
  };
  SegmentFiles(std::string directory, int64_t max_bytes, int lock,
               std::vector<SegmentFile> segments);
  void Put(Work work) NEAP_EXCLUDES(mutex_);
  void Run() NEAP_EXCLUDES(mutex_);

  // Of the thread alone.
  absl::Status Do(const Work& work);
  absl::Status OpenSegment(const Work& work);
  absl::Status Write(std::string_view bytes);
  absl::Status MakeRoom(int64_t bytes);
  void CloseSegment();

  const std::string directory_;
  const int64_t max_bytes_;
  const int lock_;  // descriptor of the directory
  uint64_t next_number_ = 1;

  std::vector<SegmentFile> segments_;  // of the thread: oldest first, the open one last
  int file_ = -1;                      // of the thread
  uint64_t open_ = 0;                  // of the thread: number of the segment that is written

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  std::deque<Work> queue_ NEAP_GUARDED_BY(mutex_);
  bool busy_ NEAP_GUARDED_BY(mutex_) = false;
  bool stop_ NEAP_GUARDED_BY(mutex_) = false;
  State state_ NEAP_GUARDED_BY(mutex_);

  std::thread thread_;  // last: it uses the rest
};

}  // namespace neap::record
