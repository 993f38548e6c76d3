#include "scalers/cron/cron_scaler.h"

#include <string>
#include <utility>

#include "autoscaler/base/status.h"
#include "scalers/cron/schedule.h"

extern const char neap_manifest_cron[];

namespace neap::scalers::cron {
namespace {

// A schedule as a part of a metric's name.
std::string NamePart(const std::string& schedule) {
  std::string out;
  for (char c : schedule) {
    switch (c) {
      case ' ':
        break;
      case '*':
        out += 'x';
        break;
      case '/':
        out += "Sl";
        break;
      case '?':
        out += "Qm";
        break;
      case ',':
        out += "Cm";
        break;
      default:
        out += c;
    }
  }
  return out;
}

class CronTrigger : public sdk::Trigger {
 public:
  static absl::StatusOr<std::unique_ptr<sdk::Trigger>> Open(const sdk::Parameters& parameters) {
    auto out = std::unique_ptr<CronTrigger>(new CronTrigger);
    const std::string start = parameters.Text("start");
    const std::string end = parameters.Text("end");
    if (start == end) return sdk::BadParameter("end", "is the same as start");
    out->zone_ = parameters.Text("timezone");
    out->replicas_ = parameters.Int("desiredReplicas");
    if (out->replicas_ == 0) return sdk::BadParameter("desiredReplicas", "must not be 0");
    for (auto [name, text, schedule] :
         {std::tuple("start", &start, &out->start_), std::tuple("end", &end, &out->end_)}) {
      absl::StatusOr<Schedule> parsed = Schedule::Parse(*text);
      if (!parsed.ok()) return sdk::BadParameter(name, "{}", base::Message(parsed.status()));
      *schedule = *std::move(parsed);
    }
    NEAP_ASSIGN_OR_RETURN(const sdk::Target target, sdk::ExternalTarget(parameters, 1000));
    out->metric_ = {.name = sdk::NormalizeName(
                        fmt::format("cron-{}-{}-{}", out->zone_, NamePart(start), NamePart(end))),
                    .target = target};
    return out;
  }

  std::vector<sdk::MetricSpec> metrics() const override { return {metric_}; }
  std::string source_key() const override { return "cron"; }  // there is nothing to wait for

  sdk::Reading Read(absl::Time now) const {
    const absl::StatusOr<absl::TimeZone> zone = LoadZone(zone_);
    if (!zone.ok()) return Fault("timezone: {}", base::Message(zone.status()));
    const std::optional<absl::Time> next_start = start_.Next(now, *zone);
    if (!next_start) return Fault("start: no such time in the next five years");
    const std::optional<absl::Time> next_end = end_.Next(now, *zone);
    if (!next_end) return Fault("end: no such time in the next five years");
    // Whichever comes next tells where we are: an end means that a start lies behind.
    const bool inside = *next_end <= *next_start;
    sdk::Reading out =
        sdk::Reading::Of(metric_.name, inside ? static_cast<double>(replicas_) : 0, 0);
    out.metrics[0].active = inside;
    out.metrics[0].sampled_at = now;
    return out;
  }

 private:
  CronTrigger() = default;

  template <typename... Args>
  static sdk::Reading Fault(fmt::format_string<Args...> format, Args&&... args) {
    return sdk::Reading::Failed({.kind = sdk::ErrorKind::kBadParameter,
                                 .message = fmt::format(format, std::forward<Args>(args)...)});
  }

  Schedule start_;
  Schedule end_;
  std::string zone_;
  int64_t replicas_ = 0;
  sdk::MetricSpec metric_;
};

// Stateless; thread-safe.
class CronScaler : public sdk::Scaler {
 public:
  std::string_view manifest() const override { return neap_manifest_cron; }

  absl::StatusOr<std::unique_ptr<sdk::Trigger>> Open(const sdk::Parameters& parameters) override {
    return CronTrigger::Open(parameters);
  }

  std::vector<sdk::Reading> Read(std::span<const sdk::Trigger* const> triggers,
                                 sdk::ReadContext& context) override {
    std::vector<sdk::Reading> out;
    out.reserve(triggers.size());
    const absl::Time now = context.now();
    for (const sdk::Trigger* trigger : triggers) {
      out.push_back(static_cast<const CronTrigger*>(trigger)->Read(now));
    }
    return out;
  }
};

}  // namespace

std::vector<std::unique_ptr<sdk::Scaler>> Make() {
  std::vector<std::unique_ptr<sdk::Scaler>> out;
  out.push_back(std::make_unique<CronScaler>());
  return out;
}

}  // namespace neap::scalers::cron
