#include "autoscaler/base/version.h"

namespace neap::base {

std::string_view Version() { return NEAP_VERSION; }

}  // namespace neap::base
