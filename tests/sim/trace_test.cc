#include "autoscaler/sim/trace.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>

#include <cstdio>
#include <fstream>
#include <memory>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"

namespace neap::sim {
namespace {

using testing::HasSubstr;

using Gap = TraceOptions::Gap;

// What a reader gives: "0s=10000 15s=12500", and why it ended early.
std::string Drain(absl::StatusOr<std::unique_ptr<TraceReader>> trace) {
  if (!trace.ok()) return std::string(base::Message(trace.status()));
  std::string out;
  TraceRow row;
  while ((*trace)->Next(&row)) {
    out += fmt::format("{}{}={}", out.empty() ? "" : " ", base::FormatDuration(row.at), row.milli);
  }
  EXPECT_FALSE((*trace)->Next(&row));
  if (!(*trace)->status().ok()) out += fmt::format(" | {}", base::Message((*trace)->status()));
  return out;
}

std::string Read(std::string_view csv, const TraceOptions& options = {}) {
  return Drain(TraceReader::FromText(std::string(csv), "day.csv", options));
}

TraceNotes NotesOf(std::string_view csv, const TraceOptions& options = {}) {
  auto trace = TraceReader::FromText(std::string(csv), "day.csv", options);
  EXPECT_TRUE(trace.ok()) << trace.status();
  TraceRow row;
  while ((*trace)->Next(&row)) {
  }
  return (*trace)->notes();
}

TEST(Trace, TakesEverySeparatorAndLineEnd) {
  const std::string expected = "0s=10000 15s=12500";
  EXPECT_EQ(Read("time,rate\n100,10\n115,12.5\n"), expected);
  EXPECT_EQ(Read("time;rate\n100;10\n115;12.5\n"), expected);
  EXPECT_EQ(Read("time|rate\n100|10\n115|12.5\n"), expected);
  EXPECT_EQ(Read("time\trate\n100\t10\n115\t12.5\n"), expected);
  EXPECT_EQ(Read("time;rate per second, all\n100;10\n115;12.5\n"), expected);  // one of each
  EXPECT_EQ(Read("time,rate\r\n100,10\r\n115,12.5\r\n"), expected);
  EXPECT_EQ(Read("time,rate\r100,10\r115,12.5\r"), expected);
  EXPECT_EQ(Read("time,rate\n100,10\n115,12.5"), expected);
  EXPECT_EQ(Read("100,10\n115,12.5\n"), expected);
  EXPECT_EQ(Read("\xef\xbb\xbftime,rate\r\n100,10\r\n115,12.5\r\n"), expected);
  EXPECT_EQ(Read("\xef\xbb\xbf"
                 "100,10\n115,12.5\n"),
            expected);
  EXPECT_EQ(Read("# by hand\n\ntime , rate\n 100 ,\t10\n\n   \n# more\n115,12.5,why\n"), expected);
}

TEST(Trace, TakesQuotedFields) {
  EXPECT_EQ(Read("\"time\",\"rate\"\n\"100\",\"10\"\n\"115\",\"12.5\"\n"), "0s=10000 15s=12500");
  // A separator, quotes and a line end within quotes; the lines are counted all the same.
  EXPECT_EQ(Read("time,\"note, \"\"long\"\"\",rate\n100,\"a,b\nc\",10\n115,\"\"\"\",x\n"),
            "0s=10000 | day.csv:4: column \"rate\": \"x\" is not a number");
  const TraceOptions named{.value_column = "a \"b\", c"};
  EXPECT_EQ(Read("time,\"a \"\"b\"\", c\"\n100,\"10\"\n", named), "0s=10000");
  EXPECT_EQ(Read("time,rate\n100,10\n\"115,12\n130,7\n"),
            "0s=10000 | day.csv:3: a quote is not closed");
}

TEST(Trace, TakesEveryKindOfStamp) {
  const std::string expected = "0s=1000 500ms=2000";
  EXPECT_EQ(Read("1655316015,1\n1655316015.5,2\n"), expected);
  EXPECT_EQ(Read("1655316015000,1\n1655316015500,2\n"), expected);
  EXPECT_EQ(Read("1655316015000000,1\n1655316015500000,2\n"), expected);
  EXPECT_EQ(Read("1655316015000000000,1\n1655316015500000000,2\n"), expected);
  EXPECT_EQ(Read("1655316015000.25,1\n1655316015500.25,2\n"), expected);
  EXPECT_EQ(Read("1.655316015e9,1\n1.6553160155e9,2\n"), expected);
  EXPECT_EQ(Read("2026-01-31T12:00:00Z,1\n2026-01-31T12:00:00.5Z,2\n"), expected);
  EXPECT_EQ(Read("2026-01-31T12:00:00+02:00,1\n2026-01-31T10:00:00.500+0000,2\n"), expected);
  EXPECT_EQ(Read("2014-07-01 00:00:00,1\n2014-07-01 00:00:00.5000000,2\n"), expected);
  EXPECT_EQ(Read("2014-07-01 00:00:00 UTC,1\n2014-07-01 00:00:00.5 UTC,2\n"), expected);
  EXPECT_EQ(Read("2023-11-16 18:15:46.6805900,1\n2023-11-16 18:15:50.9951690,2\n"),
            "0s=1000 4.314579s=2000");
  EXPECT_EQ(Read("2023-02-28 23:59,1\n2023-03-01 00:00,2\n"), "0s=1000 1m0s=2000");
  EXPECT_EQ(Read("2024-02-28,1\n2024-02-29,2\n2024-03-01,3\n"),
            "0s=1000 24h0m0s=2000 48h0m0s=3000");
  EXPECT_EQ(Read("2016-12-31T23:59:60Z,1\n2017-01-01T00:00:01Z,2\n"), "0s=1000 1s=2000");
  EXPECT_EQ(NotesOf("1655316015500,1\n").first, absl::FromUnixMillis(1655316015500));
  EXPECT_EQ(NotesOf("2022-06-15T20:00:15.5+02:00,1\n").first, absl::FromUnixMillis(1655316015500));
}

TEST(Trace, RefusesWhatIsNoTime) {
  for (const char* bad : {"later",
                          "",
                          "-5",
                          "1e30",
                          "inf",
                          "nan",
                          "99999999999",
                          "18446744073709551616",
                          "12x",
                          "2026-13-01 00:00:00",
                          "2026-02-30 00:00:00",
                          "2026-01-01 24:00:00",
                          "2026-01-01 10:60:00",
                          "2026-01-01T10:00:00X",
                          "2026-01-01T10:00:00.Z",
                          "2026-01-01T10:00:00+25:00",
                          "2026-01-01_10:00:00",
                          "01/02/2026 10:00",
                          "9999-01-01",
                          "2026-1-1 00:00"}) {
    EXPECT_EQ(
        Read(fmt::format("time,rate\n0,1\n{},2\n", bad)),
        fmt::format("0s=1000 | day.csv:3: column \"time\": \"{}\" is not a time: Unix seconds "
                    "or milliseconds, or 2026-01-31T12:00:00Z",
                    bad));
  }
}

TEST(Trace, RefusesWhatIsNoRate) {
  const auto error = [](std::string_view bad) {
    return Read(fmt::format("time,rate\n0,1\n5,{}\n9,3\n", bad));
  };
  const std::string begin = "0s=1000 | day.csv:3: column \"rate\": ";
  EXPECT_EQ(error("many"), begin + "\"many\" is not a number");
  EXPECT_EQ(error("1 000"), begin + "\"1 000\" is not a number");
  EXPECT_EQ(error("0x10"), begin + "\"0x10\" is not a number");
  EXPECT_EQ(error(""), begin + "is empty: where nothing was measured there should be no row");
  EXPECT_EQ(error("NaN"), begin + "NaN is not finite");
  EXPECT_EQ(error("-nan"), begin + "-nan is not finite");
  EXPECT_EQ(error("inf"), begin + "inf is not finite");
  EXPECT_EQ(error("-2"), begin + "-2 is negative");
  EXPECT_EQ(error("-inf"), begin + "-inf is not finite");
  EXPECT_EQ(error("1000000.1"), begin + "1000000.1 is over 1000000");
  EXPECT_EQ(error("1e300"), begin + "1e300 is over 1000000");
  EXPECT_EQ(error("1e999"), begin + "\"1e999\" is not a number");
  EXPECT_EQ(error("a\x01"
                  "b"),
            begin + "\"a?b\" is not a number");
  EXPECT_EQ(error(std::string(60, 'z')),
            begin + "\"" + std::string(40, 'z') + "...\" is not a number");
  EXPECT_EQ(error("1000000"), "0s=1000 5s=1000000000 9s=3000");
  EXPECT_EQ(error("1e2"), "0s=1000 5s=100000 9s=3000");
  EXPECT_EQ(error("0.0004"), "0s=1000 5s=0 9s=3000");
  EXPECT_EQ(error("0.0005"), "0s=1000 5s=1 9s=3000");
}

TEST(Trace, RefusesNothingAtAll) {
  EXPECT_EQ(Read(""), "day.csv: is empty");
  EXPECT_EQ(Read("\xef\xbb\xbf"), "day.csv: is empty");
  EXPECT_EQ(Read("\n# nothing\n\r\n"), "day.csv: is empty");
  EXPECT_EQ(Read("time,rate\n"), "day.csv: has a header line and no rows");
  EXPECT_EQ(Read("later,many"), "day.csv: has a header line and no rows");
  EXPECT_EQ(Read("time,rate\nlater,2\n"),
            "day.csv:2: column \"time\": \"later\" is not a time: Unix seconds or milliseconds, or "
            "2026-01-31T12:00:00Z");
  EXPECT_THAT(Read(std::string("\xff\xfet\0i\0", 6)), HasSubstr("day.csv: is UTF-16"));
  EXPECT_EQ(TraceReader::FromText("", "day.csv", {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Trace, TakesASingleRow) {
  EXPECT_EQ(Read("time,rate\n100,7\n"), "0s=7000");
  EXPECT_EQ(NotesOf("100,7\n").step, absl::ZeroDuration());
  EXPECT_THAT(Read("100,7\n", {.per_step = true}), HasSubstr("there must be two"));
}

TEST(Trace, NamesMissingColumns) {
  EXPECT_THAT(Read("time\n100\n"), HasSubstr("day.csv:1: expected columns with a time and a rate"));
  EXPECT_THAT(Read("100\n115\n"), HasSubstr("day.csv:1: expected columns with a time and a rate"));
  EXPECT_EQ(Read("time,host,rate\n0,a,1\n5,b\n"),
            "0s=1000 | day.csv:3: column \"rate\": missing: the row has 2 columns");
  EXPECT_EQ(Read("0,1\n5\n"), "0s=1000 | day.csv:2: column 2: missing: the row has 1 column");
  EXPECT_EQ(Read("time,rate\n0,1\n", {.value_column = "rat"}),
            "day.csv:1: no column \"rat\" (did you mean \"rate\"?): there are \"time\", \"rate\"");
  EXPECT_EQ(Read("time,rate\n0,1\n", {.value_column = "3"}),
            "day.csv:1: there is no column 3: the first row has 2");
  EXPECT_EQ(Read("0,1\n", {.value_column = "rate"}),
            "day.csv:1: no header line, so that no column is named \"rate\"");
  EXPECT_THAT(Read("time,rate\n0,1\n", {.time_column = "when"}), HasSubstr("no column \"when\""));
}

TEST(Trace, FindsItsColumns) {
  EXPECT_EQ(Read("host,Rate,other,TIME\na,1,7,0\n"), "0s=1000");
  EXPECT_EQ(Read("load,timestamp\n3,0\n"), "0s=3000");  // no usual name: the first other one
  EXPECT_EQ(Read("when,load\n0,3\n"), "0s=3000");       // none at all: the first two
  EXPECT_EQ(Read("time,200,500\n0,3,4\n"), "0s=3000");  // names that are numbers
  EXPECT_EQ(Read("time,200,500\n0,3,4\n", {.value_column = "500"}), "0s=4000");
  EXPECT_EQ(Read("time,a,b\n0,3,4\n", {.value_column = "a+b"}), "0s=7000");
  EXPECT_EQ(Read("time,a+b,b\n0,3,4\n", {.value_column = "a+b"}), "0s=3000");
  EXPECT_EQ(Read("7,0,3\n", {.time_column = "2", .value_column = "1+3"}), "0s=10000");
  EXPECT_EQ(Read("1,5,9\n2,6,10\n", {.time_column = "1", .value_column = "2"}), "0s=5000 1s=6000");
  EXPECT_EQ(Read("0,,3\n", {.value_column = "3"}), "0s=3000");  // an empty cell is no name
  EXPECT_THAT(Read("0,1000000,1\n", {.value_column = "2+3"}), HasSubstr("1000001 is over 1000000"));
}

TEST(Trace, RefusesTimeThatGoesBack) {
  EXPECT_EQ(Read("time,rate\n10,1\n20,2\n15,3\n"),
            "0s=1000 10s=2000 | day.csv:4: column \"time\": \"15\" is before the row above it");
  EXPECT_EQ(Read("10,1\n20,2\n15,3\n", {.kind = TraceKind::kRequests}),
            "0s=1000 10s=2000 | day.csv:3: column 1: \"15\" is before the row above it");
}

TEST(Trace, TakesEqualDuplicatesAndRefusesOthers) {
  EXPECT_EQ(Read("0,1\n5,2\n5,2\n5,2\n9,3\n"), "0s=1000 5s=2000 9s=3000");
  EXPECT_EQ(NotesOf("0,1\n5,2\n5,2\n5,2\n9,3\n").duplicates, 2u);
  EXPECT_EQ(NotesOf("0,1\n5,2\n5,2\n5,2\n9,3\n").rows, 5u);
  EXPECT_EQ(Read("0,1\n5,2\n5,3\n9,3\n"),
            "0s=1000 5s=2000 | day.csv:3: column 1: \"5\" is also that of the row above it, which "
            "has another value");
}

TEST(Trace, HoldsZeroesOrRefusesGaps) {
  constexpr char kCsv[] = "0,1\n10,2\n21,3\n60,4\n70,5\n";  // 21 to 60: three rows are missing
  EXPECT_EQ(Read(kCsv), "0s=1000 10s=2000 21s=3000 1m0s=4000 1m10s=5000");
  EXPECT_EQ(NotesOf(kCsv).gaps, 1u);
  EXPECT_EQ(NotesOf(kCsv).longest_gap, absl::Seconds(39));
  EXPECT_EQ(NotesOf(kCsv).step, absl::Seconds(10));
  EXPECT_EQ(Read(kCsv, {.gap = Gap::kZero}),
            "0s=1000 10s=2000 21s=3000 31s=0 1m0s=4000 1m10s=5000");
  EXPECT_EQ(Read("1767225600,1\n1767225610,2\n1767225640,4\n1767225650,4\n", {.gap = Gap::kRefuse}),
            "0s=1000 | day.csv: nothing between 2026-01-01T00:00:10Z and 2026-01-01T00:00:40Z, "
            "where a row is due every 10s");
}

TEST(Trace, CountsPerStepBecomeRates) {
  EXPECT_EQ(Read("0,30\n10,40\n15,10\n25,20\n", {.per_step = true}),
            "0s=3000 10s=8000 15s=1000 25s=2000");
  // In front of a gap, a count is of the usual step.
  EXPECT_EQ(Read("0,30\n10,40\n40,10\n50,20\n", {.per_step = true, .gap = Gap::kZero}),
            "0s=3000 10s=4000 20s=0 40s=1000 50s=2000");
  EXPECT_EQ(Read("0,10000000\n10,0\n", {.per_step = true}), "0s=1000000000 10s=0");
  EXPECT_THAT(Read("0,10000001\n10,0\n", {.per_step = true}),
              HasSubstr("more than 1000000 per second"));
  EXPECT_THAT(Read("0,1e300\n10,0\n", {.per_step = true}), HasSubstr("1e300 is over"));
}

TEST(Trace, RequestsMayShareATimeAndNeedNoWork) {
  const TraceOptions requests{.kind = TraceKind::kRequests};
  EXPECT_EQ(Read("time,work\n0,10\n0,10\n0,20\n7,5\n", requests),
            "0s=10000 0s=10000 0s=20000 7s=5000");
  EXPECT_EQ(Read("time\n0\n3\n3\n", requests), "0s=1000 3s=1000 3s=1000");
  EXPECT_EQ(Read("0\n3\n", requests), "0s=1000 3s=1000");
  EXPECT_EQ(NotesOf("0,1\n0,1\n", requests).duplicates, 0u);
  EXPECT_EQ(NotesOf("0,1\n1,1\n1000,1\n", requests).gaps, 0u);
  EXPECT_EQ(Read("0,2000000\n", requests), "0s=2000000000");  // work is no rate
}

TEST(Trace, RefusesARowWithoutEnd) {
  EXPECT_THAT(Read("0,1\n5,2," + std::string(300'000, 'x') + "\n9,3\n"),
              HasSubstr("day.csv:2: a row of more than 262144 bytes"));
}

// ---- files

class TraceFile : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return testing::TempDir() + "trace_" + name; }
  std::string Written(const std::string& name, std::string_view text) const {
    std::ofstream(Path(name), std::ios::binary) << text;
    return Path(name);
  }
  std::string Gzipped(const std::string& name, std::string_view text) const {
    const gzFile file = gzopen(Path(name).c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
    return Path(name);
  }
};

std::string ManyRows(int n) {
  std::string out = "time,rate\n";
  for (int i = 0; i < n; ++i) out += fmt::format("{},{}\n", 1'700'000'000 + i * 15, i % 977);
  return out;
}

TEST_F(TraceFile, ReadsPlainAndGzippedFilesAlike) {
  const std::string text = ManyRows(50'000);  // several blocks
  const std::string expected = Read(text);
  EXPECT_EQ(Drain(TraceReader::Open(Written("plain.csv", text), {})), expected);
  EXPECT_EQ(Drain(TraceReader::Open(Gzipped("packed.csv.gz", text), {})), expected);
}

TEST_F(TraceFile, SaysThatAGzipFileIsCutOff) {
  const std::string path = Gzipped("cut.csv.gz", ManyRows(50'000));
  struct stat info = {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  ASSERT_EQ(truncate(path.c_str(), info.st_size / 2), 0);
  EXPECT_THAT(Drain(TraceReader::Open(path, {})), HasSubstr("is cut off"));
}

TEST_F(TraceFile, SaysThatAGzipFileIsDamaged) {
  const std::string path = Gzipped("damaged.csv.gz", ManyRows(50'000));
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(2000);
  file << "not what was there, and long enough to be no deflated block";
  file.close();
  auto trace = TraceReader::Open(path, {});
  if (trace.ok()) {
    TraceRow row;
    while ((*trace)->Next(&row)) {
    }
  }
  const absl::Status status = trace.ok() ? (*trace)->status() : trace.status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(base::Message(status), HasSubstr("damaged.csv.gz"));
}

TEST_F(TraceFile, NamesFilesThatCannotBeRead) {
  const auto missing = TraceReader::Open(Path("nowhere.csv"), {}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(base::Message(missing), Path("nowhere.csv") + ": no such file");
  EXPECT_EQ(base::Message(TraceReader::Open(testing::TempDir(), {}).status()),
            testing::TempDir() + ": is a directory");
  EXPECT_EQ(Drain(TraceReader::Open(Written("empty.csv", ""), {})),
            Path("empty.csv") + ": is empty");
}

// ---- recorded ones

struct Sum {
  uint64_t rows = 0;
  int64_t milli = 0;
  absl::Duration last;
  TraceNotes notes;
};

Sum SumOf(const std::string& file, const TraceOptions& options) {
  Sum sum;
  auto trace = TraceReader::Open("tests/traces/" + file, options);
  if (!trace.ok()) {
    ADD_FAILURE() << trace.status();
    return sum;
  }
  TraceRow row;
  while ((*trace)->Next(&row)) {
    ++sum.rows;
    sum.milli += row.milli;
    sum.last = row.at;
  }
  EXPECT_TRUE((*trace)->status().ok()) << (*trace)->status();
  sum.notes = (*trace)->notes();
  return sum;
}

// What awk says of the same files.
TEST(Trace, ReadsRecordedRates) {
  const Sum sum = SumOf("crane_dsp_input15.csv", {});
  EXPECT_EQ(sum.rows, 89'632u);
  EXPECT_EQ(sum.milli, 1'082'120'390'000);
  EXPECT_EQ(sum.last, absl::Seconds(1'344'465));
  EXPECT_EQ(sum.notes.step, absl::Seconds(15));
  EXPECT_EQ(sum.notes.gaps, 0u);
  EXPECT_EQ(sum.notes.first, absl::FromUnixSeconds(1655316015));
}

TEST(Trace, ReadsRecordedCountsPerStep) {
  const Sum sum = SumOf("nab_nyc_taxi.csv", {.per_step = true});
  EXPECT_EQ(sum.rows, 10'320u);
  EXPECT_EQ(sum.last, absl::Minutes(30) * 10'319);
  EXPECT_NEAR(static_cast<double>(sum.milli) * 1.8, 156'219'716, 10'000);  // x 1800 s / 1000
  EXPECT_EQ(sum.notes.step, absl::Minutes(30));
}

TEST(Trace, ReadsRecordedRequests) {
  const Sum sum =
      SumOf("azure_llm_inference_2023_conv.csv",
            {.kind = TraceKind::kRequests, .value_column = "ContextTokens+GeneratedTokens"});
  EXPECT_EQ(sum.rows, 19'366u);
  EXPECT_EQ(sum.milli, 26'450'535'000);
  EXPECT_EQ(sum.notes.first, absl::FromUnixMicros(1700158546680590));
}

}  // namespace
}  // namespace neap::sim
