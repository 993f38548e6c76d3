#include "scalers/redis/connection.h"

#include <chrono>
#include <string_view>
#include <utility>

#include "autoscaler/base/status.h"

namespace neap::scalers::redis {
namespace {

constexpr size_t kIdlePerKey = 2;
constexpr absl::Duration kIdleTime = absl::Minutes(1);
constexpr size_t kMaxErrorText = 200;

}  // namespace

std::string Endpoint::Key() const {
  const auto tls = [&] {
    if (!stream.use_tls) return std::string("plain");
    const sdk::TlsOptions& o = stream.tls;
    // Only what decides who the peer is and who we are; as a fingerprint, since it is long.
    return fmt::format(
        "tls {:x} {:x}",
        sdk::Secret(fmt::format("{}\n{}\n{}", o.ca, o.cert, o.insecure)).Fingerprint(),
        o.key.Fingerprint());
  };
  return fmt::format("redis {} {} {} {} {:x} {}", stream.host, stream.port, database, username,
                     password.Fingerprint(), tls());
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const Endpoint& endpoint,
                                                             sdk::Deadline deadline) {
  absl::StatusOr<std::unique_ptr<sdk::TlsStream>> stream =
      sdk::TlsStream::Connect(endpoint.stream, deadline);
  if (!stream.ok()) return base::Annotate(stream.status(), "redis");
  auto connection = std::unique_ptr<Connection>(
      new Connection(fmt::format("redis {}:{}", endpoint.stream.host, endpoint.stream.port),
                     endpoint.password, *std::move(stream)));
  NEAP_RETURN_IF_ERROR(connection->Login(endpoint, deadline));
  return connection;
}

absl::Status Connection::Login(const Endpoint& endpoint, sdk::Deadline deadline) {
  std::vector<std::string> commands;
  // A user without a password is not logged in, as KEDA's client does.
  if (!endpoint.password.empty()) {
    if (endpoint.username.empty()) {
      commands.push_back(Command({"AUTH", endpoint.password.Reveal()}));
    } else {
      commands.push_back(Command({"AUTH", endpoint.username, endpoint.password.Reveal()}));
    }
  }
  const size_t logins = commands.size();
  if (endpoint.database != 0) {
    commands.push_back(Command({"SELECT", std::to_string(endpoint.database)}));
  }
  if (commands.empty()) return absl::OkStatus();
  NEAP_ASSIGN_OR_RETURN(const std::vector<Reply> replies, Exchange(commands, deadline));
  for (size_t i = 0; i < replies.size(); ++i) {
    if (replies[i].kind != Reply::Kind::kError) continue;
    const absl::Status status = ErrorOf(replies[i]);
    if (i < logins && absl::IsFailedPrecondition(status)) {
      // "AUTH called without any password configured", "wrong number of arguments": the login.
      return base::Unauthenticated("{}", base::Message(status));
    }
    if (i >= logins && absl::IsFailedPrecondition(status)) {
      return base::InvalidArgument("databaseIndex {}: {}", endpoint.database,
                                   base::Message(status));
    }
    return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Reply>> Connection::Exchange(const std::vector<std::string>& commands,
                                                        sdk::Deadline deadline) {
  std::string bytes;
  for (const std::string& command : commands) bytes += command;
  if (const absl::Status sent = stream_->Write(bytes, deadline); !sent.ok()) {
    return base::Annotate(sent, "redis");
  }
  std::vector<Reply> replies;
  while (replies.size() < commands.size()) {
    absl::StatusOr<std::optional<Reply>> reply = reader_.Next();
    if (!reply.ok()) return base::Annotate(reply.status(), peer_);
    if (*reply) {
      replies.push_back(**std::move(reply));
      continue;
    }
    absl::StatusOr<std::string> more = stream_->Read(deadline);
    if (!more.ok()) return base::Annotate(more.status(), "redis");
    reader_.Feed(*more);
  }
  return replies;
}

absl::Status Connection::ErrorOf(const Reply& reply) const {
  const std::string_view text = reply.text;
  const std::string_view code = text.substr(0, text.find(' '));
  // Old servers and proxies repeat the arguments of a command they do not know.
  const bool leaks = !password_.empty() && text.find(password_.Reveal()) != std::string_view::npos;
  const std::string_view shown = leaks ? code : text.substr(0, kMaxErrorText);
  if (code == "NOAUTH" || code == "WRONGPASS") return base::Unauthenticated("{}: {}", peer_, shown);
  if (code == "NOPERM" || code == "DENIED") return base::PermissionDenied("{}: {}", peer_, shown);
  for (std::string_view later : {"LOADING", "MASTERDOWN", "BUSY", "TRYAGAIN", "CLUSTERDOWN"}) {
    if (code == later) return base::Unavailable("{}: {}", peer_, shown);
  }
  if (text.find("max number of clients") != std::string_view::npos) {
    return base::Unavailable("{}: {}", peer_, shown);
  }
  if (code == "MOVED" || code == "ASK") {
    return base::FailedPrecondition("{}: is part of a cluster, which type redis does not read",
                                    peer_);
  }
  return base::FailedPrecondition("{}: {}", peer_, shown);
}

std::unique_ptr<Connection> Pool::Take(const std::string& key) {
  std::vector<Idle> dropped;  // closed after the lock is free
  base::MutexLock lock(mutex_);
  const sdk::Deadline now = std::chrono::steady_clock::now();
  // Also those of endpoints that nobody asks for any more.
  for (auto at = idle_.begin(); at != idle_.end();) {
    std::vector<Idle>& list = at->second;
    for (size_t i = list.size(); i-- > 0;) {
      if (list[i].until > now) continue;
      dropped.push_back(std::move(list[i]));
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
    }
    at = list.empty() ? idle_.erase(at) : std::next(at);
  }
  const auto at = idle_.find(key);
  if (at == idle_.end()) return nullptr;
  while (!at->second.empty()) {
    std::unique_ptr<Connection> connection = std::move(at->second.back().connection);
    at->second.pop_back();
    if (!connection->Stale()) return connection;
    dropped.push_back({.connection = std::move(connection), .until = now});
  }
  return nullptr;
}

void Pool::Give(const std::string& key, std::unique_ptr<Connection> connection) {
  base::MutexLock lock(mutex_);
  std::vector<Idle>& list = idle_[key];
  if (list.size() >= kIdlePerKey) return;
  list.push_back({.connection = std::move(connection), .until = sdk::DeadlineIn(kIdleTime)});
}

}  // namespace neap::scalers::redis
