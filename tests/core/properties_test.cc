// What holds for every decision, tried on random objects and observations over the ordinary range,
// where no arithmetic overflows; and that extreme numbers do no harm. Seeds are fixed and printed;
// NEAP_SEED tries another.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "autoscaler/core/decide.h"
#include "tests/core/random_world.h"

namespace neap::core {
namespace {

constexpr int kRounds = 20000;

uint64_t Seed() {
  const char* text = std::getenv("NEAP_SEED");
  return text == nullptr ? 20260101 : std::strtoull(text, nullptr, 10);
}

class Properties : public testing::Test {
 protected:
  Properties() : random_(Seed()) { RecordProperty("seed", fmt::format("{}", Seed())); }

  // Runs `check` on many worlds; stops at the first that fails and says how to see it again.
  template <typename Check>
  void ForAll(WorldKind kind, const Check& check) {
    std::printf("seed %lu\n", static_cast<unsigned long>(Seed()));
    for (int round = 0; round < kRounds; ++round) {
      RandomWorld world(random_, kind);
      check(world);
      if (HasFailure()) {
        ADD_FAILURE() << "round " << round << " of seed " << Seed() << "\n"
                      << Explain(world.spec, world.Run());
        return;
      }
    }
  }

  std::mt19937_64 random_;
};

TEST_F(Properties, TheSameArgumentsGiveTheSameAnswer) {
  ForAll(WorldKind::kAnything, [](RandomWorld& world) {
    const Decision once = world.Run();
    const Decision again = world.Run();
    // Equal as records are: by their texts, since NaN (0 of 0) is unequal to itself.
    EXPECT_EQ(Explain(world.spec, once), Explain(world.spec, again));
    EXPECT_EQ(once.desired, again.desired);
    const Outcome a = world.Follow(once, ApplyResult::Kind::kApplied);
    const Outcome b = world.Follow(again, ApplyResult::Kind::kApplied);
    EXPECT_EQ(a.history, b.history);
    EXPECT_EQ(a.status, b.status);
    EXPECT_EQ(a.events, b.events);
  });
}

TEST_F(Properties, StaysWithinBounds) {
  ForAll(WorldKind::kAnything, [](RandomWorld& world) {
    const Decision d = world.Run();
    if (!d.rescale) {
      EXPECT_EQ(d.desired, d.verdict == Verdict::kNoScale ? 0 : d.current);
      return;
    }
    EXPECT_LE(d.desired, world.spec.max_replicas);
    // A rate limit on the way up from zero may leave it below the minimum; it never goes below.
    if (d.desired < d.current) {
      EXPECT_GE(d.desired, world.spec.MinReplicas());
    }
  });
}

TEST_F(Properties, NoScaleDownOnAnyError) {
  int errors = 0;
  ForAll(WorldKind::kAnything, [&](RandomWorld& world) {
    const Decision d = world.Run();
    if (d.verdict == Verdict::kOutOfBounds) return;  // decided without metrics
    const bool failed = std::any_of(d.metrics.begin(), d.metrics.end(),
                                    [](const MetricResult& m) { return !m.valid; });
    if (failed || d.verdict == Verdict::kFailed || d.verdict == Verdict::kNoScale ||
        d.verdict == Verdict::kHold) {
      ++errors;
      if (d.rescale) {
        EXPECT_GT(d.desired, d.current);
      }
    }
  });
  EXPECT_GT(errors, kRounds / 20);  // the worlds do contain them
}

TEST_F(Properties, SilentViewsNeverScaleDown) {
  ForAll(WorldKind::kAnything, [](RandomWorld& world) {
    world.seen.views_silent = true;
    const Decision d = world.Run();
    if (d.rescale) {
      EXPECT_GT(d.desired, d.current);
    }
  });
}

TEST_F(Properties, SafeOnlyHoldsAndSaysSo) {
  ForAll(WorldKind::kAnything, [](RandomWorld& world) {
    world.past.base.reset();  // a first decision: the base is the count itself
    world.scale.status_replicas = world.scale.spec_replicas;
    world.spec.guards = Guards::kNone;
    const Decision none = world.Run();
    world.spec.guards = Guards::kSafe;
    const Decision safe = world.Run();
    EXPECT_EQ(safe.recommended, none.recommended);
    if (safe.desired != none.desired) {
      EXPECT_EQ(safe.desired, safe.current);
      ASSERT_FALSE(safe.steps.empty());
      EXPECT_EQ(safe.steps.back().stage, Stage::kGuards);
      // Up, it holds a crash loop alone.
      if (none.desired > none.current) {
        EXPECT_EQ(safe.steps.back().reason, Reason::kHeldCrashLoop);
      }
    }
  });
}

// Pods are as many as the count says, none is terminating: without that, upstream itself is not
// monotone (10 wanted, 5 there: a ratio of 1.05 keeps 10, 1.5 makes 8).
TEST_F(Properties, MoreLoadNeverMeansFewerReplicas) {
  int differ = 0;
  ForAll(WorldKind::kSettled, [&](RandomWorld& world) {
    const Decision less = world.Run();
    world.AddLoad(random_);
    const Decision more = world.Run();
    EXPECT_GE(more.desired, less.desired) << Explain(world.spec, less);
    if (more.desired > less.desired) ++differ;
  });
  EXPECT_GT(differ, kRounds / 50);
}

TEST_F(Properties, LoadAndTargetScaledTogetherChangeNothing) {
  ForAll(WorldKind::kSettled, [&](RandomWorld& world) {
    const Decision before = world.Run();
    world.Multiply(1 + static_cast<int64_t>(random_() % 9));
    const Decision after = world.Run();
    EXPECT_EQ(after.desired, before.desired) << Explain(world.spec, before);
  });
}

TEST_F(Properties, AnIdleMetricChangesNoCount) {
  ForAll(WorldKind::kSettled, [&](RandomWorld& world) {
    const Decision without = world.Run();
    world.AddIdleMetric();
    const Decision with = world.Run();
    EXPECT_EQ(with.desired, without.desired) << Explain(world.spec, without);
  });
}

TEST_F(Properties, EachChangeOfTheCountIsAStep) {
  ForAll(WorldKind::kAnything, [](RandomWorld& world) {
    const Decision d = world.Run();
    ASSERT_FALSE(d.steps.empty());
    if (d.verdict == Verdict::kComputed || d.verdict == Verdict::kOutOfBounds) {
      EXPECT_EQ(d.steps.back().after, d.desired);
    }
    // From combine on, each step begins where the one before ended.
    const Step* last = nullptr;
    for (const Step& step : d.steps) {
      if (step.stage < Stage::kCombine && step.stage != Stage::kGate) continue;
      if (last != nullptr) {
        EXPECT_EQ(step.before, last->after);
      }
      last = &step;
    }
  });
}

// Full-range numbers everywhere: what comes out is upstream's business; that nothing undefined
// happens is ours (the sanitizer build runs this).
TEST_F(Properties, ExtremeNumbersAreDefined) {
  ForAll(WorldKind::kExtreme, [](RandomWorld& world) {
    const Decision d = world.Run();
    const Outcome out = world.Follow(d, ApplyResult::Kind::kApplied);
    EXPECT_FALSE(Explain(world.spec, d).empty());
    EXPECT_LE(out.history.recommendations.size(), History::kMaxEntries);
    if (world.spec.guards == Guards::kSafe && d.rescale) {
      EXPECT_GE(d.desired, 0);
    }
  });
}

}  // namespace
}  // namespace neap::core
