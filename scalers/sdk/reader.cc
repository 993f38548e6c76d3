#include "scalers/sdk/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <string>

#include "scalers/sdk/check_reading.h"

namespace neap::sdk {
namespace {

// Of a caller's timeout these parts are kept back. A scaler that heeds its deadline has the time
// between the two to say what was slow, which is worth more than our TIMEOUT.
absl::Duration KeptFromScaler(absl::Duration timeout) {
  return std::clamp(timeout / 5, absl::Milliseconds(4), absl::Milliseconds(700));
}
absl::Duration KeptFromAnswer(absl::Duration timeout) {
  return std::clamp(timeout / 10, absl::Milliseconds(2), absl::Milliseconds(400));
}

// The triggers of one call of Reader::Read that share a key.
class Group : public Task {
 public:
  Group(std::string key, Clock::time_point deadline, Clock::time_point read_until,
        absl::Duration timeout, std::shared_ptr<ReadAnswers> answers)
      : Task(std::move(key), deadline),
        read_until_(read_until),
        timeout_(timeout),
        answers_(std::move(answers)) {}

  void Add(size_t place, std::shared_ptr<OpenedTrigger> trigger) {
    places_.push_back(place);
    triggers_.push_back(std::move(trigger));
  }
  const std::vector<std::shared_ptr<OpenedTrigger>>& triggers() const { return triggers_; }
  Clock::time_point read_until() const { return read_until_; }
  bool wanted() const { return !answered_ && !answers_->abandoned(); }

  void Expire() override {
    Fail({.kind = ErrorKind::kTimeout,
          .message =
              fmt::format("the source did not answer within {}", absl::FormatDuration(timeout_))});
  }
  void Fail(const Error& error) {
    Answer([&](size_t) { return Reading::Failed(error); });
  }
  // `reading_of` gives the reading of the i-th trigger; not called when it is too late.
  template <typename ReadingOf>
  void Answer(ReadingOf reading_of) {
    if (answered_.exchange(true)) return;
    std::vector<std::pair<size_t, Reading>> readings;
    readings.reserve(places_.size());
    for (size_t i = 0; i < places_.size(); ++i) readings.emplace_back(places_[i], reading_of(i));
    answers_->OnReadings(std::move(readings));
  }

 private:
  const Clock::time_point read_until_;
  const absl::Duration timeout_;
  const std::shared_ptr<ReadAnswers> answers_;
  std::vector<size_t> places_;
  std::vector<std::shared_ptr<OpenedTrigger>> triggers_;
  std::atomic<bool> answered_ = false;
};

// Several groups are read together until the last of their deadlines: each is timed for itself.
class CallContext : public ReadContext {
 public:
  CallContext(std::vector<Group*> groups, const base::Clock& clock, http::Client& client)
      : groups_(std::move(groups)), clock_(clock), client_(client) {
    for (const Group* group : groups_) until_ = std::max(until_, group->read_until());
  }
  absl::Duration remaining() const override {
    return std::max(absl::ZeroDuration(), absl::FromChrono(until_ - Task::Clock::now()));
  }
  bool cancelled() const override {
    return std::ranges::none_of(groups_, [](const Group* group) { return group->wanted(); });
  }
  absl::Time now() const override { return clock_.Now(); }
  http::Client& http() override { return client_; }

 private:
  const std::vector<Group*> groups_;
  const base::Clock& clock_;
  http::Client& client_;
  Task::Clock::time_point until_ = Task::Clock::time_point::min();
};

// The scaler's answer, or an error for all when it is none.
std::vector<Reading> ReadWith(Scaler& scaler, const std::vector<const Trigger*>& triggers,
                              ReadContext& context) {
  std::string fault;
  try {
    std::vector<Reading> readings = scaler.Read(triggers, context);
    if (readings.size() == triggers.size()) return readings;
    fault = fmt::format("{} readings for {} triggers", readings.size(), triggers.size());
  } catch (const std::exception& e) {
    fault = fmt::format("it threw: {}", e.what());
  } catch (...) {
    fault = "it threw";
  }
  return std::vector<Reading>(
      triggers.size(),
      Reading::Failed({.kind = ErrorKind::kInternal, .message = "fault of the scaler: " + fault}));
}

}  // namespace

Reader::Reader(const ExecutorOptions& options)
    : executor_(options, [this](const Tasks& tasks) { Run(tasks); }) {}

void Reader::Read(const std::vector<std::shared_ptr<OpenedTrigger>>& triggers,
                  absl::Duration timeout, std::shared_ptr<ReadAnswers> answers) {
  const auto begin = Task::Clock::now();
  const auto at = [&](absl::Duration kept) {
    return begin + absl::ToChronoNanoseconds(std::max(timeout - kept, absl::ZeroDuration()));
  };
  std::map<std::string_view, std::shared_ptr<Group>> groups;
  for (size_t i = 0; i < triggers.size(); ++i) {
    std::shared_ptr<Group>& group = groups[triggers[i]->key()];
    if (group == nullptr) {
      group = std::make_shared<Group>(triggers[i]->key(), at(KeptFromAnswer(timeout)),
                                      at(KeptFromScaler(timeout)), timeout, answers);
    }
    group->Add(i, triggers[i]);
  }
  const Tasks tasks = [&] {
    Tasks out;
    for (const auto& [key, group] : groups) out.push_back(group);
    return out;
  }();
  if (executor_.Submit(tasks)) return;
  for (const auto& [key, group] : groups) {
    group->Fail({.kind = ErrorKind::kThrottled,
                 .message = "this scaler stops, or too many reads wait for a thread"});
  }
}

void Reader::Run(const Tasks& tasks) {
  std::vector<Group*> groups;
  for (const std::shared_ptr<Task>& task : tasks) {
    auto* group = static_cast<Group*>(task.get());
    if (group->wanted()) groups.push_back(group);
  }
  if (groups.empty()) return;
  // Equal triggers are read once.
  std::vector<const Trigger*> triggers;
  std::map<const OpenedTrigger*, size_t> places;
  for (const Group* group : groups) {
    for (const std::shared_ptr<OpenedTrigger>& opened : group->triggers()) {
      if (places.try_emplace(opened.get(), triggers.size()).second) {
        triggers.push_back(&opened->trigger());
      }
    }
  }
  CallContext context(groups, clock_, http_);
  const std::vector<Reading> readings =
      ReadWith(groups[0]->triggers()[0]->scaler(), triggers, context);
  for (Group* group : groups) {
    group->Answer([&](size_t i) {
      const OpenedTrigger& opened = *group->triggers()[i];
      return CheckReading(opened.metrics(), readings[places.at(&opened)]);
    });
  }
}

}  // namespace neap::sdk
