#include "autoscaler/sim/csv.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "autoscaler/base/status.h"

namespace neap::sim {
namespace {

constexpr size_t kNone = std::string_view::npos;

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

size_t Find(const char* buffer, size_t begin, size_t end, char c) {
  const void* found = std::memchr(buffer + begin, c, end - begin);
  return found == nullptr ? end : static_cast<size_t>(static_cast<const char*>(found) - buffer);
}

// The one that there is most of outside quotes. Of equals the comma comes last: it also stands in
// numbers and names.
char SeparatorOf(std::string_view record) {
  constexpr std::string_view kSeparators = "\t;|,";
  size_t counts[kSeparators.size()] = {};
  bool quoted = false;
  for (const char c : record) {
    if (c == '"') quoted = !quoted;
    const size_t kind = kSeparators.find(c);
    if (!quoted && kind != kNone) ++counts[kind];
  }
  const size_t* most = std::max_element(std::begin(counts), std::end(counts));
  return *most == 0 ? '\0' : kSeparators[static_cast<size_t>(most - counts)];
}

// zlib reads plain files as they are.
absl::StatusOr<size_t> ReadSome(gzFile file, const std::string& path, char* to, size_t room) {
  const int n = gzread(file, to, static_cast<unsigned>(room));
  if (n > 0) return static_cast<size_t>(n);
  int error = Z_OK;
  const char* text = gzerror(file, &error);
  if (error == Z_ERRNO) return base::Unavailable("{}: {}", path, std::strerror(errno));
  if (error == Z_BUF_ERROR) return base::DataLoss("{}: the gzip file is cut off", path);
  if (error < 0) return base::DataLoss("{}: {}", path, text);
  return 0;
}

}  // namespace

absl::StatusOr<ByteSource> OpenBytes(const std::string& path) {
  const std::string name = path == "-" ? "standard input" : path;
  const int fd = path == "-" ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    if (error == ENOENT) return base::NotFound("{}: no such file", name);
    return base::Unavailable("{}: {}", name, std::strerror(error));
  }
  struct stat info = {};
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) {
    close(fd);
    return base::InvalidArgument("{}: is a directory", name);
  }
  const gzFile file = gzdopen(fd, "rb");
  if (file == nullptr) {
    close(fd);
    return base::ResourceExhausted("{}: out of memory", name);
  }
  gzbuffer(file, 128 * 1024);
  const std::shared_ptr<gzFile_s> owned(file, gzclose_r);
  return [owned, name](char* to, size_t room) { return ReadSome(owned.get(), name, to, room); };
}

CsvReader::CsvReader(ByteSource bytes, std::string source)
    : bytes_(std::move(bytes)),
      source_(std::move(source)),
      buffer_(std::make_unique<char[]>(kLongestRecord)) {
  while (end_ < 3 && Refill()) {
  }
  PassMark();
}

std::string CsvReader::Where() const { return fmt::format("{}:{}", source_, line_); }

// Moves what is left to the front and reads more; false when nothing came.
bool CsvReader::Refill() {
  if (at_end_ || !status_.ok()) return false;
  std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  newline_ = 0;
  if (end_ == kLongestRecord) {
    status_ = base::InvalidArgument(
        "{}:{}: a row of more than {} bytes: is a quote not closed, or is it no CSV?", source_,
        next_line_, kLongestRecord);
    return false;
  }
  const absl::StatusOr<size_t> n = bytes_(buffer_.get() + end_, kLongestRecord - end_);
  if (!n.ok()) {
    status_ = n.status();
    return false;
  }
  at_end_ = *n == 0;
  newline_ = Find(buffer_.get(), begin_, end_ + *n, '\n');
  end_ += *n;
  return !at_end_;
}

// The byte order mark that spreadsheets write.
void CsvReader::PassMark() {
  const std::string_view text(buffer_.get(), end_);
  if (text.starts_with("\xef\xbb\xbf")) begin_ = 3;
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    status_ = base::InvalidArgument("{}: is UTF-16: save it as UTF-8", source_);
  }
}

size_t CsvReader::FindEnd() {
  if (newline_ < begin_) newline_ = Find(buffer_.get(), begin_, end_, '\n');
  const size_t end = Find(buffer_.get(), begin_, newline_, '\r');
  if (Find(buffer_.get(), begin_, end, '"') == end) return end == end_ ? kNone : end;
  bool quoted = false;
  for (size_t i = begin_; i < end_; ++i) {
    const char c = buffer_[i];
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == '\n' || c == '\r')) return i;
  }
  return kNone;
}

bool CsvReader::NextRecord(std::string_view* record) {
  if (!status_.ok()) return false;
  while (after_cr_) {
    if (begin_ == end_ && Refill()) continue;
    if (begin_ < end_ && buffer_[begin_] == '\n') ++begin_;
    after_cr_ = false;
  }
  size_t end = FindEnd();
  while (end == kNone && Refill()) end = FindEnd();
  if (!status_.ok()) return false;
  const bool last = end == kNone;
  if (last) end = end_;
  if (last && begin_ == end_) return false;
  *record = std::string_view(buffer_.get() + begin_, end - begin_);
  line_ = next_line_;
  if (last && std::count(record->begin(), record->end(), '"') % 2 != 0) {
    status_ = base::InvalidArgument("{}: a quote is not closed", Where());
    return false;
  }
  next_line_ += 1 + static_cast<uint64_t>(record->find('"') == kNone
                                              ? 0
                                              : std::count(record->begin(), record->end(), '\n'));
  after_cr_ = !last && buffer_[end] == '\r';
  begin_ = last ? end : end + 1;
  return true;
}

bool CsvReader::Next(std::vector<std::string_view>* cells) {
  std::string_view record;
  do {
    if (!NextRecord(&record)) return false;
  } while (record.empty() || record.front() == '#' || Trimmed(record).empty());
  if (!separator_known_) {
    separator_ = SeparatorOf(record);
    separator_known_ = true;
  }
  Split(record, cells);
  return true;
}

void CsvReader::Split(std::string_view record, std::vector<std::string_view>* cells) {
  cells->clear();
  const bool quotes = record.find('"') != kNone;
  if (quotes) {
    unquoted_.clear();
    unquoted_.reserve(record.size());  // views into it stay valid
  }
  for (size_t begin = 0; begin <= record.size();) {
    size_t end = record.find(separator_, begin);
    if (quotes) {
      bool quoted = false;
      for (end = begin; end < record.size() && (quoted || record[end] != separator_); ++end) {
        if (record[end] == '"') quoted = !quoted;
      }
    }
    end = std::min(end, record.size());
    const std::string_view cell = Trimmed(record.substr(begin, end - begin));
    cells->push_back(cell.starts_with('"') ? Unquoted(cell) : cell);
    begin = end + 1;
  }
}

std::string_view CsvReader::Unquoted(std::string_view cell) {
  cell.remove_prefix(1);
  if (cell.ends_with('"')) cell.remove_suffix(1);
  if (cell.find('"') == kNone) return Trimmed(cell);
  const size_t begin = unquoted_.size();
  for (size_t i = 0; i < cell.size(); ++i) {
    unquoted_ += cell[i];
    if (cell[i] == '"' && i + 1 < cell.size() && cell[i + 1] == '"') ++i;
  }
  return Trimmed(std::string_view(unquoted_).substr(begin));
}

}  // namespace neap::sim
