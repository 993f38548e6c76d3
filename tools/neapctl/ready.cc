// neapctl ready: a running neapd's /readyz, in an exit code.
#include <absl/time/clock.h>
#include <absl/time/time.h>
#include <fmt/format.h>

#include "autoscaler/base/duration.h"
#include "autoscaler/base/status.h"
#include "autoscaler/base/version.h"
#include "autoscaler/http/client.h"
#include "tools/neapctl/commands.h"

namespace neap::ctl {
namespace {

constexpr absl::Duration kBetweenTries = absl::Milliseconds(500);
constexpr absl::Duration kOneTry = absl::Seconds(10);

struct Answer {
  bool answered = false;
  bool ready = false;
  std::string why;  // what the page says, or why there is none
};

Answer Ask(http::Client& client, const std::string& server) {
  http::Request request;
  request.url = server.substr(0, server.find_last_not_of('/') + 1) + "/readyz";
  request.timeout = kOneTry;
  absl::StatusOr<http::Response> response = client.Do(std::move(request));
  if (!response.ok()) return {.why = std::string(base::Message(response.status()))};
  while (response->body.ends_with('\n')) response->body.pop_back();
  // Of other pages of other servers we would not know what they mean.
  if (response->status != 200 && response->status != 503) {
    return {.why = fmt::format("{}: {} {}", server, response->status, response->body)};
  }
  return {.answered = true, .ready = response->status == 200, .why = std::move(response->body)};
}

}  // namespace

int Ready(const ReadyOptions& options) {
  const absl::StatusOr<absl::Duration> patience = base::ParseDuration(options.wait);
  if (!patience.ok()) {
    PrintError(fmt::format("--wait: {}", base::Message(patience.status())));
    return kFailed;
  }
  http::Client client({.user_agent = fmt::format("neapctl/{}", base::Version())});
  const absl::Time until = absl::Now() + *patience;
  Answer answer = Ask(client, options.server);
  while (!answer.ready && absl::Now() + kBetweenTries < until) {
    absl::SleepFor(kBetweenTries);
    answer = Ask(client, options.server);
  }
  if (!answer.answered) {
    PrintError(answer.why);
    return kFailed;
  }
  Print(options.format, Json{{"ready", answer.ready}, {"reason", answer.why}},
        answer.ready ? "ready\n" : fmt::format("not ready: {}\n", answer.why));
  return answer.ready ? kOk : kNo;
}

}  // namespace neap::ctl
