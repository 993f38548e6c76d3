// NEAP_CHECK(condition, format, ...): for invariants of the whole process. Prints file, line and
// the message to stderr and aborts, in every build. Data of one target never reaches it (core
// quarantines that target instead).
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#define NEAP_CHECK(condition, ...)                                                            \
  do {                                                                                        \
    if (!(condition)) [[unlikely]] {                                                          \
      std::fputs(fmt::format("{}:{}: CHECK failed: {}: {}\n", __FILE__, __LINE__, #condition, \
                             fmt::format(__VA_ARGS__))                                        \
                     .c_str(),                                                                \
                 stderr);                                                                     \
      std::abort();                                                                           \
    }                                                                                         \
  } while (false)
