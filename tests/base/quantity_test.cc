// The quantity rules of the released API machinery (1.37), value by value.
#include "autoscaler/base/quantity.h"

#include <gtest/gtest.h>

#include <limits>

namespace neap::base {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

int64_t Milli(std::string_view text) {
  const auto q = Quantity::Parse(text);
  EXPECT_TRUE(q.ok()) << text << ": " << q.status();
  return q.ok() ? q->Milli() : -12345;
}

std::string Text(std::string_view text) {
  const auto q = Quantity::Parse(text);
  EXPECT_TRUE(q.ok()) << text << ": " << q.status();
  return q.ok() ? q->Text() : "?";
}

TEST(Quantity, MilliRoundsAwayFromZero) {
  EXPECT_EQ(Milli("0"), 0);
  EXPECT_EQ(Milli("1"), 1000);
  EXPECT_EQ(Milli("500m"), 500);
  EXPECT_EQ(Milli("0.1m"), 1);
  EXPECT_EQ(Milli("100n"), 1);
  EXPECT_EQ(Milli("1n"), 1);
  EXPECT_EQ(Milli("1u"), 1);
  EXPECT_EQ(Milli("1.0005"), 1001);
  EXPECT_EQ(Milli("-1.5m"), -2);
  EXPECT_EQ(Milli("1Ki"), 1024000);
  EXPECT_EQ(Milli("1.5Gi"), 1610612736000);
  EXPECT_EQ(Milli("2e3"), 2000000);
  EXPECT_EQ(Milli("2E3"), 2000000);
  EXPECT_EQ(Milli("2e-3"), 2);
  EXPECT_EQ(Milli("1k"), 1000000);
}

TEST(Quantity, ReadsLooseForms) {
  EXPECT_EQ(Milli(".5"), 500);
  EXPECT_EQ(Milli("1."), 1000);
  EXPECT_EQ(Milli("00012"), 12000);
  EXPECT_EQ(Milli("+5"), 5000);
  EXPECT_EQ(Milli("-0"), 0);
  EXPECT_EQ(Quantity::Parse("-0")->Sign(), 0);
}

TEST(Quantity, FinerThanNanoRoundsUp) {
  EXPECT_EQ(Text("0.0000000001"), "1n");
  EXPECT_EQ(Text("-0.0000000001"), "-1n");
  EXPECT_EQ(Text("0.0000000011"), "2n");
  EXPECT_EQ(Text("0.000000001"), "1n");
}

TEST(Quantity, OverflowOfInt64BackedValuesGivesZero) {
  for (const char* text : {"1E", "10P", "100E", "1e30"}) EXPECT_EQ(Milli(text), 0) << text;
  EXPECT_EQ(Milli("9P"), 9000000000000000000);
  EXPECT_EQ(Quantity::Parse("1E")->Sign(), 1);  // what validation asks
}

TEST(Quantity, OverflowOfArbitraryPrecisionWraps) {
  EXPECT_EQ(Milli("9223372036854775807"), -1000);
  EXPECT_EQ(Milli("7Ei"), kMin);
  EXPECT_EQ(Milli("8Ei"), -1000);
  EXPECT_EQ(Milli("16Ei"), -1000);
  EXPECT_EQ(Milli("1000Pi"), 648518346341351424);
}

TEST(Quantity, RefusesWhatIsNone) {
  for (const char* text :
       {"",   " ",     "abc", "1e",    "1i",  "1mm",      "--1", "+-1",
        "K",  "1K",    "1KI", "1.2.3", ".",   "+",        "-",   "1 ",
        " 1", "1e1.5", "1e+", "0x10",  "1,5", "Infinity", "NaN", "1e99999999999"}) {
    const auto q = Quantity::Parse(text);
    ASSERT_FALSE(q.ok()) << text;
    EXPECT_NE(std::string(q.status().message()).find("\"" + std::string(text) + "\""),
              std::string::npos)
        << q.status();
  }
}

TEST(Quantity, PrintsCanonically) {
  EXPECT_EQ(Text("1.5"), "1500m");
  EXPECT_EQ(Text("1000"), "1k");
  EXPECT_EQ(Text("1024Mi"), "1Gi");
  EXPECT_EQ(Text("0.1Ki"), "102400m");
  EXPECT_EQ(Text("512Ki"), "512Ki");
  EXPECT_EQ(Text("0.5Ki"), "512");
  EXPECT_EQ(Text("1000000"), "1M");
  EXPECT_EQ(Text("100000"), "100k");
  EXPECT_EQ(Text("2e3"), "2e3");
  EXPECT_EQ(Text("2000e0"), "2e3");
  EXPECT_EQ(Text("0"), "0");
  EXPECT_EQ(Text("-1500m"), "-1500m");
  EXPECT_EQ(Text("1E"), "1E");
}

TEST(Quantity, PrintsAmountsOfStatus) {
  EXPECT_EQ(FormatMilli(500), "500m");
  EXPECT_EQ(FormatMilli(1000), "1");
  EXPECT_EQ(FormatMilli(2191), "2191m");
  EXPECT_EQ(FormatMilli(0), "0");
  EXPECT_EQ(FormatMilli(-500), "-500m");
  EXPECT_EQ(FormatMilli(kMin), "-9223372036854775808m");
  EXPECT_EQ(FormatMilli(1048576000, QuantityFormat::kBinarySI), "1Mi");
  EXPECT_EQ(FormatMilli(104857600500, QuantityFormat::kBinarySI), "104857600500m");
  EXPECT_EQ(FormatMilli(67500000000, QuantityFormat::kBinarySI), "67500000");
  EXPECT_EQ(Quantity::FromMilli(1048576000, QuantityFormat::kBinarySI).Text(), "1Mi");
}

TEST(Quantity, DoubleIsOneMultiplication) {
  EXPECT_EQ(Quantity::Parse("0.57")->AsDouble(), 57 * 1e-2);
  EXPECT_NE(Quantity::Parse("0.57")->AsDouble(), 0.57);  // 0.5700000000000001, as upstream
  EXPECT_EQ(Quantity::Parse("0.1")->AsDouble(), 0.1);
  EXPECT_EQ(Quantity::Parse("100m")->AsDouble(), 100 * 1e-3);
  EXPECT_EQ(Quantity::Parse("0")->AsDouble(), 0);
  EXPECT_EQ(Quantity::Parse("-2")->AsDouble(), -2);
}

TEST(Quantity, TellsWhatRoundingAdded) {
  EXPECT_EQ(Quantity::Parse("1n")->RoundedUpNano(), 999999);
  EXPECT_EQ(Quantity::Parse("12345678n")->RoundedUpNano(), 654322);
}

TEST(Quantity, KeepsItsFormat) {
  EXPECT_EQ(Quantity::Parse("1Ki")->format(), QuantityFormat::kBinarySI);
  EXPECT_EQ(Quantity::Parse("1k")->format(), QuantityFormat::kDecimalSI);
  EXPECT_EQ(Quantity::Parse("1e3")->format(), QuantityFormat::kDecimalExponent);
}

TEST(Quantity, CanonicalTextReadsBack) {
  for (int64_t milli : {int64_t{1}, int64_t{999}, int64_t{1000}, int64_t{123456}, int64_t{1024000},
                        int64_t{1536000}, int64_t{-7500}, int64_t{98765432100}}) {
    for (QuantityFormat format : {QuantityFormat::kDecimalSI, QuantityFormat::kBinarySI,
                                  QuantityFormat::kDecimalExponent}) {
      EXPECT_EQ(Milli(FormatMilli(milli, format)), milli) << FormatMilli(milli, format);
    }
  }
}

}  // namespace
}  // namespace neap::base
