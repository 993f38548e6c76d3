// Certificates for tests, made on the spot with OpenSSL: an authority and what it signs, as PEM
// text. They protect nothing. Immutable; thread-safe.
//
//   const TestAuthority ca;
//   const TestCertificate server = ca.Issue("127.0.0.1");   // valid for 127.0.0.1 and localhost
#pragma once

#include <memory>
#include <string>

namespace neap::testing_support {

struct TestCertificate {
  std::string cert;  // PEM
  std::string key;   // PEM, PKCS#8
};

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name = "neap test ca");
  ~TestAuthority();
  // PEM of the authority's own certificate.
  const std::string& cert() const { return cert_; }
  // A certificate for a server or a client: common name `name`; alternative names are `name`,
  // localhost and 127.0.0.1 (only `name`, when it is neither of the two and `only` is set).
  TestCertificate Issue(const std::string& name, bool only = false) const {
    return Issue(name, only, -3600, 24L * 3600);
  }
  // Valid between the two, seconds from now.
  TestCertificate Issue(const std::string& name, bool only, long from, long until) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::string cert_;
};

// `key` (PEM) encrypted with a password.
std::string EncryptKey(const std::string& key, const std::string& password);

}  // namespace neap::testing_support
