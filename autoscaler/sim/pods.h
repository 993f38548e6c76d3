// Pods of a virtual world: what is known of each, the table that finds them by handle or name, and
// the meters from which any mean of their CPU is computed without sampling. Owned by World; one
// thread only. Times inside are nanoseconds since the world began, and may lie before it.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/base/lookup.h"
#include "autoscaler/sim/wide.h"

namespace neap::sim {

enum class PodPhase : uint8_t { kPending, kRunning };

// Names a pod for as long as the world lives: a slot is used again, with another generation.
struct PodId {
  uint32_t slot = 0;
  uint32_t generation = 0;  // 0: none
  bool operator==(const PodId&) const = default;
};

// The CPU that each of several like pods uses, over time: what is constant between changes, and its
// integral. What ended before `keep` is forgotten.
class CpuCurve {
 public:
  // `cpu` from `now` on, billionths of a core.
  void Set(int64_t now, int64_t cpu);
  int64_t cpu() const { return steps_.empty() ? 0 : steps_.back().cpu; }
  // The integral up to `when`, from a beginning that is always the same: billionths of a core x
  // nanoseconds. Before what is remembered: as if the first step had always been.
  Wide Total(int64_t when) const;
  void Forget(int64_t before);

 private:
  struct Step {
    int64_t from;
    int64_t cpu;
    Wide total;  // at `from`
  };
  std::vector<Step> steps_;
};

// The CPU of one pod: nothing, an amount of its own, or the share that all ready pods of its
// template have; and beside that the work it does for single requests.
class CpuMeter {
 public:
  void Own(int64_t now, int64_t cpu, const CpuCurve& share);
  void Share(int64_t now, const CpuCurve& share);
  // The work done for single requests up to `now`, in nanoseconds.
  void Worked(int64_t now, int64_t busy);
  // Without that work: billionths of a core x nanoseconds up to `when`.
  Wide Total(int64_t when, const CpuCurve& share) const;
  // The work done up to `when`: between two calls of Worked it is spread evenly, and between the
  // last one and `now`, where it is `busy`.
  Wide Busy(int64_t when, int64_t now, int64_t busy) const;
  void Forget(int64_t before);

 private:
  struct Span {
    int64_t from;
    bool shares;
    int64_t cpu;  // of its own
    Wide total;   // at `from`
    Wide share;   // the curve's total at `from`
  };
  struct Mark {
    int64_t at;
    int64_t busy;
  };
  void Begin(Span span, const CpuCurve& share);
  std::vector<Span> spans_;
  std::vector<Mark> marks_;
};

struct Pod {
  PodId id = {};
  std::string name = {};
  std::string uid = {};
  int deployment = 0;  // index
  int revision = 0;    // index into the deployment's templates
  int node = -1;       // index into nodes(); -1: it has none (yet), or there are no pools
  PodPhase phase = PodPhase::kPending;
  bool ready = false;
  bool backing_off = false;  // CrashLoopBackOff: its container waits to be started again
  int restarts = 0;          // of its container
  absl::Time created = {};
  absl::Time scheduled_at = absl::InfiniteFuture();  // until it has a place
  absl::Time running_at = absl::InfiniteFuture();    // until its container first ran
  absl::Time ready_at = absl::InfiniteFuture();      // until it is ready
  absl::Time deleted_at = absl::InfiniteFuture();    // when its deletion was asked for
  bool scheduled() const { return scheduled_at != absl::InfiniteFuture(); }
  bool deleting() const { return deleted_at != absl::InfiniteFuture(); }
  bool serving() const { return ready && !deleting(); }

  // World's own.
  CpuMeter meter = {};
  int planned = -1;       // the node that was ordered for it
  int traffic = -1;       // its number among single requests
  bool draining = false;  // goes as soon as it has nothing left to serve
};

// Owns the pods; addresses stay until Remove.
class PodTable {
 public:
  Pod& Add();  // with its id
  // Nullptr when it is gone.
  Pod* Find(PodId id) const;
  // Names are "ns/name".
  bool Taken(std::string_view full_name) const { return by_name_.Contains(full_name); }
  void Name(Pod& pod, std::string full_name);
  Pod* Find(std::string_view full_name) const;
  void Remove(const Pod& pod, std::string_view full_name);
  size_t size() const { return by_name_.size(); }

 private:
  struct Slot {
    std::unique_ptr<Pod> pod;
    uint32_t generation = 0;
  };
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  base::StringLookup<PodId> by_name_;
};

}  // namespace neap::sim
