#include "autoscaler/app/rivals.h"

#include <fmt/format.h>

#include <chrono>

namespace neap::app {

void Rivals::Enter(kube::HpaTarget hpa) {
  Drop(hpa.key);
  targets_[hpa.key] = hpa.target;
  hpas_[std::move(hpa.target)][std::move(hpa.key)] = std::move(hpa.owner);
}

void Rivals::Drop(const core::ObjectKey& key) {
  const auto at = targets_.find(key);
  if (at == targets_.end()) return;
  const auto hpas = hpas_.find(at->second);
  hpas->second.erase(key);
  if (hpas->second.empty()) hpas_.erase(hpas);
  targets_.erase(at);
}

void Rivals::Replace(std::vector<kube::HpaTarget> all) {
  base::MutexLock lock(mutex_);
  targets_.clear();
  hpas_.clear();
  for (kube::HpaTarget& hpa : all) Enter(std::move(hpa));
  known_ = true;
  changed_.NotifyAll();
}

void Rivals::Put(kube::HpaTarget hpa) {
  base::MutexLock lock(mutex_);
  Enter(std::move(hpa));
}

void Rivals::Remove(const core::ObjectKey& key) {
  base::MutexLock lock(mutex_);
  Drop(key);
}

void Rivals::SetUnreadable() {
  base::MutexLock lock(mutex_);
  known_ = true;
  changed_.NotifyAll();
}

std::string Rivals::Refusal(const control::TargetRef& target) const {
  base::MutexLock lock(mutex_);
  if (!known_) return "HorizontalPodAutoscalers are not listed yet: one may scale the target";
  const auto hpas = hpas_.find(target);
  if (hpas == hpas_.end()) return "";
  const auto& [key, owner] = *hpas->second.begin();
  return fmt::format(
      "HorizontalPodAutoscaler {}{} scales {} too: Neap does not write until it is gone or has "
      "another target",
      key.name, owner.empty() ? "" : fmt::format(" (of {})", owner),
      fmt::format("{} {}", target.kind, target.name));
}

void Rivals::Await(absl::Duration patience) const {
  const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(patience);
  base::MutexLock lock(mutex_);
  while (!known_) {
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= std::chrono::nanoseconds(0)) return;
    changed_.WaitFor(mutex_, left);
  }
}

}  // namespace neap::app
