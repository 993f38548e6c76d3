// ScalersToken: keeps a token of the scalers' service account in a file that the bundle of scalers
// reads, so that what reads metrics has no rights of ours and none is mounted into its container.
// Asks the API server for it (TokenRequest), renews it at 80 % of its life, writes it whole by
// renaming, mode 0640. Owned by app. Made and destroyed on any thread; works on the http::Client's
// (the file is small and lies in memory); Problem is thread-safe.
#pragma once

#include <absl/time/time.h>

#include <memory>
#include <string>

#include "autoscaler/kube/context.h"

namespace neap::kube {

struct ScalersTokenOptions {
  std::string service_account = {};  // of our own namespace
  std::string path = {};
  // Asked for; the server may give another, which is what counts. At least 10 minutes, says the
  // API.
  absl::Duration life = absl::Hours(1);
  absl::Duration timeout = absl::Seconds(10);
  absl::Duration retry_min = absl::Seconds(1);  // doubled up to the next, and jittered
  absl::Duration retry_max = absl::Minutes(1);
};

class ScalersToken {
 public:
  ScalersToken(const Context& context, ScalersTokenOptions options);  // starts
  ~ScalersToken();                                                    // leaves the file as it is
  ScalersToken(const ScalersToken&) = delete;
  ScalersToken& operator=(const ScalersToken&) = delete;

  // "" while a token in the file is good; else what is wrong, for people. A renewal that fails
  // while the old token is good is reported (Context::Report) and is no problem yet.
  std::string Problem() const;

 private:
  class Impl;
  const std::shared_ptr<Impl> impl_;
};

// Writes `text` to `path` so that a reader finds the old or the new text, whole, and others than
// owner and group find nothing. Errors: Unavailable, naming the file.
absl::Status ReplaceSecretFile(const std::string& path, const std::string& text);

}  // namespace neap::kube
