#include <cerrno>
#include <cstring>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "kernels/base/files.h"
#include "pool/net/tls.h"
#include "pool/net/tls_openssl.h"

namespace gemmine::pool {
namespace {

constexpr long kValidSeconds = 20L * 365 * 24 * 3600;  // the pin is what counts, not the date
constexpr size_t kChainMax = 8;

struct BioDelete {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioDelete>;

Error file_error(const std::string& what, const std::string& path) {
  return {Errc::io, what + " " + path + ": " + std::strerror(errno)};
}

bool add_extension(X509* certificate, int nid, const char* value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

TlsPtr<X509> self_sign(EVP_PKEY* key) {
  TlsPtr<X509> out(X509_new());
  uint8_t serial[16];
  if (out == nullptr || RAND_bytes(serial, sizeof serial) != 1) return nullptr;
  serial[0] &= 0x7f;  // positive
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  const bool numbered =
      number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(out.get())) != nullptr;
  BN_free(number);
  X509_NAME* name = X509_get_subject_name(out.get());
  const auto* title = reinterpret_cast<const uint8_t*>("gemmine pool");
  const bool filled = numbered && X509_set_version(out.get(), X509_VERSION_3) == 1 &&
                      X509_gmtime_adj(X509_getm_notBefore(out.get()), -24L * 3600) != nullptr &&
                      X509_gmtime_adj(X509_getm_notAfter(out.get()), kValidSeconds) != nullptr &&
                      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, title, -1, -1, 0) == 1 &&
                      X509_set_issuer_name(out.get(), name) == 1 &&
                      X509_set_pubkey(out.get(), key) == 1 &&
                      add_extension(out.get(), NID_basic_constraints, "critical,CA:FALSE") &&
                      add_extension(out.get(), NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  // Ed25519 signs the message itself, so there is no digest to name.
  if (!filled || X509_sign(out.get(), key, nullptr) == 0) return nullptr;
  return out;
}

}  // namespace

std::optional<Digest> spki_digest(const X509* certificate) {
  if (certificate == nullptr) return std::nullopt;
  uint8_t* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) return std::nullopt;
  Digest out;
  const int hashed =
      EVP_Digest(der, static_cast<size_t>(size), out.bytes.data(), nullptr, EVP_sha256(), nullptr);
  OPENSSL_free(der);
  if (hashed != 1) return std::nullopt;
  return out;
}

std::string openssl_error() {
  std::string out;
  char text[256];
  while (const unsigned long code = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(code);
    if (reason == nullptr) {
      ERR_error_string_n(code, text, sizeof text);
      reason = text;
    }
    out += (out.empty() ? "" : ", ") + std::string(reason);
  }
  return out.empty() ? "no reason given" : out;
}

std::string pin_text(const Digest& pin) {
  return "sha256:" + to_hex(pin.bytes);
}

Result<Digest> parse_pin(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  if (text.starts_with(kPrefix)) {
    const Result<Digest> digest = digest_from_hex(text.substr(kPrefix.size()));
    if (digest) return digest.value();
  }
  return Error{Errc::malformed, "a pin is \"sha256:\" and 64 hex digits, this is \"" +
                                    std::string(text.substr(0, 80)) + "\""};
}

Result<TlsIdentity> load_or_make_identity(const std::string& directory) {
  const std::string path = directory + "/tls.pem";
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return file_error("cannot look at", path);
    return TlsIdentity::make(path);
  }
  if ((info.st_mode & 0077) != 0) {
    return Error{Errc::invalid, path + " holds a private key and others may read it; chmod 600 it"};
  }
  return TlsIdentity::load(path);
}

Result<TlsIdentity> TlsIdentity::make(const std::string& path) {
  ERR_clear_error();
  const TlsPtr<EVP_PKEY> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const TlsPtr<X509> certificate = key == nullptr ? nullptr : self_sign(key.get());
  const BioPtr pem(BIO_new(BIO_s_secmem()));
  if (certificate == nullptr || pem == nullptr ||
      PEM_write_bio_PrivateKey(pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(pem.get(), certificate.get()) != 1) {
    return Error{Errc::unsupported, "cannot make a certificate: " + openssl_error()};
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(pem.get(), &text);
  const Status written =
      write_secret(path, as_bytes(std::string_view(text, static_cast<size_t>(size))));
  if (!written) return written.error();
  return load(path);  // what later starts will find, including whether they can read it
}

Result<TlsIdentity> TlsIdentity::load(const std::string& path) {
  ERR_clear_error();
  const BioPtr file(BIO_new_file(path.c_str(), "r"));
  if (file == nullptr) return Error{Errc::io, "cannot open " + path + ": " + openssl_error()};
  const auto no_password = [](char*, int, int, void*) { return -1; };  // never ask on a terminal
  TlsIdentity out;
  out.key_.reset(PEM_read_bio_PrivateKey(file.get(), nullptr, no_password, nullptr));
  if (out.key_ == nullptr) {
    return Error{Errc::invalid, path + " has no readable private key: " + openssl_error()};
  }
  BIO_reset(file.get());
  while (out.chain_.size() < kChainMax) {
    TlsPtr<X509> certificate(PEM_read_bio_X509(file.get(), nullptr, no_password, nullptr));
    if (certificate == nullptr) break;
    out.chain_.push_back(std::move(certificate));
  }
  ERR_clear_error();  // the end of the file is one
  const auto pin = out.chain_.empty() ? std::nullopt : spki_digest(out.chain_.front().get());
  if (!pin) return Error{Errc::invalid, path + " has no readable certificate"};
  if (X509_check_private_key(out.chain_.front().get(), out.key_.get()) != 1) {
    return Error{Errc::invalid, path + ": the first certificate is not for the private key"};
  }
  out.pin_ = *pin;
  return out;
}

}  // namespace gemmine::pool
