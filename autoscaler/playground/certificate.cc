#include "autoscaler/playground/certificate.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>

#include "autoscaler/base/status.h"

namespace neap::playground {
namespace {

struct Deleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* cert) const { X509_free(cert); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
};
template <typename T>
using Ptr = std::unique_ptr<T, Deleter>;

bool AddExtension(X509* cert, int nid, const char* text) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, cert, cert, nullptr, nullptr, 0);
  const Ptr<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, text));
  return extension != nullptr && X509_add_ext(cert, extension.get(), -1) == 1;
}

bool Fill(X509* cert, EVP_PKEY* key) {
  int64_t serial = 1;
  X509_NAME* name = X509_get_subject_name(cert);
  return RAND_bytes(reinterpret_cast<unsigned char*>(&serial), 7) == 1 &&
         X509_set_version(cert, 2) == 1 &&
         ASN1_INTEGER_set_int64(X509_get_serialNumber(cert), serial & 0x7fffffffffffff) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(cert), 365L * 24 * 3600) != nullptr &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                    reinterpret_cast<const unsigned char*>("neap playground"), -1,
                                    -1, 0) == 1 &&
         X509_set_issuer_name(cert, name) == 1 && X509_set_pubkey(cert, key) == 1 &&
         AddExtension(cert, NID_basic_constraints, "critical,CA:TRUE") &&
         AddExtension(cert, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost") &&
         X509_sign(cert, key, EVP_sha256()) > 0;
}

std::string Text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

absl::StatusOr<Certificate> MakeCertificate() {
  const Ptr<EVP_PKEY> key(EVP_EC_gen("P-256"));
  const Ptr<X509> cert(X509_new());
  const Ptr<BIO> cert_text(BIO_new(BIO_s_mem()));
  const Ptr<BIO> key_text(BIO_new(BIO_s_mem()));
  if (key == nullptr || cert == nullptr || cert_text == nullptr || key_text == nullptr ||
      !Fill(cert.get(), key.get()) || PEM_write_bio_X509(cert_text.get(), cert.get()) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1) {
    return base::Internal("OpenSSL could not make a certificate");
  }
  return Certificate{.cert = Text(cert_text.get()), .key = Text(key_text.get())};
}

}  // namespace neap::playground
