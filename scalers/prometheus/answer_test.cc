#include "scalers/prometheus/answer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace neap::scalers::prometheus {
namespace {

std::string Read(std::string_view body) {
  const absl::StatusOr<std::optional<double>> value = ReadAnswer(body);
  if (!value.ok()) return std::string(value.status().message());
  return *value ? fmt::format("{}", **value) : "no value";
}

std::string Vector(const std::string& elements) {
  return R"({"status":"success","data":{"resultType":"vector","result":[)" + elements + "]}}";
}

TEST(Answer, OneElement) {
  EXPECT_EQ(Read(Vector(R"({"metric":{},"value":[1700000000.1,"42.5"]})")), "42.5");
  EXPECT_EQ(Read(Vector(R"({"value":[1,"-0.25"]})")), "-0.25");
  EXPECT_EQ(Read(Vector(R"({"value":[1,"1e3"]})")), "1000");
}

TEST(Answer, WhatMayStandForNoData) {
  EXPECT_EQ(Read(Vector("")), "no value");
  EXPECT_EQ(Read(Vector(R"({"value":[]})")), "no value");
  EXPECT_EQ(Read(Vector(R"({"value":null})")), "no value");
  EXPECT_EQ(Read(Vector(R"({"value":[1,null]})")), "no value");
  for (const char* text : {"NaN", "+Inf", "-Inf", "Inf", "1e999"}) {
    EXPECT_EQ(Read(Vector(fmt::format(R"({{"value":[1,"{}"]}})", text))), "no value") << text;
  }
}

TEST(Answer, WhatIsAnError) {
  EXPECT_THAT(Read(Vector(R"({"value":[1,"1"]},{"value":[1,"2"]})")),
              testing::HasSubstr("2 elements"));
  EXPECT_THAT(Read(Vector(R"({"value":[1]})")), testing::HasSubstr("no sample"));
  EXPECT_THAT(Read(Vector(R"({"value":[1,2]})")), testing::HasSubstr("not a string"));
  EXPECT_THAT(Read(Vector(R"({"value":[1,"1x"]})")), testing::HasSubstr("\"1x\""));
  EXPECT_THAT(Read(R"({"status":"success","data":{"resultType":"scalar","result":[1,"2"]}})"),
              testing::HasSubstr("gives a scalar"));
  EXPECT_THAT(Read(R"({"status":"success","data":{"resultType":"matrix",
                      "result":[{"values":[[1,"2"]]}]}})"),
              testing::HasSubstr("instant vector"));
  EXPECT_THAT(Read(R"({"status":"error","errorType":"bad_data","error":"parse error"})"),
              testing::HasSubstr("bad_data: parse error"));
  EXPECT_THAT(Read("{}"), testing::HasSubstr("no data.result"));
  EXPECT_THAT(Read("[]"), testing::HasSubstr("not a JSON object"));
  EXPECT_THAT(Read("<html>"), testing::HasSubstr("not JSON"));
  EXPECT_THAT(Read(""), testing::HasSubstr("not JSON"));
}

TEST(Answer, ErrorTextIsBounded) {
  EXPECT_EQ(ReadErrorText(R"({"status":"error","errorType":"execution","error":"x"})"),
            "execution: x");
  EXPECT_EQ(ReadErrorText("nope"), "");
  EXPECT_LT(ReadErrorText(R"({"error":")" + std::string(5000, 'x') + "\"}").size(), 310U);
}

}  // namespace
}  // namespace neap::scalers::prometheus
