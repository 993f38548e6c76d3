// Every scaler's manifest in the tree is one that the catalog reads, and describes what it holds.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "autoscaler/catalog/catalog.h"

namespace neap::catalog {
namespace {

TEST(Manifests, OfEveryScalerAreSound) {
  std::set<std::string> types;
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator("scalers")) {
    const auto path = entry.path() / "manifest.textproto";
    if (!std::filesystem::exists(path)) continue;
    ++files;
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    const auto parsed = ParseManifest(text.str(), path.string());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_FALSE(parsed->empty()) << path;
    for (const TriggerType& type : *parsed) {
      EXPECT_TRUE(types.insert(type.type).second) << type.type << " is served by two scalers";
      EXPECT_FALSE(type.summary.empty()) << type.type;
      for (const Parameter& parameter : type.parameters) {
        EXPECT_FALSE(parameter.description.empty() && parameter.deprecated.empty())
            << type.type << "." << parameter.name << " has no description";
      }
    }
  }
  EXPECT_GE(files, 3);
}

}  // namespace
}  // namespace neap::catalog
