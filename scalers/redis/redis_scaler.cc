#include "scalers/redis/redis_scaler.h"

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "autoscaler/base/status.h"
#include "scalers/redis/connection.h"

extern const char neap_manifest_redis[];

namespace neap::scalers::redis {
namespace {

// "host:port", "[::1]:port". Nothing when there is no port.
std::optional<std::pair<std::string, uint16_t>> SplitAddress(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view digits = address.substr(colon + 1);
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port == 0) {
    return std::nullopt;
  }
  std::string_view host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) host = "localhost";
  return std::pair(std::string(host), port);
}

// The command that counts the elements of a type, "" for one that has none.
std::string_view CountCommand(std::string_view type) {
  // A key that is not there is an empty list: Redis removes a list with its last element.
  if (type == "list" || type == "none") return "LLEN";
  if (type == "set") return "SCARD";
  if (type == "zset") return "ZCARD";
  if (type == "hash") return "HLEN";
  return "";
}

class RedisTrigger : public sdk::Trigger {
 public:
  static absl::StatusOr<std::unique_ptr<sdk::Trigger>> Open(const sdk::Parameters& parameters) {
    auto out = std::unique_ptr<RedisTrigger>(new RedisTrigger);
    NEAP_RETURN_IF_ERROR(out->OpenAddress(parameters));
    NEAP_RETURN_IF_ERROR(out->OpenTls(parameters));
    Endpoint& endpoint = out->endpoint_;
    endpoint.username = parameters.Text("username");
    endpoint.password = parameters.GetSecret("password");
    endpoint.database = parameters.Int("databaseIndex");
    if (endpoint.database < 0) return sdk::BadParameter("databaseIndex", "must not be negative");
    out->list_ = parameters.Text("listName");
    out->activation_ = static_cast<double>(parameters.Int("activationListLength"));
    NEAP_ASSIGN_OR_RETURN(
        const sdk::Target target,
        sdk::ExternalTarget(parameters, sdk::IntTargetMilli(parameters.Int("listLength"))));
    out->metric_ = {.name = sdk::NormalizeName("redis-" + out->list_), .target = target};
    out->source_key_ = out->address_error_.empty() ? endpoint.Key() : out->address_error_;
    return out;
  }

  std::vector<sdk::MetricSpec> metrics() const override { return {metric_}; }
  std::string source_key() const override { return source_key_; }

  const Endpoint& endpoint() const { return endpoint_; }
  const std::string& list() const { return list_; }
  // Not "": why there is no server to ask.
  const std::string& address_error() const { return address_error_; }
  sdk::Reading Value(int64_t length) const {
    return sdk::Reading::Of(metric_.name, static_cast<double>(length), activation_);
  }

 private:
  RedisTrigger() = default;

  absl::Status OpenAddress(const sdk::Parameters& parameters) {
    std::vector<std::string> addresses = parameters.List("address");
    const std::vector<std::string> hosts = parameters.List("host");
    const std::vector<std::string> ports = parameters.List("port");
    if (!hosts.empty() && !ports.empty()) {
      if (hosts.size() != ports.size()) {
        return sdk::BadParameter("port", "{} ports are given for {} hosts", ports.size(),
                                 hosts.size());
      }
      for (size_t i = 0; i < hosts.size(); ++i) {
        const bool v6 = hosts[i].find(':') != std::string::npos && !hosts[i].starts_with('[');
        addresses.push_back(v6 ? fmt::format("[{}]:{}", hosts[i], ports[i])
                               : fmt::format("{}:{}", hosts[i], ports[i]));
      }
    }
    if (addresses.empty()) {
      return sdk::BadParameter("address",
                               "no server is given: set address to host:port, or host and port");
    }
    // A single server is the first one. KEDA accepts any text here and fails on connecting.
    if (auto split = SplitAddress(addresses[0])) {
      std::tie(endpoint_.stream.host, endpoint_.stream.port) = *std::move(split);
    } else {
      address_error_ = fmt::format("address: \"{}\" is not host:port", addresses[0]);
    }
    return absl::OkStatus();
  }

  absl::Status OpenTls(const sdk::Parameters& parameters) {
    const bool in_object = parameters.IsSet("enableTLS");
    const bool in_auth = parameters.IsSet("tls");
    if (in_object && in_auth) {
      return sdk::BadParameter("tls",
                               "is set in the authentication, and enableTLS in the trigger: "
                               "set only one of them");
    }
    sdk::StreamOptions& stream = endpoint_.stream;
    stream.use_tls = parameters.Bool("enableTLS") || parameters.Text("tls") == "enable";
    if (!stream.use_tls) return absl::OkStatus();
    stream.tls = {.ca = parameters.Text("ca"),
                  .cert = parameters.Text("cert"),
                  .key = parameters.GetSecret("key"),
                  .key_password = parameters.GetSecret("keyPassword"),
                  .server_name = "",
                  .insecure = parameters.Bool("unsafeSsl")};
    const absl::Status usable = sdk::CheckTls(stream.tls);
    if (usable.ok()) return absl::OkStatus();
    // The texts of CheckTls begin with the parameter at fault.
    const std::string_view message = base::Message(usable);
    return sdk::BadParameter(message.substr(0, message.find(' ')), "{}", message);
  }

  Endpoint endpoint_;
  std::string address_error_;
  std::string list_;
  double activation_ = 0;
  sdk::MetricSpec metric_;
  std::string source_key_;
};

// Thread-safe.
class RedisScaler : public sdk::Scaler {
 public:
  std::string_view manifest() const override { return neap_manifest_redis; }

  absl::StatusOr<std::unique_ptr<sdk::Trigger>> Open(const sdk::Parameters& parameters) override {
    return RedisTrigger::Open(parameters);
  }

  std::vector<sdk::Reading> Read(std::span<const sdk::Trigger* const> triggers,
                                 sdk::ReadContext& context) override {
    std::vector<const RedisTrigger*> mine;
    mine.reserve(triggers.size());
    for (const sdk::Trigger* trigger : triggers) {
      mine.push_back(static_cast<const RedisTrigger*>(trigger));
    }
    absl::StatusOr<std::vector<sdk::Reading>> readings =
        ReadAll(mine, sdk::DeadlineIn(context.remaining()));
    if (readings.ok()) return *std::move(readings);
    return std::vector<sdk::Reading>(triggers.size(),
                                     sdk::Reading::Failed(sdk::FromStatus(readings.status())));
  }

 private:
  // All triggers have one endpoint. An error is of the connection, so of all of them.
  absl::StatusOr<std::vector<sdk::Reading>> ReadAll(
      const std::vector<const RedisTrigger*>& triggers, sdk::Deadline deadline) {
    const RedisTrigger& first = *triggers[0];
    if (!first.address_error().empty()) {
      return base::InvalidArgument("{}", first.address_error());
    }
    const std::string key = first.source_key();
    std::unique_ptr<Connection> connection = pool_.Take(key);
    const bool reused = connection != nullptr;
    if (!reused) {
      NEAP_ASSIGN_OR_RETURN(connection, Connection::Open(first.endpoint(), deadline));
    }
    absl::StatusOr<std::vector<sdk::Reading>> readings = ReadOn(*connection, triggers, deadline);
    if (!readings.ok() && reused && absl::IsUnavailable(readings.status())) {
      // The server went away while the connection was idle; it may be back.
      NEAP_ASSIGN_OR_RETURN(connection, Connection::Open(first.endpoint(), deadline));
      readings = ReadOn(*connection, triggers, deadline);
    }
    if (readings.ok()) pool_.Give(key, std::move(connection));
    return readings;
  }

  // First the type of every key, then its length: two exchanges for any number of triggers, and no
  // script, which an ACL may forbid.
  static absl::StatusOr<std::vector<sdk::Reading>> ReadOn(
      Connection& connection, const std::vector<const RedisTrigger*>& triggers,
      sdk::Deadline deadline) {
    std::vector<sdk::Reading> out(triggers.size());
    std::vector<std::string> commands;
    for (const RedisTrigger* trigger : triggers) {
      commands.push_back(Command({"TYPE", trigger->list()}));
    }
    NEAP_ASSIGN_OR_RETURN(const std::vector<Reply> types, connection.Exchange(commands, deadline));
    commands.clear();
    std::vector<size_t> asked;  // the trigger of each command
    for (size_t i = 0; i < triggers.size(); ++i) {
      const std::string& list = triggers[i]->list();
      if (types[i].kind == Reply::Kind::kError) {
        out[i] = sdk::Reading::Failed(sdk::FromStatus(connection.ErrorOf(types[i])));
      } else if (const std::string_view count = CountCommand(types[i].text); count.empty()) {
        out[i] = sdk::Reading::Failed(
            {.kind = sdk::ErrorKind::kBadParameter,
             .message = fmt::format("{}: listName: {} is a {}; a list, set, sorted set or hash is "
                                    "needed",
                                    connection.peer(), list, types[i].text.substr(0, 40))});
      } else {
        commands.push_back(Command({count, list}));
        asked.push_back(i);
      }
    }
    if (commands.empty()) return out;
    NEAP_ASSIGN_OR_RETURN(const std::vector<Reply> lengths,
                          connection.Exchange(commands, deadline));
    for (size_t k = 0; k < asked.size(); ++k) {
      const Reply& reply = lengths[k];
      if (reply.kind == Reply::Kind::kInteger) {
        out[asked[k]] = triggers[asked[k]]->Value(reply.integer);
      } else if (reply.kind == Reply::Kind::kError) {
        out[asked[k]] = sdk::Reading::Failed(sdk::FromStatus(connection.ErrorOf(reply)));
      } else {
        return base::DataLoss("{}: a length that is no integer", connection.peer());
      }
    }
    return out;
  }

  Pool pool_;
};

}  // namespace

std::vector<std::unique_ptr<sdk::Scaler>> Make() {
  std::vector<std::unique_ptr<sdk::Scaler>> out;
  out.push_back(std::make_unique<RedisScaler>());
  return out;
}

}  // namespace neap::scalers::redis
