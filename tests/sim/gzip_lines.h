// The lines of a gzipped text file, for tests.
#pragma once

#include <gtest/gtest.h>
#include <zlib.h>

#include <functional>
#include <string>

namespace neap::sim {

inline void ForEachLine(const char* path, const std::function<void(const std::string&)>& take) {
  gzFile file = gzopen(path, "rb");
  ASSERT_NE(file, nullptr) << path;
  std::string line;
  char part[1 << 16];
  while (gzgets(file, part, sizeof(part)) != nullptr) {
    line += part;
    if (line.empty() || line.back() != '\n') continue;
    take(line);
    line.clear();
  }
  if (!line.empty()) take(line);
  gzclose(file);
}

}  // namespace neap::sim
