// PrometheusRange: the samples that a query of a Prometheus server gave over a time, through
// /api/v1/query_range. Used by `record`. One thread.
//
//   PrometheusRange prometheus(client, {.url = "http://127.0.0.1:9090"});
//   NEAP_ASSIGN_OR_RETURN(auto samples, prometheus.Read("sum(rate(hits[1m]))", from, to, step));
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/http/client.h"

namespace neap::value {
class Value;
}

namespace neap::ctl {

struct PrometheusServer {
  std::string url = {};  // up to and without /api/v1
  http::Headers headers = {};
  http::Headers parameters = {};  // of each query, for servers that want more
  http::Tls tls = {};
  absl::Duration timeout = absl::Minutes(2);  // of each request: Prometheus' own for a query
};

class PrometheusRange {
 public:
  struct Sample {
    absl::Time at = {};
    double value = 0;  // may be NaN or infinite
  };
  // What one query may ask for, by Prometheus' own limit.
  static constexpr int64_t kMostPoints = 11'000;

  PrometheusRange(http::Client& client, PrometheusServer server);

  // At `from`, `from` + `step` ... up to `to`, whole milliseconds; where there is no sample there
  // is none. Errors name server, query, HTTP status and what Prometheus says: NotFound when nobody
  // serves that path; InvalidArgument for a query that it refuses and for one with several series;
  // ResourceExhausted when it is too much at once, so that a shorter time may do; and the client's.
  absl::StatusOr<std::vector<Sample>> Read(const std::string& query, absl::Time from, absl::Time to,
                                           absl::Duration step);

  // What the server warned of, each once.
  const std::set<std::string>& warnings() const { return warnings_; }

 private:
  absl::StatusOr<std::vector<Sample>> Samples(std::string_view body, std::string_view where);

  http::Client& client_;
  PrometheusServer server_;
  std::set<std::string> warnings_;
};

}  // namespace neap::ctl
