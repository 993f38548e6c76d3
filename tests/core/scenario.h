// The language of tests/golden/core/*.txt: what a person writes to describe an autoscaler, its
// target and what was seen, and the text that comes out of Decide, Remember and Explain. For tests
// of core; one thread.
//
//   spec min=1 max=10                    the object (a new `spec` keeps metrics and behavior)
//   metric resource cpu utilization=60   also: container, pods, object, external, trigger
//   behavior up window=0s policies=pods:4/15s,percent:100/15s
//   scale 4 status=4 selector=app=web    also: ready=2, quota=refused; or: scale error="no answer"
//   pods web-1..4 request=cpu:500m       Running and Ready for an hour, unless said otherwise, as
//   by
//                                        phase=Failed ready=False trouble=crash-loop
//   reading 1 web-1..4=450m              or: reading 1 150 | reading 1 error="boom"
//   wait 15s
//   decide applied                       what became of the write; scale follows it
//
// State carries over from line to line and from case to case; `new` forgets all of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/core/decide.h"

namespace neap::core {

class Scenario {
 public:
  Scenario() { Reset(); }

  // Runs the lines of one case and gives what its `decide` lines print. A line that is not
  // understood gives "line N: why" and ends the case.
  std::string Run(const std::string& lines);

  // Of the last `decide`.
  const Decision& decision() const { return decision_; }

 private:
  struct Word {  // "key=value" or a bare value (then key is "")
    std::string key;
    std::string value;
  };
  using Words = std::vector<Word>;

  void Reset();
  std::string Line(const Words& words);
  std::string Options(const Words& words);
  std::string Spec(const Words& words);
  std::string Metric(const Words& words);
  std::string BehaviorRules(const Words& words);
  std::string ScaleLine(const Words& words);
  std::string Pods(const Words& words);
  std::string ReadingLine(const Words& words);
  std::string View(const Words& words);
  std::string DecideLine(const Words& words);
  std::string Print(const Outcome& outcome) const;
  std::string When(absl::Time time) const;  // "+15s" from the scenario's start

  static Words Split(const std::string& line, std::string* problem);

  std::string problem_;  // of the line at hand
  int64_t MilliOf(const std::string& text);
  absl::Duration DurationOf(const std::string& text);
  int32_t NumberOf(const std::string& text);

  absl::Time start_;
  absl::Time now_;
  HpaOptions options_;
  AutoscalerSpec spec_;
  std::vector<MetricSpec> trigger_metrics_;
  bool has_scale_ = false;
  Scale scale_;
  ReadingError scale_error_;
  std::string selector_error_;
  std::vector<Pod> pods_;
  std::vector<PodRequests> requests_;
  std::vector<Reading> readings_;  // metrics of the object, then of triggers
  std::vector<absl::Duration> limits_;
  std::vector<std::string> overlapping_;
  bool synced_ = true;
  bool silent_ = false;
  Status status_;
  History history_;
  Decision decision_;
};

// "web-1..3" -> web-1, web-2, web-3; any other text -> itself.
std::vector<std::string> ExpandNames(const std::string& text);

}  // namespace neap::core
