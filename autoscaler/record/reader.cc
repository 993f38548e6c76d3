// Reader of the journal: segment by segment, each decoded on its own.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/record/changes.h"
#include "autoscaler/record/journal.h"
#include "autoscaler/record/segment.h"
#include "autoscaler/record/wire.h"

namespace neap::record {
namespace {

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  const auto failed = [&] {
    return base::Unavailable("can't be read: {}", std::system_category().message(errno));
  };
  if (file == nullptr) return failed();
  std::string content;
  char part[1 << 16];
  while (const size_t n = std::fread(part, 1, sizeof(part), file.get())) content.append(part, n);
  if (std::ferror(file.get()) != 0) return failed();
  return content;
}

}  // namespace

class Reader::Impl {
 public:
  explicit Impl(std::vector<std::string> paths) : paths_(std::move(paths)) {}
  Impl(std::string name, std::string segment)
      : paths_({std::move(name)}), given_(std::move(segment)) {}

  bool Next(Entry* entry) {
    for (;;) {
      if (!reading_ && !NextFile()) return false;
      if (NextInFile(entry)) return true;
    }
  }

  const std::vector<Damage>& damage() const { return damage_; }

 private:
  struct Target {
    std::string uid;
    uint64_t spec_version = 0;
    bool has_spec = false;
    core::AutoscalerSpec spec;
    ChangeDecoder state;
  };

  bool NextFile() {
    targets_.clear();
    started_ = false;
    while (next_path_ < paths_.size()) {
      path_ = paths_[next_path_++];
      offset_ = 0;
      auto content = given_ ? absl::StatusOr<std::string>(*std::exchange(given_, std::nullopt))
                            : ReadFile(path_);
      if (!content.ok()) {
        Harm(Damage::Kind::kUnreadable, base::Message(content.status()));
        continue;
      }
      content_ = *std::move(content);
      const std::string_view head = kSegmentHead.substr(0, content_.size());
      if (std::string_view(content_).substr(0, head.size()) != head) {
        Harm(Damage::Kind::kUnreadable, "is no segment of a journal");
        continue;
      }
      if (head.size() < kSegmentHead.size()) {
        if (!content_.empty()) Harm(Damage::Kind::kTornTail, "the file ends within its first line");
        continue;
      }
      offset_ = kSegmentHead.size();
      reading_ = true;
      return true;
    }
    return false;
  }

  // The next entry of the open file; false at its end, after which it is closed.
  bool NextInFile(Entry* entry) {
    for (;;) {
      const record::Frame frame = FrameAt(content_, offset_);
      switch (frame.kind) {
        case record::Frame::Kind::kWhole:
          break;
        case record::Frame::Kind::kTorn:
          Harm(Damage::Kind::kTornTail,
               fmt::format("the last {} bytes are no whole record: the writer was cut off",
                           content_.size() - offset_));
          [[fallthrough]];
        case record::Frame::Kind::kEndOfFile:
          reading_ = false;
          return false;
        case record::Frame::Kind::kCorrupt:
          Harm(Damage::Kind::kCorrupt,
               fmt::format("the record's checksum does not fit; it and what follows in this file, "
                           "{} bytes, is not read",
                           content_.size() - offset_));
          reading_ = false;
          return false;
      }
      entry->file = path_;
      entry->offset = offset_;
      bool shown = false;
      const absl::Status status = Take(frame.payload, entry, &shown);
      if (!status.ok()) {
        Harm(Damage::Kind::kUnreadable,
             fmt::format("{}; what follows in this file is not read", base::Message(status)));
        reading_ = false;
        return false;
      }
      offset_ = frame.next;
      if (shown) return true;
    }
  }

  // One record; `shown` when it is an entry for the caller.
  absl::Status Take(std::string_view payload, Entry* entry, bool* shown) {
    frame_.Clear();
    if (!frame_.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
      return base::InvalidArgument("the record is no message of this format");
    }
    if (started_ == frame_.has_start()) {
      return base::InvalidArgument("a segment has one start record, as its first");
    }
    switch (frame_.kind_case()) {
      case v1::Frame::kStart:
        *shown = true;
        return TakeStart(frame_.start(), entry);
      case v1::Frame::kTarget:
        return TakeTarget(frame_.target());
      case v1::Frame::kDecision:
        *shown = true;
        return TakeDecision(frame_.decision(), entry);
      case v1::Frame::kOutcome:
        *shown = true;
        return TakeOutcome(frame_.outcome(), entry);
      case v1::Frame::kEnd:
        return absl::OkStatus();
      case v1::Frame::KIND_NOT_SET:
        break;
    }
    return absl::OkStatus();  // of a later minor version: what it adds may be passed over
  }

  absl::Status TakeStart(const v1::Start& in, Entry* entry) {
    if (in.format() != kFormat) {
      return base::InvalidArgument("the segment's format is {}, this version reads {}", in.format(),
                                   kFormat);
    }
    started_ = true;
    options_ = {};
    NEAP_RETURN_IF_ERROR(Decode(in.options(), &options_));
    entry->what =
        SegmentStart{.build = in.build(),
                     .options = options_,
                     .at = in.has_at_time_ns() ? TimeOf(in.at_time_ns()) : absl::InfinitePast(),
                     .lost_records = in.lost_records()};
    return absl::OkStatus();
  }

  absl::Status TakeTarget(const v1::Target& in) {
    Target& target = targets_[in.number()];
    target.uid = in.uid();
    target.spec_version = in.spec_version();
    target.has_spec = in.has_spec();
    target.spec = {};
    return in.has_spec() ? Decode(in.spec(), &target.spec) : absl::OkStatus();
  }

  absl::StatusOr<Target*> Find(uint32_t number) {
    const auto at = targets_.find(number);
    if (at == targets_.end()) {
      return base::InvalidArgument("the record names target {}, which the segment has not", number);
    }
    return &at->second;
  }

  absl::Status TakeDecision(const v1::DecisionEntry& in, Entry* entry) {
    NEAP_ASSIGN_OR_RETURN(Target * target, Find(in.target()));
    if (!target->has_spec) {
      return base::InvalidArgument("a decision of target {}, whose spec is not known", in.target());
    }
    NEAP_RETURN_IF_ERROR(target->state.Decode(in));
    decision_bytes_ = Serialised(in.decision());
    DecisionEntry decision;
    decision.uid = target->uid;
    decision.decision_id = in.decision_id();
    decision.spec_version = target->spec_version;
    NEAP_RETURN_IF_ERROR(Decode(in.cause(), &decision.cause));
    decision.options = &options_;
    decision.spec = &target->spec;
    decision.seen = &target->state.seen();
    decision.before = &target->state.before();
    decision.decision = &target->state.decision();
    decision.decision_bytes = decision_bytes_;
    entry->what = decision;
    return absl::OkStatus();
  }

  absl::Status TakeOutcome(const v1::OutcomeEntry& in, Entry* entry) {
    NEAP_ASSIGN_OR_RETURN(Target * target, Find(in.target()));
    NEAP_RETURN_IF_ERROR(target->state.Decode(in));
    OutcomeEntry outcome;
    outcome.uid = target->uid;
    outcome.decision_id = in.decision_id();
    outcome.spec = target->has_spec ? &target->spec : nullptr;
    NEAP_RETURN_IF_ERROR(Decode(in.result(), &outcome.result));
    outcome.outcome = &target->state.outcome();
    entry->what = outcome;
    return absl::OkStatus();
  }

  void Harm(Damage::Kind kind, std::string_view text) {
    damage_.push_back({.kind = kind,
                       .file = path_,
                       .offset = offset_,
                       .text = fmt::format("{}: at byte {}: {}", path_, offset_, text)});
  }

  const std::vector<std::string> paths_;
  std::optional<std::string> given_;  // the only segment, when it is no file
  size_t next_path_ = 0;
  std::vector<Damage> damage_;

  // The open file.
  bool reading_ = false;
  std::string path_;
  std::string content_;
  size_t offset_ = 0;
  bool started_ = false;
  core::HpaOptions options_;
  std::map<uint32_t, Target> targets_;  // by number
  v1::Frame frame_;
  std::string decision_bytes_;
};

absl::StatusOr<std::unique_ptr<Reader>> Reader::Open(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    return base::NotFound("journal {}: {}", path,
                          error ? error.message() : "there is no such file or directory");
  }
  std::vector<std::string> paths;
  if (std::filesystem::is_directory(status)) {
    NEAP_ASSIGN_OR_RETURN(const auto segments, ListSegments(path));
    for (const SegmentFile& segment : segments) paths.push_back(segment.path);
    if (paths.empty()) return base::NotFound("journal {}: the directory has no segments", path);
  } else {
    paths.push_back(path);
  }
  return std::unique_ptr<Reader>(new Reader(std::make_unique<Impl>(std::move(paths))));
}

std::unique_ptr<Reader> Reader::OfSegment(std::string name, std::string segment) {
  return std::unique_ptr<Reader>(
      new Reader(std::make_unique<Impl>(std::move(name), std::move(segment))));
}

Reader::Reader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Reader::~Reader() = default;
bool Reader::Next(Entry* entry) { return impl_->Next(entry); }
const std::vector<Damage>& Reader::damage() const { return impl_->damage(); }

}  // namespace neap::record
