#include "scalers/metrics-api/documents.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace neap::scalers::metrics_api {
namespace {

// The value, or the error's message.
std::string Read(Format format, std::string_view path, std::string_view body) {
  const absl::StatusOr<Location> location = Location::Parse(format, path);
  if (!location.ok()) return std::string(location.status().message());
  const absl::StatusOr<double> value = location->Read(body);
  return value.ok() ? fmt::format("{}", *value) : std::string(value.status().message());
}

TEST(Documents, Json) {
  constexpr std::string_view kBody = R"({"a":{"n":2.5,"q":"2k","m":"100m","t":"x y","b":true,
      "z":null,"l":[1],"o":{}},"big":1e308})";
  EXPECT_EQ(Read(Format::kJson, "a.n", kBody), "2.5");
  EXPECT_EQ(Read(Format::kJson, "a.q", kBody), "2000");
  EXPECT_EQ(Read(Format::kJson, "a.m", kBody), "0.1");
  EXPECT_EQ(Read(Format::kJson, "a.l.#", kBody), "1");
  EXPECT_EQ(Read(Format::kJson, "big", kBody), "1e+308");
  EXPECT_THAT(Read(Format::kJson, "a.t", kBody), testing::HasSubstr("points to \"x y\""));
  EXPECT_THAT(Read(Format::kJson, "a.b", kBody), testing::HasSubstr("points to a boolean"));
  EXPECT_THAT(Read(Format::kJson, "a.z", kBody), testing::HasSubstr("points to null"));
  EXPECT_THAT(Read(Format::kJson, "a.l", kBody), testing::HasSubstr("points to a list"));
  EXPECT_THAT(Read(Format::kJson, "a.o", kBody), testing::HasSubstr("points to an object"));
  EXPECT_THAT(Read(Format::kJson, "a.none", kBody), testing::HasSubstr("nothing at valueLocation"));
  EXPECT_THAT(Read(Format::kJson, "a", "<html>"), testing::HasSubstr("not JSON"));
  EXPECT_THAT(Read(Format::kJson, "a", ""), testing::HasSubstr("not JSON"));
  EXPECT_THAT(Read(Format::kJson, "a", R"({"a":)"), testing::HasSubstr("not JSON"));
}

TEST(Documents, Yaml) {
  constexpr std::string_view kBody =
      "a:\n  n: 3\n  q: 2Ki\n  l: [{v: 1}, {v: 7.5}]\n  b: true\n"
      "  k.d: 9\n  e: ~\n---\na: {n: 100}\n";
  EXPECT_EQ(Read(Format::kYaml, "a.n", kBody), "3");
  EXPECT_EQ(Read(Format::kYaml, "a.q", kBody), "2048");
  EXPECT_EQ(Read(Format::kYaml, "a.l.1.v", kBody), "7.5");
  EXPECT_EQ(Read(Format::kYaml, "a.k\\.d", kBody), "9");
  EXPECT_THAT(Read(Format::kYaml, "a.l.2.v", kBody), testing::HasSubstr("nothing at"));
  EXPECT_THAT(Read(Format::kYaml, "a.l.x", kBody), testing::HasSubstr("nothing at"));
  EXPECT_THAT(Read(Format::kYaml, "a.b", kBody), testing::HasSubstr("a boolean"));
  EXPECT_THAT(Read(Format::kYaml, "a.e", kBody), testing::HasSubstr("null"));
  EXPECT_THAT(Read(Format::kYaml, "a.n.x", kBody), testing::HasSubstr("nothing at"));
  EXPECT_THAT(Read(Format::kYaml, "a", "a: [1"), testing::HasSubstr("not YAML"));
  EXPECT_THAT(Read(Format::kYaml, "a", ""), testing::HasSubstr("nothing at"));
  EXPECT_THAT(Read(Format::kYaml, "a..b", kBody), testing::HasSubstr("empty part"));
}

TEST(Documents, Xml) {
  constexpr std::string_view kBody = R"(<?xml version="1.0"?>
    <m:root xmlns:m="urn:x"><queue name="jobs" size="12">  5 </queue>
    <item><v>1</v></item><item><v>2k</v></item><one><v>4</v></one><e/></m:root>)";
  EXPECT_EQ(Read(Format::kXml, "root.queue", kBody), "5");
  EXPECT_EQ(Read(Format::kXml, "m:root.queue.#text", kBody), "5");
  EXPECT_EQ(Read(Format::kXml, "root.queue.-size", kBody), "12");
  EXPECT_EQ(Read(Format::kXml, "root.item.1.v", kBody), "2000");
  EXPECT_EQ(Read(Format::kXml, "root.one.0.v", kBody), "4");
  EXPECT_THAT(Read(Format::kXml, "root.item.v", kBody), testing::HasSubstr("nothing at"));
  EXPECT_THAT(Read(Format::kXml, "root.item", kBody), testing::HasSubstr("a list"));
  EXPECT_THAT(Read(Format::kXml, "root", kBody), testing::HasSubstr("elements in it"));
  EXPECT_THAT(Read(Format::kXml, "root.e", kBody), testing::HasSubstr("an empty text"));
  EXPECT_THAT(Read(Format::kXml, "root.queue.-none", kBody), testing::HasSubstr("nothing at"));
  EXPECT_THAT(Read(Format::kXml, "root.queue.-name", kBody), testing::HasSubstr("\"jobs\""));
  EXPECT_THAT(Read(Format::kXml, "root", "<a><b></a>"), testing::HasSubstr("not XML"));
  EXPECT_THAT(Read(Format::kXml, "root", "{}"),
              testing::AnyOf(testing::HasSubstr("not XML"), testing::HasSubstr("nothing at")));
  // External entities are not read.
  EXPECT_THAT(Read(Format::kXml, "r", R"(<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]>
      <r>&x;</r>)"),
              testing::HasSubstr("&x;"));
}

TEST(Documents, Prometheus) {
  constexpr std::string_view kBody =
      "# HELP up ignored\n# TYPE up gauge\n"
      "up{job=\"a\",q=\"x\\\"y\\n\"} 3 1700000000000\n"
      "up{ job = \"b\" , } 4.5e1\n"
      "up_total 7 # {trace=\"1\"} 2\n"
      "bare +8\nnan NaN\ninf +Inf\nodd{x=\"1\" 4\nword abc\n";
  EXPECT_EQ(Read(Format::kPrometheus, "up", kBody), "3");
  EXPECT_EQ(Read(Format::kPrometheus, "up{job=\"b\"}", kBody), "45");
  EXPECT_EQ(Read(Format::kPrometheus, "up{job!=\"a\"}", kBody), "45");
  EXPECT_EQ(Read(Format::kPrometheus, "up{q='x\"y\n', job=\"a\"}", kBody), "3");
  EXPECT_EQ(Read(Format::kPrometheus, "{__name__=\"up_total\"}", kBody), "7");
  EXPECT_EQ(Read(Format::kPrometheus, "bare", kBody), "8");
  EXPECT_THAT(Read(Format::kPrometheus, "nan", kBody), testing::HasSubstr("points to nan"));
  EXPECT_THAT(Read(Format::kPrometheus, "inf", kBody), testing::HasSubstr("points to inf"));
  EXPECT_THAT(Read(Format::kPrometheus, "word", kBody), testing::HasSubstr("points to \"abc\""));
  EXPECT_THAT(Read(Format::kPrometheus, "odd", kBody), testing::HasSubstr("nothing at"));
  EXPECT_THAT(Read(Format::kPrometheus, "u", kBody), testing::HasSubstr("nothing at"));
  EXPECT_THAT(Read(Format::kPrometheus, "up{job=~\"a\"}", kBody),
              testing::HasSubstr("regular expression"));
  EXPECT_THAT(Read(Format::kPrometheus, "up{job=\"a\"", kBody), testing::HasSubstr("expected"));
  EXPECT_THAT(Read(Format::kPrometheus, "up[5m]", kBody), testing::HasSubstr("nothing may follow"));
  EXPECT_THAT(Read(Format::kPrometheus, "", kBody), testing::HasSubstr("expected"));
}

}  // namespace
}  // namespace neap::scalers::metrics_api
