#include "tools/neapctl/trial/objective.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/suggest.h"

namespace neap::ctl {
namespace {

using Figure = ObjectiveTerm::Figure;

constexpr std::array<std::string_view, 4> kFigures = {"wait", "latency", "failed", "late"};

std::optional<double> Number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(number)) {
    return std::nullopt;
  }
  return number;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  absl::StatusOr<Objective> Run() {
    Objective out;
    out.text = text_;
    for (;;) {
      NEAP_RETURN_IF_ERROR(ReadTerm(out));
      const Word word = Take();
      if (word.text.empty()) break;
      if (word.text != "and") return Wrong(word, "expected \"and\" or the end");
    }
    NEAP_RETURN_IF_ERROR(Finish(out));
    return out;
  }

 private:
  struct Word {
    std::string_view text;
    size_t at = 0;
  };

  // A run of letters, digits, '.' and '%'; or one other character; empty at the end.
  Word Peek() const {
    size_t begin = text_.find_first_not_of(" \t", at_);
    if (begin == std::string_view::npos) return {.text = {}, .at = text_.size()};
    size_t end = begin;
    const auto wordy = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             c == '.' || c == '%' || c == '-' || (c & 0x80) != 0;
    };
    while (end < text_.size() && wordy(text_[end])) ++end;
    return {.text = text_.substr(begin, std::max<size_t>(1, end - begin)), .at = begin};
  }
  Word Take() {
    const Word word = Peek();
    at_ = word.at + word.text.size();
    return word;
  }

  absl::Status Wrong(const Word& word, std::string_view expected) const {
    return base::InvalidArgument("column {}: {}, found {}\n  {}\n  {}^", word.at + 1, expected,
                                 word.text.empty() ? "the end" : fmt::format("\"{}\"", word.text),
                                 text_, std::string(word.at, ' '));
  }

  absl::Status ReadTerm(Objective& out) {
    ObjectiveTerm term;
    const Word begin = Peek();
    Word word = Take();
    const bool has_percentile =
        word.text.size() > 1 && word.text[0] == 'p' && word.text[1] >= '0' && word.text[1] <= '9';
    if (has_percentile) {
      const auto percent = Number(word.text.substr(1));
      if (!percent || !(*percent >= 1 && *percent <= 99.9)) {
        return Wrong(word, "expected a percentile from p1 to p99.9");
      }
      term.permille = static_cast<int>(std::lround(*percent * 10));
      term.name = std::string(word.text) + " ";
      word = Take();
    }
    const auto figure = std::find(kFigures.begin(), kFigures.end(), word.text);
    if (figure == kFigures.end()) {
      const std::string near = base::DidYouMean(word.text, kFigures);
      return Wrong(word, has_percentile ? "expected wait or latency" + near
                                        : "expected p99 wait, latency, failed or late" + near);
    }
    term.figure = static_cast<Figure>(figure - kFigures.begin());
    term.name += word.text;
    const bool time = term.figure == Figure::kWait || term.figure == Figure::kLatency;
    if (!time && has_percentile) return Wrong(begin, "a share has no percentile");
    if (term.figure == Figure::kLatency && !has_percentile) {
      return Wrong(begin, "latency needs a percentile, such as p99");
    }
    const Word less = Take();
    if (less.text != "<") return Wrong(less, "expected \"<\"");
    const Word bound = Take();
    NEAP_RETURN_IF_ERROR(time ? ReadTime(bound, term) : ReadShare(bound, term));
    term.text = fmt::format("{} < {}", term.name, bound.text);
    if (term.figure == Figure::kLate) late_ = begin;
    if (term.figure == Figure::kWait) {
      const absl::Duration wait = absl::Seconds(term.bound);
      if (has_percentile) {
        percentile_wait_ = std::min(percentile_wait_, wait);
      } else {
        if (out.wait != absl::InfiniteDuration()) {
          return Wrong(begin, "the bound of waits was given already");
        }
        out.wait = wait;
        return absl::OkStatus();
      }
    }
    out.terms.push_back(std::move(term));
    return absl::OkStatus();
  }

  absl::Status ReadTime(const Word& word, ObjectiveTerm& term) const {
    const auto duration = base::ParseDuration(word.text);
    if (!duration.ok() || *duration <= absl::ZeroDuration()) {
      return Wrong(word, "expected a time, such as 500ms or 1s");
    }
    term.bound = absl::ToDoubleSeconds(*duration);
    term.unit = "s";
    return absl::OkStatus();
  }
  absl::Status ReadShare(const Word& word, ObjectiveTerm& term) const {
    const auto percent =
        word.text.ends_with('%') ? Number(word.text.substr(0, word.text.size() - 1)) : std::nullopt;
    if (!percent || !(*percent > 0 && *percent <= 100)) {
      return Wrong(word, "expected a share up to 100%, such as 0.1%");
    }
    term.bound = *percent;
    term.unit = "%";
    return absl::OkStatus();
  }

  absl::Status Finish(Objective& out) const {
    if (out.wait == absl::InfiniteDuration()) out.wait = percentile_wait_;
    if (late_ && out.wait == absl::InfiniteDuration()) {
      return Wrong(*late_, "late needs its bound: add \"and wait < 1s\"");
    }
    return absl::OkStatus();
  }

  const std::string_view text_;
  size_t at_ = 0;
  absl::Duration percentile_wait_ = absl::InfiniteDuration();
  std::optional<Word> late_;
};

double Quantile(const sim::WaitHistogram& served, const sim::Service& service, int permille,
                double bound) {
  const bool stuck = static_cast<double>(service.oldest) > bound * 1e9;
  const int64_t lost = service.Failed() + (stuck ? service.waiting : 0);
  const double all = static_cast<double>(service.served + lost);
  if (service.served == 0) return lost == 0 ? 0 : std::numeric_limits<double>::infinity();
  const double rank = permille * all / static_cast<double>(service.served);
  if (rank > 1000) return std::numeric_limits<double>::infinity();
  return static_cast<double>(served.Quantile(static_cast<int>(std::ceil(rank)))) / 1e9;
}

double OfTarget(const ObjectiveTerm& term, const sim::Service& service) {
  const double ended = static_cast<double>(service.served + service.Failed());
  switch (term.figure) {
    case Figure::kWait:
      return Quantile(service.waits, service, term.permille, term.bound);
    case Figure::kLatency:
      return Quantile(service.latencies, service, term.permille, term.bound);
    case Figure::kFailures:
      return ended == 0 ? 0 : 100 * static_cast<double>(service.Failed()) / ended;
    case Figure::kLate:
      return ended == 0 ? 0 : 100 * static_cast<double>(service.late + service.Failed()) / ended;
  }
  return 0;
}

}  // namespace

double ObjectiveTerm::Of(const sim::Result& result) const {
  double worst = 0;
  for (const sim::TargetResult& target : result.targets) {
    worst = std::max(worst, OfTarget(*this, target.service));
  }
  return worst;
}

bool Objective::Meets(const sim::Result& result) const {
  return std::all_of(terms.begin(), terms.end(),
                     [&](const ObjectiveTerm& term) { return term.Of(result) < term.bound; });
}

absl::StatusOr<Objective> ParseObjective(std::string_view text) { return Parser(text).Run(); }

absl::Status CheckObjective(const Objective& objective, const sim::SimulationSpec& spec) {
  const bool single = std::all_of(spec.world.deployments.begin(), spec.world.deployments.end(),
                                  [](const auto& one) { return one.requests.has_value(); });
  for (const ObjectiveTerm& term : objective.terms) {
    if (term.figure != Figure::kLatency || single) continue;
    return base::InvalidArgument(
        "--objective: {}: there are latencies of single requests alone, which --service-time (of a "
        "scenario: traffic) makes; of other load there are waits",
        term.text);
  }
  return absl::OkStatus();
}

std::string ShowValue(const ObjectiveTerm& term, double value) {
  if (std::isinf(value)) return "never";
  return fmt::format("{:.3g} {}", value, term.unit);
}

}  // namespace neap::ctl
