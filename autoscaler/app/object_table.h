// ObjectTable: what app knows of each object beside what control keeps: where it came from, whether
// its scale may be written, what its decoder said of it. Filled by the sources before they hand the
// object on, asked by the routes. Thread-safe. Owned by Neapd.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "autoscaler/base/uid.h"
#include "autoscaler/control/messages.h"
#include "autoscaler/core/status.h"
#include "autoscaler/kube/objects/objects.h"

namespace neap::app {

class ObjectTable {
 public:
  struct Object {
    std::string source;                                     // "api", "dir:PATH"
    kube::objects::Mode mode = kube::objects::Mode::kLive;  // of the spec that is in force
    std::vector<core::Condition> own_conditions;            // as stored: DryRun, Accepted
    std::vector<std::string> errors;  // the object as it stands is refused; "path: message"
    std::vector<std::string> warnings;
  };

  // `dry_run`: the scale of no object may be written.
  explicit ObjectTable(bool dry_run) : dry_run_(dry_run) {}

  // An object that appeared or changed. True: its errors or warnings are others than before.
  bool Put(const std::string& uid, Object object) NEAP_EXCLUDES(mutex_);
  // Keeps the table in step with a message that a source is about to hand on: what it says is gone
  // goes. Objects that it brings must have been Put.
  void Apply(const std::string& source, const control::Message& message) NEAP_EXCLUDES(mutex_);

  // Whether the scale must not be written: by mode, by --dry-run, or because the object is not (or
  // no longer) known.
  bool Withheld(std::string_view uid) const NEAP_EXCLUDES(mutex_);
  // Whether the API server has the object, so that status and events can be written.
  bool InApi(std::string_view uid) const NEAP_EXCLUDES(mutex_);
  // Why its scale is not written although the object is Live: another controller writes it (see
  // rivals.h); "" when none does. True: it is news.
  bool SetRival(std::string_view uid, std::string why) NEAP_EXCLUDES(mutex_);
  // `status` with the conditions that Neap adds, DryRun and Accepted, as they stand now, and
  // AbleToScale False while there is a rival; their transition times are kept from call to call.
  // What core says of a withheld change (its own DryRun condition) becomes the words of ours.
  struct FullStatus {
    core::Status status;
    std::vector<core::Condition> own_conditions;
  };
  FullStatus Complete(std::string_view uid, core::Status status, absl::Time now)
      NEAP_EXCLUDES(mutex_);

  struct Problems {
    size_t errors = 0;
    size_t warnings = 0;
  };
  Problems ProblemsOf(std::string_view source) const NEAP_EXCLUDES(mutex_);
  size_t size() const NEAP_EXCLUDES(mutex_);

 private:
  // Since when a condition has the status that it has; its words are made anew each time.
  struct Since {
    absl::Time at = absl::InfinitePast();
    std::optional<core::ConditionStatus> status;  // nullopt: it was never said
  };
  struct Rival {
    std::string why;
    Since able;  // of AbleToScale
  };
  struct Said {
    std::vector<std::string> errors;
    std::vector<std::string> warnings;
    bool operator==(const Said&) const = default;
  };
  // Kept small: there is one of it per object.
  struct Entry {
    Since dry_run;
    Since accepted;
    std::unique_ptr<Rival> rival;      // null: there is none
    std::unique_ptr<const Said> said;  // null: neither errors nor warnings
    uint16_t source = 0;               // index of sources_
    kube::objects::Mode mode = kube::objects::Mode::kLive;
  };
  uint16_t SourceOf(std::string_view source) NEAP_REQUIRES(mutex_);
  core::Condition DryRunOf(const Entry& entry) const;
  static core::Condition AcceptedOf(const Entry& entry);
  static Since SinceOf(const std::vector<core::Condition>& stored, std::string_view type);
  static void Date(core::Condition& condition, Since& since, absl::Time now);

  const bool dry_run_;
  mutable base::Mutex mutex_;
  std::vector<std::string> sources_ NEAP_GUARDED_BY(mutex_);
  std::unordered_map<base::Uid, Entry> objects_ NEAP_GUARDED_BY(mutex_);
};

}  // namespace neap::app
