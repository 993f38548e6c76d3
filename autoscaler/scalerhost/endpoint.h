// Endpoint: one scaler process and the triggers that it reads for us. It keeps a session (Describe,
// then a Watch stream, or Reads where there is none), carries sets and polls to it and judged
// answers back, and starts a new session with backoff when one ends.
//
// Owned by Host. Everything runs on the host's loop, but health (any thread) and Close.
//
//            Start                    Describe and Watch          Watch UNIMPLEMENTED
//   kConnecting ---------------------> kWatching ------------------------> kReading
//        |        first attempt failed     |  ended, silent                   | Read: Unavailable
//        v                                 v                                  |
//      kDown <--------------------------------------------------------------- +
//        +--- after the backoff: Describe and Watch ---> kWatching
#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <bitset>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/catalog/catalog.h"
#include "autoscaler/control/messages.h"
#include "autoscaler/scalerhost/check.h"
#include "autoscaler/scalerhost/connection.h"
#include "autoscaler/scalerhost/host.h"
#include "autoscaler/scalerhost/loop.h"
#include "autoscaler/scalerhost/trigger_table.h"

namespace neap::scalerhost {

inline constexpr size_t kMaxFrameBytes = 1 << 20;  // of a set, a poll or a Read's request
inline constexpr size_t kFieldOverhead = 8;        // tag and length of one entry of a frame
inline constexpr size_t kFrameBudget = kMaxFrameBytes - 64;  // for the entries
inline constexpr size_t kMaxTriggerBytes = kFrameBudget - kFieldOverhead;

// What an endpoint borrows from its host; outlives it.
struct EndpointContext {
  Loop& loop;
  const base::Clock& clock;
  const HostOptions& options;
  std::mt19937_64& random;
  const control::Sink& sink;
  std::function<void(std::string_view what, const absl::Status& error)> report;
  // types() has changed, or the first attempt to connect is decided.
  std::function<void()> changed;
};

class Endpoint {
 public:
  Endpoint(std::string address, std::unique_ptr<Connection> connection,
           const EndpointContext& context);

  void Start();
  // Ends all calls and waits for their callbacks. After the loop has stopped, on any thread.
  void Close() { connection_->Close(); }

  // Ids in `put` that are known are replaced.
  void Change(const std::vector<SharedSubscription>& put, const std::vector<std::string>& remove);
  // Ends the polls of these triggers, which go to another endpoint: each is answered.
  void GiveUp(const std::vector<std::string>& ids);
  // Ids must be known here. Answers all by `deadline` from now.
  void Poll(uint64_t round, std::vector<std::string> ids, absl::Duration deadline);

  const std::string& address() const { return address_; }
  bool described() const { return described_; }                    // has answered at least once
  bool undecided() const { return state_ == State::kConnecting; }  // the first attempt is under way
  const std::vector<catalog::TriggerType>& types() const { return types_; }
  void SetRoutedTypes(std::vector<std::string> types);  // for health
  EndpointHealth health() const NEAP_EXCLUDES(mutex_);

 private:
  enum class State : uint8_t { kConnecting, kWatching, kReading, kDown };

  struct Trigger {
    SharedSubscription subscription;
    std::shared_ptr<const OpenedTrigger> opened;  // what control was told; null: nothing yet
    uint64_t generation = 0;                      // of the set that carried it in this session
    uint64_t asked_generation = 0;                // `generation` when the poll on its way was sent
    uint64_t round = 0;                           // that waits for an answer; 0: none
    uint64_t answered_round = 0;                  // the last that the scaler itself answered
    bool acknowledged = false;  // in this session; `opened` is then the scaler's word
  };
  struct Round {  // a Poll on its way
    uint64_t round = 0;
    std::vector<std::string> ids;
    absl::Duration deadline = absl::ZeroDuration();  // Clock::Elapsed, for the host's own answer
  };
  struct SentSet {  // not acknowledged yet
    uint64_t generation = 0;
    absl::Duration sent_at = absl::ZeroDuration();
    std::vector<std::string> ids;
  };

  // Sessions. Each callback carries the number of its session; those of former ones are ignored.
  void Connect();
  void OnDescribed(absl::StatusOr<pb::DescribeResponse> answer);
  bool TakeTypes(const pb::DescribeResponse& answer);  // whether they have changed
  void OpenWatch();
  void OnFrame(const pb::WatchResponse& frame, absl::Time received);
  void OnStreamEnd(const absl::Status& status);
  void StartReading();
  void EndSession(const absl::Status& why);
  void ScheduleConnect(absl::Duration longest);
  void Watchdog();

  // Sets.
  void SendSet(const std::vector<std::string>& put, const std::vector<std::string>& remove,
               bool whole);
  void OnSetStatus(const pb::SetStatus& status);
  void Acknowledge(Trigger& trigger, const pb::TriggerStatus& status);
  void RefuseUnacknowledged(const SentSet& set);
  void AnnounceUnavailable(Trigger& trigger);

  // Polls.
  void SendPoll(const Round& round);
  void SendReads(const Round& round);
  void StartQueuedReads();
  void OnRead(const Round& batch, absl::StatusOr<pb::ReadResponse> answer, absl::Time received);
  void TakeAnswer(const Round& batch, const pb::ReadResponse& answer, absl::Time received);
  void OnReading(const pb::Reading& reading, absl::Time received);
  control::TriggerReading Judge(const pb::Reading& reading, const Trigger& trigger,
                                absl::Time received);
  std::vector<std::string> Unanswered(const Round& round);
  void OnDeadline(uint64_t key);
  void Answer(Trigger& trigger, control::TriggerReading reading);
  void Fail(Trigger& trigger, core::ReadingError error);
  size_t FailRound(const Round& round, const core::ReadingError& error);  // how many
  void FailRounds(const core::ReadingError& error);

  void Announce(Trigger& trigger, control::TriggerOpened opened);
  // The one of that value which triggers share.
  std::shared_ptr<const OpenedTrigger> Share(OpenedTrigger opened);
  void Deliver(control::TriggerReading reading);
  void Count(Violation violation);
  void ReportNewViolations();
  void Publish() NEAP_EXCLUDES(mutex_);
  absl::Duration Left(const Round& round) const;

  const std::string address_;
  const std::unique_ptr<Connection> connection_;
  const EndpointContext context_;

  State state_ = State::kConnecting;
  uint64_t session_ = 0;
  std::shared_ptr<Stream> stream_;  // of kWatching
  absl::Duration session_began_ = absl::ZeroDuration();
  bool heard_ = false;  // a frame came in this session
  uint64_t acknowledged_generation_ = 0;
  core::ReadingError down_error_;                   // of kDown
  int attempts_ = 0;                                // since the last session that lasted
  std::optional<absl::Duration> unanswered_since_;  // a poll was sent then, and nothing came after

  TriggerTable<Trigger> triggers_;
  // Most triggers of a fleet are alike in this. Those that nobody shares any more are dropped when
  // there are `sweep_opened_at_`.
  std::unordered_set<std::shared_ptr<const OpenedTrigger>, OpenedTrigger::ByValue,
                     OpenedTrigger::ByValue>
      opened_;
  size_t sweep_opened_at_ = 64;
  uint64_t generation_ = 0;  // of the last set sent, over all sessions
  std::deque<SentSet> sent_sets_;

  std::map<uint64_t, Round> rounds_;  // by a key of our own: rounds may share their number
  uint64_t last_round_key_ = 0;
  std::deque<Round> queued_reads_;
  int reads_under_way_ = 0;

  bool described_ = false;
  uint32_t max_triggers_per_read_ = 0;
  std::vector<catalog::TriggerType> types_;
  std::string types_bytes_;            // what types_ was parsed from
  EndpointHealth now_;                 // published_ after each task
  Violations violations_before_ = {};  // at the session's begin
  std::bitset<kViolations> reported_;  // in this session, to `report`

  mutable base::Mutex mutex_;
  EndpointHealth published_ NEAP_GUARDED_BY(mutex_);
};

}  // namespace neap::scalerhost
