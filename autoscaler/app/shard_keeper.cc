#include "autoscaler/app/shard_keeper.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/control/shard.h"
#include "autoscaler/record/codec.h"
#include "autoscaler/telemetry/logging.h"

namespace neap::app {
namespace {

// A shard that is left is given back though its histories could not be saved, after so many
// attempts: its targets would be decided by nobody. Who takes it over goes on from an older record.
constexpr int kLastSaves = 3;

constexpr uint64_t kOutdated = 0;  // as a hash: of no record

uint64_t HashOf(std::string_view bytes) { return std::hash<std::string_view>{}(bytes); }

}  // namespace

ShardKeeper::ShardKeeper(const kube::Context& context, ShardKeeperOptions options,
                         const base::Clock& clock, control::Sink sink,
                         std::function<void(int shard)> held)
    : context_(context),
      options_(std::move(options)),
      clock_(clock),
      sink_(std::move(sink)),
      held_(std::move(held)),
      alive_(std::make_shared<bool>(true)),
      shards_(static_cast<size_t>(options_.leases.shards)) {
  if (options_.store) store_ = std::make_unique<kube::HistoryStore>(context_, *options_.store);
}

ShardKeeper::~ShardKeeper() {
  leases_.reset();
  store_.reset();
  context_.client->http().RunAndWait([this] { *alive_ = false; });
}

void ShardKeeper::Start() {
  kube::ShardCallbacks callbacks;
  callbacks.acquired = [this](const kube::ShardAcquired& acquired) { Acquired(acquired); };
  callbacks.leave = [this](int shard) { Leave(shard); };
  callbacks.lost = [this](int shard, const absl::Status& why) { Lost(shard, why); };
  base::MutexLock lock(mutex_);  // callbacks wait until leases_ is set
  leases_ = std::make_unique<kube::ShardLeases>(context_, options_.leases, std::move(callbacks));
  started_ = true;
}

void ShardKeeper::Stop(absl::Duration limit) {
  const absl::Duration until = clock_.Elapsed() + limit;
  {
    base::MutexLock lock(mutex_);
    if (!started_ || std::exchange(resigning_, true)) return;
  }
  leases_->Resign([this] {
    base::MutexLock lock(mutex_);
    resigned_ = true;
    changed_.NotifyAll();
  });
  base::MutexLock lock(mutex_);
  while (!resigned_) {
    const absl::Duration left = until - clock_.Elapsed();
    if (left <= absl::ZeroDuration()) {
      telemetry::LogWarning("not every shard could be given back in time: their leases run out");
      return;
    }
    changed_.WaitFor(mutex_, absl::ToChronoNanoseconds(left));
  }
}

int ShardKeeper::ShardOf(std::string_view uid) const { return control::ShardOf(uid, shards()); }

bool ShardKeeper::MayWrite(std::string_view uid) const {
  return leases_ != nullptr && leases_->MayWrite(ShardOf(uid));
}

void ShardKeeper::Report(std::string_view what, const absl::Status& status) const {
  context_.Report(what, status);
}

absl::Duration ShardKeeper::RetryAfter(int failures) const {
  absl::Duration delay = options_.retry_min;
  for (int i = 1; i < failures && delay < options_.retry_max; ++i) delay *= 2;
  return std::min(delay, options_.retry_max);
}

// ---- the http::Client's thread: leases and histories come and go ----

void ShardKeeper::Drop(Shard& shard) {
  const uint64_t term = shard.term;
  shard = Shard();
  shard.term = term + 1;
}

void ShardKeeper::Acquired(const kube::ShardAcquired& acquired) {
  uint64_t term = 0;
  {
    base::MutexLock lock(mutex_);
    Shard& shard = At(acquired.shard);
    Drop(shard);
    shard.state = State::kLoading;
    shard.epoch = acquired.epoch;
    shard.since = clock_.Elapsed();
    // Who was not heard of any more may have gone on until its own deadline.
    shard.unknown_until = acquired.former_renewal;
    shard.clean = acquired.clean;
    if (!acquired.clean) shard.unknown_until += options_.leases.renew_deadline;
    term = shard.term;
  }
  if (store_ == nullptr) return Hand(acquired.shard, term, {});
  Load(acquired.shard, term);
}

void ShardKeeper::Leave(int number) {
  {
    base::MutexLock lock(mutex_);
    Shard& shard = At(number);
    if (shard.state == State::kHeld) {
      shard.state = State::kLeaving;
    } else {
      Drop(shard);  // the controller was not given it
    }
    if (shard.state != State::kLeaving) number = -number - 1;
  }
  if (number >= 0) return sink_(control::ShardLeaving{.shard = number});
  number = -number - 1;
  if (store_ != nullptr) store_->Forget(number);
  leases_->Release(number);
}

void ShardKeeper::Lost(int number, const absl::Status& why) {
  bool told = false;
  {
    base::MutexLock lock(mutex_);
    Shard& shard = At(number);
    told = shard.state == State::kHeld || shard.state == State::kLeaving;
    Drop(shard);
  }
  if (store_ != nullptr) store_->Forget(number);
  Report(fmt::format("the lease of shard {}", number), why);
  if (told) sink_(control::ShardLost{.shard = number});
}

void ShardKeeper::Load(int number, uint64_t term) {
  int64_t epoch = 0;
  {
    base::MutexLock lock(mutex_);
    if (At(number).term != term) return;
    epoch = At(number).epoch;
  }
  store_->Load(number, epoch, [this, number, term](absl::StatusOr<kube::LoadedHistories> loaded) {
    Loaded(number, term, std::move(loaded));
  });
}

void ShardKeeper::Loaded(int number, uint64_t term, absl::StatusOr<kube::LoadedHistories> loaded) {
  const std::string what = fmt::format("the histories of shard {}", number);
  if (!loaded.ok()) {
    bool give_up = false;
    absl::Duration wait;
    {
      base::MutexLock lock(mutex_);
      Shard& shard = At(number);
      if (shard.term != term) return;
      ++counts_.failed_loads;
      wait = RetryAfter(++shard.failures);
      if (shard.state == State::kLoading) {
        const absl::Duration left = shard.since + options_.load_patience - clock_.Elapsed();
        give_up = left <= absl::ZeroDuration();
        if (!give_up) wait = std::min(wait, left);
        if (give_up) ++counts_.unread;
      }
    }
    Report(what, loaded.status());
    if (give_up) {
      telemetry::LogWarning(
          fmt::format("{}: not read within {}: its targets begin as new ones, and scale down only "
                      "when a whole window has passed",
                      what, base::FormatDuration(options_.load_patience)));
      Hand(number, term, {});
    }
    // Also then: what is not loaded can't be saved.
    context_.client->http().After(wait, [this, alive = alive_, number, term] {
      if (*alive) Load(number, term);
    });
    return;
  }
  for (const absl::Status& unreadable : loaded->unreadable) Report(what, unreadable);
  std::map<std::string, control::KeptHistory> histories;
  std::map<std::string, uint64_t, std::less<>> saved;
  for (const auto& [uid, bytes] : loaded->histories) {
    absl::StatusOr<control::KeptHistory> kept = record::DecodedHistory(bytes);
    saved.emplace(uid, HashOf(bytes));
    if (kept.ok()) {
      histories.emplace(uid, *std::move(kept));
    } else {
      Report(what, base::DataLoss("the history of {}: {}", uid, base::Message(kept.status())));
    }
  }
  bool hand = false;
  {
    base::MutexLock lock(mutex_);
    Shard& shard = At(number);
    if (shard.term != term) return;
    ++counts_.loads;
    shard.loaded = true;
    shard.failures = 0;
    shard.saved = std::move(saved);
    if (!shard.clean) {
      for (auto& [uid, hash] : shard.saved) hash = kOutdated;
    }
    hand = shard.state == State::kLoading;
    if (!hand) shard.due_all = clock_.Elapsed();  // what was decided without it replaces it
  }
  Report(what, absl::OkStatus());
  if (hand) Hand(number, term, std::move(histories));
}

void ShardKeeper::Hand(int number, uint64_t term,
                       std::map<std::string, control::KeptHistory> histories) {
  control::ShardHeld held{.shard = number, .histories = std::move(histories), .former_until = {}};
  {
    base::MutexLock lock(mutex_);
    Shard& shard = At(number);
    if (shard.term != term) return;
    shard.state = State::kHeld;
    held.former_until = shard.unknown_until;
  }
  sink_(std::move(held));
  if (held_) held_(number);
}

void ShardKeeper::Saved(int number, uint64_t term, bool last, const absl::Status& status) {
  bool give_back = false;
  {
    base::MutexLock lock(mutex_);
    Shard& shard = At(number);
    if (shard.term != term) return;
    shard.saving = false;
    if (status.ok()) {
      ++counts_.saves;
      shard.failures = 0;
      give_back = last;
    } else {
      ++counts_.failed_saves;
      shard.due_all = std::min(shard.due_all, clock_.Elapsed() + RetryAfter(++shard.failures));
      give_back = last && (shard.failures >= kLastSaves || absl::IsFailedPrecondition(status));
    }
  }
  Report(fmt::format("the histories of shard {}", number), status);
  if (give_back) GiveBack(number, term);
}

void ShardKeeper::GiveBack(int number, uint64_t term) {
  {
    base::MutexLock lock(mutex_);
    Shard& shard = At(number);
    if (shard.term != term) return;
    Drop(shard);
  }
  if (store_ != nullptr) store_->Forget(number);
  leases_->Release(number);
}

// ---- the controller's thread ----

void ShardKeeper::OnOutcome(const control::OutcomeRecord& record) {
  const absl::Duration now = clock_.Elapsed();
  base::MutexLock lock(mutex_);
  Shard& shard = At(ShardOf(record.uid));
  shard.due_all = std::min(shard.due_all, now + options_.save_every);
  // Of a target that has no record yet nothing would be gone on from: the first one is not late.
  // Nor is it after a loss: what was entered for the time that nobody knows of would begin anew
  // with each further one.
  const auto saved = shard.saved.find(record.uid);
  const bool first = shard.loaded && (saved == shard.saved.end() || saved->second == kOutdated);
  if (!first && record.result.kind != core::ApplyResult::Kind::kApplied) return;
  shard.due_soon = std::min(shard.due_soon, now + options_.save_soon);
  shard.soon.insert(record.uid);
}

void ShardKeeper::OnQuiet(int number) {
  base::MutexLock lock(mutex_);
  Shard& shard = At(number);
  if (shard.state != State::kLeaving) return;  // lost meanwhile
  shard.quiet = true;
  shard.due_all = absl::ZeroDuration();  // in the past
}

void ShardKeeper::AfterStep(const control::Controller& controller) {
  for (int number = 0; number < shards(); ++number) SaveDue(controller, number);
}

void ShardKeeper::SaveDue(const control::Controller& controller, int number) {
  const absl::Duration now = clock_.Elapsed();
  uint64_t term = 0;
  bool all = false;
  bool last = false;
  std::set<std::string, std::less<>> soon;
  {
    base::MutexLock lock(mutex_);
    Shard& shard = At(number);
    const bool ours = shard.state == State::kHeld || shard.quiet;
    all = shard.due_all <= now;
    if (!ours || shard.saving || (!all && shard.due_soon > now)) return;
    term = shard.term;
    last = shard.quiet;
    if (shard.loaded) {
      soon.swap(shard.soon);
      shard.due_soon = absl::InfiniteDuration();
      if (all) shard.due_all = absl::InfiniteDuration();
    } else if (!last) {
      return;  // not yet; with --keep-history=false never
    }
  }
  if (store_ == nullptr) return GiveBack(number, term);
  kube::Histories found;
  if (all) {
    controller.VisitHistories(number, [&](std::string_view uid, const control::KeptHistory& kept) {
      found.emplace(std::string(uid), record::Encoded(kept));
    });
  } else {
    for (const std::string& uid : soon) {
      if (const auto kept = controller.HistoryOf(uid)) found.emplace(uid, record::Encoded(*kept));
    }
  }
  std::vector<std::string> removed;
  bool nothing = false;
  {
    base::MutexLock lock(mutex_);
    Shard& shard = At(number);
    if (shard.term != term) return;
    if (!shard.loaded) {  // it could not be read, so it can't be written
      nothing = true;
    } else {
      if (all) {
        for (auto at = shard.saved.begin(); at != shard.saved.end();) {
          if (found.contains(at->first)) {
            ++at;
            continue;
          }
          removed.push_back(at->first);
          at = shard.saved.erase(at);
        }
      }
      std::erase_if(found, [&](const auto& entry) {
        const uint64_t hash = HashOf(entry.second);
        const auto [at, is_new] = shard.saved.try_emplace(entry.first, hash);
        return !is_new && std::exchange(at->second, hash) == hash;
      });
      // After a failure the store still has what it was given then.
      nothing = found.empty() && removed.empty() && shard.failures == 0;
      shard.saving = !nothing;
    }
  }
  if (nothing) {
    if (last) GiveBack(number, term);
    return;
  }
  store_->Save(number, std::move(found), std::move(removed),
               [this, number, term, last](const absl::Status& status) {
                 Saved(number, term, last, status);
               });
}

// ---- for people ----

std::string ShardKeeper::Unready() const {
  if (lease_counts().members == 0) return "the leases of the shards are not listed yet";
  std::vector<int> loading;
  base::MutexLock lock(mutex_);
  for (size_t i = 0; i < shards_.size(); ++i) {
    if (shards_[i].state == State::kLoading) loading.push_back(static_cast<int>(i));
  }
  if (loading.empty()) return "";
  return fmt::format("the histories of these shards are not read yet: {}",
                     fmt::join(loading, ", "));
}

kube::ShardLeaseCounts ShardKeeper::lease_counts() const {
  return leases_ == nullptr ? kube::ShardLeaseCounts() : leases_->counts();
}

ShardKeeper::Counts ShardKeeper::counts() const {
  base::MutexLock lock(mutex_);
  Counts counts = counts_;
  counts.held =
      static_cast<int>(std::count_if(shards_.begin(), shards_.end(), [](const Shard& shard) {
        return shard.state == State::kHeld;
      }));
  return counts;
}

}  // namespace neap::app
