// HeapBytes: what the heap has handed out, with what the allocator adds to each block. Benchmarks
// link jemalloc except under sanitizers, so it is asked there; else the C library's malloc.
#pragma once

#include <malloc.h>

#include <cstddef>
#include <cstdint>

extern "C" int mallctl(const char* name, void* old, size_t* old_size, void* with, size_t with_size)
    __attribute__((weak));

namespace neap {

inline double HeapBytes() {
  if (mallctl != nullptr) {
    uint64_t epoch = 1;  // the numbers are made when this is written
    size_t bytes = 0;
    size_t size = sizeof(bytes);
    if (mallctl("epoch", nullptr, nullptr, &epoch, sizeof(epoch)) == 0 &&
        mallctl("stats.allocated", &bytes, &size, nullptr, 0) == 0) {
      return static_cast<double>(bytes);
    }
  }
  const struct mallinfo2 info = mallinfo2();  // large blocks are counted apart
  return static_cast<double>(info.uordblks) + static_cast<double>(info.hblkhd);
}

}  // namespace neap
