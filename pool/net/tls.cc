#include "pool/net/tls.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>

#include <climits>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "kernels/base/check.h"
#include "pool/net/tls_openssl.h"
#include "pool/wire/types.h"

namespace gemmine::pool {
namespace {

constexpr int kRecordOverhead = 22;  // header, content type and tag of one record
constexpr size_t kRecordBytes = size_t{16} << 10;

// ALPN as on the wire: a length byte, then the name.
Bytes alpn_wire() {
  Bytes out{static_cast<uint8_t>(kAlpn.size())};
  out.insert(out.end(), kAlpn.begin(), kAlpn.end());
  return out;
}

bool is_numeric_address(const std::string& host) {
  uint8_t address[16];
  return inet_pton(AF_INET, host.c_str(), address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address) == 1;
}

}  // namespace

void TlsDelete::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}
void TlsDelete::operator()(ssl_ctx_st* context) const {
  SSL_CTX_free(context);
}
void TlsDelete::operator()(ssl_st* ssl) const {
  SSL_free(ssl);
}
void TlsDelete::operator()(x509_st* certificate) const {
  X509_free(certificate);
}

// What OpenSSL calls. The BIO reads from TlsStream::in_ and appends to out_ without a buffer of its
// own: OpenSSL's memory BIO would keep the space of the largest message for ever.
struct TlsCallbacks {
  static TlsStream* stream(BIO* bio) { return static_cast<TlsStream*>(BIO_get_data(bio)); }

  static int bio_read(BIO* bio, char* out, int size) {
    TlsStream* self = stream(bio);
    BIO_clear_retry_flags(bio);
    const size_t count = std::min(self->in_.size(), static_cast<size_t>(std::max(size, 0)));
    if (count == 0) {
      BIO_set_retry_read(bio);
      return -1;
    }
    std::memcpy(out, self->in_.data(), count);
    self->in_ = self->in_.subspan(count);
    return static_cast<int>(count);
  }

  static int bio_write(BIO* bio, const char* bytes, int size) {
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    Bytes& out = stream(bio)->out_;
    out.insert(out.end(), bytes, bytes + size);
    return size;
  }

  static long bio_ctrl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static BIO_METHOD* bio_method() {
    // One for the process, never freed: BIOs refer to it until the very end.
    // NOLINTNEXTLINE(readability-identifier-naming): a constant, made at run time
    static BIO_METHOD* const kMethod = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gemmine");
      GEMMINE_CHECK(made != nullptr);
      BIO_meth_set_read(made, bio_read);
      BIO_meth_set_write(made, bio_write);
      BIO_meth_set_ctrl(made, bio_ctrl);
      return made;
    }();
    return kMethod;
  }

  static int select_alpn(SSL*, const uint8_t** chosen, uint8_t* chosen_size, const uint8_t* offered,
                         unsigned offered_size, void*) {
    for (unsigned at = 0; at < offered_size; at += 1u + offered[at]) {
      const unsigned size = offered[at];
      if (size > offered_size - at - 1) break;
      if (size == kAlpn.size() && std::memcmp(offered + at + 1, kAlpn.data(), size) == 0) {
        *chosen = offered + at + 1;
        *chosen_size = static_cast<uint8_t>(size);
        return SSL_TLSEXT_ERR_OK;
      }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }

  // Replaces OpenSSL's chain check. That the peer has the private key is proved in any case, by
  // the handshake's CertificateVerify.
  static int verify(X509_STORE_CTX* store, void*) {
    const int index = SSL_get_ex_data_X509_STORE_CTX_idx();
    auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, index));
    auto* self = static_cast<TlsStream*>(SSL_get_app_data(ssl));
    const auto presented = spki_digest(X509_STORE_CTX_get0_cert(store));
    const std::string presented_text = presented ? pin_text(*presented) : "unreadable";
    if (!self->pin_) {
      if (X509_verify_cert(store) == 1) return 1;
      self->untrusted_ = true;
      const int code = X509_STORE_CTX_get_error(store);
      self->refusal_ = "the certificate of " + self->host_ + " is not trusted (" +
                       X509_verify_cert_error_string(code) + ") and no pin is set; its pin is " +
                       presented_text + ", set it if the pool's operator confirms it";
      return 0;
    }
    if (presented && CRYPTO_memcmp(presented->bytes.data(), self->pin_->bytes.data(),
                                   self->pin_->bytes.size()) == 0) {
      return 1;
    }
    self->untrusted_ = true;
    self->refusal_ = "the key of " + self->host_ + " is not the pinned one: expected " +
                     pin_text(*self->pin_) + ", presented " + presented_text;
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
  }
};

namespace {

// Common to both sides. Tickets, resumption and early data would make a connection's exporter and
// identity depend on an earlier one, so there are none.
TlsPtr<SSL_CTX> new_context(const SSL_METHOD* method) {
  ERR_clear_error();
  TlsPtr<SSL_CTX> out(SSL_CTX_new(method));
  if (out == nullptr) return out;
  SSL_CTX_set_options(out.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(out.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(out.get(), SSL_MODE_RELEASE_BUFFERS);  // idle connections keep no records
  if (SSL_CTX_set_min_proto_version(out.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(out.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_num_tickets(out.get(), 0) != 1) {
    return nullptr;
  }
  return out;
}

}  // namespace

Result<TlsContext> TlsContext::server(const TlsIdentity& identity) {
  TlsContext out;
  out.context_ = new_context(TLS_server_method());
  SSL_CTX* context = out.context_.get();
  bool good = context != nullptr &&
              SSL_CTX_use_certificate(context, identity.chain_.front().get()) == 1 &&
              SSL_CTX_use_PrivateKey(context, identity.key_.get()) == 1;
  for (size_t i = 1; good && i < identity.chain_.size(); ++i) {
    good = SSL_CTX_add1_chain_cert(context, identity.chain_[i].get()) == 1;
  }
  if (!good) return Error{Errc::invalid, "cannot use the TLS identity: " + openssl_error()};
  SSL_CTX_set_alpn_select_cb(context, TlsCallbacks::select_alpn, nullptr);
  return out;
}

Result<TlsContext> TlsContext::client(const std::optional<Digest>& pin) {
  TlsContext out;
  out.pin_ = pin;
  out.context_ = new_context(TLS_client_method());
  const Bytes alpn = alpn_wire();
  SSL_CTX* context = out.context_.get();
  // 0 is success here, unlike everywhere else.
  if (context == nullptr ||
      SSL_CTX_set_alpn_protos(context, alpn.data(), static_cast<unsigned>(alpn.size())) != 0 ||
      (!pin && SSL_CTX_set_default_verify_paths(context) != 1)) {
    return Error{Errc::unsupported, "cannot set TLS up: " + openssl_error()};
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(context, TlsCallbacks::verify, nullptr);
  return out;
}

Result<std::unique_ptr<TlsStream>> TlsStream::make(const TlsContext& context) {
  ERR_clear_error();
  std::unique_ptr<TlsStream> out(new TlsStream);
  out->ssl_.reset(SSL_new(context.context_.get()));
  BIO* bio = BIO_new(TlsCallbacks::bio_method());
  if (out->ssl_ == nullptr || bio == nullptr) {
    BIO_free(bio);
    return Error{Errc::out_of_memory, "cannot make a TLS connection: " + openssl_error()};
  }
  BIO_set_data(bio, out.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(out->ssl_.get(), bio, bio);  // takes it
  SSL_set_app_data(out->ssl_.get(), out.get());
  out->pin_ = context.pin_;
  return out;
}

Result<std::unique_ptr<TlsStream>> TlsStream::server(const TlsContext& context) {
  auto out = make(context);
  if (out) SSL_set_accept_state(out.value()->ssl_.get());
  return out;
}

Result<std::unique_ptr<TlsStream>> TlsStream::client(const TlsContext& context,
                                                     const std::string& host) {
  auto out = make(context);
  if (!out) return out;
  SSL* ssl = out.value()->ssl_.get();
  out.value()->host_ = host;
  const bool named = is_numeric_address(host)
                         ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1
                         : SSL_set1_host(ssl, host.c_str()) == 1 &&
                               SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
  if (!named) return Error{Errc::invalid_argument, "\"" + host + "\" is no host name"};
  SSL_set_connect_state(ssl);
  const Status begun = out.value()->advance_handshake();  // makes the first message
  if (!begun) return begun.error();
  return out;
}

Status TlsStream::advance_handshake() {
  ERR_clear_error();
  const size_t before = in_.size();
  const int rc = SSL_do_handshake(ssl_.get());
  handshake_bytes_ += before - in_.size();
  if (rc != 1) {
    if (SSL_get_error(ssl_.get(), rc) != SSL_ERROR_WANT_READ) return fail("TLS handshake");
    if (handshake_bytes_ <= kHandshakeBytesMax) return Ok{};
    refusal_ = "TLS handshake of more than " + std::to_string(kHandshakeBytesMax) + " bytes";
    return fail("TLS handshake");
  }
  const uint8_t* alpn = nullptr;
  unsigned alpn_size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &alpn, &alpn_size);
  if (alpn_size != kAlpn.size() || std::memcmp(alpn, kAlpn.data(), alpn_size) != 0) {
    refusal_ = "the peer does not speak " + std::string(kAlpn);
    return fail("TLS handshake");
  }
  state_ = State::open;
  return Ok{};
}

Result<size_t> TlsStream::read(ByteView* ciphertext, std::span<uint8_t> out) {
  if (state_ == State::failed) return Error{Errc::closed, "the TLS connection has failed"};
  in_ = *ciphertext;
  if (state_ == State::handshaking) {
    const Status advanced = advance_handshake();
    if (!advanced || !open()) {
      *ciphertext = in_ = {};
      if (!advanced) return advanced.error();
      return size_t{0};
    }
  }
  ERR_clear_error();
  const int size = static_cast<int>(std::min(out.size(), size_t{INT_MAX}));
  const int count = SSL_read(ssl_.get(), out.data(), size);
  *ciphertext = in_;
  in_ = {};
  if (count > 0) return static_cast<size_t>(count);
  switch (SSL_get_error(ssl_.get(), count)) {
    case SSL_ERROR_WANT_READ:
      GEMMINE_CHECK(ciphertext->empty());  // it asks for more only when it has all
      return size_t{0};
    case SSL_ERROR_ZERO_RETURN:
      ended_ = true;
      *ciphertext = {};  // nothing that follows the farewell counts
      return size_t{0};
    default:
      return fail("TLS");
  }
}

Error TlsStream::fail(std::string_view doing) {
  state_ = State::failed;
  const std::string reason = openssl_error();
  if (!refusal_.empty()) return {Errc::invalid, refusal_};
  return {Errc::malformed, std::string(doing) + " failed: " + reason};
}

Status TlsStream::write(ByteView plaintext) {
  if (!open()) return Error{Errc::closed, "the TLS connection is not open"};
  ERR_clear_error();
  const size_t records = plaintext.size() / kRecordBytes + 1;
  out_.reserve(out_.size() + plaintext.size() + records * kRecordOverhead);
  while (!plaintext.empty()) {
    const int size = static_cast<int>(std::min(plaintext.size(), size_t{INT_MAX}));
    const int count = SSL_write(ssl_.get(), plaintext.data(), size);
    if (count <= 0) return fail("TLS");
    plaintext = plaintext.subspan(static_cast<size_t>(count));
  }
  return Ok{};
}

void TlsStream::shutdown() {
  if (!open()) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

Bytes TlsStream::take_ciphertext() {
  return std::exchange(out_, {});
}

Result<Digest> TlsStream::exporter(std::string_view label) const {
  if (!open()) return Error{Errc::closed, "the TLS handshake is not done"};
  ERR_clear_error();
  Digest out;
  if (SSL_export_keying_material(ssl_.get(), out.bytes.data(), out.bytes.size(), label.data(),
                                 label.size(), nullptr, 0, 0) != 1) {
    return Error{Errc::unsupported, "TLS exporter failed: " + openssl_error()};
  }
  return out;
}

}  // namespace gemmine::pool
