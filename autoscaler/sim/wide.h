// Wide: a whole number of 128 bits, for integrals that must be exact: a rate of a million per
// second over years in 10^-12 items, cores in billionths over nanoseconds.
#pragma once

namespace neap::sim {

__extension__ using Wide = __int128;

}  // namespace neap::sim
