#include "tests/support/certificates.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "autoscaler/base/check.h"

namespace neap::testing_support {
namespace {

using CertPtr = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

std::string Take(const BioPtr& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string Pem(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()), BIO_free_all);
  PEM_write_bio_X509(bio.get(), certificate);
  return Take(bio);
}

std::string Pem(EVP_PKEY* key, const std::string& password = "") {
  const BioPtr bio(BIO_new(BIO_s_mem()), BIO_free_all);
  const bool secret = !password.empty();
  PEM_write_bio_PKCS8PrivateKey(bio.get(), key, secret ? EVP_aes_128_cbc() : nullptr,
                                secret ? password.c_str() : nullptr,
                                static_cast<int>(password.size()), nullptr, nullptr);
  return Take(bio);
}

void Extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  NEAP_CHECK(extension != nullptr, "extension {}", value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

CertPtr Unsigned(const std::string& name, EVP_PKEY* key, long from, long until) {
  CertPtr certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), 2);
  uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial));
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), until);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

}  // namespace

struct TestAuthority::Impl {
  KeyPtr key{EVP_EC_gen("P-256"), EVP_PKEY_free};
  CertPtr certificate{nullptr, X509_free};
};

TestAuthority::TestAuthority(const std::string& name) : impl_(std::make_unique<Impl>()) {
  impl_->certificate = Unsigned(name, impl_->key.get(), -3600, 24L * 3600);
  X509* certificate = impl_->certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  Extend(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  Extend(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  Extend(certificate, certificate, NID_subject_key_identifier, "hash");
  NEAP_CHECK(X509_sign(certificate, impl_->key.get(), EVP_sha256()) > 0, "sign");
  cert_ = Pem(certificate);
}

TestAuthority::~TestAuthority() = default;

TestCertificate TestAuthority::Issue(const std::string& name, bool only, long from,
                                     long until) const {
  const KeyPtr key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const CertPtr certificate = Unsigned(name, key.get(), from, until);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(impl_->certificate.get()));
  const bool address = name.find_first_not_of("0123456789.") == std::string::npos;
  std::string names = (address ? "IP:" : "DNS:") + name;
  if (!only) names += ",DNS:localhost,IP:127.0.0.1";
  Extend(certificate.get(), impl_->certificate.get(), NID_basic_constraints, "critical,CA:FALSE");
  Extend(certificate.get(), impl_->certificate.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  Extend(certificate.get(), impl_->certificate.get(), NID_subject_alt_name, names);
  NEAP_CHECK(X509_sign(certificate.get(), impl_->key.get(), EVP_sha256()) > 0, "sign");
  return {.cert = Pem(certificate.get()), .key = Pem(key.get())};
}

std::string EncryptKey(const std::string& key, const std::string& password) {
  const BioPtr bio(BIO_new_mem_buf(key.data(), static_cast<int>(key.size())), BIO_free_all);
  const KeyPtr parsed(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  NEAP_CHECK(parsed != nullptr, "not a key");
  return Pem(parsed.get(), password);
}

}  // namespace neap::testing_support
