// ObjectMetrics: the per-object series of /metrics as text, written from the controller's tables at
// scrape and kept nowhere. One family at a time, at most kChunk objects per call: what
// Scrapes::Serve calls between two steps. Borrows the controller; on the controller's thread alone.
#pragma once

#include <absl/time/time.h>

#include <functional>
#include <string>
#include <string_view>

#include "autoscaler/control/controller.h"

namespace neap::telemetry {

class ObjectMetrics {
 public:
  static constexpr int kChunk = 1000;  // objects per call

  // `withheld` says whether writes of the object with that uid are withheld.
  ObjectMetrics(const control::Controller& controller,
                std::function<bool(std::string_view uid)> withheld)
      : controller_(controller), withheld_(std::move(withheld)) {}

  static int Families();
  // Appends the next objects of `family` with uids above *after and moves *after; false when the
  // family is complete. HELP and TYPE come first, when *after is "". `now` is for ages.
  bool Write(int family, absl::Time now, std::string* after, std::string* out) const;

 private:
  const control::Controller& controller_;
  const std::function<bool(std::string_view uid)> withheld_;
};

}  // namespace neap::telemetry
