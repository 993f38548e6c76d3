#include "autoscaler/record/segment_files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "autoscaler/base/status.h"

namespace neap::record {
namespace {

std::string ErrorText(int error) { return std::system_category().message(error); }

}  // namespace

absl::StatusOr<std::unique_ptr<SegmentFiles>> SegmentFiles::Open(const std::string& directory,
                                                                 int64_t max_bytes) {
  if (mkdir(directory.c_str(), 0750) != 0 && errno != EEXIST) {
    return base::Unavailable("journal directory {}: can't be made: {}", directory,
                             ErrorText(errno));
  }
  const int lock = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock < 0) {
    return base::Unavailable("journal directory {}: can't be opened: {}", directory,
                             ErrorText(errno));
  }
  absl::Status status;
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    status = errno == EWOULDBLOCK
                 ? base::FailedPrecondition("journal directory {}: another process writes to it",
                                            directory)
                 : base::Unavailable("journal directory {}: can't be locked: {}", directory,
                                     ErrorText(errno));
  } else if (access(directory.c_str(), W_OK | X_OK) != 0) {
    status = base::PermissionDenied("journal directory {}: can't be written: {}", directory,
                                    ErrorText(errno));
  }
  if (status.ok()) {
    auto segments = ListSegments(directory);
    if (segments.ok()) {
      return std::unique_ptr<SegmentFiles>(
          new SegmentFiles(directory, max_bytes, lock, *std::move(segments)));
    }
    status = base::Annotate(segments.status(), "journal directory");
  }
  close(lock);
  return status;
}

SegmentFiles::SegmentFiles(std::string directory, int64_t max_bytes, int lock,
                           std::vector<SegmentFile> segments)
    : directory_(std::move(directory)),
      max_bytes_(max_bytes),
      lock_(lock),
      next_number_(segments.empty() ? 1 : segments.back().number + 1),
      segments_(std::move(segments)),
      thread_([this] { Run(); }) {}

SegmentFiles::~SegmentFiles() {
  {
    base::MutexLock guard(mutex_);
    stop_ = true;
    changed_.NotifyAll();
  }
  thread_.join();
  CloseSegment();
  close(lock_);
}

void SegmentFiles::Begin(uint64_t number, std::string name) {
  Put({.begin = number, .name = std::move(name), .bytes = "", .records = 0});
}

void SegmentFiles::Append(std::string bytes, uint64_t records) {
  Put({.begin = 0, .name = "", .bytes = std::move(bytes), .records = records});
}

void SegmentFiles::Put(Work work) {
  base::MutexLock guard(mutex_);
  state_.pending_bytes += static_cast<int64_t>(work.bytes.size());
  queue_.push_back(std::move(work));
  changed_.NotifyAll();
}

void SegmentFiles::WaitUntilWritten() {
  base::MutexLock guard(mutex_);
  while (busy_ || !queue_.empty()) changed_.Wait(mutex_);
}

SegmentFiles::State SegmentFiles::state() const {
  base::MutexLock guard(mutex_);
  return state_;
}

void SegmentFiles::Run() {
  for (;;) {
    Work work;
    {
      base::MutexLock guard(mutex_);
      busy_ = false;
      changed_.NotifyAll();
      while (queue_.empty() && !stop_) changed_.Wait(mutex_);
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
      busy_ = true;
    }
    const bool had_segment = file_ >= 0;
    const absl::Status done = Do(work);
    base::MutexLock guard(mutex_);
    state_.pending_bytes -= static_cast<int64_t>(work.bytes.size());
    if (work.begin == 0 && done.ok()) {
      state_.written = open_;
      state_.written_bytes += work.bytes.size();
      continue;
    }
    if (done.ok()) continue;
    state_.lost_records += work.records;
    if (work.begin != 0 || had_segment) {  // the first failure of this segment
      state_.broken = open_;
      state_.error = done;
    }
  }
}

absl::Status SegmentFiles::Do(const Work& work) {
  if (work.begin != 0) return OpenSegment(work);
  if (file_ < 0) return base::Unavailable("the segment failed before");
  absl::Status status = MakeRoom(static_cast<int64_t>(work.bytes.size()));
  if (status.ok()) status = Write(work.bytes);
  if (!status.ok()) CloseSegment();
  return status;
}

absl::Status SegmentFiles::OpenSegment(const Work& work) {
  CloseSegment();
  open_ = work.begin;
  const std::string path = directory_ + "/" + work.name;
  file_ = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0640);
  if (file_ < 0) {
    return base::Unavailable("journal {}: can't be made: {}", path, ErrorText(errno));
  }
  segments_.push_back({.number = work.begin, .path = path, .bytes = 0});
  return absl::OkStatus();
}

absl::Status SegmentFiles::Write(std::string_view bytes) {
  SegmentFile& segment = segments_.back();
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = write(file_, bytes.data() + done, bytes.size() - done);
    if (n > 0) {
      done += static_cast<size_t>(n);
    } else if (n == 0 || errno != EINTR) {
      absl::Status status =
          base::Unavailable("journal {}: can't be written: {}", segment.path, ErrorText(errno));
      // What is left of a batch would look like a torn tail; and a full disk needs no empty files.
      // Where neither works the reader reports a torn tail, so the results do not matter.
      if (segment.bytes == 0) {
        if (unlink(segment.path.c_str()) == 0) segments_.pop_back();
      } else if (ftruncate(file_, segment.bytes) != 0) {
        segment.bytes += static_cast<int64_t>(done);
      }
      return status;
    }
  }
  segment.bytes += static_cast<int64_t>(bytes.size());
  return absl::OkStatus();
}

absl::Status SegmentFiles::MakeRoom(int64_t bytes) {
  int64_t total = bytes;
  for (const SegmentFile& segment : segments_) total += segment.bytes;
  while (total > max_bytes_ && segments_.size() > 1) {
    const SegmentFile& oldest = segments_.front();
    if (unlink(oldest.path.c_str()) != 0 && errno != ENOENT) {
      return base::Unavailable("journal {}: can't be removed: {}", oldest.path, ErrorText(errno));
    }
    total -= oldest.bytes;
    segments_.erase(segments_.begin());
  }
  return absl::OkStatus();
}

void SegmentFiles::CloseSegment() {
  if (file_ >= 0) close(file_);
  file_ = -1;
}

}  // namespace neap::record
