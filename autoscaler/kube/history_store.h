// HistoryStore: keeps what decisions remember (core::History, encoded by record) beyond the
// process: each shard's in as many ConfigMaps `<name>-history-<shard>-<part>` as it needs, one
// binaryData key per target:
//
//   metadata:
//     labels:      {neap.dev/history: <name>, neap.dev/shard: "<shard>"}
//     annotations: {neap.dev/epoch: "<epoch>"}     of the shard's lease, see shard_leases.h
//   binaryData:    {<uid>: version byte, epoch, sequence, history}
//
// A target stays in the part that it came to while it fits; a new one goes to the first part that
// is not half full, or else to a new part, so that histories can grow where they are. What moves is
// written to its new part before it is taken from the old one; of two copies the later one counts.
// Only what changed is sent, as a merge patch per part, one after the other; what is to be saved
// meanwhile is put together into the next.
//
// Who may write: the epoch. Load first writes its epoch into every part, so that nothing that a
// former holder has sent can land afterwards; each write carries the part's resourceVersion as a
// precondition. A higher epoch on the server is never overwritten. What was changed by others in
// between is read anew before it is written again.
//
// When to save is app's to say (ARCHITECTURE.md); the store has no timer. A Save that failed is not
// tried again by itself: what it was given is kept and goes with the next Save.
//
// Errors name the ConfigMap and, where there is one, the key:
//   Aborted             somebody else wrote the part meanwhile (409). The next Save reads it anew
//   FailedPrecondition  a higher epoch is there: the shard is another's. Forget it
//   ResourceExhausted   one history larger than a part
//   InvalidArgument     a uid that no key can hold; the server finds the ConfigMap invalid
//   others              as the server or the transport say
//
// Owned by app. Functions are thread-safe and do not wait; callbacks run on the http::Client's
// thread, once each, and none after the destructor returned.
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "autoscaler/kube/context.h"

namespace neap::kube {

using Histories = std::map<std::string, std::string>;  // uid -> what record made of it

struct HistoryStoreOptions {
  std::string ns;
  std::string name = "neap";              // of the installation: prefix of the ConfigMaps' names
  size_t part_bytes = size_t{900} << 10;  // keys and values; the API server's limit is 1 MiB
  absl::Duration timeout = absl::Seconds(10);  // of one request
};

struct LoadedHistories {
  Histories histories;
  // What could not be read: broken, or of a newer version. The rest was. Each names ConfigMap and
  // key. Such an entry stays as it is until its target is saved or removed.
  std::vector<absl::Status> unreadable = {};
};

class HistoryStore {
 public:
  using OnLoaded = std::function<void(absl::StatusOr<LoadedHistories>)>;
  using OnSaved = std::function<void(const absl::Status&)>;

  HistoryStore(const Context& context, HistoryStoreOptions options);
  ~HistoryStore();
  HistoryStore(const HistoryStore&) = delete;
  HistoryStore& operator=(const HistoryStore&) = delete;

  // Once the shard's lease is ours, before anything is saved. `epoch` is the lease's. Histories of
  // targets that are gone are among them: the caller removes those. No ConfigMap is no error. After
  // an error: again.
  void Load(int shard, int64_t epoch, OnLoaded done);

  // `changed` replaces, `removed` are deleted; both empty writes what an earlier Save could not.
  // `done` runs when all of it is written, or with the first error. A shard that is not loaded is
  // FailedPrecondition.
  void Save(int shard, Histories changed, std::vector<std::string> removed, OnSaved done);

  // The shard is no longer ours: what is known of it and what waits to be written is dropped;
  // callbacks that are due run with Cancelled.
  void Forget(int shard);

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;
};

}  // namespace neap::kube
