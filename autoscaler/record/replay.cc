#include "autoscaler/record/replay.h"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "autoscaler/base/status.h"
#include "autoscaler/record/changes.h"
#include "autoscaler/record/segment.h"

namespace neap::record {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::util::MessageDifferencer;

// Keeps the first difference in words.
class FirstReporter : public MessageDifferencer::Reporter {
 public:
  using Path = std::vector<MessageDifferencer::SpecificField>;
  void ReportAdded(const Message&, const Message& recomputed, const Path& path) override {
    Keep(path, "nothing", Value(recomputed, path.back(), path.back().new_index));
  }
  void ReportDeleted(const Message& recorded, const Message&, const Path& path) override {
    Keep(path, Value(recorded, path.back(), path.back().index), "nothing");
  }
  void ReportModified(const Message& recorded, const Message& recomputed,
                      const Path& path) override {
    Keep(path, Value(recorded, path.back(), path.back().index),
         Value(recomputed, path.back(), path.back().new_index));
  }
  const std::string& first() const { return first_; }

 private:
  void Keep(const Path& path, const std::string& recorded, const std::string& recomputed) {
    if (!first_.empty()) return;
    std::string name;
    for (const MessageDifferencer::SpecificField& part : path) {
      if (!name.empty()) name += '.';
      name += part.field == nullptr ? "unknown field" : part.field->name();
      if (part.field != nullptr && part.field->is_repeated()) {
        name += fmt::format("[{}]", part.index >= 0 ? part.index : part.new_index);
      }
    }
    first_ = fmt::format("{}: recorded {}, recomputed {}", name, recorded, recomputed);
  }

  static std::string Value(const Message& message, const MessageDifferencer::SpecificField& part,
                           int index) {
    if (part.field == nullptr) return "of another version";
    google::protobuf::TextFormat::Printer printer;
    printer.SetSingleLineMode(true);
    printer.SetUseShortRepeatedPrimitives(true);
    std::string text;
    printer.PrintFieldValueToString(message, part.field, part.field->is_repeated() ? index : -1,
                                    &text);
    return part.field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE ? "{" + text + "}" : text;
  }

  std::string first_;
};

std::string FirstDifference(const Message& recorded, const Message& recomputed) {
  FirstReporter reporter;
  MessageDifferencer differencer;
  differencer.set_message_field_comparison(MessageDifferencer::EQUAL);
  differencer.ReportDifferencesTo(&reporter);
  differencer.Compare(recorded, recomputed);
  return reporter.first().empty() ? "the bytes differ, no field does" : reporter.first();
}

// An outcome as one message, complete in itself.
v1::OutcomeEntry Complete(const core::Outcome& outcome) {
  control::OutcomeRecord record;
  record.outcome = &outcome;
  v1::OutcomeEntry out;
  ChangeEncoder().Encode(record, &out);
  return out;
}

class Replayer {
 public:
  explicit Replayer(const ReplayOptions& options) : options_(options) {}

  void Take(const Entry& entry) {
    if (const auto* start = std::get_if<SegmentStart>(&entry.what)) {
      Start(*start);
    } else if (const auto* decision = std::get_if<DecisionEntry>(&entry.what)) {
      Decide(entry, *decision);
    } else {
      Remember(entry, std::get<OutcomeEntry>(entry.what));
    }
  }

  ReplayReport Finish(const std::vector<Damage>& damage) {
    report_.damage = damage;
    report_.lost_records += lost_;
    return std::move(report_);
  }

 private:
  // What an outcome needs of its decision.
  struct Last {
    uint64_t decision_id = 0;
    DecisionEntry entry;  // its pointers stay: the reader keeps a target's last decision
  };

  void Start(const SegmentStart& start) {
    last_.clear();
    same_build_ = options_.build.empty() || start.build == options_.build;
    if (std::find(report_.builds.begin(), report_.builds.end(), start.build) ==
        report_.builds.end()) {
      report_.builds.push_back(start.build);
    }
    // Each writer counts on; a smaller number is a new writer's.
    if (start.lost_records < lost_) report_.lost_records += lost_;
    lost_ = start.lost_records;
  }

  void Decide(const Entry& at, const DecisionEntry& d) {
    ++report_.decisions;
    const core::Decision decision = core::Decide(*d.options, *d.spec, d.seen->View(), *d.before);
    v1::Decision message;
    Encode(decision, &message);
    const bool agrees =
        Serialised(message) == d.decision_bytes || (!same_build_ && decision == *d.decision);
    if (!agrees) {
      ++report_.different_decisions;
      v1::Decision recorded;
      recorded.ParseFromArray(d.decision_bytes.data(), static_cast<int>(d.decision_bytes.size()));
      Differs(at, d, false, FirstDifference(recorded, message));
    }
    last_.insert_or_assign(std::string(d.uid), Last{.decision_id = d.decision_id, .entry = d});
  }

  void Remember(const Entry& at, const OutcomeEntry& o) {
    const auto found = last_.find(o.uid);
    if (found == last_.end() || found->second.decision_id != o.decision_id) {
      ++report_.outcomes_without_decision;
      return;
    }
    ++report_.outcomes;
    const DecisionEntry& d = found->second.entry;
    const core::Outcome outcome =
        core::Remember(*d.options, *d.spec, d.seen->View(), *d.decision, o.result, *d.before);
    const v1::OutcomeEntry recorded = Complete(*o.outcome);
    const v1::OutcomeEntry recomputed = Complete(outcome);
    if (Serialised(recorded) == Serialised(recomputed)) return;
    ++report_.different_outcomes;
    Differs(at, d, true, FirstDifference(recorded, recomputed));
  }

  void Differs(const Entry& at, const DecisionEntry& d, bool outcome, std::string first) {
    if (report_.differences.size() >= options_.most) return;
    report_.differences.push_back({.file = std::string(at.file),
                                   .offset = at.offset,
                                   .key = d.spec->key,
                                   .at = d.seen->now,
                                   .decision_id = d.decision_id,
                                   .outcome = outcome,
                                   .first = std::move(first)});
  }

  const ReplayOptions& options_;
  ReplayReport report_;
  bool same_build_ = true;
  uint64_t lost_ = 0;
  std::map<std::string, Last, std::less<>> last_;  // by uid, of the segment
};

// ---- finding one record ----------------------------------------------------------------------

struct Span {
  absl::Time first = absl::InfiniteFuture();
  absl::Time last = absl::InfinitePast();
};

FoundRecord Copy(const Entry& entry, const DecisionEntry& d) {
  FoundRecord found;
  found.file = entry.file;
  found.offset = entry.offset;
  found.uid = d.uid;
  found.decision_id = d.decision_id;
  found.cause = d.cause;
  found.options = *d.options;
  found.spec = *d.spec;
  found.seen = *d.seen;
  found.before = *d.before;
  found.decision = *d.decision;
  return found;
}

// The last decision at or before `at` in what `reader` reads; widens `span` by all of the object.
std::optional<FoundRecord> FindIn(Reader& reader, const core::ObjectKey& key, absl::Time at,
                                  Span* span) {
  std::optional<FoundRecord> found;
  Entry entry;
  while (reader.Next(&entry)) {
    if (const auto* d = std::get_if<DecisionEntry>(&entry.what)) {
      if (d->spec->key != key) continue;
      span->first = std::min(span->first, d->seen->now);
      span->last = std::max(span->last, d->seen->now);
      if (d->seen->now <= at) found = Copy(entry, *d);
    } else if (const auto* o = std::get_if<OutcomeEntry>(&entry.what)) {
      if (!found || found->uid != o->uid || found->decision_id != o->decision_id) continue;
      found->result = o->result;
      found->outcome = *o->outcome;
    }
  }
  return found;
}

absl::Status NotFound(const std::string& where, const core::ObjectKey& key, absl::Time at,
                      const Span& span) {
  if (span.last == absl::InfinitePast()) {
    return base::NotFound("{}: no decision of {} is in it", where, key.Text());
  }
  const auto text = [](absl::Time time) {
    return absl::FormatTime(absl::RFC3339_sec, time, absl::UTCTimeZone());
  };
  return base::NotFound("{}: no decision of {} at or before {}; its first is of {}", where,
                        key.Text(), text(at), text(span.first));
}

}  // namespace

absl::StatusOr<ReplayReport> Replay(const std::string& path, const ReplayOptions& options) {
  NEAP_ASSIGN_OR_RETURN(const auto reader, Reader::Open(path));
  Replayer replayer(options);
  Entry entry;
  while (reader->Next(&entry)) replayer.Take(entry);
  return replayer.Finish(reader->damage());
}

absl::StatusOr<FoundRecord> FindRecord(const std::string& path, const core::ObjectKey& key,
                                       absl::Time at) {
  NEAP_ASSIGN_OR_RETURN(const auto whole, Reader::Open(path));  // for its errors
  std::vector<std::string> files = {path};
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    NEAP_ASSIGN_OR_RETURN(const auto segments, ListSegments(path));
    files.clear();
    for (const SegmentFile& segment : segments) files.push_back(segment.path);
  }
  Span span;
  for (auto file = files.rbegin(); file != files.rend(); ++file) {  // the newest first
    const auto reader = Reader::Open(*file);
    if (!reader.ok()) continue;  // removed meanwhile
    if (auto found = FindIn(**reader, key, at, &span)) return *std::move(found);
  }
  return NotFound("journal " + path, key, at, span);
}

absl::StatusOr<FoundRecord> FindRecordIn(const std::string& name, std::string segment,
                                         const core::ObjectKey& key, absl::Time at) {
  const auto reader = Reader::OfSegment(name, std::move(segment));
  Span span;
  if (auto found = FindIn(*reader, key, at, &span)) return *std::move(found);
  if (!reader->damage().empty()) return base::DataLoss("{}", reader->damage()[0].text);
  return NotFound(name, key, at, span);
}

}  // namespace neap::record
