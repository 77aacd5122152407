// The numbers of the wire: versions, types of messages, errors, roles (PROTOCOL 5). No message.
#pragma once

#include <cstdint>
#include <string_view>

#include "verifier/records/wire_error.h"

namespace gemmine::pool {

inline constexpr std::string_view kAlpn = "gemmine/2";
inline constexpr uint16_t kWireVersion = 2;
inline constexpr std::string_view kAuthExporterLabel = "EXPORTER-gemmine-auth";
inline constexpr uint8_t kFrameMayIgnore = 0x01;  // flags: skip the frame if its type is unknown

enum class MessageType : uint8_t {
  hello = 0x01,
  hello_ok = 0x02,
  auth = 0x03,
  auth_ok = 0x04,
  error = 0x06,
  round = 0x10,
  get_lease = 0x11,
  lease = 0x12,
  no_lease = 0x13,
  get_blob = 0x14,
  blob = 0x15,
  abandon = 0x16,
  settle = 0x17,
  accuse = 0x18,
  share = 0x20,
  share_ok = 0x21,
  challenge = 0x22,
  answer = 0x23,
  verdict = 0x24,
  upload = 0x25,
  delta_ok = 0x26,
  lease_closed = 0x27,
  watch = 0x28,
  record = 0x29,
  have = 0x2a,
  ping = 0x30,
  pong = 0x31,
  bye = 0x3f,
};
bool is_known(uint8_t type);
std::string_view to_string(MessageType type);  // "HELLO"; "?" when not known

using verifier::WireError;
std::string_view to_string(WireError code);  // "out_of_order"; "?" when not known
// The connection ends after it.
inline bool closes(WireError code) {
  return (code >= WireError::malformed && code <= WireError::bad_account) ||
         code == WireError::bad_key;
}

enum class Role : uint8_t { miner = 1, auditor = 2 };

}  // namespace gemmine::pool
