// ScaleTable: the scales that control was told of, by target, and which Autoscalers ask for them.
// An answer to our own write is newer than watch events with an older resourceVersion; those are
// ignored. Owned by Controller; one thread only.
#pragma once

#include <absl/time/time.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/control/messages.h"

namespace neap::control {

struct Target;

class ScaleTable {
 public:
  struct Entry {
    const TargetRef* ref = nullptr;  // whose this is
    bool known = false;              // a value, an error, or gone by a complete list
    std::optional<core::Scale> scale;
    base::Boxed<core::ReadingError> error;    // set exactly when known and there is no scale
    base::Boxed<std::string> selector_error;  // why scale->selector can't be parsed
    base::Text written_version;    // resourceVersion of the reply to our last write; "" for none
    std::vector<Target*> targets;  // Autoscalers with this target, by uid
    int asking = 0;                // of these, whose scale is to be watched
  };

  // What a message changed, as far as decisions care.
  enum class Effect : uint8_t {
    kNone,
    kIgnored,   // older than our own write
    kQuiet,     // status or version: nothing to decide at once
    kReplicas,  // spec replicas, the object itself, or whether it can be read
  };

  // The entry of `target`, made when new. Stays at its address as long as
  // an Autoscaler has it.
  Entry& Use(const TargetRef& target);
  Entry* Find(const TargetRef& target);
  // After the last target left: the entry stays while its kind is in use.
  Effect Change(const ScaleChange& change);
  // What a complete list of group and kind leaves out is gone. Returns targets whose scale changed
  // in a way that matters.
  std::vector<TargetRef> Replace(const ScalesReplaced& list, uint64_t* ignored);
  // The reply to an applied write, or (without one) that `replicas` were written.
  void Written(const TargetRef& target, const std::optional<core::Scale>& reply, int32_t replicas);
  // Forgets the scales of all kinds but the listed ("group/kind", sorted).
  void KeepKinds(const std::vector<std::string>& kinds);
  // As if nothing had been told of it.
  static void Forget(Entry& entry);
  // Every target that someone asks for, sorted.
  std::vector<TargetRef> Wanted() const;

  // -1, 0, 1 for decimal versions of any length; nullopt when one is no decimal number.
  static std::optional<int> CompareVersions(std::string_view a, std::string_view b);
  static std::string KindScope(const TargetRef& target) {
    return fmt::format("{}/{}", target.group, target.kind);
  }

 private:
  static Effect Put(Entry& entry, const std::optional<core::Scale>& scale,
                    const std::optional<core::ReadingError>& error, const TargetRef& target);
  std::map<TargetRef, Entry> entries_;
};

}  // namespace neap::control
