// Ed25519 identities and the domains of every hash we sign or commit to (PROTOCOL 1.3, 1.4).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "kernels/base/bytes.h"

namespace gemmine::verifier {

using Signature = std::array<uint8_t, 64>;

// Words of PROTOCOL 1.3.
namespace domain {
inline constexpr std::string_view kJob = "gemmine 2026-11-22 job";
inline constexpr std::string_view kLease = "gemmine 2026-11-22 lease";
inline constexpr std::string_view kShare = "gemmine 2026-11-22 share";
inline constexpr std::string_view kVerdict = "gemmine 2026-11-22 verdict";
inline constexpr std::string_view kAuth = "gemmine 2026-11-22 auth";
inline constexpr std::string_view kTraceStep = "gemmine 2026-11-22 trace step";
inline constexpr std::string_view kTraceShare = "gemmine 2026-11-22 trace share";
inline constexpr std::string_view kState = "gemmine 2026-11-22 state";
inline constexpr std::string_view kCoin = "gemmine 2026-11-22 coin";
inline constexpr std::string_view kLedger = "gemmine 2026-11-22 ledger";
inline constexpr std::string_view kHead = "gemmine 2026-11-22 head";
inline constexpr std::string_view kMember = "gemmine 2026-11-22 member";
inline constexpr std::string_view kAbandon = "gemmine 2026-11-22 abandon";
inline constexpr std::string_view kAnswer = "gemmine 2026-11-22 answer";
inline constexpr std::string_view kSettle = "gemmine 2026-11-22 settle";
inline constexpr std::string_view kThread = "gemmine 2026-11-22 thread";
}  // namespace domain

// A private key; the 32-byte seed of RFC 8032. Moves only, wiped when destroyed.
class Identity {
 public:
  // Any 32 bytes are a seed. The caller wipes its own copy.
  static Identity from_seed(const Digest& seed);
  const Digest& public_key() const { return public_key_; }
  // Over the 32 bytes of the message, which is a hash under one of the domains above.
  Signature sign(const Digest& message) const;

  Identity(Identity&&) noexcept;
  Identity& operator=(Identity&&) noexcept;
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;
  ~Identity();

 private:
  explicit Identity(const Digest& seed);
  Digest seed_;
  Digest public_key_;
};

// What is wrong with 32 bytes as a public key, whatever was signed (PROTOCOL 1.4).
enum class KeyFault : uint8_t {
  none,
  not_canonical,  // its y is not below 2²⁵⁵ − 19
  low_order,      // one of the eight points that any message seems to be signed by
};
KeyFault fault_of_key(const Digest& public_key);

// The one rule of PROTOCOL 1.4: false for a wrong signature, for bytes that are no public key, and
// for a key or an R that is low-order or not canonical.
bool verify_signature(const Digest& public_key, const Digest& message, const Signature& signature);
// The same over a message of any length, which nothing but the rule's vectors needs.
bool verify_signature(const Digest& public_key, ByteView message, const Signature& signature);

}  // namespace gemmine::verifier
