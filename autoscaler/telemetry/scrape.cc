#include "autoscaler/telemetry/scrape.h"

#include <algorithm>
#include <utility>

namespace neap::telemetry {

Scrape::State Scrape::Next(std::string* chunk, absl::Duration patience) {
  {
    base::MutexLock lock(mutex_);
    while (buffer_.empty() && !done_ && !broken_) {
      if (!changed_.WaitFor(mutex_, absl::ToChronoNanoseconds(patience))) broken_ = true;
    }
    if (broken_) return State::kBroken;
    *chunk = std::exchange(buffer_, {});
    if (done_) return State::kDone;
  }
  wake_();
  return State::kMore;
}

void Scrape::Abandon() {
  base::MutexLock lock(mutex_);
  broken_ = true;
  changed_.NotifyAll();
}

std::shared_ptr<Scrape> Scrapes::Open() {
  auto scrape = std::make_shared<Scrape>();
  scrape->wake_ = wake_;
  {
    base::MutexLock lock(mutex_);
    if (closed_ || open_.size() >= kMaxOpen) return nullptr;
    open_.push_back(scrape);
  }
  wake_();
  return scrape;
}

bool Scrapes::Serve(int families, const Writer& write) {
  std::vector<std::shared_ptr<Scrape>> open;
  {
    base::MutexLock lock(mutex_);
    open = open_;
  }
  bool more = false;
  for (const auto& scrape : open) {
    {
      base::MutexLock lock(scrape->mutex_);
      if (scrape->broken_) continue;
      if (scrape->buffer_.size() >= kBufferLimit) continue;  // slow: its reader wakes us
    }
    std::string text;
    if (scrape->family_ < families && !write(scrape->family_, &scrape->after_, &text)) {
      ++scrape->family_;
      scrape->after_.clear();
    }
    base::MutexLock lock(scrape->mutex_);
    scrape->buffer_ += text;
    scrape->done_ = scrape->family_ >= families;
    scrape->changed_.NotifyAll();
    more = more || (!scrape->done_ && scrape->buffer_.size() < kBufferLimit);
  }
  base::MutexLock lock(mutex_);
  std::erase_if(open_, [](const std::shared_ptr<Scrape>& scrape) {
    base::MutexLock inner(scrape->mutex_);
    return scrape->done_ || scrape->broken_;
  });
  return more;
}

void Scrapes::Close() {
  base::MutexLock lock(mutex_);
  closed_ = true;
  for (const auto& scrape : open_) scrape->Abandon();
  open_.clear();
}

}  // namespace neap::telemetry
