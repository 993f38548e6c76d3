// The journal and replay: what goes in comes out, damage costs what it must and no more,
// and a disk that fails stops nothing.
#include "autoscaler/record/journal.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "autoscaler/base/status.h"
#include "autoscaler/record/replay.h"
#include "autoscaler/record/segment.h"
#include "tests/record/recorded_world.h"

namespace neap::record {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
namespace fs = std::filesystem;

// A directory of its own, removed at the end.
class Scratch {
 public:
  Scratch() {
    std::string path = (fs::temp_directory_path() / "neap-record-XXXXXX").string();
    path_ = mkdtemp(path.data());
  }
  ~Scratch() { fs::remove_all(path_); }
  std::string path(std::string_view name = "") const {
    return name.empty() ? path_ : path_ + "/" + std::string(name);
  }

 private:
  std::string path_;
};

std::string Content(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

void Write(const std::string& path, std::string_view content) {
  std::ofstream(path, std::ios::binary)
      .write(content.data(), static_cast<std::streamsize>(content.size()));
}

std::vector<SegmentFile> Listed(const std::string& directory) {
  auto segments = ListSegments(directory);
  EXPECT_TRUE(segments.ok()) << segments.status();
  return *std::move(segments);
}

std::vector<std::string> Segments(const std::string& directory) {
  std::vector<std::string> paths;
  for (const SegmentFile& segment : Listed(directory)) paths.push_back(segment.path);
  return paths;
}

WriterOptions Options(const std::string& directory, const RecordedWorlds& worlds) {
  return {.directory = directory,
          .max_bytes = 64 << 20,
          .segment_bytes = 0,
          .build = "1.2.3",
          .options = worlds.options()};
}

void StepInto(RecordedWorlds& worlds, Writer& writer) {
  worlds.Step([&](const auto& record) { writer.OnDecision(record, worlds.now()); },
              [&](const auto& record) { writer.OnOutcome(record, worlds.now()); });
  writer.EndStep(worlds.now());
}

std::unique_ptr<Writer> MustOpen(WriterOptions options, Writer::OnTrouble on_trouble = nullptr) {
  if (!on_trouble) {
    on_trouble = [](const absl::Status& status) { FAIL() << status; };
  }
  auto writer = Writer::Open(std::move(options), std::move(on_trouble));
  EXPECT_TRUE(writer.ok()) << writer.status();
  return *std::move(writer);
}

// Compares all of a journal with what was told.
void ExpectTold(const std::string& path, const RecordedWorlds& worlds) {
  auto reader = Reader::Open(path).value();
  size_t decisions = 0;
  std::map<uint64_t, size_t> by_id;
  const std::vector<Told>& told = worlds.told();
  for (size_t i = 0; i < told.size(); ++i) by_id[told[i].decision_id] = i;
  Entry entry;
  size_t outcomes = 0;
  while (reader->Next(&entry)) {
    if (const auto* start = std::get_if<SegmentStart>(&entry.what)) {
      EXPECT_EQ(start->build, "1.2.3");
      EXPECT_EQ(start->options, worlds.options());
    } else if (const auto* d = std::get_if<DecisionEntry>(&entry.what)) {
      ++decisions;
      const Told& t = told[by_id.at(d->decision_id)];
      EXPECT_EQ(d->uid, t.uid);
      EXPECT_EQ(d->cause, t.cause);
      EXPECT_EQ(d->spec_version, t.spec_version);
      EXPECT_TRUE(*d->spec == t.spec);
      EXPECT_TRUE(*d->seen == t.seen) << t.decision_id;
      EXPECT_TRUE(*d->before == t.before) << t.decision_id;
      EXPECT_TRUE(*d->decision == t.decision) << t.decision_id;
    } else {
      ++outcomes;
      const auto& o = std::get<OutcomeEntry>(entry.what);
      const Told& t = told[by_id.at(o.decision_id)];
      EXPECT_EQ(o.uid, t.uid);
      EXPECT_TRUE(o.result == t.result);
      EXPECT_TRUE(o.outcome->history == t.outcome.history) << t.decision_id;
      EXPECT_TRUE(o.outcome->status == t.outcome.status) << t.decision_id;
      EXPECT_TRUE(o.outcome->events == t.outcome.events);
    }
  }
  EXPECT_THAT(reader->damage(), IsEmpty());
  EXPECT_EQ(decisions, told.size());
  EXPECT_EQ(outcomes, told.size());
}

TEST(Journal, GivesBackWhatItWasTold) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    Scratch scratch;
    RecordedWorlds worlds(seed, 7);
    auto writer = MustOpen(Options(scratch.path("j"), worlds));
    for (int i = 0; i < 25; ++i) StepInto(worlds, *writer);
    writer->Close();
    EXPECT_EQ(writer->counters().lost_records, 0U);
    EXPECT_EQ(writer->counters().records, 2 * worlds.told().size());
    ExpectTold(scratch.path("j"), worlds);
    const ReplayReport report = Replay(scratch.path("j"), {}).value();
    EXPECT_TRUE(report.Agrees()) << (report.differences.empty() ? "" : report.differences[0].first);
    EXPECT_EQ(report.decisions, worlds.told().size());
    EXPECT_EQ(report.outcomes, worlds.told().size());
    EXPECT_EQ(report.outcomes_without_decision, 0U);
    EXPECT_THAT(report.builds, ElementsAre("1.2.3"));
  }
}

TEST(Journal, TheSameInputGivesTheSameBytes) {
  std::string first;
  for (int run = 0; run < 2; ++run) {
    Scratch scratch;
    RecordedWorlds worlds(5, 6);
    auto writer = MustOpen(Options(scratch.path("j"), worlds));
    for (int i = 0; i < 20; ++i) StepInto(worlds, *writer);
    writer->Close();
    const std::vector<std::string> segments = Segments(scratch.path("j"));
    ASSERT_THAT(segments, SizeIs(1));
    if (run == 0) first = Content(segments[0]);
    EXPECT_EQ(Content(segments[0]), first);
  }
  EXPECT_GT(first.size(), 10000U);
}

TEST(Journal, EachSegmentIsReplayedAloneAndTheOldestGo) {
  Scratch scratch;
  RecordedWorlds worlds(9, 4);
  WriterOptions options = Options(scratch.path("j"), worlds);
  options.max_bytes = 400 << 10;
  options.segment_bytes = 40 << 10;
  auto writer = MustOpen(options);
  for (int i = 0; i < 1500; ++i) {
    StepInto(worlds, *writer);
    if (i % 50 != 0) continue;
    writer->Flush();
    int64_t total = 0;
    for (const SegmentFile& segment : Listed(scratch.path("j"))) {
      total += segment.bytes;
    }
    EXPECT_LE(total, options.max_bytes);
  }
  writer->Close();
  const std::vector<std::string> segments = Segments(scratch.path("j"));
  EXPECT_GT(writer->counters().segments, segments.size());
  ASSERT_GE(segments.size(), 5U);
  for (const std::string& segment : segments) {
    EXPECT_LE(fs::file_size(segment), static_cast<size_t>(options.segment_bytes) + (24 << 10));
    const ReplayReport report = Replay(segment, {}).value();
    EXPECT_TRUE(report.Agrees());
    EXPECT_GT(report.decisions, 0U);
    EXPECT_EQ(report.outcomes_without_decision, 0U);
    EXPECT_THAT(report.damage, IsEmpty());
  }
}

// A restart goes on with the next number; a second process is refused.
TEST(Journal, OneWriterPerDirectoryAndNumbersGoOn) {
  Scratch scratch;
  RecordedWorlds worlds(3, 2);
  auto writer = MustOpen(Options(scratch.path("j"), worlds));
  StepInto(worlds, *writer);
  const auto second = Writer::Open(Options(scratch.path("j"), worlds), [](const absl::Status&) {});
  EXPECT_THAT(std::string(base::Message(second.status())), HasSubstr("another process"));
  writer.reset();
  writer = MustOpen(Options(scratch.path("j"), worlds));
  StepInto(worlds, *writer);
  writer.reset();
  std::vector<std::string> names;
  for (const std::string& path : Segments(scratch.path("j"))) {
    names.push_back(fs::path(path).filename().string().substr(0, 9));
  }
  EXPECT_THAT(names, ElementsAre("00000001-", "00000002-"));
  ExpectTold(scratch.path("j"), worlds);
}

TEST(Journal, OpenSaysWhatIsWrongWithTheDirectory) {
  Scratch scratch;
  RecordedWorlds worlds(3, 1);
  const auto missing = Writer::Open(Options(scratch.path("a/b"), worlds), nullptr);
  EXPECT_THAT(std::string(base::Message(missing.status())), HasSubstr("a/b: can't be made"));
  Write(scratch.path("file"), "x");
  const auto file = Writer::Open(Options(scratch.path("file"), worlds), nullptr);
  EXPECT_THAT(std::string(base::Message(file.status())), HasSubstr("file: can't be opened"));
  const auto reader = Reader::Open(scratch.path("nothing"));
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Reader::Open(scratch.path()).status().code(), absl::StatusCode::kNotFound);
}

// A short segment and the offsets of its frames.
struct Short {
  std::string content;
  std::vector<size_t> frames;
};
Short ShortSegment() {
  std::string least;
  for (uint64_t seed = 1; seed <= 20; ++seed) {  // some worlds have few pods
    Scratch scratch;
    RecordedWorlds worlds(seed, 2);
    auto writer = MustOpen(Options(scratch.path("j"), worlds));
    for (int i = 0; i < 3; ++i) StepInto(worlds, *writer);
    writer->Close();
    const std::string content = Content(Segments(scratch.path("j"))[0]);
    if (worlds.told().size() >= 3 && (least.empty() || content.size() < least.size())) {
      least = content;
    }
  }
  Short out{.content = std::move(least), .frames = {}};
  size_t at = kSegmentHead.size();
  for (;;) {
    const Frame frame = FrameAt(out.content, at);
    if (frame.kind != Frame::Kind::kWhole) break;
    out.frames.push_back(at);
    at = frame.next;
  }
  out.frames.push_back(at);
  return out;
}

TEST(Journal, ATornTailLosesOnlyTheTornRecord) {
  const Short whole = ShortSegment();
  ASSERT_GT(whole.frames.size(), 6U);
  Scratch scratch;
  const std::string path = scratch.path("00000001-x.journal");
  const auto entries = [&](std::vector<Damage>* damage) {
    auto reader = Reader::Open(path).value();
    Entry entry;
    std::vector<size_t> offsets;
    while (reader->Next(&entry)) offsets.push_back(entry.offset);
    *damage = reader->damage();
    return offsets;
  };
  std::vector<Damage> damage;
  Write(path, whole.content);
  const std::vector<size_t> all = entries(&damage);
  ASSERT_THAT(damage, IsEmpty());
  for (size_t length = whole.content.size(); length-- > 0;) {
    SCOPED_TRACE(length);
    fs::resize_file(path, length);
    const std::vector<size_t> some = entries(&damage);
    size_t torn = 0;  // the last frame that begins before the cut
    for (const size_t at : whole.frames) torn = at <= length ? at : torn;
    std::vector<size_t> expected;
    for (const size_t at : all) {
      if (at < torn) expected.push_back(at);
    }
    ASSERT_EQ(some, expected);
    const bool clean = length == 0 || length == torn;
    ASSERT_EQ(damage.size(), clean ? 0U : 1U);
    if (clean) continue;
    ASSERT_EQ(damage[0].kind, Damage::Kind::kTornTail);
    ASSERT_EQ(damage[0].offset, torn);
  }
  // Zeros after a loss of power are a torn tail, too.
  Write(path, whole.content + std::string(100, '\0'));
  entries(&damage);
  ASSERT_THAT(damage, SizeIs(1));
  EXPECT_EQ(damage[0].kind, Damage::Kind::kTornTail);
}

TEST(Journal, AFlippedBitNamesFileAndOffsetAndOtherSegmentsAreRead) {
  const Short whole = ShortSegment();
  Scratch scratch;
  const std::string first = scratch.path("00000001-x.journal");
  const std::string second = scratch.path("00000002-x.journal");
  Write(second, whole.content);
  size_t hidden = 0;
  for (size_t at = 0; at < whole.content.size(); at += 3) {
    SCOPED_TRACE(at);
    std::string content = whole.content;
    content[at] = static_cast<char>(content[at] ^ (1 << (at % 8)));
    Write(first, content);
    const ReplayReport report = Replay(scratch.path(), {}).value();
    ASSERT_TRUE(report.Agrees());
    ASSERT_GT(report.decisions, 0U);
    ASSERT_THAT(report.damage, SizeIs(1));
    const Damage& damage = report.damage[0];
    size_t frame = 0;
    for (const size_t begin : whole.frames) frame = begin <= at ? begin : frame;
    EXPECT_EQ(damage.offset, frame);
    EXPECT_THAT(damage.text, HasSubstr(first + ": at byte " + std::to_string(frame)));
    // A damaged length may by chance pass its check and reach beyond the end.
    if (at >= kSegmentHead.size() && damage.kind != Damage::Kind::kCorrupt) ++hidden;
  }
  EXPECT_EQ(hidden, 0U);
}

// What a killed process had handed over is whole up to where its last write was cut.
TEST(Journal, SurvivesAKilledWriter) {
  Scratch scratch;
  const std::string directory = scratch.path("j");
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    RecordedWorlds worlds(21, 5);
    auto writer = Writer::Open(Options(directory, worlds), [](const absl::Status&) {}).value();
    for (int i = 0;; ++i) {
      StepInto(worlds, *writer);
      if (i == 50 && write(ready[1], "x", 1) != 1) _exit(1);
    }
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
  const ReplayReport report = Replay(directory, {}).value();
  EXPECT_TRUE(report.Agrees());
  EXPECT_GT(report.decisions, 50U);
  for (const Damage& damage : report.damage) {
    EXPECT_EQ(damage.kind, Damage::Kind::kTornTail) << damage.text;
  }
}

// In a child, since a limit on file sizes holds for the process: a stand-in for a full disk.
int FullDisk(const std::string& directory) {
  signal(SIGXFSZ, SIG_IGN);
  RecordedWorlds worlds(31, 3);
  std::vector<std::string> troubles;
  WriterOptions options = Options(directory, worlds);
  auto writer = Writer::Open(options, [&](const absl::Status& status) {
                  troubles.emplace_back(status.ok() ? "ok" : base::Message(status));
                }).value();
  StepInto(worlds, *writer);
  writer->Flush();
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = 20 << 10;
  setrlimit(RLIMIT_FSIZE, &limit);
  for (int i = 0; i < 60; ++i) {  // 90 s; a new segment is tried every 5 s, and fills up again
    StepInto(worlds, *writer);
    writer->Flush();
  }
  if (troubles.empty() || troubles[0].find("can't be written: File too large") == std::string::npos)
    return 1;
  if (writer->counters().lost_records == 0) return 2;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_FSIZE, &limit);
  for (int i = 0; i < 20; ++i) {
    StepInto(worlds, *writer);
    writer->Flush();
  }
  if (troubles.back() != "ok") return 3;
  for (size_t i = 1; i < troubles.size(); ++i) {  // begun, ended, begun, ended
    if ((troubles[i] == "ok") == (troubles[i - 1] == "ok")) return 4;
  }
  const WriterCounters counters = writer->counters();
  writer->Close();
  const ReplayReport report = Replay(directory, {}).value();
  if (!report.Agrees() || !report.damage.empty()) return 5;
  if (report.decisions + report.outcomes + report.outcomes_without_decision +
          counters.lost_records !=
      counters.records) {
    return 6;
  }
  if (report.lost_records == 0) return 7;
  return 0;
}

TEST(Journal, AFullDiskIsReportedOnceCountedAndRecoveredFrom) {
  Scratch scratch;
  const pid_t child = fork();
  if (child == 0) _exit(FullDisk(scratch.path("j")));
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Journal, ADirectoryThatVanishesIsReportedAndComesBack) {
  Scratch scratch;
  RecordedWorlds worlds(33, 3);
  std::vector<absl::Status> troubles;
  WriterOptions options = Options(scratch.path("j"), worlds);
  options.segment_bytes = 1;  // a segment per step, but for the share of complete records
  auto writer = MustOpen(options, [&](const absl::Status& status) { troubles.push_back(status); });
  StepInto(worlds, *writer);
  writer->Flush();
  fs::rename(scratch.path("j"), scratch.path("k"));
  for (int i = 0; i < 60; ++i) {
    StepInto(worlds, *writer);
    writer->Flush();
  }
  ASSERT_THAT(troubles, SizeIs(1));
  EXPECT_THAT(std::string(base::Message(troubles[0])), HasSubstr("can't be made"));
  fs::rename(scratch.path("k"), scratch.path("j"));
  for (int i = 0; i < 10; ++i) {
    StepInto(worlds, *writer);
    writer->Flush();
  }
  ASSERT_THAT(troubles, SizeIs(2));
  EXPECT_TRUE(troubles[1].ok());
}

// What comes faster than it can be written is lost and counted, and a new segment goes on after it.
TEST(Journal, AFullBufferLosesRecordsAndIsReported) {
  Scratch scratch;
  RecordedWorlds worlds(35, 7);
  std::vector<absl::Status> troubles;
  WriterOptions options = Options(scratch.path("j"), worlds);
  options.buffer_bytes = 4 << 10;  // less than the complete first records of all
  auto writer = MustOpen(options, [&](const absl::Status& status) { troubles.push_back(status); });
  for (int i = 0; i < 20; ++i) {
    StepInto(worlds, *writer);
    writer->Flush();
  }
  writer->Close();
  ASSERT_FALSE(troubles.empty());
  EXPECT_EQ(troubles[0].code(), absl::StatusCode::kResourceExhausted);
  const WriterCounters counters = writer->counters();
  EXPECT_GT(counters.lost_records, 0U);
  const ReplayReport report = Replay(scratch.path("j"), {}).value();
  EXPECT_TRUE(report.Agrees());
  EXPECT_THAT(report.damage, IsEmpty());
  EXPECT_EQ(
      report.decisions + report.outcomes + report.outcomes_without_decision + counters.lost_records,
      counters.records);
}

// ---- replay ----------------------------------------------------------------------------------

// A decision that was recorded otherwise is found, with the first field that differs.
TEST(Replay, NamesTheFirstDifference) {
  Scratch scratch;
  RecordedWorlds worlds(41, 3);
  auto writer = MustOpen(Options(scratch.path("j"), worlds));
  uint64_t wrong = 0;
  for (int i = 0; i < 5; ++i) {
    worlds.Step(
        [&](const control::DecisionRecord& record) {
          core::Decision decision = *record.decision;
          control::DecisionRecord changed = record;
          if (wrong == 0 && decision.verdict == core::Verdict::kComputed) {
            wrong = record.decision_id;
            decision.steps.back().after += 1;
            changed.decision = &decision;
          }
          writer->OnDecision(changed, worlds.now());
        },
        [&](const auto& record) { writer->OnOutcome(record, worlds.now()); });
    writer->EndStep(worlds.now());
  }
  writer->Close();
  ASSERT_NE(wrong, 0U);
  ReplayReport report = Replay(scratch.path("j"), {.most = 10, .build = "1.2.3"}).value();
  EXPECT_FALSE(report.Agrees());
  ASSERT_EQ(report.different_decisions, 1U);
  const Difference& d = report.differences[0];
  EXPECT_EQ(d.decision_id, wrong);
  EXPECT_EQ(d.key.ns, "shop");
  const core::Decision& told = worlds.told()[wrong - 1].decision;
  EXPECT_EQ(d.first, "steps[" + std::to_string(told.steps.size() - 1) + "].after: recorded " +
                         std::to_string(told.steps.back().after + 1) + ", recomputed " +
                         std::to_string(told.steps.back().after));
}

TEST(Replay, FindsTheRecordOfAnObjectAtATime) {
  Scratch scratch;
  RecordedWorlds worlds(43, 4);
  WriterOptions options = Options(scratch.path("j"), worlds);
  options.segment_bytes = 30 << 10;
  auto writer = MustOpen(options);
  for (int i = 0; i < 120; ++i) StepInto(worlds, *writer);
  writer->Close();
  ASSERT_GE(Segments(scratch.path("j")).size(), 3U);
  const std::vector<Told>& told = worlds.told();
  for (size_t i = 0; i < told.size(); i += 37) {
    // A moment later the same decision still stands.
    const absl::Time at = told[i].seen.now + absl::Milliseconds(700);
    const auto found = FindRecord(scratch.path("j"), told[i].spec.key, at);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->decision_id, told[i].decision_id);
    EXPECT_TRUE(found->decision == told[i].decision);
    EXPECT_TRUE(found->seen == told[i].seen);
    ASSERT_TRUE(found->outcome.has_value());
    EXPECT_TRUE(found->outcome->status == told[i].outcome.status);
  }
  const auto early = FindRecord(scratch.path("j"), told[0].spec.key, absl::UnixEpoch());
  EXPECT_THAT(std::string(base::Message(early.status())), HasSubstr("its first is of 2026-"));
  const auto unknown = FindRecord(scratch.path("j"), {"shop", "nobody"}, worlds.now());
  EXPECT_THAT(std::string(base::Message(unknown.status())),
              HasSubstr("no decision of shop/nobody is in it"));
}

}  // namespace
}  // namespace neap::record
