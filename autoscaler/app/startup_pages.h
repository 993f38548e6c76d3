// Pages of code and constants that nobody uses after the start. Any thread.
#pragma once

namespace neap::app {

// Takes the program's and its libraries' unwritable pages out of the process's resident memory.
// Those that are used come back one by one from the page cache, by faults of a microsecond; what
// only the start needed (the linker's tables, initialisers, OpenSSL's self-made lists) does not.
// Breakpoints of a debugger are lost by it.
void ReleaseStartupPages();

}  // namespace neap::app
