#include "autoscaler/http/client.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <thread>

#include "autoscaler/base/check.h"
#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/base/status.h"
#include "autoscaler/http/connections.h"
#include "autoscaler/http/easy.h"

namespace neap::http {
namespace {

constexpr size_t kIdleEasyHandles = 64;  // kept for reuse; connections belong to the multi handle

void InitializeCurlOnce() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_ALL);
  NEAP_CHECK(result == CURLE_OK, "curl_global_init: {}", curl_easy_strerror(result));
}

}  // namespace

// What runs on the client's thread, and the queue that leads there.
class Client::Loop {
 public:
  explicit Loop(ClientOptions options);
  ~Loop() { Stop(); }

  Id Start(Request request, Callback done, StreamHandlers handlers, bool is_stream)
      NEAP_EXCLUDES(mutex_);
  Id StartLater(std::function<void(Supply)> begin, Callback done, StreamHandlers handlers,
                bool is_stream) NEAP_EXCLUDES(mutex_);
  Id After(absl::Duration delay, std::function<void()> what) NEAP_EXCLUDES(mutex_);
  void Cancel(Id id) NEAP_EXCLUDES(mutex_);
  void Drop(Id id) NEAP_EXCLUDES(mutex_);
  void RunAndWait(const std::function<void()>& what) NEAP_EXCLUDES(mutex_);
  void Stop() NEAP_EXCLUDES(mutex_);
  bool OnThread() const { return std::this_thread::get_id() == loop_id_; }

 private:
  struct Timer {
    Id id = 0;
    std::function<void()> what;
  };
  struct Command {
    enum class Kind { kStart, kTimer, kCancel, kRun } kind = Kind::kRun;
    Id id = kNone;                       // of a kRun always
    std::unique_ptr<Transfer> transfer;  // kStart
    absl::Duration at;                   // kTimer
    std::function<void()> what;          // kTimer, kRun; kStart: a request that comes later
  };
  using Timers = std::multimap<absl::Duration, Timer>;  // by Clock::Elapsed

  bool Push(Command command) NEAP_EXCLUDES(mutex_);  // false when stopped
  // A kStart; when stopped its last callback runs at once.
  void Push(Id id, std::unique_ptr<Transfer> transfer, std::function<void()> begin)
      NEAP_EXCLUDES(mutex_);
  Id NextId() NEAP_EXCLUDES(mutex_);

  // All below: the client's thread.
  void Run() NEAP_EXCLUDES(mutex_);
  void RunCommands() NEAP_EXCLUDES(mutex_);
  void Execute(Command command);
  void Begin(std::unique_ptr<Transfer> transfer);
  void Supplied(Id id, absl::StatusOr<Request> request);
  void Perform(Transfer& transfer);
  void RunTimers();
  void CollectFinished();
  void EndAborted();
  void End(Id id, CURLcode result, absl::Status cause);
  void WatchIdleness(Id id, Id timer, uint64_t seen, absl::Duration since);
  void AddTimer(Id id, absl::Duration at, std::function<void()> what);
  void EraseTimer(Id id);
  int PollMilliseconds() NEAP_EXCLUDES(mutex_);
  CURL* TakeEasy();

  const ClientOptions options_;
  const base::Clock clock_;
  CURLM* const multi_;

  base::Mutex mutex_;
  base::CondVar ran_;
  std::vector<Command> queue_ NEAP_GUARDED_BY(mutex_);
  bool stopping_ NEAP_GUARDED_BY(mutex_) = false;  // no command is accepted any more
  Id next_id_ NEAP_GUARDED_BY(mutex_) = 1;

  // The client's thread alone.
  Connections connections_;
  std::map<Id, std::unique_ptr<Transfer>> transfers_;
  std::set<Id> aborted_;  // transfers to be ended before the next wait
  Timers timers_;
  std::map<Id, Timers::iterator> timer_by_id_;
  std::map<Id, Id> idle_timer_of_;  // transfer -> its idleness timer
  std::deque<Command> batch_;       // taken from the queue, not executed yet
  std::vector<CURL*> idle_easy_;

  base::Mutex join_mutex_;  // two threads may stop the same client
  std::thread thread_ NEAP_GUARDED_BY(join_mutex_);
  std::thread::id loop_id_;  // set by the constructor
};

Client::Loop::Loop(ClientOptions options)
    : options_(std::move(options)), multi_((InitializeCurlOnce(), curl_multi_init())) {
  NEAP_CHECK(multi_ != nullptr, "curl_multi_init failed");
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_MULTIPLEX));
  curl_multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS,
                    static_cast<long>(options_.max_connections_per_host));
  base::MutexLock joining(join_mutex_);
  base::MutexLock lock(mutex_);  // Run waits until loop_id_ is set
  thread_ = std::thread([this] { Run(); });
  loop_id_ = thread_.get_id();
}

Id Client::Loop::NextId() {
  base::MutexLock lock(mutex_);
  return next_id_++;
}

bool Client::Loop::Push(Command command) {
  {
    base::MutexLock lock(mutex_);
    if (stopping_) return false;
    queue_.push_back(std::move(command));
  }
  if (!OnThread()) curl_multi_wakeup(multi_);
  return true;
}

Id Client::Loop::Start(Request request, Callback done, StreamHandlers handlers, bool is_stream) {
  const Id id = NextId();
  Push(id,
       std::make_unique<Transfer>(id, std::move(request), std::move(done), std::move(handlers),
                                  is_stream),
       /*begin=*/{});
  return id;
}

Id Client::Loop::StartLater(std::function<void(Supply)> begin, Callback done,
                            StreamHandlers handlers, bool is_stream) {
  const Id id = NextId();
  Supply supply = [this, id](absl::StatusOr<Request> request) {
    // A std::function must be copyable, what it carries need not be copied.
    auto carried = std::make_shared<absl::StatusOr<Request>>(std::move(request));
    Push({.kind = Command::Kind::kRun,
          .id = kNone,
          .transfer = nullptr,
          .at = {},
          .what = [=, this] { Supplied(id, std::move(*carried)); }});
  };
  Push(id,
       std::make_unique<Transfer>(id, Request(), std::move(done), std::move(handlers), is_stream),
       [begin = std::move(begin), supply = std::move(supply)] { begin(supply); });
  return id;
}

void Client::Loop::Push(Id id, std::unique_ptr<Transfer> transfer, std::function<void()> begin) {
  Transfer* const kept = transfer.get();
  Command command{.kind = Command::Kind::kStart,
                  .id = id,
                  .transfer = std::move(transfer),
                  .at = {},
                  .what = std::move(begin)};
  {
    base::MutexLock lock(mutex_);
    if (!stopping_) {
      queue_.push_back(std::move(command));
    }
  }
  if (command.transfer != nullptr) {
    kept->Finish(CURLE_OK, base::Cancelled("the HTTP client is stopped"));
    return;
  }
  if (!OnThread()) curl_multi_wakeup(multi_);
}

Id Client::Loop::After(absl::Duration delay, std::function<void()> what) {
  const Id id = NextId();
  Push({.kind = Command::Kind::kTimer,
        .id = id,
        .transfer = nullptr,
        .at = clock_.Elapsed() + std::max(delay, absl::ZeroDuration()),
        .what = std::move(what)});
  return id;
}

void Client::Loop::Cancel(Id id) {
  if (OnThread()) {
    if (auto at = transfers_.find(id); at != transfers_.end()) {
      at->second->Abort(absl::CancelledError());  // also when called inside its own callback
      aborted_.insert(id);
      return;
    }
  }
  Push({.kind = Command::Kind::kCancel, .id = id, .transfer = nullptr, .at = {}, .what = {}});
}

void Client::Loop::Drop(Id id) {
  if (id == kNone) return;  // what RunAndWait and Supply queued has no id, and stays
  {
    base::MutexLock lock(mutex_);
    NEAP_CHECK(OnThread() || stopping_, "http::Client::Drop outside the client's thread");
  }
  if (auto at = transfers_.find(id); at != transfers_.end()) {
    at->second->Drop();
    at->second->Abort(absl::CancelledError());
    aborted_.insert(id);
    return;
  }
  if (timer_by_id_.contains(id)) {
    EraseTimer(id);
    return;
  }
  // Not begun yet: forget the command.
  const auto is_it = [&](const Command& c) { return c.id == id; };
  std::erase_if(batch_, is_it);
  base::MutexLock lock(mutex_);
  std::erase_if(queue_, is_it);
}

void Client::Loop::RunAndWait(const std::function<void()>& what) {
  if (OnThread()) {
    what();
    return;
  }
  bool done = false;
  const bool pushed =
      Push({.kind = Command::Kind::kRun, .id = kNone, .transfer = nullptr, .at = {}, .what = [&] {
              what();
              base::MutexLock lock(mutex_);
              done = true;
              ran_.NotifyAll();
            }});
  if (!pushed) {  // stopping: the thread runs no callback after it is joined
    Stop();
    what();
    return;
  }
  base::MutexLock lock(mutex_);
  while (!done) ran_.Wait(mutex_);
}

void Client::Loop::Stop() {
  NEAP_CHECK(!OnThread(), "http::Client::Stop inside a callback");
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  base::MutexLock lock(join_mutex_);
  if (!thread_.joinable()) return;
  curl_multi_wakeup(multi_);
  thread_.join();
  curl_multi_cleanup(multi_);
}

// ---- the client's thread

void Client::Loop::Run() {
  while (true) {
    bool stopping = false;
    {
      base::MutexLock lock(mutex_);
      stopping = stopping_;
    }
    // Commands that came before the stop are still executed, so that whoever waits for one is let
    // go.
    RunCommands();
    if (stopping) break;
    RunTimers();
    int running = 0;
    const CURLMcode result = curl_multi_perform(multi_, &running);
    NEAP_CHECK(result == CURLM_OK, "curl_multi_perform: {}", curl_multi_strerror(result));
    CollectFinished();
    EndAborted();
    const int wait = PollMilliseconds();
    if (wait > 0) curl_multi_poll(multi_, nullptr, 0, wait, nullptr);
  }
  timers_.clear();
  timer_by_id_.clear();
  while (!transfers_.empty()) {
    End(transfers_.begin()->first, CURLE_OK, base::Cancelled("the HTTP client is stopped"));
  }
  for (CURL* easy : idle_easy_) curl_easy_cleanup(easy);
  idle_easy_.clear();
}

void Client::Loop::RunCommands() {
  std::vector<Command> queued;  // not cleared and kept: a burst would leave its room behind
  {
    base::MutexLock lock(mutex_);
    queued.swap(queue_);
  }
  for (Command& command : queued) batch_.push_back(std::move(command));
  while (!batch_.empty()) {
    Command command = std::move(batch_.front());
    batch_.pop_front();
    Execute(std::move(command));
  }
}

void Client::Loop::Execute(Command command) {
  switch (command.kind) {
    case Command::Kind::kStart:
      if (command.what) {
        transfers_[command.id] = std::move(command.transfer);
        command.what();
      } else {
        Begin(std::move(command.transfer));
      }
      break;
    case Command::Kind::kTimer:
      AddTimer(command.id, command.at, std::move(command.what));
      break;
    case Command::Kind::kCancel:
      if (timer_by_id_.contains(command.id)) {
        EraseTimer(command.id);
      } else if (auto at = transfers_.find(command.id); at != transfers_.end()) {
        at->second->Abort(absl::CancelledError());
        aborted_.insert(command.id);
      }
      break;
    case Command::Kind::kRun:
      command.what();
      break;
  }
}

CURL* Client::Loop::TakeEasy() {
  if (idle_easy_.empty()) {
    CURL* easy = curl_easy_init();
    NEAP_CHECK(easy != nullptr, "curl_easy_init failed");
    return easy;
  }
  CURL* easy = idle_easy_.back();
  idle_easy_.pop_back();
  return easy;
}

void Client::Loop::Begin(std::unique_ptr<Transfer> transfer) {
  const Id id = transfer->id();
  Perform(*(transfers_[id] = std::move(transfer)));
}

void Client::Loop::Supplied(Id id, absl::StatusOr<Request> request) {
  const auto at = transfers_.find(id);
  if (at == transfers_.end() || at->second->easy() != nullptr)
    return;  // dropped, or supplied before
  if (!request.ok()) {
    End(id, CURLE_OK, request.status());
  } else if (at->second->aborted().ok()) {  // else EndAborted ends it
    at->second->Supply(*std::move(request));
    Perform(*at->second);
  }
}

void Client::Loop::Perform(Transfer& begun) {
  const Id id = begun.id();
  CURL* easy = TakeEasy();
  if (absl::Status prepared = begun.Prepare(easy, options_.user_agent, connections_);
      !prepared.ok()) {
    End(id, CURLE_OK, std::move(prepared));
    return;
  }
  const CURLMcode added = curl_multi_add_handle(multi_, easy);
  NEAP_CHECK(added == CURLM_OK, "curl_multi_add_handle: {}", curl_multi_strerror(added));
  if (begun.is_stream() && begun.idle_timeout() < absl::InfiniteDuration()) {
    const Id timer = idle_timer_of_[id] = NextId();
    WatchIdleness(id, timer, begun.activity(), clock_.Elapsed());
  }
}

void Client::Loop::WatchIdleness(Id id, Id timer, uint64_t seen, absl::Duration since) {
  Transfer& transfer = *transfers_.at(id);  // End erases the timer before the transfer goes
  const absl::Duration now = clock_.Elapsed();
  if (transfer.activity() != seen) {
    seen = transfer.activity();
    since = now;
  }
  const absl::Duration limit = transfer.idle_timeout();
  if (now - since >= limit) {
    transfer.Abort(transfer.IdleError());
    aborted_.insert(id);
    return;
  }
  // Four looks per limit: silence is noticed at most a quarter late.
  const absl::Duration next = std::min(limit - (now - since), limit / 4);
  AddTimer(timer, now + std::max(next, absl::Milliseconds(1)),
           [=, this] { WatchIdleness(id, timer, seen, since); });
}

void Client::Loop::AddTimer(Id id, absl::Duration at, std::function<void()> what) {
  timer_by_id_[id] = timers_.emplace(at, Timer{id, std::move(what)});
}

void Client::Loop::EraseTimer(Id id) {
  const auto at = timer_by_id_.find(id);
  if (at == timer_by_id_.end()) return;
  timers_.erase(at->second);
  timer_by_id_.erase(at);
}

void Client::Loop::RunTimers() {
  const absl::Duration now = clock_.Elapsed();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const Timer timer = std::move(timers_.begin()->second);
    timer_by_id_.erase(timer.id);
    timers_.erase(timers_.begin());
    timer.what();
  }
}

void Client::Loop::CollectFinished() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode result = message->data.result;
    char* self = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
    End(reinterpret_cast<Transfer*>(self)->id(), result, absl::OkStatus());
  }
}

void Client::Loop::EndAborted() {
  while (!aborted_.empty()) {
    const Id id = *aborted_.begin();
    aborted_.erase(aborted_.begin());
    if (auto at = transfers_.find(id); at != transfers_.end()) {
      End(id, CURLE_OK, at->second->aborted());
    }
  }
}

void Client::Loop::End(Id id, CURLcode result, absl::Status cause) {
  const auto at = transfers_.find(id);
  const std::unique_ptr<Transfer> transfer = std::move(at->second);
  transfers_.erase(at);
  aborted_.erase(id);
  if (const auto idle = idle_timer_of_.find(id); idle != idle_timer_of_.end()) {
    EraseTimer(idle->second);
    idle_timer_of_.erase(idle);
  }
  CURL* easy = transfer->easy();
  if (easy == nullptr) {  // its request has not come yet
    transfer->Finish(result, std::move(cause));
    return;
  }
  if (result == CURLE_OPERATION_TIMEDOUT || absl::IsDeadlineExceeded(cause)) {
    transfer->DoubtConnection();
  }
  curl_multi_remove_handle(multi_, easy);  // harmless if it was never added
  transfer->Finish(result, std::move(cause));
  if (idle_easy_.size() < kIdleEasyHandles) {
    curl_easy_reset(easy);
    idle_easy_.push_back(easy);
  } else {
    curl_easy_cleanup(easy);
  }
}

int Client::Loop::PollMilliseconds() {
  {
    base::MutexLock lock(mutex_);
    if (!queue_.empty() || stopping_) return 0;
  }
  constexpr int64_t kLongest = 60000;
  int64_t wait = kLongest;
  if (!timers_.empty()) {
    const absl::Duration left = timers_.begin()->first - clock_.Elapsed();
    wait = absl::ToInt64Milliseconds(
        absl::Ceil(std::max(left, absl::ZeroDuration()), absl::Milliseconds(1)));
  }
  return static_cast<int>(std::min(wait, kLongest));  // curl shortens it by its own timers
}

// ---- the face

Client::Client(ClientOptions options) : loop_(std::make_unique<Loop>(std::move(options))) {}
Client::~Client() = default;

Id Client::Send(Request request, Callback done) {
  return loop_->Start(std::move(request), std::move(done), {}, false);
}
Id Client::Stream(Request request, StreamHandlers handlers) {
  return loop_->Start(std::move(request), {}, std::move(handlers), true);
}
Id Client::SendLater(std::function<void(Supply)> begin, Callback done) {
  return loop_->StartLater(std::move(begin), std::move(done), {}, false);
}
Id Client::StreamLater(std::function<void(Supply)> begin, StreamHandlers handlers) {
  return loop_->StartLater(std::move(begin), {}, std::move(handlers), true);
}
Id Client::After(absl::Duration delay, std::function<void()> what) {
  return loop_->After(delay, std::move(what));
}
void Client::Cancel(Id id) { loop_->Cancel(id); }
void Client::Drop(Id id) { loop_->Drop(id); }
void Client::RunAndWait(const std::function<void()>& what) { loop_->RunAndWait(what); }
void Client::Stop() { loop_->Stop(); }

absl::StatusOr<Response> Client::Do(Request request, std::stop_token stop) {
  NEAP_CHECK(!loop_->OnThread(), "http::Client::Do inside a callback would wait for itself");
  struct Waiting {
    base::Mutex mutex;
    base::CondVar ready;
    std::optional<absl::StatusOr<Response>> result NEAP_GUARDED_BY(mutex);
  };
  Waiting waiting;  // outlives the callback: it runs exactly once, and we wait for it
  const Id id = Send(std::move(request), [&waiting](absl::StatusOr<Response> result) {
    base::MutexLock lock(waiting.mutex);
    waiting.result = std::move(result);
    waiting.ready.NotifyAll();
  });
  const std::stop_callback cancel(stop, [this, id] { Cancel(id); });
  base::MutexLock lock(waiting.mutex);
  while (!waiting.result.has_value()) waiting.ready.Wait(waiting.mutex);
  return *std::move(waiting.result);
}

}  // namespace neap::http
