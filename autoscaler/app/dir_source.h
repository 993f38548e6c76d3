// DirSource: the thread that scans one directory of objects (`--source=dir:PATH`) once a second and
// hands on what changed. Owned by Neapd. Start and Stop on one thread; the sink is called on the
// source's own.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "autoscaler/app/object_table.h"
#include "autoscaler/base/clock.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/kube/dir/dir.h"

namespace neap::app {

class DirSource {
 public:
  static constexpr absl::Duration kPeriod = absl::Seconds(1);

  // Borrows all but `options`.
  DirSource(kube::dir::DirectoryOptions options, const base::Clock& clock, ObjectTable& objects,
            control::Sink sink);
  ~DirSource();  // Stop

  void Start();
  void Stop();  // returns when the sink is not called any more

  const std::string& source() const { return directory_.source(); }
  bool listed() const { return listed_; }  // its complete list was handed on
  size_t errors() const { return errors_; }
  size_t warnings() const { return warnings_; }

 private:
  void Run();
  void Scan();

  const base::Clock& clock_;
  ObjectTable& objects_;
  const control::Sink sink_;
  kube::dir::Directory directory_;  // the source's thread
  std::atomic<bool> listed_ = false;
  std::atomic<size_t> errors_ = 0;
  std::atomic<size_t> warnings_ = 0;

  base::Mutex mutex_;
  base::CondVar changed_;
  bool stop_ NEAP_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace neap::app
