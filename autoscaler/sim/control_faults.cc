#include "autoscaler/sim/control_faults.h"

#include <absl/time/time.h>

#include <algorithm>

namespace neap::sim {

ControlFaults::ControlFaults(const std::vector<ControlFault>& faults, uint64_t seed)
    : random_(seed) {
  for (const ControlFault& fault : faults) {
    faults_.push_back({.spec = &fault,
                       .begin = absl::ToInt64Nanoseconds(fault.at),
                       .end = absl::ToInt64Nanoseconds(fault.at + fault.lasts)});
  }
}

bool ControlFaults::IsOn(const Fault& fault, ControlFault::What what, int64_t now,
                         const std::vector<std::string>* metrics) {
  if (fault.spec->what != what || now < fault.begin || now >= fault.end) return false;
  return metrics == nullptr || fault.spec->metric.empty() ||
         std::find(metrics->begin(), metrics->end(), fault.spec->metric) != metrics->end();
}

bool ControlFaults::On(ControlFault::What what, int64_t now,
                       const std::vector<std::string>* metrics) const {
  return std::any_of(faults_.begin(), faults_.end(),
                     [&](const Fault& fault) { return IsOn(fault, what, now, metrics); });
}

const ControlFault* ControlFaults::Strikes(ControlFault::What what, int64_t now,
                                           const std::vector<std::string>* metrics) {
  for (const Fault& fault : faults_) {
    if (!IsOn(fault, what, now, metrics)) continue;
    const int permille = fault.spec->permille;
    if (permille >= 1000 || static_cast<int>(random_.Below(1000)) < permille) return fault.spec;
  }
  return nullptr;
}

}  // namespace neap::sim
