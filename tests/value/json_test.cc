#include <gtest/gtest.h>

#include <string>

#include "autoscaler/base/value/value.h"

namespace neap::value {
namespace {

std::string Error(std::string_view text) {
  const auto value = ParseJson(text, "a.json");
  return value.ok() ? "no error" : std::string(value.status().message());
}

TEST(Json, ReadsEachKind) {
  const auto doc = ParseJson(
      R"({"null":null,"yes":true,"no":false,"int":-5,"real":1.5,"big":18446744073709551615,)"
      R"("text":"a\"b\u00e9","list":[1,"x",[]],"map":{"k":{}}})",
      "a.json");
  ASSERT_TRUE(doc.ok()) << doc.status();
  EXPECT_TRUE(doc->Get("null")->is_null());
  EXPECT_TRUE(doc->Get("yes")->AsBool());
  EXPECT_FALSE(doc->Get("no")->AsBool());
  EXPECT_EQ(doc->Get("int")->AsInt(), -5);
  EXPECT_EQ(doc->Get("int")->AsReal(), -5);
  EXPECT_EQ(doc->Get("real")->AsReal(), 1.5);
  EXPECT_EQ(doc->Get("real")->text(), "1.5");
  EXPECT_EQ(doc->Get("big")->kind(), Kind::kReal);
  EXPECT_EQ(doc->Get("big")->text(), "18446744073709551615");
  EXPECT_EQ(doc->Get("text")->AsString(), "a\"b\xC3\xA9");
  EXPECT_EQ(doc->Get("list")->list().size(), 3u);
  EXPECT_TRUE(doc->Find("map.k")->is_map());
}

TEST(Json, FindsByPath) {
  const auto doc = ParseJson(R"({"spec":{"replicas":3,"name":"web","template":{}}})", "a.json");
  ASSERT_TRUE(doc.ok());
  EXPECT_EQ(doc->IntAt("spec.replicas"), 3);
  EXPECT_EQ(doc->IntAt("spec.name", 7), 7);
  EXPECT_EQ(doc->IntAt("spec.missing", 7), 7);
  EXPECT_EQ(doc->StringAt("spec.name"), "web");
  EXPECT_EQ(doc->StringAt("spec.replicas", "none"), "none");
  EXPECT_EQ(doc->Find("spec.name.more"), nullptr);
  EXPECT_EQ(doc->Get("spec")->Get("template.x"), nullptr);
  EXPECT_EQ(Value().Get("x"), nullptr);
}

TEST(Json, KnowsLinesAndColumns) {
  const auto doc = ParseJson(
      "{\n"
      "  \"a\" : 1,\n"
      "  \"tricky \\\" { key\": [ \"x\\\\\",\n"
      "      {\"in\": true} ],\n"
      "  \"map\":\n"
      "    {\"deep\": -2.5e3, \"n\": null}\n"
      "}\n",
      "a.json");
  ASSERT_TRUE(doc.ok()) << doc.status();
  EXPECT_EQ(doc->line(), 1);
  EXPECT_EQ(doc->Get("a")->line(), 2);
  EXPECT_EQ(doc->Get("a")->column(), 9);
  const Value* list = doc->Get("tricky \" { key");
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(list->line(), 3);
  EXPECT_EQ(list->column(), 3);  // a list stands at its key
  EXPECT_EQ(list->list()[0].column(), 24);
  EXPECT_EQ(list->list()[1].line(), 4);
  EXPECT_EQ(list->list()[1].column(), 7);
  EXPECT_EQ(list->list()[1].Get("in")->column(), 14);
  EXPECT_EQ(doc->Get("map")->line(), 5);
  EXPECT_EQ(doc->Find("map.deep")->line(), 6);
  EXPECT_EQ(doc->Find("map.n")->line(), 6);
  EXPECT_EQ(doc->Find("map.n")->column(), 27);
}

TEST(Json, ErrorsNameThePlace) {
  EXPECT_EQ(Error("{\"a\": 1,\n \"b\": }").substr(0, 11), "a.json:2:7:")
      << Error("{\"a\": 1,\n \"b\": }");
  EXPECT_EQ(Error("{\n\"a\": 1,\n\"a\": 2}"), "a.json:3:1: duplicate key \"a\"");
  for (const char* text : {"", " ", "{", "[1,]", "{\"a\" 1}", "nul", "{} {}", "'a'", "{\"a\":01}",
                           "\"\\x\"", "\xff\xfe", "1e999", "[1e400]"}) {
    EXPECT_EQ(Error(text).substr(0, 7), "a.json:") << text;
  }
}

TEST(Json, DepthIsBounded) {
  const auto nested = [](size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_EQ(Error(nested(101)), "no error");
  EXPECT_NE(Error(nested(102)).find("nested deeper than 100"), std::string::npos);
  EXPECT_EQ(Error(nested(100000)).substr(0, 7), "a.json:");
}

TEST(Json, WritesWhatItRead) {
  const std::string text = R"({"b":[1,-2.5,true,null,"x\n\"y"],"a":{"é":{}},"z":9007199254740993})";
  const auto doc = ParseJson(text, "a.json");
  ASSERT_TRUE(doc.ok()) << doc.status();
  EXPECT_EQ(ToJson(*doc), text);
}

TEST(ValueDeathTest, WrongKindIsAProgramError) {
  EXPECT_DEATH(Value::Int(1).AsString(), "a integer is no string");
}

}  // namespace
}  // namespace neap::value
