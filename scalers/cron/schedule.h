// Schedule: a five-field cron expression (minute hour day-of-month month day-of-week) and when it
// next occurs, in a time zone. Used by the cron scaler alone. The grammar, the rule that joins the
// two day fields and what happens in the gaps and folds of daylight saving are those of the Go
// library robfig/cron v3, because KEDA's users rely on them.
//
//   NEAP_ASSIGN_OR_RETURN(Schedule start, Schedule::Parse("30 8 * JAN-MAR MON-FRI"));
//   std::optional<absl::Time> next = start.Next(now, zone);
//
// Immutable; thread-safe.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace neap::scalers::cron {

class Schedule {
 public:
  // Fields hold "*", "?", numbers, ranges "a-b", steps "/n" and lists ","; months and days of the
  // week also as JAN..DEC and SUN..SAT; day of week 0 is Sunday and 7 is refused. A prefix
  // "CRON_TZ=<zone> " or "TZ=<zone> " replaces the zone given to Next. Seconds and "@daily" forms
  // are refused. Errors: InvalidArgument that says what is wrong with which part.
  static absl::StatusOr<Schedule> Parse(std::string_view text);

  // The first occurrence after `now`, at a whole second. Nothing when there is none within the
  // five calendar years after `now` (31 February).
  std::optional<absl::Time> Next(absl::Time now, absl::TimeZone zone) const;

 private:
  // Bit n is set when the value n is in the field; the top bit says that it was "*" or "?" without
  // a step above one.
  uint64_t minute_ = 0;
  uint64_t hour_ = 0;
  uint64_t day_ = 0;
  uint64_t month_ = 0;
  uint64_t weekday_ = 0;
  std::optional<absl::TimeZone> own_zone_;
};

// The zone of an IANA name ("Europe/Berlin"), "UTC" or "Local" (the machine's). Errors: NotFound
// naming it; paths are refused, so that a name never opens a file outside the zone database.
absl::StatusOr<absl::TimeZone> LoadZone(std::string_view name);

}  // namespace neap::scalers::cron
