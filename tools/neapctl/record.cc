// neapctl record: the trace of a workload, from a Prometheus server into the CSV that simulate
// reads.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/duration.h"
#include "autoscaler/base/names.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/version.h"
#include "autoscaler/sim/load.h"
#include "autoscaler/sim/stamps.h"
#include "tools/neapctl/commands.h"
#include "tools/neapctl/files.h"
#include "tools/neapctl/progress.h"
#include "tools/neapctl/prometheus_range.h"

namespace neap::ctl {
namespace {

using Samples = std::vector<PrometheusRange::Sample>;

// ---- what the user asks for

// TEXT or @FILE, without the line end that editors leave.
absl::StatusOr<std::string> TextOrFile(const std::string& word) {
  if (!word.starts_with('@')) return word;
  NEAP_ASSIGN_OR_RETURN(std::string text, ReadFile(word.substr(1)));
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

absl::StatusOr<http::Headers> Pairs(const std::vector<std::string>& words, std::string_view flag) {
  http::Headers out;
  for (const std::string& word : words) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      return base::InvalidArgument("{} \"{}\": expected NAME=VALUE", flag, word.substr(0, equals));
    }
    NEAP_ASSIGN_OR_RETURN(std::string value, TextOrFile(word.substr(equals + 1)));
    out.emplace_back(word.substr(0, equals), std::move(value));
  }
  return out;
}

absl::StatusOr<PrometheusServer> ServerOf(const RecordOptions& options) {
  PrometheusServer server;
  server.url = options.prometheus;
  server.tls = {.ca_file = options.ca_file,
                .cert_file = options.cert_file,
                .key_file = options.key_file,
                .server_name = options.server_name,
                .insecure = options.unsafe_ssl};
  server.timeout = absl::Seconds(options.timeout_seconds);
  NEAP_ASSIGN_OR_RETURN(server.headers, Pairs(options.headers, "--header"));
  NEAP_ASSIGN_OR_RETURN(server.parameters, Pairs(options.parameters, "--query-parameter"));
  if (!options.bearer_token.empty()) {
    NEAP_ASSIGN_OR_RETURN(const std::string token, TextOrFile(options.bearer_token));
    server.headers.emplace_back("Authorization", "Bearer " + token);
  }
  if (!options.username.empty()) {
    NEAP_ASSIGN_OR_RETURN(const std::string password, TextOrFile(options.password));
    server.headers.emplace_back("Authorization",
                                http::BasicAuthorization(options.username, password));
  }
  return server;
}

// "7d" as well as Go's durations.
absl::StatusOr<absl::Duration> Age(const std::string& text) {
  if (text.ends_with('d')) {
    if (const auto days = sim::ParseNumber(std::string_view(text).substr(0, text.size() - 1))) {
      return absl::Hours(24) * *days;
    }
  }
  return base::ParseDuration(text);
}

absl::StatusOr<absl::Time> TimeOf(const std::string& text, std::string_view flag, absl::Time now) {
  if (text == "now") return now;
  if (const auto nanos = sim::Stamps().Parse(text)) return absl::FromUnixNanos(*nanos);
  if (const auto age = Age(text); age.ok() && *age >= absl::ZeroDuration()) return now - *age;
  return base::InvalidArgument(
      "{} \"{}\": expected a time (2026-01-31T12:00:00Z or Unix seconds), how long ago (24h, 7d), "
      "or now",
      flag, text);
}

struct Plan {
  std::string query;
  std::string replicas_query;  // "" = none
  absl::Time from;
  absl::Time to;  // inclusive; a whole number of steps after `from`
  absl::Duration step;
};

absl::StatusOr<Plan> PlanOf(const RecordOptions& options, absl::Time now) {
  Plan plan;
  plan.query = options.query;
  plan.replicas_query = options.replicas_query;
  if (!options.deployment.empty()) {
    if (!base::IsDnsLabel(options.ns)) {
      return base::InvalidArgument("--namespace \"{}\" is no name of a namespace", options.ns);
    }
    if (!base::IsDnsSubdomain(options.deployment)) {
      return base::InvalidArgument("--deployment \"{}\" is no name of a Deployment",
                                   options.deployment);
    }
    // Of several kube-state-metrics that say the same, one.
    plan.replicas_query =
        fmt::format("max(kube_deployment_spec_replicas{{namespace=\"{}\",deployment=\"{}\"}})",
                    options.ns, options.deployment);
  }
  const absl::StatusOr<absl::Duration> step = base::ParseDuration(options.step);
  if (!step.ok() || *step < absl::Milliseconds(100)) {
    return base::InvalidArgument("--step \"{}\": expected a time from 100ms on, such as 15s",
                                 options.step);
  }
  plan.step = absl::Floor(*step, absl::Milliseconds(1));
  NEAP_ASSIGN_OR_RETURN(plan.from, TimeOf(options.from, "--from", now));
  NEAP_ASSIGN_OR_RETURN(plan.to, TimeOf(options.to, "--to", now));
  if (plan.to < plan.from + plan.step) {
    return base::InvalidArgument("--from {} is not a --step of {} before --to {}",
                                 base::FormatTime(plan.from), options.step,
                                 base::FormatTime(plan.to));
  }
  // Whole steps since 1970, so that recordings of the same time ask for the same moments.
  plan.from = absl::UnixEpoch() + absl::Floor(plan.from - absl::UnixEpoch(), plan.step);
  plan.to = absl::UnixEpoch() + absl::Floor(plan.to - absl::UnixEpoch(), plan.step);
  return plan;
}

// ---- what is written

std::string Stamp(absl::Time time, absl::Duration step) {
  if (absl::Trunc(step, absl::Seconds(1)) == step) return base::FormatTime(time);
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
}

// The file appears under its name when it is whole.
class Output {
 public:
  explicit Output(const std::string& path) : path_(path), part_(path + ".part") {}
  ~Output() {
    if (file_ == nullptr || file_ == stdout) return;
    std::fclose(file_);
    std::remove(part_.c_str());
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  absl::Status Open() {
    file_ = path_ == "-" ? stdout : std::fopen(part_.c_str(), "wb");
    if (file_ == nullptr) return Failed(part_);
    return absl::OkStatus();
  }
  void Write(std::string_view text) { std::fwrite(text.data(), 1, text.size(), file_); }
  absl::Status Close() {
    if (std::fflush(file_) != 0 || std::ferror(file_) != 0) return Failed(path_);
    if (file_ == stdout) return absl::OkStatus();
    std::FILE* const file = std::exchange(file_, nullptr);
    if (std::fclose(file) != 0 || std::rename(part_.c_str(), path_.c_str()) != 0) {
      const absl::Status failed = Failed(path_);
      std::remove(part_.c_str());
      return failed;
    }
    return absl::OkStatus();
  }

 private:
  static absl::Status Failed(std::string_view path) {
    return base::Unavailable("{}: {}", path, std::strerror(errno));
  }

  const std::string path_;
  const std::string part_;
  std::FILE* file_ = nullptr;
};

// Writes rows and keeps account of what was not there.
class Recording {
 public:
  Recording(const Plan& plan, Output& output) : plan_(plan), output_(output) {
    output_.Write(replicas() ? "time,rate,replicas\n" : "time,rate\n");
  }

  // Both of one piece, by ascending time.
  absl::Status Add(const Samples& loads, const Samples& counts) {
    auto count = counts.begin();
    for (const PrometheusRange::Sample& load : loads) {
      while (count != counts.end() && count->at < load.at) ++count;
      const bool has_count = count != counts.end() && count->at == load.at;
      NEAP_RETURN_IF_ERROR(AddRow(load, has_count ? std::optional(count->value) : std::nullopt));
    }
    return absl::OkStatus();
  }

  uint64_t rows() const { return rows_; }
  // "5760 rows from ... to ..., one every 15s; 3 gaps, the longest of 2m0s; 12 NaN left out"
  std::string Summary() const {
    std::string out =
        fmt::format("{} rows from {} to {}, one every {}", rows_, Stamp(first_, plan_.step),
                    Stamp(last_, plan_.step), base::FormatDuration(plan_.step));
    if (gaps_ > 0) {
      out += fmt::format("; {} gap{}, the longest of {}", gaps_, gaps_ == 1 ? "" : "s",
                         base::FormatDuration(longest_gap_));
    }
    if (left_out_ > 0) out += fmt::format("; {} without a finite value left out", left_out_);
    if (!replicas()) return out;
    if (counted_ == 0) return out + "; no replicas";
    return out + fmt::format("; {} to {} replicas", least_, most_);
  }
  uint64_t left_out() const { return left_out_; }

 private:
  bool replicas() const { return !plan_.replicas_query.empty(); }

  absl::Status AddRow(const PrometheusRange::Sample& load, std::optional<double> count) {
    if (!std::isfinite(load.value)) {
      ++left_out_;
      return absl::OkStatus();
    }
    if (load.value < 0 || load.value * 1000 > static_cast<double>(sim::kMaxRate)) {
      return base::InvalidArgument(
          "query {} gives {} at {}: a load lies between 0 and {} per second", plan_.query,
          load.value, Stamp(load.at, plan_.step), sim::kMaxRate / 1000);
    }
    if (rows_ == 0) first_ = load.at;
    if (rows_ > 0 && load.at - last_ > plan_.step) {
      ++gaps_;
      longest_gap_ = std::max(longest_gap_, load.at - last_);
    }
    last_ = load.at;
    ++rows_;
    std::string row = fmt::format("{},{}", Stamp(load.at, plan_.step), load.value);
    if (replicas()) row += ',';
    if (count && std::isfinite(*count)) {
      row += fmt::format("{}", *count);
      least_ = counted_ == 0 ? *count : std::min(least_, *count);
      most_ = counted_ == 0 ? *count : std::max(most_, *count);
      ++counted_;
    }
    output_.Write(row + "\n");
    return absl::OkStatus();
  }

  const Plan& plan_;
  Output& output_;
  uint64_t rows_ = 0;
  uint64_t gaps_ = 0;
  uint64_t left_out_ = 0;
  uint64_t counted_ = 0;  // rows with replicas
  double least_ = 0;
  double most_ = 0;
  absl::Duration longest_gap_;
  absl::Time first_;
  absl::Time last_;
};

// Asks piece by piece; a piece that is too much for the server is halved.
absl::Status ReadAll(PrometheusRange& prometheus, const Plan& plan, Recording& recording) {
  constexpr int64_t kLeastPoints = 16;
  int64_t points = PrometheusRange::kMostPoints;
  Progress progress("recording");
  for (absl::Time from = plan.from; from <= plan.to;) {
    const absl::Time to = std::min(plan.to, from + (points - 1) * plan.step);
    const auto read = [&](const std::string& query) {
      return query.empty() ? Samples() : prometheus.Read(query, from, to, plan.step);
    };
    absl::StatusOr<Samples> loads = read(plan.query);
    absl::StatusOr<Samples> counts = loads.ok() ? read(plan.replicas_query) : loads.status();
    if (counts.status().code() == absl::StatusCode::kResourceExhausted && points > kLeastPoints) {
      points /= 2;
      continue;
    }
    NEAP_RETURN_IF_ERROR(counts.status());
    NEAP_RETURN_IF_ERROR(recording.Add(*loads, *counts));
    from = to + plan.step;
    progress.Update(absl::FDivDuration(to - plan.from, plan.to - plan.from),
                    fmt::format("{} rows", recording.rows()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> RecordAll(const RecordOptions& options) {
  const base::Clock clock;
  NEAP_ASSIGN_OR_RETURN(const Plan plan, PlanOf(options, clock.Now()));
  NEAP_ASSIGN_OR_RETURN(PrometheusServer server, ServerOf(options));
  http::Client client({.user_agent = fmt::format("neapctl/{}", base::Version())});
  PrometheusRange prometheus(client, std::move(server));
  Output output(options.output);
  NEAP_RETURN_IF_ERROR(output.Open());
  Recording recording(plan, output);
  NEAP_RETURN_IF_ERROR(ReadAll(prometheus, plan, recording));
  for (const std::string& warning : prometheus.warnings())
    PrintError("the server warns: " + warning);
  if (recording.rows() == 0) {
    return base::OutOfRange("{}: query {} gives {} between {} and {}",
                            http::RedactedUrl(options.prometheus), plan.query,
                            recording.left_out() > 0 ? "no finite number" : "nothing",
                            base::FormatTime(plan.from), base::FormatTime(plan.to));
  }
  NEAP_RETURN_IF_ERROR(output.Close());
  return recording.Summary();
}

}  // namespace

int Record(const RecordOptions& options) {
  const absl::StatusOr<std::string> summary = RecordAll(options);
  if (!summary.ok()) {
    PrintError(base::Message(summary.status()));
    return summary.status().code() == absl::StatusCode::kOutOfRange ? kNo : kFailed;
  }
  fmt::print(stderr, "{}{}\n", options.output == "-" ? "" : options.output + ": ", *summary);
  return kOk;
}

}  // namespace neap::ctl
