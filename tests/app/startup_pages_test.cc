#include "autoscaler/app/startup_pages.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>

namespace neap::app {
namespace {

// Of files, in KiB.
int64_t ResidentOfFiles() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) return std::stoll(line.substr(8));
  }
  return -1;
}

class Shape {
 public:
  virtual ~Shape() = default;
  virtual std::string Name() const { return "shape"; }
};
class Square : public Shape {
 public:
  std::string Name() const override { return "square"; }
};

TEST(StartupPages, AreReleased) {
  const int64_t before = ResidentOfFiles();
  ASSERT_GT(before, 0);
  ReleaseStartupPages();
  EXPECT_LT(ResidentOfFiles(), before * 2 / 3);
}

// Code, constants and what the linker has relocated: virtual tables, types, other libraries' calls.
TEST(StartupPages, WhatIsUsedComesBack) {
  const std::unique_ptr<Shape> shape = std::make_unique<Square>();
  ReleaseStartupPages();
  EXPECT_EQ(shape->Name(), "square");
  EXPECT_NE(dynamic_cast<Square*>(shape.get()), nullptr);
  EXPECT_EQ(fmt::format("{:.3f}", 0.5), "0.500");
  EXPECT_THROW(std::stoi("none"), std::invalid_argument);
}

}  // namespace
}  // namespace neap::app
