// TLS 1.3 without sockets: identities, what a client trusts, and one side of one connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

struct bio_st;
struct evp_pkey_st;
struct ssl_ctx_st;
struct ssl_st;
struct x509_st;

namespace gemmine::pool {

struct TlsDelete {
  void operator()(evp_pkey_st* key) const;
  void operator()(ssl_ctx_st* context) const;
  void operator()(ssl_st* ssl) const;
  void operator()(x509_st* certificate) const;
};
template <class T>
using TlsPtr = std::unique_ptr<T, TlsDelete>;

inline constexpr size_t kHandshakeBytesMax = size_t{64} << 10;

// A pin is the SHA-256 of a certificate's SubjectPublicKeyInfo: it survives a renewed certificate
// as long as the key stays. Written "sha256:" and 64 hex digits.
std::string pin_text(const Digest& pin);
Result<Digest> parse_pin(std::string_view text);  // Errors: malformed

// A private key, its certificate and the certificates above it.
class TlsIdentity {
 public:
  const Digest& spki_pin() const { return pin_; }

 private:
  friend Result<TlsIdentity> load_or_make_identity(const std::string& directory);
  friend class TlsContext;
  static Result<TlsIdentity> load(const std::string& path);
  static Result<TlsIdentity> make(const std::string& path);

  TlsPtr<evp_pkey_st> key_;
  std::vector<TlsPtr<x509_st>> chain_;  // the first one is ours
  Digest pin_;
};

// Reads <directory>/tls.pem (PEM: private key, certificate, chain); makes it at the first start,
// mode 0600, with a new Ed25519 key and a self-signed certificate. An operator with a certificate
// of a public authority puts it there instead, and miners then need no pin.
// Errors: io; invalid when the file is readable by others or key and certificate do not match.
Result<TlsIdentity> load_or_make_identity(const std::string& directory);

// What all connections of one server, or of one client, share.
class TlsContext {
 public:
  static Result<TlsContext> server(const TlsIdentity& identity);
  // With a pin exactly that key is accepted, whatever its certificate says; without one, what the
  // system's trust store accepts for the host's name.
  static Result<TlsContext> client(const std::optional<Digest>& pin);

 private:
  friend class TlsStream;
  TlsPtr<ssl_ctx_st> context_;
  std::optional<Digest> pin_;
};

// One side of one connection. Sans-I/O: ciphertext in, plaintext out, and the other way round.
// After each call look for ciphertext to send with take_ciphertext(), also after a failure: the
// alert that tells the peer why is in there.
class TlsStream {
 public:
  static Result<std::unique_ptr<TlsStream>> server(const TlsContext& context);
  // `host` is the name (or numeric address) the certificate must be for when there is no pin.
  static Result<std::unique_ptr<TlsStream>> client(const TlsContext& context,
                                                   const std::string& host);

  // Takes ciphertext off the front of *ciphertext and puts plaintext into `out` (16 KiB is one
  // record). Returns how much; 0 once *ciphertext is used up. Call until it returns 0, also while
  // the handshake runs.
  // Errors: malformed, invalid (identity refused; names the pins), unsupported, closed.
  Result<size_t> read(ByteView* ciphertext, std::span<uint8_t> out);
  // Only when open(). Errors: closed.
  Status write(ByteView plaintext);
  void shutdown();  // says that nothing more will be written
  Bytes take_ciphertext();

  bool open() const { return state_ == State::open; }  // handshake done, identity accepted
  bool ended() const { return ended_; }                // the peer said that it is done
  bool untrusted() const { return untrusted_; }        // the peer's key or certificate was refused
  // 32 bytes that both ends, and nobody else, can derive from this very connection. Only when the
  // handshake is done. Signing it binds a signature to the connection. RFC 8446 7.5.
  Result<Digest> exporter(std::string_view label) const;

 private:
  friend struct TlsCallbacks;
  enum class State { handshaking, open, failed };
  TlsStream() = default;
  static Result<std::unique_ptr<TlsStream>> make(const TlsContext& context);
  Status advance_handshake();
  Error fail(std::string_view doing);

  TlsPtr<ssl_st> ssl_;
  State state_ = State::handshaking;
  bool ended_ = false;
  std::string host_;
  std::optional<Digest> pin_;
  bool untrusted_ = false;
  std::string refusal_;  // why the identity was refused, when it was
  size_t handshake_bytes_ = 0;
  ByteView in_;  // only during read()
  Bytes out_;
};

}  // namespace gemmine::pool
