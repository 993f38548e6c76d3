// A connection to one Redis server, logged in and on its database, and the pool that keeps idle
// ones for the next read. Used by redis_scaler.cc alone.
//
// Errors of all calls name the peer and never hold the password. Codes: Unavailable (no connection,
// or the server says that it can't answer now), DeadlineExceeded, Unauthenticated and
// PermissionDenied (TLS, login, ACL), InvalidArgument (certificate, database index), DataLoss (the
// peer does not speak Redis), FailedPrecondition (any other error reply).
#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "autoscaler/base/mutex.h"
#include "scalers/redis/resp.h"
#include "scalers/sdk/tls_stream.h"

namespace neap::scalers::redis {

// Whom to talk to and as whom.
struct Endpoint {
  sdk::StreamOptions stream;
  std::string username;
  sdk::Secret password;
  int64_t database = 0;

  // Equal for endpoints that may share a connection; shows no secret.
  std::string Key() const;
};

// One thread at a time.
class Connection {
 public:
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const Endpoint& endpoint,
                                                          sdk::Deadline deadline);

  // Sends all commands at once and gives their replies, in order; error replies are replies. After
  // an error the connection is of no more use.
  absl::StatusOr<std::vector<Reply>> Exchange(const std::vector<std::string>& commands,
                                              sdk::Deadline deadline);
  // What an error reply means.
  absl::Status ErrorOf(const Reply& reply) const;
  bool Stale() { return stream_->Stale(); }
  const std::string& peer() const { return peer_; }

 private:
  Connection(std::string peer, sdk::Secret password, std::unique_ptr<sdk::TlsStream> stream)
      : peer_(std::move(peer)), password_(std::move(password)), stream_(std::move(stream)) {}
  absl::Status Login(const Endpoint& endpoint, sdk::Deadline deadline);

  const std::string peer_;      // "redis host:port"
  const sdk::Secret password_;  // to keep it out of messages
  std::unique_ptr<sdk::TlsStream> stream_;
  ReplyReader reader_;
};

// Idle connections by Endpoint::Key: at most two each, each for at most a minute. Thread-safe.
class Pool {
 public:
  // An idle connection that can still be used, or null.
  std::unique_ptr<Connection> Take(const std::string& key);
  void Give(const std::string& key, std::unique_ptr<Connection> connection);

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    sdk::Deadline until;
  };
  base::Mutex mutex_;
  std::map<std::string, std::vector<Idle>> idle_ NEAP_GUARDED_BY(mutex_);
};

}  // namespace neap::scalers::redis
