// Journals of another version, and journals that were cut: what can be read is read and compared as
// it must be, the rest is named, and nothing is taken for what it is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "autoscaler/base/status.h"
#include "autoscaler/record/codec.h"
#include "autoscaler/record/replay.h"
#include "autoscaler/record/segment.h"
#include "autoscaler/record/segment_encoder.h"
#include "tests/record/recorded_world.h"
#include "tests/support/process.h"

namespace neap::record {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing_support::TempDir;

constexpr char kBuild[] = "1.2.3";

// A segment of a few decisions of a few targets.
struct Recorded {
  std::string segment;
  std::vector<Told> told;
};
Recorded Record(uint64_t seed, int targets, int steps) {
  RecordedWorlds worlds(seed, targets);
  SegmentEncoder encoder;
  Recorded out;
  encoder.Begin(kBuild, worlds.options(), worlds.now(), 0, &out.segment);
  for (int i = 0; i < steps; ++i) {
    worlds.Step([&](const auto& record) { EXPECT_TRUE(encoder.Decision(record, &out.segment)); },
                [&](const auto& record) { EXPECT_TRUE(encoder.Outcome(record, &out.segment)); });
  }
  encoder.End(&out.segment);
  out.told = worlds.told();
  return out;
}

// The segment with each of its messages changed.
std::string Rewritten(const std::string& segment, const std::function<void(v1::Frame&)>& change) {
  std::string out(kSegmentHead);
  size_t at = kSegmentHead.size();
  for (;;) {
    const Frame frame = FrameAt(segment, at);
    if (frame.kind != Frame::Kind::kWhole) break;
    v1::Frame message;
    EXPECT_TRUE(
        message.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size())));
    change(message);
    AppendFrame(Serialised(message), &out);
    at = frame.next;
  }
  EXPECT_EQ(at, segment.size());
  return out;
}

ReplayReport ReplayOf(const TempDir& dir, const std::string& segment, const std::string& build) {
  const std::string path = dir.Write("00000001-x.journal", segment);
  auto report = Replay(path, {.most = 10, .build = build});
  EXPECT_TRUE(report.ok()) << report.status();
  return *std::move(report);
}

// A field that a later version adds to decisions changes their bytes, not what this version knows
// them to say.
TEST(Versions, TheSameBuildComparesBytesAnotherOneWhatTheySay) {
  TempDir dir;
  const Recorded recorded = Record(3, 3, 6);
  const std::string newer = Rewritten(recorded.segment, [](v1::Frame& frame) {
    if (!frame.has_decision()) return;
    v1::Decision* decision = frame.mutable_decision()->mutable_decision();
    decision->GetReflection()->MutableUnknownFields(decision)->AddVarint(1000, 7);
  });
  ReplayReport report = ReplayOf(dir, newer, kBuild);
  EXPECT_EQ(report.decisions, recorded.told.size());
  EXPECT_EQ(report.different_decisions, recorded.told.size());
  EXPECT_THAT(report.differences[0].first, HasSubstr("of another version"));
  report = ReplayOf(dir, newer, "2.0.0");
  EXPECT_EQ(report.decisions, recorded.told.size());
  EXPECT_TRUE(report.Agrees()) << report.differences[0].first;
  EXPECT_THAT(report.builds, ElementsAre(kBuild));
}

// Across versions a decision that says something else is still a difference.
TEST(Versions, AnotherBuildsOtherDecisionIsADifference) {
  TempDir dir;
  const Recorded recorded = Record(3, 3, 6);
  int changed = 0;
  const std::string other = Rewritten(recorded.segment, [&](v1::Frame& frame) {
    if (!frame.has_decision() || changed > 0) return;
    v1::Decision* decision = frame.mutable_decision()->mutable_decision();
    decision->set_desired(decision->desired() + 1);
    ++changed;
  });
  const ReplayReport report = ReplayOf(dir, other, "2.0.0");
  ASSERT_EQ(report.different_decisions, 1U);
  EXPECT_THAT(report.differences[0].first, HasSubstr("desired: recorded "));
}

TEST(Versions, AnotherFormatIsNotRead) {
  TempDir dir;
  const Recorded recorded = Record(5, 2, 3);
  const std::string newer = Rewritten(recorded.segment, [](v1::Frame& frame) {
    if (frame.has_start()) frame.mutable_start()->set_format(kFormat + 1);
  });
  const ReplayReport report = ReplayOf(dir, newer, kBuild);
  EXPECT_EQ(report.decisions, 0U);
  ASSERT_THAT(report.damage, SizeIs(1));
  EXPECT_EQ(report.damage[0].kind, Damage::Kind::kUnreadable);
  EXPECT_THAT(report.damage[0].text, HasSubstr("the segment's format is 2, this version reads 1"));
  EXPECT_THAT(report.damage[0].text, HasSubstr("00000001-x.journal"));

  const ReplayReport head = ReplayOf(dir, "neap journal 2\n" + recorded.segment.substr(15), kBuild);
  EXPECT_EQ(head.decisions, 0U);
  ASSERT_THAT(head.damage, SizeIs(1));
  EXPECT_THAT(head.damage[0].text, HasSubstr("is no segment of a journal"));
}

// What came before a word that this version does not know is compared, what follows is not, and
// the next segment is read.
TEST(Versions, AWordOfALaterVersionIsNamed) {
  TempDir dir;
  const Recorded recorded = Record(7, 2, 8);
  const uint64_t from = recorded.told[recorded.told.size() / 2].decision_id;
  const std::string newer = Rewritten(recorded.segment, [&](v1::Frame& frame) {
    if (!frame.has_decision() || frame.decision().decision_id() != from) return;
    for (v1::Step& step : *frame.mutable_decision()->mutable_decision()->mutable_steps()) {
      step.set_reason(static_cast<v1::Reason>(core::kReasonCount + 5));
    }
  });
  dir.Write("00000002-x.journal", recorded.segment);
  dir.Write("00000001-x.journal", newer);
  const ReplayReport report = Replay(dir.path(), {.most = 10, .build = "2.0.0"}).value();
  EXPECT_TRUE(report.Agrees());
  EXPECT_EQ(report.decisions, from - 1 + recorded.told.size());
  ASSERT_THAT(report.damage, SizeIs(1));
  EXPECT_EQ(report.damage[0].kind, Damage::Kind::kUnreadable);
  EXPECT_THAT(report.damage[0].text, HasSubstr("written by another version"));
  EXPECT_THAT(report.damage[0].text, HasSubstr("reason"));
  EXPECT_THAT(report.damage[0].text, HasSubstr("what follows in this file is not read"));
}

TEST(Versions, ARecordOfAKindThatALaterVersionAddsIsPassedOver) {
  TempDir dir;
  const Recorded recorded = Record(9, 2, 4);
  v1::Frame added;
  added.GetReflection()->MutableUnknownFields(&added)->AddLengthDelimited(99, "news");
  std::string newer = recorded.segment;
  AppendFrame(Serialised(added), &newer);
  const ReplayReport report = ReplayOf(dir, newer, kBuild);
  EXPECT_TRUE(report.Agrees());
  EXPECT_EQ(report.decisions, recorded.told.size());
  EXPECT_THAT(report.damage, IsEmpty());
}

// Cut at each byte of its tail: all decisions that are whole agree, the cut is a torn tail and
// named, and the last decision that is whole is the one that is found.
TEST(Versions, AJournalCutAnywhereReplaysUpToTheCut) {
  TempDir dir;
  Recorded recorded;
  for (uint64_t seed = 1; seed <= 20; ++seed) {  // some worlds have few pods
    Recorded next = Record(seed, 2, 3);
    if (next.told.size() < 3) continue;
    if (recorded.segment.empty() || next.segment.size() < recorded.segment.size()) {
      recorded = std::move(next);
    }
  }
  uint64_t last = recorded.told.size();
  bool lost_some = false;
  for (size_t length = recorded.segment.size(); length-- > 0;) {
    SCOPED_TRACE(length);
    const ReplayReport report = ReplayOf(dir, recorded.segment.substr(0, length), kBuild);
    ASSERT_TRUE(report.Agrees());
    ASSERT_LE(report.decisions, last);
    ASSERT_GE(report.decisions + 1, last);  // one at a time
    last = report.decisions;
    ASSERT_LE(report.damage.size(), 1U);
    for (const Damage& damage : report.damage) ASSERT_EQ(damage.kind, Damage::Kind::kTornTail);
    lost_some = lost_some || !report.damage.empty();
    if (last == 0) continue;
    const Told& told = recorded.told[last - 1];
    const auto found = FindRecordIn("cut", recorded.segment.substr(0, length), told.spec.key,
                                    absl::InfiniteFuture());
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(found->decision_id, told.decision_id);
  }
  EXPECT_EQ(last, 0U);
  EXPECT_TRUE(lost_some);
}

TEST(FindRecordIn, SaysWhatIsWrongWithTheSegment) {
  const Recorded recorded = Record(9, 2, 2);
  const core::ObjectKey key = recorded.told[0].spec.key;
  const auto text = [&](const std::string& segment, const core::ObjectKey& whose) {
    const auto found = FindRecordIn("http://neapd", segment, whose, absl::InfiniteFuture());
    return found.ok() ? std::string("found") : std::string(base::Message(found.status()));
  };
  EXPECT_EQ(text(recorded.segment, key), "found");
  EXPECT_THAT(text("<html>", key), HasSubstr("http://neapd: at byte 0: is no segment"));
  EXPECT_THAT(text(recorded.segment, {"shop", "nobody"}),
              HasSubstr("http://neapd: no decision of shop/nobody is in it"));
}

}  // namespace
}  // namespace neap::record
