#include <gtest/gtest.h>

#include <string>

#include "autoscaler/base/value/value.h"

namespace neap::value {
namespace {

Value One(std::string_view text) {
  auto documents = ParseYaml(text, "a.yaml");
  EXPECT_TRUE(documents.ok()) << documents.status();
  if (!documents.ok() || documents->size() != 1) return {};
  return std::move(documents->front());
}

std::string Error(std::string_view text) {
  const auto documents = ParseYaml(text, "a.yaml");
  return documents.ok() ? "no error" : std::string(documents.status().message());
}

TEST(Yaml, ScalarsByTheCoreSchema) {
  const Value doc =
      One("bools: [true, True, FALSE, false]\n"
          "words: [yes, no, on, off, y, n, inf, nan, .inf, 1_000, 0x10, 1:30]\n"
          "nulls: [null, ~, Null]\n"
          "ints: [0, -7, +7, 010, 9223372036854775807]\n"
          "reals: [1.5, -2e3, 9223372036854775808]\n"
          "quoted: ['1', \"true\", 'null', \"\"]\n"
          "tagged: !!str 5\n"
          "nothing:\n");
  for (const Value& v : doc.Get("bools")->list()) EXPECT_EQ(v.kind(), Kind::kBool);
  for (const Value& v : doc.Get("words")->list()) EXPECT_EQ(v.kind(), Kind::kString) << v.text();
  for (const Value& v : doc.Get("nulls")->list()) EXPECT_TRUE(v.is_null());
  for (const Value& v : doc.Get("ints")->list()) EXPECT_EQ(v.kind(), Kind::kInt) << v.text();
  EXPECT_EQ(doc.Get("ints")->list()[3].AsInt(), 10);  // not octal
  for (const Value& v : doc.Get("reals")->list()) EXPECT_EQ(v.kind(), Kind::kReal) << v.text();
  EXPECT_EQ(doc.Get("reals")->list()[1].AsReal(), -2000);
  for (const Value& v : doc.Get("quoted")->list()) EXPECT_EQ(v.kind(), Kind::kString);
  EXPECT_EQ(doc.Get("tagged")->AsString(), "5");
  EXPECT_TRUE(doc.Get("nothing")->is_null());
}

TEST(Yaml, KnowsLinesAndColumns) {
  const Value doc =
      One("kind: Autoscaler\n"
          "spec:\n"
          "  metrics:\n"
          "  - type: Resource\n"
          "    empty:\n"
          "  maxReplicas: 5\n");
  EXPECT_EQ(doc.Get("kind")->line(), 1);
  EXPECT_EQ(doc.Get("kind")->column(), 7);
  EXPECT_EQ(doc.Get("spec")->line(), 2);  // a map stands at its key, not where its first member is
  EXPECT_EQ(doc.Find("spec.metrics")->line(), 3);
  EXPECT_EQ(doc.Find("spec.metrics")->list()[0].line(), 4);
  EXPECT_EQ(doc.Find("spec.metrics")->list()[0].Get("empty")->line(), 5);
  EXPECT_EQ(doc.Find("spec.maxReplicas")->line(), 6);
}

TEST(Yaml, ReadsAllDocuments) {
  const auto documents = ParseYaml("a: 1\n---\n---\nb: 2\n---\n# only a comment\n", "a.yaml");
  ASSERT_TRUE(documents.ok()) << documents.status();
  ASSERT_EQ(documents->size(), 2u);
  EXPECT_EQ((*documents)[1].IntAt("b"), 2);
  EXPECT_EQ((*documents)[1].Get("b")->line(), 4);
  EXPECT_TRUE(ParseYaml("", "a.yaml")->empty());
  EXPECT_TRUE(ParseYaml("# nothing\n", "a.yaml")->empty());
}

TEST(Yaml, BlockTextsAndAnchors) {
  const Value doc =
      One("query: |\n  sum(rate(x[1m]))\n  by (y)\n"
          "folded: >-\n  a\n  b\n"
          "base: &base {a: 1}\nsame: *base\n");
  EXPECT_EQ(doc.StringAt("query"), "sum(rate(x[1m]))\nby (y)\n");
  EXPECT_EQ(doc.StringAt("folded"), "a b");
  EXPECT_EQ(doc.IntAt("same.a"), 1);
  EXPECT_EQ(One("a: |\n  x").StringAt("a"), "x");
  EXPECT_EQ(One("a: |\n  x\n").StringAt("a"), "x\n");
  EXPECT_EQ(One("a: |+\n  x\n\n").StringAt("a"), "x\n\n");
}

TEST(Yaml, ErrorsNameThePlace) {
  EXPECT_EQ(Error("a: 1\nb: 2\na: 3\n"), "a.yaml:3:1: duplicate key \"a\"");
  EXPECT_EQ(Error("a: 1\n  b: 2\n").substr(0, 9), "a.yaml:2:");
  EXPECT_EQ(Error("a: [1, 2\n").substr(0, 7), "a.yaml:");
  EXPECT_EQ(Error("a: *nobody\n").substr(0, 9), "a.yaml:1:");
  EXPECT_EQ(Error("? [a, b]\n: 1\n"), "a.yaml:1:3: a key must be a scalar");
  EXPECT_EQ(Error("a: \"open\n").substr(0, 7), "a.yaml:");  // a file that was cut off
  EXPECT_EQ(Error("a: \"open").substr(0, 7), "a.yaml:");
  EXPECT_EQ(Error("a: 'x\n\n  y").substr(0, 7), "a.yaml:");
  EXPECT_EQ(Error("\tb: 1\n").substr(0, 7), "a.yaml:");
}

TEST(Yaml, NestingAndAliasesAreBounded) {
  EXPECT_NE(Error(std::string(102, '[') + std::string(102, ']')).find("nested deeper than 100"),
            std::string::npos);
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += (j > 0 ? ", *a" : "*a") + std::to_string(i - 1);
    bomb += "]\n";
  }
  EXPECT_NE(Error(bomb).find("more than 100000 values"), std::string::npos);
}

TEST(Documents, JsonByNameOrByText) {
  EXPECT_EQ(ParseDocuments("{\"a\": 1}", "x.json")->front().IntAt("a"), 1);
  EXPECT_EQ(ParseDocuments("{\"a\": \"\\ud83d\\ude00\"}", "x.yaml")->front().StringAt("a"),
            "\xF0\x9F\x98\x80");  // a surrogate pair, which yaml-cpp would not read
  EXPECT_EQ(ParseDocuments("{a: 1}", "x.yaml")->front().IntAt("a"), 1);  // a flow map
  EXPECT_EQ(ParseDocuments("a: 1\n---\na: 2\n", "stdin")->size(), 2u);
  EXPECT_FALSE(ParseDocuments("a: 1", "x.json").ok());
}

}  // namespace
}  // namespace neap::value
