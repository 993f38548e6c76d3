// CsvReader: the records of a CSV text, one after the other, in flat memory: RFC 4180 with lines
// ended by LF, CRLF or CR, a UTF-8 byte order mark passed over, empty lines and lines that begin
// with # left out. The separator (',', ';', '|' or a tab) is the one that the first record has most
// of. Used by TraceReader; one thread only.
//
// Why not a library: of those in Debian, libcsv says neither the line nor the place of what it
// found, and fast-cpp-csv-parser fixes separator and columns when it is compiled and ends a record
// within quotes.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace neap::sim {

// Fills up to `room` bytes; 0 at the end.
using ByteSource = std::function<absl::StatusOr<size_t>(char* to, size_t room)>;

// A file, or standard input for "-"; what is gzipped is unpacked. NotFound; reading it gives
// DataLoss for a gzip file that is damaged or cut off.
absl::StatusOr<ByteSource> OpenBytes(const std::string& path);

class CsvReader {
 public:
  // A record longer than this is an error (an unclosed quote, most likely).
  static constexpr size_t kLongestRecord = size_t{256} * 1024;

  CsvReader(ByteSource bytes, std::string source);

  // The cells of the next record, without blanks and quotes around them; valid until the next call.
  // False at the end and after an error.
  bool Next(std::vector<std::string_view>* cells);
  // DataLoss, InvalidArgument (with source:line), or what the source said.
  const absl::Status& status() const { return status_; }
  // Where the last record began, "day.csv:17".
  std::string Where() const;
  char separator() const { return separator_; }  // '\0': the first record has none

 private:
  bool NextRecord(std::string_view* record);
  size_t FindEnd();  // of the record that begins at begin_; npos: not within the buffer
  bool Refill();
  void PassMark();
  void Split(std::string_view record, std::vector<std::string_view>* cells);
  std::string_view Unquoted(std::string_view cell);

  ByteSource bytes_;
  std::string source_;
  absl::Status status_;
  std::unique_ptr<char[]> buffer_;
  size_t begin_ = 0;  // of what was not given out yet
  size_t end_ = 0;
  size_t newline_ = 0;  // the next LF at or after begin_, or end_
  bool at_end_ = false;
  bool after_cr_ = false;  // an LF here belongs to the line before
  uint64_t line_ = 0;      // where the last record began, from 1
  uint64_t next_line_ = 1;
  char separator_ = '\0';
  bool separator_known_ = false;
  std::string unquoted_;  // what the cells with doubled quotes refer to
};

}  // namespace neap::sim
