// Rivals: who else scales a target. Neap writes no scale that a HorizontalPodAutoscaler writes too:
// two controllers that pull at one count do harm whatever each of them decides. Filled by the view
// of HPAs (kube/hpa_view.h), asked before each write. Thread-safe. Owned by Neapd.
//
// Until the HPAs were listed once nothing is known, and nothing may be written. When they can't be
// read (no right to, no such API) the user has said so by the account's rights: everything may.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "autoscaler/control/messages.h"
#include "autoscaler/core/spec.h"
#include "autoscaler/kube/hpa_view.h"

namespace neap::app {

class Rivals {
 public:
  // `watched` false: nobody fills it, nothing is refused.
  explicit Rivals(bool watched) : known_(!watched) {}

  void Replace(std::vector<kube::HpaTarget> all) NEAP_EXCLUDES(mutex_);
  void Put(kube::HpaTarget hpa) NEAP_EXCLUDES(mutex_);
  void Remove(const core::ObjectKey& key) NEAP_EXCLUDES(mutex_);
  void SetUnreadable() NEAP_EXCLUDES(mutex_);

  // Why the target must not be written, in words; "" when it may.
  std::string Refusal(const control::TargetRef& target) const NEAP_EXCLUDES(mutex_);
  // Waits until it is known who scales what, at most so long.
  void Await(absl::Duration patience) const NEAP_EXCLUDES(mutex_);

 private:
  mutable base::Mutex mutex_;
  mutable base::CondVar changed_;
  bool known_ NEAP_GUARDED_BY(mutex_);
  std::map<core::ObjectKey, control::TargetRef> targets_ NEAP_GUARDED_BY(mutex_);  // by HPA
  std::map<control::TargetRef, std::map<core::ObjectKey, std::string>> hpas_
      NEAP_GUARDED_BY(mutex_);  // by target: HPAs and their owners

  void Enter(kube::HpaTarget hpa) NEAP_REQUIRES(mutex_);
  void Drop(const core::ObjectKey& key) NEAP_REQUIRES(mutex_);
};

}  // namespace neap::app
