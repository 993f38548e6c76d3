// How a segment file is made: a line that names it, then frames. And how segments lie in a
// directory. Of the journal's Writer and Reader; pure functions but for ListSegments.
//
// A frame is 8 bytes of head, then the payload:
//   bytes 0..2  length of the payload, little endian
//   byte  3     check of the length, so that a damaged length is not taken for a torn tail
//   bytes 4..7  CRC-32 (zlib's) of the payload, little endian
// A file that ends within a frame, or in zeros (a machine that lost power), is torn.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace neap::record {

inline constexpr std::string_view kSegmentHead = "neap journal 1\n";
inline constexpr uint32_t kFormat = 1;  // of the messages, Start.format
inline constexpr size_t kFrameHead = 8;
inline constexpr size_t kMostPayload = (1U << 24) - 1;

// `payload` is at most kMostPayload bytes.
void AppendFrame(std::string_view payload, std::string* out);

struct Frame {
  enum class Kind : uint8_t { kWhole, kEndOfFile, kTorn, kCorrupt };
  Kind kind = Kind::kEndOfFile;
  std::string_view payload = {};  // kWhole
  size_t next = 0;                // kWhole: offset of the one after it
};
// The frame at `offset` (kSegmentHead.size() is the first's) of a whole file.
Frame FrameAt(std::string_view file, size_t offset);

// "00000042-20260101T093000Z.journal": the number gives the order, whatever the clock did.
std::string SegmentName(uint64_t number, absl::Time now);
std::optional<uint64_t> SegmentNumber(std::string_view name);  // nullopt: not a segment's name

struct SegmentFile {
  uint64_t number = 0;
  std::string path;
  int64_t bytes = 0;
};
// The segments of a directory in their order; other files are passed over. Errors: it can't be
// read.
absl::StatusOr<std::vector<SegmentFile>> ListSegments(const std::string& directory);

}  // namespace neap::record
