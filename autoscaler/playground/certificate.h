// A certificate that the playground makes for itself when it is to speak TLS: self-signed, for
// 127.0.0.1 and localhost, a year. It protects nothing but lets clients exercise TLS. Plain values.
#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>

namespace neap::playground {

struct Certificate {
  std::string cert;  // PEM; also the authority that clients trust
  std::string key;   // PEM
};

absl::StatusOr<Certificate> MakeCertificate();

}  // namespace neap::playground
