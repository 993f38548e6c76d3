#include "autoscaler/app/dir_source.h"

#include <utility>

#include "autoscaler/telemetry/logging.h"

namespace neap::app {

DirSource::DirSource(kube::dir::DirectoryOptions options, const base::Clock& clock,
                     ObjectTable& objects, control::Sink sink)
    : clock_(clock), objects_(objects), sink_(std::move(sink)), directory_(std::move(options)) {}

DirSource::~DirSource() { Stop(); }

void DirSource::Start() {
  thread_ = std::thread([this] { Run(); });
}

void DirSource::Stop() {
  {
    base::MutexLock lock(mutex_);
    stop_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void DirSource::Run() {
  for (;;) {
    Scan();
    base::MutexLock lock(mutex_);
    const absl::Duration next = clock_.Elapsed() + kPeriod;
    while (!stop_ && clock_.Elapsed() < next) {
      changed_.WaitFor(mutex_, absl::ToChronoNanoseconds(next - clock_.Elapsed()));
    }
    if (stop_) return;
  }
}

void DirSource::Scan() {
  kube::dir::Scanned scanned = directory_.Scan(clock_.Now());
  if (scanned.problems_changed) {
    for (const std::string& line : scanned.errors) telemetry::LogError(line);
    for (const std::string& line : scanned.warnings) telemetry::LogWarning(line);
    if (scanned.errors.empty() && scanned.warnings.empty()) {
      telemetry::LogInfo(directory_.source() + ": no problems any more");
    }
  }
  errors_ = scanned.errors.size();
  warnings_ = scanned.warnings.size();
  // The mode comes first: what the controller decides of an object is routed by it.
  for (const auto& [uid, mode] : scanned.modes) {
    objects_.Put(
        uid,
        {.source = source(), .mode = mode, .own_conditions = {}, .errors = {}, .warnings = {}});
  }
  for (control::Message& message : scanned.messages) {
    if (auto* change = std::get_if<control::SpecChange>(&message)) change->source = source();
    objects_.Apply(source(), message);
    const bool list = std::holds_alternative<control::SpecsReplaced>(message);
    sink_(std::move(message));
    if (list) listed_ = true;
  }
}

}  // namespace neap::app
