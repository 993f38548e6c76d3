// What could not be read of a journal, as the two kinds of replay report it. One thread.
#pragma once

#include <vector>

#include "autoscaler/record/journal.h"
#include "tools/neapctl/output.h"

namespace neap::ctl {

Json DamageToJson(const std::vector<record::Damage>& damage);

// To stderr. True when something was not checked: a torn tail is what kill -9 leaves, or a record
// that is just being written, and nothing is missing that was decided before; anything else hides
// decisions.
bool PrintDamage(const std::vector<record::Damage>& damage);

}  // namespace neap::ctl
