// An explanation of one decision, for people and as data: each metric's value, target and proposal,
// each step with its reason, what would have to be different for another result, and what became of
// it. Pure functions.
#pragma once

#include <string>

#include "autoscaler/record/replay.h"
#include "tools/neapctl/output.h"

namespace neap::ctl {

struct Explanation {
  Json document;
  std::string text;
};

// Of a recorded decision, or of one that was just taken: then `file` is "" and there is no time, no
// cause and no outcome.
Explanation ExplainRecord(record::FoundRecord& found);

}  // namespace neap::ctl
