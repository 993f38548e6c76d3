#include "autoscaler/kube/api/client.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "autoscaler/base/budget.h"
#include "autoscaler/base/clock.h"
#include "autoscaler/base/duration.h"
#include "autoscaler/base/mutex.h"
#include "autoscaler/base/status.h"

namespace neap::kube::api {
namespace {

// Kinds are few; whoever asks for made-up ones does not fill our memory.
constexpr size_t kMostCounts = 1000;

// What a request does, for counters: from its method and path.
struct VerbAndResource {
  std::string verb;
  std::string resource;
};
VerbAndResource Classify(const Call& call) {
  // /api/v1/... or /apis/group/version/..., then perhaps namespaces/NAME, then resource, name,
  // subresource.
  std::vector<std::string_view> parts;
  for (std::string_view rest = call.path; !rest.empty();) {
    const size_t slash = rest.find('/');
    if (slash != 0) parts.push_back(rest.substr(0, slash));
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  }
  const size_t group = parts.empty() ? 0 : parts[0] == "api" ? 2 : parts[0] == "apis" ? 3 : 0;
  std::vector<std::string_view> named;
  if (group != 0 && parts.size() > group) named.assign(parts.begin() + group, parts.end());
  if (named.size() > 2 && named[0] == "namespaces") named.erase(named.begin(), named.begin() + 2);
  VerbAndResource out{.verb = "get", .resource = "-"};
  if (!named.empty()) {
    out.resource = named[0];
    if (named.size() > 2) out.resource += fmt::format("/{}", named[2]);
  }
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kWrites = {
      {{"POST", "create"}, {"PUT", "update"}, {"PATCH", "patch"}, {"DELETE", "delete"}}};
  for (const auto& [method, verb] : kWrites) {
    if (call.method == method) out.verb = verb;
  }
  if (call.method == "GET" && named.size() == 1) {
    const bool watch = http::FindHeader(call.query, "watch") == "true";
    out.verb = watch ? "watch" : "list";
  }
  return out;
}

absl::Time DateOf(const http::Response& head) {
  absl::Time time;
  const std::string text(head.Header("Date"));
  return absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", text, &time, nullptr) ? time
                                                                            : absl::InfinitePast();
}

}  // namespace

std::string ResourcePath(std::string_view group, std::string_view version, std::string_view plural,
                         std::string_view ns, std::string_view name, std::string_view subresource) {
  std::string path =
      group.empty() ? fmt::format("/api/{}", http::UrlEncode(version))
                    : fmt::format("/apis/{}/{}", http::UrlEncode(group), http::UrlEncode(version));
  if (!ns.empty()) path += "/namespaces/" + http::UrlEncode(ns);
  path += "/" + http::UrlEncode(plural);
  if (!name.empty()) path += "/" + http::UrlEncode(name);
  if (!subresource.empty()) path += "/" + http::UrlEncode(subresource);
  return path;
}

struct Client::Shared {
  Shared(ClusterConfig c, const ClientOptions& options)
      : config(std::move(c)),
        identity(Describe(config)),
        limited(options.reads_per_second > 0),
        credentials(config, options.credentials),
        budget(limited ? options.reads_per_second : 1, std::max(1.0, options.burst)) {}

  // How long a request of this method waits for its turn, which it takes.
  absl::Duration TakeTurn(const std::string& method, absl::Duration patience) NEAP_EXCLUDES(mutex) {
    if (!limited) return absl::ZeroDuration();
    base::MutexLock lock(mutex);
    const absl::Time now = clock.Now();
    budget.Refill(now);
    const bool had = budget.Has();
    budget.Take();  // into debt, which later reads wait for
    if (had || method != "GET") return absl::ZeroDuration();
    const absl::Duration wait = budget.When(0) - now;
    if (wait >= patience) {
      budget.GiveBack();
      return absl::InfiniteDuration();
    }
    ++counters.delayed;
    counters.delay += wait;
    return wait;
  }

  void Count(const VerbAndResource& what, int status, absl::Time date) NEAP_EXCLUDES(mutex) {
    base::MutexLock lock(mutex);
    auto key = std::make_tuple(what.verb, what.resource,
                               status == 0 ? std::string("error") : std::to_string(status));
    if (date != absl::InfinitePast()) {
      counters.clock_skew = absl::Trunc(date - clock.Now(), absl::Seconds(1));
    }
    if (counts.size() >= kMostCounts && !counts.contains(key)) std::get<1>(key) = "other";
    ++counts[std::move(key)];
  }

  http::Request Make(Call call, Credential credential) const {
    http::Request request{.method = std::move(call.method),
                          .url = config.server + call.path,
                          .headers = {{"Accept", kJson}},
                          .body = std::move(call.body),
                          .timeout = call.timeout,
                          .tls = config.tls,
                          .proxy = config.proxy,
                          .max_response_bytes = call.max_response_bytes,
                          .may_send = std::move(call.may_send)};
    if (!call.query.empty()) request.url += "?" + http::QueryString(call.query);
    if (!request.body.empty()) request.headers.emplace_back("Content-Type", call.content_type);
    if (!credential.authorization.empty()) {
      request.headers.emplace_back("Authorization", std::move(credential.authorization));
    }
    if (!credential.cert_pem.empty()) {
      request.tls.cert_pem = std::move(credential.cert_pem);
      request.tls.key_pem = std::move(credential.key_pem);
    }
    const Impersonation& as = config.impersonate;
    if (as.user.empty()) return request;
    request.headers.emplace_back("Impersonate-User", as.user);
    if (!as.uid.empty()) request.headers.emplace_back("Impersonate-Uid", as.uid);
    for (const std::string& group : as.groups) {
      request.headers.emplace_back("Impersonate-Group", group);
    }
    for (const auto& [key, values] : as.extra) {
      for (const std::string& value : values) {
        request.headers.emplace_back("Impersonate-Extra-" + http::UrlEncode(key), value);
      }
    }
    return request;
  }

  absl::Status Explain(const absl::Status& error) const {
    const bool denied = absl::IsUnauthenticated(error) || absl::IsPermissionDenied(error);
    const bool said =
        identity.empty() || base::Message(error).find(identity) != std::string_view::npos;
    return denied && !said ? WithNote(error, identity) : error;
  }

  const ClusterConfig config;
  const std::string identity;
  const bool limited;
  const base::Clock clock;
  Credentials credentials;

  base::Mutex mutex;
  base::Budget budget NEAP_GUARDED_BY(mutex);
  std::map<std::tuple<std::string, std::string, std::string>, uint64_t> counts
      NEAP_GUARDED_BY(mutex);
  ClientCounters counters NEAP_GUARDED_BY(mutex);
};

Client::Client(http::Client& http, ClusterConfig config, ClientOptions options)
    : http_(http), shared_(std::make_shared<Shared>(std::move(config), options)) {}

Client::~Client() { shared_->credentials.Stop(); }

const ClusterConfig& Client::config() const { return shared_->config; }

absl::Status Client::Explain(const absl::Status& error) const { return shared_->Explain(error); }

// Sends at once when it may: in its turn and with the credential at hand. Else the request waits
// under its id; a wait counts against its deadline.
http::Id Client::Start(Call call, absl::Duration idle_timeout, bool is_stream, http::Callback done,
                       http::StreamHandlers handlers) {
  const auto number = std::make_shared<uint64_t>(0);  // of the credential; set before it is sent
  const VerbAndResource what = Classify(call);
  const auto judge = [shared = shared_, what, number](const absl::Status& error, int status,
                                                      absl::Time date) {
    const bool refused = status == 401 || absl::IsUnauthenticated(error);
    if (refused) shared->credentials.Refused(*number);
    if (!absl::IsCancelled(error)) shared->Count(what, status, date);
  };
  if (is_stream) {
    const auto headed = std::make_shared<bool>(false);
    handlers.on_headers = [judge, headed,
                           next = std::move(handlers.on_headers)](const http::Response& head) {
      *headed = true;
      judge(absl::OkStatus(), head.status, DateOf(head));
      if (next) next(head);
    };
    handlers.on_end = [judge, headed, next = std::move(handlers.on_end)](absl::Status end) {
      if (!*headed) judge(end, 0, absl::InfinitePast());
      if (next) next(std::move(end));
    };
  } else {
    done = [judge, next = std::move(done)](absl::StatusOr<http::Response> response) {
      judge(response.status(), response.ok() ? response->status : 0,
            response.ok() ? DateOf(*response) : absl::InfinitePast());
      next(std::move(response));
    };
  }
  const auto finish = [shared = shared_, number, idle_timeout](Call ready, Credential credential) {
    *number = credential.number;
    http::Request request = shared->Make(std::move(ready), std::move(credential));
    request.idle_timeout = idle_timeout;
    return request;
  };

  const absl::Duration wait = shared_->TakeTurn(call.method, call.timeout);
  if (wait == absl::ZeroDuration()) {
    if (auto credential = shared_->credentials.Current(); credential && credential->ok()) {
      http::Request request = finish(std::move(call), **std::move(credential));
      return is_stream ? http_.Stream(std::move(request), std::move(handlers))
                       : http_.Send(std::move(request), std::move(done));
    }
  }
  const auto begin = [&http = http_, shared = shared_, call = std::move(call), finish,
                      wait](http::Client::Supply supply) {
    if (wait == absl::InfiniteDuration()) {
      supply(base::DeadlineExceeded(
          "{} {}{}: too many requests wait for the budget of reads; this one was not sent",
          call.method, shared->config.server, call.path));
      return;
    }
    const auto ask = [shared, call, finish, supply = std::move(supply),
                      from = shared->clock.Elapsed()] {
      shared->credentials.Get(
          [shared, call, finish, supply, from](absl::StatusOr<Credential> credential) {
            if (!credential.ok()) {
              supply(credential.status());
              return;
            }
            Call ready = call;
            ready.timeout -= shared->clock.Elapsed() - from;
            supply(finish(std::move(ready), *std::move(credential)));
          });
    };
    if (wait == absl::ZeroDuration()) {
      ask();
    } else {
      http.After(wait, ask);
    }
  };
  return is_stream ? http_.StreamLater(begin, std::move(handlers))
                   : http_.SendLater(begin, std::move(done));
}

http::Id Client::Send(Call call, std::function<void(absl::StatusOr<Reply>)> done) {
  const std::string where =
      call.method + " " + http::RedactedUrl(shared_->config.server + call.path);
  return Start(
      std::move(call), absl::InfiniteDuration(), /*is_stream=*/false,
      [shared = shared_, where, done = std::move(done)](absl::StatusOr<http::Response> response) {
        if (!response.ok()) {
          done(shared->Explain(response.status()));
        } else if (response->status < 200 || response->status > 299) {
          done(shared->Explain(ToStatus(ApiErrorFrom(*response), where)));
        } else {
          const absl::Time date = DateOf(*response);
          done(Reply{.status = response->status,
                     .body = std::move(response->body),
                     .where = where,
                     .date = date});
        }
      },
      {});
}

absl::StatusOr<Reply> Client::Do(Call call) {
  struct Waiting {
    base::Mutex mutex;
    base::CondVar ready;
    std::optional<absl::StatusOr<Reply>> reply NEAP_GUARDED_BY(mutex);
  };
  Waiting waiting;  // outlives the callback: it runs exactly once, and we wait for it
  Send(std::move(call), [&waiting](absl::StatusOr<Reply> reply) {
    base::MutexLock lock(waiting.mutex);
    waiting.reply = std::move(reply);
    waiting.ready.NotifyAll();
  });
  base::MutexLock lock(waiting.mutex);
  while (!waiting.reply.has_value()) waiting.ready.Wait(waiting.mutex);
  return *std::move(waiting.reply);
}

http::Id Client::Stream(Call call, absl::Duration idle_timeout, http::StreamHandlers handlers) {
  return Start(std::move(call), idle_timeout, /*is_stream=*/true, {}, std::move(handlers));
}

ClientCounters Client::counters() const {
  ClientCounters out;
  {
    base::MutexLock lock(shared_->mutex);
    out = shared_->counters;
    for (const auto& [key, requests] : shared_->counts) {
      out.requests.push_back({.verb = std::get<0>(key),
                              .resource = std::get<1>(key),
                              .code = std::get<2>(key),
                              .requests = requests});
    }
  }
  out.credentials = shared_->credentials.counters();
  return out;
}

}  // namespace neap::kube::api
