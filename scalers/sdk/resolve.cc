#include "scalers/sdk/resolve.h"

#include <netdb.h>

#include <cstring>
#include <map>
#include <memory>
#include <thread>

#include "autoscaler/base/mutex.h"
#include "autoscaler/base/status.h"

namespace neap::sdk {
namespace {

using Addresses = absl::StatusOr<std::vector<SocketAddress>>;

Addresses LookUp(const std::string& host, const std::string& port, int flags) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return base::Unavailable("{}: {}", host, gai_strerror(error));
  }
  std::vector<SocketAddress> out;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    SocketAddress& address = out.emplace_back();
    std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    address.size = at->ai_addrlen;
  }
  freeaddrinfo(found);
  return out;
}

// A look-up in the background and those who wait for it. Shared between its thread and the waiters.
struct Pending {
  base::Mutex mutex;
  base::CondVar done;
  bool finished NEAP_GUARDED_BY(mutex) = false;
  Addresses result NEAP_GUARDED_BY(mutex) = absl::UnknownError("");
};

// The look-ups at work, by host and port. Shared with their threads, which may outlive main().
struct Table {
  base::Mutex mutex;
  std::map<std::string, std::shared_ptr<Pending>> pending NEAP_GUARDED_BY(mutex);
};

std::shared_ptr<Table> SharedTable() {
  static const auto* table = new std::shared_ptr<Table>(std::make_shared<Table>());
  return *table;
}

}  // namespace

absl::StatusOr<std::vector<SocketAddress>> Resolve(const std::string& host, uint16_t port,
                                                   Deadline deadline) {
  const std::string service = std::to_string(port);
  // An address needs no look-up.
  if (Addresses numeric = LookUp(host, service, AI_NUMERICHOST); numeric.ok()) return numeric;

  const std::shared_ptr<Table> table = SharedTable();
  const std::string key = host + ":" + service;
  std::shared_ptr<Pending> pending;
  {
    base::MutexLock lock(table->mutex);
    std::shared_ptr<Pending>& entry = table->pending[key];
    if (entry == nullptr) {
      entry = std::make_shared<Pending>();
      std::thread([table, key, host, service, mine = entry] {
        Addresses result = LookUp(host, service, AI_ADDRCONFIG);
        {
          base::MutexLock table_lock(table->mutex);
          table->pending.erase(key);
        }
        base::MutexLock result_lock(mine->mutex);
        mine->result = std::move(result);
        mine->finished = true;
        mine->done.NotifyAll();
      }).detach();
    }
    pending = entry;
  }
  base::MutexLock lock(pending->mutex);
  while (!pending->finished) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= std::chrono::nanoseconds(0)) {
      return base::DeadlineExceeded("{}: the look-up of the name took too long", host);
    }
    pending->done.WaitFor(pending->mutex, left);
  }
  return pending->result;
}

}  // namespace neap::sdk
