#include "autoscaler/sim/trace.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <deque>
#include <span>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"
#include "autoscaler/sim/csv.h"
#include "autoscaler/sim/load.h"
#include "autoscaler/sim/stamps.h"
#include "autoscaler/sim/wide.h"

namespace neap::sim {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr size_t kStepsLookedAt = 32;
constexpr int64_t kMostWork = 1'000'000'000'000'000;  // a million million units, in thousandths

constexpr std::string_view kTimeNames[] = {"time", "timestamp", "ts", "date", "datetime"};
constexpr std::string_view kValueNames[] = {"value", "rate", "rps", "count", "requests", "work"};

bool SameName(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    return lower(x) == lower(y);
  });
}

// A cell as errors show it: not too long, on one line.
std::string Shown(std::string_view cell) {
  std::string out;
  for (const char c : cell.substr(0, 40)) out += static_cast<unsigned char>(c) < ' ' ? '?' : c;
  return cell.size() > 40 ? out + "..." : out;
}

// ---- columns

struct Column {
  size_t index = 0;
  std::string name;  // as errors call it: "value", or a number from 1
};

// The place, from 1, that a column's name is when it is a number.
std::optional<size_t> PlaceOf(std::string_view name) {
  size_t place = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), place);
  if (error != std::errc() || end != name.data() + name.size() || place == 0) return std::nullopt;
  return place - 1;
}

using Cells = std::vector<std::string_view>;

std::optional<size_t> Named(const Cells& header, std::string_view name) {
  const auto exact = std::find(header.begin(), header.end(), name);
  if (exact != header.end()) return static_cast<size_t>(exact - header.begin());
  for (size_t i = 0; i < header.size(); ++i) {
    if (SameName(header[i], name)) return i;
  }
  return std::nullopt;
}

std::optional<size_t> UsuallyNamed(const Cells& header, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    if (const auto index = Named(header, name)) return index;
  }
  return std::nullopt;
}

}  // namespace

class TraceReader::Impl {
 public:
  Impl(ByteSource bytes, std::string source, const TraceOptions& options)
      : csv_(std::move(bytes), source), source_(std::move(source)), options_(options) {}

  absl::Status Begin();
  bool Next(TraceRow* row);
  const absl::Status& status() const { return given_status_; }
  const TraceNotes& notes() const { return notes_; }

 private:
  struct Raw {
    int64_t at = 0;  // nanoseconds since 1970
    int64_t milli = 0;
  };

  bool requests() const { return options_.kind == TraceKind::kRequests; }
  bool IsHeader(const Cells& cells);
  absl::Status ChooseColumns(const Cells& cells, bool header);
  absl::StatusOr<Column> Choose(std::string_view name, const Cells& cells, bool header) const;
  Column ColumnAt(size_t index, const Cells& cells, bool header) const;
  void Fill(size_t rows);
  bool Read(Raw* raw);
  bool Parse(Raw* raw);
  bool ParseValue(const Column& column, int64_t* milli);
  bool Follows(const Raw& raw);
  int64_t UsualStep() const;
  bool RateOf(const Raw& raw, int64_t lasts, TraceRow* row);
  bool Wrong(const Column& column, std::string_view what);

  CsvReader csv_;
  const std::string source_;
  const TraceOptions options_;
  Column time_;
  std::vector<Column> values_;
  Stamps stamps_;
  Cells cells_;
  bool pending_ = false;             // cells_ hold a row that was not parsed yet
  std::deque<Raw> ahead_;            // read, not given
  std::optional<Raw> last_;          // of those read
  std::optional<TraceRow> silence_;  // the 0 that begins a gap, next to be given
  int64_t first_ = 0;
  int64_t step_ = 0;
  bool done_ = false;          // nothing more can be read
  absl::Status status_;        // why not
  absl::Status given_status_;  // the same, once the rows before it were given
  TraceNotes notes_;
};

bool TraceReader::Impl::Wrong(const Column& column, std::string_view what) {
  status_ = base::InvalidArgument("{}: column {}: {}", csv_.Where(), column.name, what);
  return false;
}

// Whether a first row names columns instead of having values.
bool TraceReader::Impl::IsHeader(const Cells& cells) {
  const std::optional<size_t> place = PlaceOf(options_.time_column);
  const bool by_name = !options_.time_column.empty() && !place;
  if (UsuallyNamed(cells, kTimeNames) || (by_name && Named(cells, options_.time_column))) {
    return true;
  }
  const size_t time = place.value_or(0);
  if (time < cells.size() && stamps_.Parse(cells[time])) return false;
  return std::none_of(cells.begin(), cells.end(),
                      [](std::string_view cell) { return ParseNumber(cell).has_value(); });
}

Column TraceReader::Impl::ColumnAt(size_t index, const Cells& cells, bool header) const {
  if (header && index < cells.size() && !cells[index].empty()) {
    return {.index = index, .name = fmt::format("\"{}\"", Shown(cells[index]))};
  }
  return {.index = index, .name = std::to_string(index + 1)};
}

absl::StatusOr<Column> TraceReader::Impl::Choose(std::string_view name, const Cells& cells,
                                                 bool header) const {
  if (header) {
    if (const auto index = Named(cells, name)) return ColumnAt(*index, cells, header);
  }
  if (const auto place = PlaceOf(name)) {
    if (*place < cells.size()) return ColumnAt(*place, cells, header);
    return base::InvalidArgument("{}: there is no column {}: the first row has {}", csv_.Where(),
                                 name, cells.size());
  }
  if (!header) {
    return base::InvalidArgument("{}: no header line, so that no column is named \"{}\"",
                                 csv_.Where(), name);
  }
  std::string names;
  for (const std::string_view cell : cells) {
    names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", Shown(cell));
  }
  return base::InvalidArgument("{}: no column \"{}\"{}: there are {}", csv_.Where(), name,
                               base::DidYouMean(name, cells), names);
}

absl::Status TraceReader::Impl::ChooseColumns(const Cells& cells, bool header) {
  if (!options_.time_column.empty()) {
    NEAP_ASSIGN_OR_RETURN(time_, Choose(options_.time_column, cells, header));
  } else {
    const auto usual = header ? UsuallyNamed(cells, kTimeNames) : std::nullopt;
    time_ = ColumnAt(usual.value_or(0), cells, header);
  }
  std::string_view names = options_.value_column;
  if (names.empty()) {
    const auto usual = header ? UsuallyNamed(cells, kValueNames) : std::nullopt;
    const size_t other = time_.index == 0 ? 1 : 0;
    if (!usual && other >= cells.size()) {
      if (requests()) return absl::OkStatus();
      return base::InvalidArgument(
          "{}: expected columns with a time and a rate, separated by a comma, a semicolon, a bar "
          "or a tab",
          csv_.Where());
    }
    values_ = {ColumnAt(usual.value_or(other), cells, header)};
    return absl::OkStatus();
  }
  if (header && Named(cells, names)) {  // also a name with a + in it
    NEAP_ASSIGN_OR_RETURN(Column column, Choose(names, cells, header));
    values_ = {std::move(column)};
    return absl::OkStatus();
  }
  for (size_t begin = 0; begin <= names.size();) {
    const size_t end = std::min(names.find('+', begin), names.size());
    NEAP_ASSIGN_OR_RETURN(Column column, Choose(names.substr(begin, end - begin), cells, header));
    values_.push_back(std::move(column));
    begin = end + 1;
  }
  return absl::OkStatus();
}

absl::Status TraceReader::Impl::Begin() {
  if (!csv_.Next(&cells_)) {
    NEAP_RETURN_IF_ERROR(csv_.status());
    return base::InvalidArgument("{}: is empty", source_);
  }
  const bool header = IsHeader(cells_);
  NEAP_RETURN_IF_ERROR(ChooseColumns(cells_, header));
  pending_ = !header;
  Fill(kStepsLookedAt + 1);
  if (ahead_.empty()) {
    NEAP_RETURN_IF_ERROR(status_);
    return base::InvalidArgument("{}: has a header line and no rows", source_);
  }
  step_ = requests() ? 0 : UsualStep();
  notes_.step = absl::Nanoseconds(step_);
  if (options_.per_step && !requests() && step_ == 0) {
    NEAP_RETURN_IF_ERROR(status_);
    return base::InvalidArgument(
        "{}: a single row, whose value counts what came until the next one: there must be two",
        source_);
  }
  return absl::OkStatus();
}

int64_t TraceReader::Impl::UsualStep() const {
  std::vector<int64_t> steps;
  for (size_t i = 1; i < ahead_.size(); ++i) steps.push_back(ahead_[i].at - ahead_[i - 1].at);
  if (steps.empty()) return 0;
  const auto middle = steps.begin() + static_cast<ptrdiff_t>((steps.size() - 1) / 2);
  std::nth_element(steps.begin(), middle, steps.end());
  return *middle;
}

// Reads until so many rows are ahead, or there are no more.
void TraceReader::Impl::Fill(size_t rows) {
  Raw raw;
  while (ahead_.size() < rows && !done_) {
    if (Read(&raw)) {
      ahead_.push_back(raw);
    } else {
      done_ = true;
    }
  }
}

bool TraceReader::Impl::Read(Raw* raw) {
  for (;;) {
    if (!pending_ && !csv_.Next(&cells_)) {
      status_ = csv_.status();
      return false;
    }
    pending_ = false;
    if (!Parse(raw)) return false;
    ++notes_.rows;
    if (!last_) {
      first_ = raw->at;
      notes_.first = absl::FromUnixNanos(first_);
    } else if (raw->at == last_->at && raw->milli == last_->milli && !requests()) {
      ++notes_.duplicates;
      continue;
    } else if (!Follows(*raw)) {
      return false;
    }
    last_ = *raw;
    return true;
  }
}

// Whether a row may come after the last one.
bool TraceReader::Impl::Follows(const Raw& raw) {
  const std::string_view text = cells_[time_.index];
  if (raw.at < last_->at) {
    return Wrong(time_, fmt::format("\"{}\" is before the row above it", Shown(text)));
  }
  if (raw.at == last_->at && !requests()) {
    return Wrong(time_, fmt::format("\"{}\" is also that of the row above it, which has another "
                                    "value",
                                    Shown(text)));
  }
  return true;
}

bool TraceReader::Impl::Parse(Raw* raw) {
  const auto missing = [&](const Column& column) {
    return Wrong(column, fmt::format("missing: the row has {} column{}", cells_.size(),
                                     cells_.size() == 1 ? "" : "s"));
  };
  if (time_.index >= cells_.size()) return missing(time_);
  const std::optional<int64_t> at = stamps_.Parse(cells_[time_.index]);
  if (!at) {
    return Wrong(time_, fmt::format("\"{}\" is not a time: Unix seconds or milliseconds, or "
                                    "2026-01-31T12:00:00Z",
                                    Shown(cells_[time_.index])));
  }
  raw->at = *at;
  raw->milli = values_.empty() ? 1000 : 0;
  for (const Column& column : values_) {
    if (column.index >= cells_.size()) return missing(column);
    int64_t milli = 0;
    if (!ParseValue(column, &milli)) return false;
    raw->milli += milli;  // each is at most kMostWork: a few of them fit
  }
  const int64_t most = requests() || options_.per_step ? kMostWork : kMaxRate;
  if (raw->milli > most) {
    return Wrong(values_.front(), fmt::format("{} is over {}", raw->milli / 1000, most / 1000));
  }
  return true;
}

bool TraceReader::Impl::ParseValue(const Column& column, int64_t* milli) {
  const std::string_view text = cells_[column.index];
  if (text.empty()) {
    return Wrong(column, "is empty: where nothing was measured there should be no row");
  }
  const std::optional<double> number = ParseNumber(text);
  if (!number) return Wrong(column, fmt::format("\"{}\" is not a number", Shown(text)));
  if (!std::isfinite(*number)) return Wrong(column, fmt::format("{} is not finite", Shown(text)));
  if (*number < 0) return Wrong(column, fmt::format("{} is negative", Shown(text)));
  const int64_t most = requests() || options_.per_step ? kMostWork : kMaxRate;
  if (*number * 1000 > static_cast<double>(most)) {
    return Wrong(column, fmt::format("{} is over {}", Shown(text), most / 1000));
  }
  *milli = static_cast<int64_t>(*number * 1000 + 0.5);
  return true;
}

// The row as it is given out; it lasts so many nanoseconds.
bool TraceReader::Impl::RateOf(const Raw& raw, int64_t lasts, TraceRow* row) {
  *row = {.at = absl::Nanoseconds(raw.at - first_), .milli = raw.milli};
  if (!options_.per_step || requests()) return true;
  const Wide rate = (Wide{raw.milli} * kSecond + lasts / 2) / lasts;
  if (rate > kMaxRate) {
    given_status_ =
        base::InvalidArgument("{}: {} at {} in {} is more than {} per second", source_,
                              raw.milli / 1000, base::FormatTime(absl::FromUnixNanos(raw.at)),
                              base::FormatDuration(absl::Nanoseconds(lasts)), kMaxRate / 1000);
    return false;
  }
  row->milli = static_cast<int64_t>(rate);
  return true;
}

bool TraceReader::Impl::Next(TraceRow* row) {
  if (!given_status_.ok()) return false;
  if (silence_) {
    *row = *silence_;
    silence_.reset();
    return true;
  }
  Fill(2);
  if (ahead_.empty()) {
    given_status_ = status_;
    return false;
  }
  const Raw raw = ahead_.front();
  ahead_.pop_front();
  int64_t lasts = step_;
  if (!ahead_.empty() && !requests()) {
    const int64_t until = ahead_.front().at - raw.at;
    const bool gap = until > step_ + step_ / 2;
    if (!gap) {
      lasts = until;
    } else {
      ++notes_.gaps;
      notes_.longest_gap = std::max(notes_.longest_gap, absl::Nanoseconds(until));
      if (options_.gap == TraceOptions::Gap::kRefuse) {
        given_status_ =
            base::InvalidArgument("{}: nothing between {} and {}, where a row is due every {}",
                                  source_, base::FormatTime(absl::FromUnixNanos(raw.at)),
                                  base::FormatTime(absl::FromUnixNanos(ahead_.front().at)),
                                  base::FormatDuration(absl::Nanoseconds(step_)));
        return false;
      }
      if (options_.gap == TraceOptions::Gap::kZero) {
        silence_ = TraceRow{.at = absl::Nanoseconds(raw.at + step_ - first_), .milli = 0};
      }
    }
  }
  return RateOf(raw, lasts, row);
}

absl::StatusOr<std::unique_ptr<TraceReader>> TraceReader::Open(const std::string& path,
                                                               const TraceOptions& options) {
  NEAP_ASSIGN_OR_RETURN(ByteSource bytes, OpenBytes(path));
  auto impl =
      std::make_unique<Impl>(std::move(bytes), path == "-" ? "standard input" : path, options);
  NEAP_RETURN_IF_ERROR(impl->Begin());
  return std::unique_ptr<TraceReader>(new TraceReader(std::move(impl)));
}

absl::StatusOr<std::unique_ptr<TraceReader>> TraceReader::FromText(std::string text,
                                                                   std::string_view source,
                                                                   const TraceOptions& options) {
  ByteSource bytes = [text = std::move(text), given = size_t{0}](
                         char* to, size_t room) mutable -> absl::StatusOr<size_t> {
    const size_t n = text.copy(to, room, given);
    given += n;
    return n;
  };
  auto impl = std::make_unique<Impl>(std::move(bytes), std::string(source), options);
  NEAP_RETURN_IF_ERROR(impl->Begin());
  return std::unique_ptr<TraceReader>(new TraceReader(std::move(impl)));
}

TraceReader::TraceReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TraceReader::~TraceReader() = default;
bool TraceReader::Next(TraceRow* row) { return impl_->Next(row); }
const absl::Status& TraceReader::status() const { return impl_->status(); }
const TraceNotes& TraceReader::notes() const { return impl_->notes(); }

}  // namespace neap::sim
