#include "scalers/sdk/outbox.h"

#include <utility>

namespace neap::sdk {
namespace {

constexpr size_t kFrameBytes = 1 << 20;

size_t BytesOf(const StampedReading& stamped) {
  size_t bytes = 64 + stamped.trigger_id.size();
  for (const MetricReading& metric : stamped.reading.metrics) {
    bytes += 64 + metric.name.size();
    if (const auto* series = std::get_if<Series>(&metric.result)) {
      bytes += 8 * (series->milli.size() + series->real.size());
    } else if (const auto* pods = std::get_if<PodValues>(&metric.result)) {
      for (const std::string& pod : pods->pod) bytes += 24 + pod.size();
    } else {
      bytes += std::get<Error>(metric.result).message.size();
    }
  }
  return bytes;
}

size_t BytesOf(const SetAnswer& answer) {
  size_t bytes = 32;
  for (const TriggerState& state : answer.triggers) {
    bytes += 32 + state.trigger_id.size();
    for (const MetricSpec& metric : state.metrics) bytes += 32 + metric.name.size();
  }
  return bytes;
}

}  // namespace

void Outbox::Add(SetAnswer answer) {
  base::MutexLock lock(mutex_);
  if (closed_) return;
  bytes_ += BytesOf(answer);
  answers_.push_back(std::move(answer));
  SendNext();
}

void Outbox::Add(std::vector<StampedReading> readings) {
  base::MutexLock lock(mutex_);
  if (closed_) return;
  for (StampedReading& reading : readings) {
    bytes_ += BytesOf(reading);
    readings_.push_back(std::move(reading));
  }
  SendNext();
}

void Outbox::Push(const std::string& trigger_id, const Reading& reading) {
  base::MutexLock lock(mutex_);
  if (closed_) return;
  pushed_.insert_or_assign(
      trigger_id,
      StampedReading{
          .trigger_id = trigger_id, .generation = generation_, .round = 0, .reading = reading});
  SendNext();
}

void Outbox::DropPushed(const std::string& id) {
  base::MutexLock lock(mutex_);
  pushed_.erase(id);
}

void Outbox::SetGeneration(uint64_t generation) {
  base::MutexLock lock(mutex_);
  generation_ = generation;
}

void Outbox::Sent() {
  base::MutexLock lock(mutex_);
  sending_ = false;
  SendNext();
}

void Outbox::Close() {
  base::MutexLock lock(mutex_);
  closed_ = true;
  send_ = nullptr;
  answers_.clear();
  readings_.clear();
  pushed_.clear();
}

bool Outbox::closed() const {
  base::MutexLock lock(mutex_);
  return closed_;
}

size_t Outbox::bytes() const {
  base::MutexLock lock(mutex_);
  return bytes_;
}

void Outbox::SendNext() {
  if (sending_ || closed_) return;
  OutFrame frame;
  if (!answers_.empty()) {
    bytes_ -= BytesOf(answers_.front());
    frame = std::move(answers_.front());
    answers_.pop_front();
  } else {
    std::vector<StampedReading>& readings = frame.emplace<std::vector<StampedReading>>();
    size_t bytes = 0;
    while (!readings_.empty() && bytes < kFrameBytes) {
      const size_t size = BytesOf(readings_.front());
      bytes += size;
      bytes_ -= size;
      readings.push_back(std::move(readings_.front()));
      readings_.pop_front();
    }
    while (!pushed_.empty() && bytes < kFrameBytes) {
      bytes += BytesOf(pushed_.begin()->second);
      readings.push_back(std::move(pushed_.begin()->second));
      pushed_.erase(pushed_.begin());
    }
    if (readings.empty()) return;
  }
  sending_ = true;
  send_(frame);
}

}  // namespace neap::sdk
