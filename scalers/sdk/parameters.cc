#include "scalers/sdk/parameters.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstring>

#include "autoscaler/base/check.h"
#include "autoscaler/base/status.h"

namespace neap::sdk {
namespace {

constexpr char kParameterPayload[] = "neap.parameter";

// A value that passed catalog::Check parses; if not, the scaler asked for another kind than its
// manifest declares.
template <typename T>
T Parsed(absl::StatusOr<T> value, std::string_view name, std::string_view type) {
  NEAP_CHECK(value.ok(), "parameter {} of {} read as another kind than its manifest says", name,
             type);
  return *std::move(value);
}

}  // namespace

uint64_t Secret::Fingerprint() const {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  // Salted per process: a fingerprint that leaks tells nothing outside it.
  static const std::string salt = [] {
    std::string out(16, '\0');
    NEAP_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), 16) == 1,
               "no random bytes");
    return out;
  }();
  const std::string salted = salt + text_;
  NEAP_CHECK(EVP_Digest(salted.data(), salted.size(), digest, &size, EVP_sha256(), nullptr) == 1,
             "SHA-256 failed");
  uint64_t out = 0;
  std::memcpy(&out, digest, sizeof(out));
  return out;
}

std::string Parameters::pod_identity() const {
  return request_.text.pod_identity == "none" ? "" : request_.text.pod_identity;
}

bool Parameters::IsSet(std::string_view name, catalog::Source* source) const {
  const catalog::Parameter* parameter = type_.Find(name);
  NEAP_CHECK(parameter != nullptr, "parameter {} is not in the manifest of {}", name, type_.type);
  const auto found = catalog::FindValue(*parameter, request_.text);
  if (!found || found->is_default) return false;
  if (source != nullptr) *source = found->source;
  return true;
}

std::string Parameters::Value(std::string_view name) const {
  const catalog::Parameter* parameter = type_.Find(name);
  NEAP_CHECK(parameter != nullptr, "parameter {} is not in the manifest of {}", name, type_.type);
  auto found = catalog::FindValue(*parameter, request_.text);
  return found ? std::move(found->text) : std::string();
}

std::string Parameters::Text(std::string_view name) const { return Value(name); }

Secret Parameters::GetSecret(std::string_view name) const { return Secret(Value(name)); }

int64_t Parameters::Int(std::string_view name) const {
  const std::string text = Value(name);
  return text.empty() ? 0 : Parsed(catalog::ParseInt(text), name, type_.type);
}

double Parameters::Float(std::string_view name) const {
  const std::string text = Value(name);
  return text.empty() ? 0 : Parsed(catalog::ParseFloat(text), name, type_.type);
}

bool Parameters::Bool(std::string_view name) const {
  const std::string text = Value(name);
  return !text.empty() && Parsed(catalog::ParseBool(text), name, type_.type);
}

absl::Duration Parameters::Duration(std::string_view name) const {
  const std::string text = Value(name);
  if (text.empty()) return absl::ZeroDuration();
  return Parsed(catalog::ParseDurationValue(text), name, type_.type);
}

std::vector<std::string> Parameters::List(std::string_view name) const {
  const std::string text = Value(name);
  if (text.empty()) return {};
  return catalog::ParseList(text);
}

std::vector<std::pair<std::string, std::string>> Parameters::Map(std::string_view name) const {
  const std::string text = Value(name);
  if (text.empty()) return {};
  return Parsed(catalog::ParseMap(text), name, type_.type);
}

absl::Status BadParameterStatus(std::string_view parameter, std::string_view message) {
  absl::Status status = base::InvalidArgument("{}: {}", parameter, message);
  status.SetPayload(kParameterPayload, absl::Cord(std::string(parameter)));
  return status;
}

catalog::FieldError ToFieldError(const absl::Status& status) {
  catalog::FieldError out;
  std::string_view message = base::Message(status);
  if (const auto payload = status.GetPayload(kParameterPayload)) {
    out.parameter = std::string(*payload);
    message.remove_prefix(out.parameter.size() + 2);  // "<parameter>: "
  }
  out.message = std::string(message);
  return out;
}

}  // namespace neap::sdk
