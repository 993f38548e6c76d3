// WatchSession: the state of one Watch stream: its set of triggers, and who gets which answer. No
// gRPC in here: service.cc hands in what was read from the wire and sends what comes to the outbox.
//
// Owned by the stream. OnSet, OnPoll and the destructor are called one at a time; answers come to
// the outbox from any thread, also later than the session lives.
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "scalers/sdk/outbox.h"
#include "scalers/sdk/reader.h"

namespace neap::sdk {

// A frame of TriggerSet.
struct SetFrame {
  uint64_t generation = 0;
  bool reset = false;
  std::vector<std::pair<std::string, TriggerRequest>> put = {};  // by id
  std::vector<std::string> remove = {};
  bool complete = false;
};

class WatchSession {
 public:
  // `triggers` and `reader` outlive the session.
  WatchSession(OpenedTriggers& triggers, Reader& reader, std::shared_ptr<Outbox> outbox);
  ~WatchSession();

  // Triggers are opened as their frames come; the change takes effect, and is acknowledged, with
  // its last frame. Errors end the stream: InvalidArgument for frames that break the contract,
  // ResourceExhausted for too many triggers.
  absl::Status OnSet(const SetFrame& frame);
  // Asks for readings of the set in effect; every id is answered once, those that are not in it by
  // kUnknownTrigger. None: all. An id that was asked for in this round before is not asked again.
  // InvalidArgument for round 0.
  absl::Status OnPoll(uint64_t round, const std::vector<std::string>& ids, absl::Duration deadline);

 private:
  class Listener;
  struct Member {
    std::shared_ptr<OpenedTrigger> opened;  // nullptr: refused
    Refusal refusal;
    std::unique_ptr<Listener> listener;
    uint64_t round = 0;  // last asked for
  };
  struct Change {
    uint64_t generation = 0;
    bool reset = false;
    std::map<std::string, Member> put;
    std::set<std::string> remove;
  };
  void Apply(Change change);
  void Drop(const std::string& id, Member& member);

  OpenedTriggers& triggers_;
  Reader& reader_;
  const std::shared_ptr<Outbox> outbox_;
  uint64_t generation_ = 0;  // in effect; 0 = none yet
  std::map<std::string, Member> members_;
  std::optional<Change> change_;  // coming in
};

}  // namespace neap::sdk
