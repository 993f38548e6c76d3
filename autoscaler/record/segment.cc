#include "autoscaler/record/segment.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "autoscaler/base/check.h"
#include "autoscaler/base/status.h"

namespace neap::record {
namespace {

constexpr std::string_view kSuffix = ".journal";
constexpr size_t kDigits = 8;  // of a number, at least

uint32_t Crc(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
}

// Never 0 for a length of 0: a stretch of zeros is no frame.
unsigned char LengthCheck(std::string_view three_bytes) {
  return static_cast<unsigned char>((Crc(three_bytes) >> 24) ^ 0xa5);
}

uint32_t LittleEndian(std::string_view bytes) {
  uint32_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) {
    value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  }
  return value;
}

void AppendLittleEndian(uint32_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

}  // namespace

void AppendFrame(std::string_view payload, std::string* out) {
  NEAP_CHECK(payload.size() <= kMostPayload, "a frame of {} bytes", payload.size());
  const size_t head = out->size();
  AppendLittleEndian(static_cast<uint32_t>(payload.size()), 3, out);
  const unsigned char check = LengthCheck(std::string_view(*out).substr(head, 3));
  out->push_back(static_cast<char>(check));
  AppendLittleEndian(Crc(payload), 4, out);
  out->append(payload);
}

Frame FrameAt(std::string_view file, size_t offset) {
  const std::string_view rest = file.substr(std::min(offset, file.size()));
  if (rest.empty()) return {.kind = Frame::Kind::kEndOfFile};
  if (rest.find_first_not_of('\0') == std::string_view::npos) return {.kind = Frame::Kind::kTorn};
  if (rest.size() < kFrameHead) return {.kind = Frame::Kind::kTorn};
  if (static_cast<unsigned char>(rest[3]) != LengthCheck(rest.substr(0, 3))) {
    return {.kind = Frame::Kind::kCorrupt};
  }
  const size_t length = LittleEndian(rest.substr(0, 3));
  if (rest.size() - kFrameHead < length) return {.kind = Frame::Kind::kTorn};
  const std::string_view payload = rest.substr(kFrameHead, length);
  if (LittleEndian(rest.substr(4, 4)) != Crc(payload)) return {.kind = Frame::Kind::kCorrupt};
  return {.kind = Frame::Kind::kWhole, .payload = payload, .next = offset + kFrameHead + length};
}

std::string SegmentName(uint64_t number, absl::Time now) {
  return fmt::format("{:0{}}-{}{}", number, kDigits,
                     absl::FormatTime("%Y%m%dT%H%M%SZ", now, absl::UTCTimeZone()), kSuffix);
}

std::optional<uint64_t> SegmentNumber(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end - name.data() < static_cast<std::ptrdiff_t>(kDigits) ||
      *end != '-') {
    return std::nullopt;
  }
  return number;
}

absl::StatusOr<std::vector<SegmentFile>> ListSegments(const std::string& directory) {
  std::vector<SegmentFile> segments;
  std::error_code error;
  std::filesystem::directory_iterator at(directory, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    const auto number = SegmentNumber(at->path().filename().string());
    if (!number) continue;
    std::error_code gone;  // removed while we look
    const auto bytes = std::filesystem::file_size(at->path(), gone);
    if (gone) continue;
    segments.push_back(
        {.number = *number, .path = at->path().string(), .bytes = static_cast<int64_t>(bytes)});
  }
  if (error) return base::Unavailable("{}: can't be listed: {}", directory, error.message());
  std::sort(segments.begin(), segments.end(), [](const SegmentFile& a, const SegmentFile& b) {
    return std::tie(a.number, a.path) < std::tie(b.number, b.path);
  });
  return segments;
}

}  // namespace neap::record
