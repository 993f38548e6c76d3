#include "scalers/metrics-api/json_path.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

namespace neap::scalers::metrics_api {
namespace {

std::string Describe(const Found& found) {
  if (found.nothing()) return "none";
  if (const auto* length = std::get_if<int64_t>(&found)) return fmt::format("num {}", *length);
  if (const auto* json = std::get_if<simdjson::dom::element>(&found)) {
    if (json->is_number()) return fmt::format("num {}", double(*json));
    if (json->is_string()) return "str " + std::string(std::string_view(*json));
  }
  return "other";
}

// Each case holds a path and what gjson v1.18.0 finds with it.
TEST(JsonPath, AgreesWithTheLibraryThatKedaUses) {
  std::ifstream file("scalers/metrics-api/gjson_vectors.jsonl");
  std::string line;
  int checked = 0;
  while (std::getline(file, line)) {
    const nlohmann::json row = nlohmann::json::parse(line);
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    const std::string text = row["doc"];
    ASSERT_FALSE(parser.parse(text).get(root));
    for (const nlohmann::json& pair : row["cases"]) {
      const absl::StatusOr<JsonPath> path = JsonPath::Parse(pair[0].get<std::string>());
      ASSERT_TRUE(path.ok()) << path.status();
      std::string expect = pair[1];
      if (expect.starts_with("num ")) expect = fmt::format("num {}", std::stod(expect.substr(4)));
      std::string actual = Describe(path->Find(root));
      if (actual.starts_with("num ")) actual = fmt::format("num {}", std::stod(actual.substr(4)));
      EXPECT_EQ(actual, expect) << pair[0] << " in " << text;
      ++checked;
    }
  }
  EXPECT_EQ(checked, 465);
}

TEST(JsonPath, RefusesWhatItDoesNotSupportAndSaysWhere) {
  const auto error = [](std::string_view path) {
    return std::string(JsonPath::Parse(path).status().message());
  };
  EXPECT_THAT(error(""), testing::HasSubstr("empty"));
  EXPECT_THAT(error("a.@reverse"), testing::HasSubstr("position 3: '@'"));
  EXPECT_THAT(error("{a,b}"), testing::HasSubstr("'{'"));
  EXPECT_THAT(error("a.[b,c]"), testing::HasSubstr("'['"));
  EXPECT_THAT(error("!\"x\""), testing::HasSubstr("'!'"));
  EXPECT_THAT(error("..0.a"), testing::HasSubstr("an empty part"));
  EXPECT_THAT(error("a."), testing::HasSubstr("ends with a separator"));
  EXPECT_THAT(error("a.#(b==1"), testing::HasSubstr("not closed"));
  EXPECT_THAT(error("a.#()"), testing::HasSubstr("condition is empty"));
  EXPECT_THAT(error("a.#(b==~true)"), testing::HasSubstr("'~'"));
  EXPECT_THAT(error("a.#x"), testing::HasSubstr("after '#'"));
  EXPECT_THAT(error("a\\"), testing::HasSubstr("escapes nothing"));
  std::string nested = "x";
  for (int i = 0; i < 100; ++i) nested = "a.#(" + nested + ">1)";
  EXPECT_THAT(error(nested), testing::HasSubstr("nested deeper"));
}

TEST(Like, MatchesWildcards) {
  EXPECT_TRUE(Like("", "*"));
  EXPECT_TRUE(Like("abc", "a*c"));
  EXPECT_TRUE(Like("a*c", "a\\*c"));
  EXPECT_FALSE(Like("abc", "a\\*c"));
  EXPECT_TRUE(Like("abcbc", "*bc"));
  EXPECT_FALSE(Like("abc", "a?"));
  EXPECT_FALSE(Like("", "?"));
  // Linear in practice: a pattern of many stars does not explode.
  EXPECT_FALSE(Like(std::string(2000, 'a'), "*a*a*a*a*a*a*a*a*a*b"));
}

}  // namespace
}  // namespace neap::scalers::metrics_api
