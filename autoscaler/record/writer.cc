// Writer of the journal: encodes on the caller's thread, hands whole batches to SegmentFiles.
#include <algorithm>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/record/journal.h"
#include "autoscaler/record/segment.h"
#include "autoscaler/record/segment_encoder.h"
#include "autoscaler/record/segment_files.h"

namespace neap::record {
namespace {

constexpr int64_t kLeastBytes = 64 << 10;  // of max_bytes

}  // namespace

class Writer::Impl {
 public:
  Impl(WriterOptions options, OnTrouble on_trouble, std::unique_ptr<SegmentFiles> files)
      : options_(std::move(options)),
        on_trouble_(std::move(on_trouble)),
        files_(std::move(files)),
        next_number_(files_->NextNumber()) {}

  void OnDecision(const control::DecisionRecord& record, absl::Time now) {
    if (!Ready(now)) return;
    const size_t before = buffer_.size();
    Count(encoder_.Decision(record, &buffer_), before);
  }

  void OnOutcome(const control::OutcomeRecord& record, absl::Time now) {
    if (!Ready(now)) return;
    const size_t before = buffer_.size();
    Count(encoder_.Outcome(record, &buffer_), before);
  }

  void EndStep(absl::Time now) {
    step_begun_ = false;
    HandOver();
    LookForTrouble(now);
    if (segment_ != 0 && bytes_ >= SegmentLimit()) EndSegment();
  }

  void Flush() {
    HandOver();
    files_->WaitUntilWritten();
  }

  void Close() {
    if (closed_) return;
    closed_ = true;
    if (segment_ != 0) EndSegment();
    files_->WaitUntilWritten();
    LookForTrouble(absl::InfinitePast());
  }

  WriterCounters counters() const {
    const SegmentFiles::State state = files_->state();
    return {.records = records_,
            .written_bytes = state.written_bytes,
            .lost_records = lost_ + state.lost_records,
            .segments = segments_};
  }

 private:
  // Whether a record can be taken now; counts it as lost when not. A segment begins only with the
  // first record of a step, so that a decision and its outcome are rarely parted.
  bool Ready(absl::Time now) {
    if (closed_) return false;
    ++records_;
    const bool first = !std::exchange(step_begun_, true);
    if (segment_ == 0 && first && now >= next_try_) BeginSegment(now);
    if (segment_ != 0 && files_->state().pending_bytes + static_cast<int64_t>(buffer_.size()) >
                             options_.buffer_bytes) {
      too_slow_ = true;
      Abandon(now);
    }
    if (segment_ == 0) ++lost_;
    return segment_ != 0;
  }

  // A record was appended behind `before`, or was too large to be.
  void Count(bool put, size_t before) {
    bytes_ += static_cast<int64_t>(buffer_.size() - before);
    ++(put ? buffered_ : lost_);
  }

  void BeginSegment(absl::Time now) {
    segment_ = next_number_++;
    ++segments_;
    files_->Begin(segment_, SegmentName(segment_, now));
    buffer_.clear();
    encoder_.Begin(options_.build, options_.options, now, lost_ + files_->state().lost_records,
                   &buffer_);
    bytes_ = static_cast<int64_t>(buffer_.size());
  }

  void EndSegment() {
    encoder_.End(&buffer_);
    HandOver();
    segment_ = 0;
  }

  void Abandon(absl::Time now) {
    lost_ += std::exchange(buffered_, 0);
    buffer_.clear();
    segment_ = 0;
    next_try_ = now + options_.retry;
  }

  void HandOver() {
    if (buffer_.empty()) return;
    files_->Append(std::exchange(buffer_, {}), std::exchange(buffered_, 0));
  }

  // Complete first records must stay the smaller part of a segment, many targets or few.
  int64_t SegmentLimit() const {
    constexpr int64_t kCompleteBytes = 4096;  // of a target's first records, generously
    const int64_t wanted =
        std::max(options_.segment_bytes, kCompleteBytes * static_cast<int64_t>(encoder_.targets()));
    return std::min(wanted, options_.max_bytes / 4);
  }

  void LookForTrouble(absl::Time now) {
    const SegmentFiles::State state = files_->state();
    if (state.broken > seen_broken_) {
      seen_broken_ = state.broken;
      if (segment_ == state.broken) Abandon(now);
      Report(state.error);
    } else if (std::exchange(too_slow_, false)) {
      Report(
          base::ResourceExhausted("journal {}: the disk is too slow, {} bytes wait to be written",
                                  options_.directory, state.pending_bytes));
    } else if (in_trouble_ && segment_ != 0 && state.written == segment_) {
      in_trouble_ = false;
      on_trouble_(absl::OkStatus());
    }
  }

  void Report(const absl::Status& status) {
    if (std::exchange(in_trouble_, true)) return;
    on_trouble_(status);
  }

  const WriterOptions options_;
  const OnTrouble on_trouble_;
  const std::unique_ptr<SegmentFiles> files_;
  bool closed_ = false;

  // The segment that is written; 0 = none.
  uint64_t segment_ = 0;
  uint64_t next_number_;
  int64_t bytes_ = 0;
  bool step_begun_ = false;

  SegmentEncoder encoder_;
  std::string buffer_;     // whole frames, not handed over yet
  uint64_t buffered_ = 0;  // records in it

  bool in_trouble_ = false;  // reported, not ended
  bool too_slow_ = false;    // to be reported
  uint64_t seen_broken_ = 0;
  absl::Time next_try_ = absl::InfinitePast();
  uint64_t records_ = 0;
  uint64_t lost_ = 0;
  uint64_t segments_ = 0;
};

absl::StatusOr<std::unique_ptr<Writer>> Writer::Open(WriterOptions options, OnTrouble on_trouble) {
  if (options.max_bytes < kLeastBytes) {
    return base::InvalidArgument("journal {}: a bound of {} bytes is too small, the least is {}",
                                 options.directory, options.max_bytes, kLeastBytes);
  }
  if (options.segment_bytes <= 0) options.segment_bytes = options.max_bytes / 16;
  NEAP_ASSIGN_OR_RETURN(auto files, SegmentFiles::Open(options.directory, options.max_bytes));
  return std::unique_ptr<Writer>(new Writer(
      std::make_unique<Impl>(std::move(options), std::move(on_trouble), std::move(files))));
}

Writer::Writer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Writer::~Writer() { Close(); }

void Writer::OnDecision(const control::DecisionRecord& record, absl::Time now) {
  impl_->OnDecision(record, now);
}
void Writer::OnOutcome(const control::OutcomeRecord& record, absl::Time now) {
  impl_->OnOutcome(record, now);
}
void Writer::EndStep(absl::Time now) { impl_->EndStep(now); }
void Writer::Flush() { impl_->Flush(); }
void Writer::Close() { impl_->Close(); }
WriterCounters Writer::counters() const { return impl_->counters(); }

}  // namespace neap::record
