// The messages between a pool and its miners and auditors: one struct each (PROTOCOL 5.2, 5.5).
//
// encode() gives the payload of a frame. decode_*() refuses with Errc::malformed whatever is too
// short, too long, out of a bound below, or has trailing bytes; signed records stay undecoded blobs
// of bounded size. Views are never kept: a decoded message owns its bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "verifier/ledger/ledger.h"
#include "verifier/records/identity.h"

namespace gemmine::pool {

inline constexpr uint16_t kWireVersion = 1;
inline constexpr std::string_view kAuthExporterLabel = "EXPORTER-gemmine-auth";

using verifier::kAccountBytesMax;
using verifier::kOpenLeasesMax;  // in AUTH_OK
inline constexpr size_t kAgentBytesMax = 64;
inline constexpr size_t kErrorTextMax = 256;
inline constexpr size_t kReasonTextMax = 64;
inline constexpr size_t kByeTextMax = 128;
inline constexpr size_t kJobsMax = 256;          // in AUTH_OK
inline constexpr size_t kBlobGroup = 64 << 10;   // bytes of the group that parts count in
inline constexpr uint32_t kBlobGroupsMax = 16;   // groups in one part
inline constexpr size_t kBlobSiblingsMax = 128;  // two paths from leaf to root of any tree
inline constexpr size_t kSignedBytesMax = 1024;  // lease, share, verdict

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
  share = 0x20,
  share_ok = 0x21,
  challenge = 0x22,
  opening = 0x23,
  verdict = 0x24,
  delta = 0x25,
  delta_ok = 0x26,
  lease_closed = 0x27,
  watch = 0x28,
  record = 0x29,
  ping = 0x30,
  pong = 0x31,
  bye = 0x3f,
};
bool is_known(uint8_t type);
std::string_view to_string(MessageType type);  // "HELLO"; "?" when not known

enum class WireError : uint16_t {
  malformed = 10,
  bad_version = 11,
  bad_type = 12,
  bad_signature = 13,
  banned = 14,
  bad_account = 15,
  too_many = 16,
  busy = 17,
  internal = 18,
  unknown_job = 20,
  unknown_lease = 21,
  lease_closed = 22,
  out_of_order = 23,
  duplicate = 24,
  conflict = 25,
  bad_price = 26,
  bad_steps = 27,
  bad_value = 28,
  bad_delta = 29,
  unknown_blob = 30,
  not_challenged = 31,
};
std::string_view to_string(WireError code);  // "out_of_order"; "?" when not known
inline bool closes(WireError code) {
  return code >= WireError::malformed && code <= WireError::bad_account;
}

enum class Role : uint8_t { miner = 1, auditor = 2 };

struct Hello {
  uint16_t version_min = kWireVersion;
  uint16_t version_max = kWireVersion;
  Role role = Role::miner;
  Digest client_random;
  Digest public_key;
  std::string account;  // ≤ kAccountBytesMax, not checked further
  std::string agent;    // ≤ kAgentBytesMax
};
Bytes encode(const Hello& hello);
// Also refuses another magic and another role.
Result<Hello> decode_hello(ByteView payload);

struct HelloOk {
  uint16_t version = kWireVersion;
  Digest server_random;
  Digest pool_key;
  uint32_t idle_ms = 0;
  uint64_t pool_time_ms = 0;
};
Bytes encode(const HelloOk& hello);
Result<HelloOk> decode_hello_ok(ByteView payload);

// What AUTH signs (PROTOCOL 5.4).
struct AuthMaterial {
  Digest server_random;
  Digest client_random;
  Digest channel_binding;
  Digest pool_key;
  Digest public_key;
  Role role = Role::miner;
  std::string account;
};
Digest auth_message(const AuthMaterial& material);

struct Auth {
  verifier::Signature signature{};
};
Bytes encode(const Auth& auth);
Result<Auth> decode_auth(ByteView payload);

struct AuthOk {
  struct Job {
    Bytes job;  // ≤ verifier::kJobBytesMax
    uint32_t round = 0;
    Digest theta_root;
    bool finished = false;
  };
  struct OpenLease {
    Bytes lease;
    uint32_t shares_accepted = 0;
    bool delta_stored = false;
  };
  uint64_t session = 0;
  std::vector<Job> jobs;          // ≤ kJobsMax
  std::vector<OpenLease> leases;  // ≤ kOpenLeasesMax
};
Bytes encode(const AuthOk& auth);
Result<AuthOk> decode_auth_ok(ByteView payload);

struct ErrorMessage {
  uint32_t seq = 0;  // of the frame it answers; 0: none
  WireError code = WireError::internal;
  uint32_t retry_after_ms = 0;
  std::string text;  // ≤ kErrorTextMax, for a person; encode() makes it fit and printable
};
Bytes encode(const ErrorMessage& error);
Result<ErrorMessage> decode_error(ByteView payload);

struct Round {
  Digest job_id;
  uint32_t round = 0;
  Digest theta_root;
  bool finished = false;
};
Bytes encode(const Round& round);
Result<Round> decode_round(ByteView payload);

struct GetLease {
  Digest job_id;  // zero: any
};
Bytes encode(const GetLease& get);
Result<GetLease> decode_get_lease(ByteView payload);

struct LeaseMessage {
  Bytes lease;
};
Bytes encode(const LeaseMessage& message);
Result<LeaseMessage> decode_lease_message(ByteView payload);

struct NoLease {
  uint32_t retry_after_ms = 0;
  std::string reason;  // ≤ kReasonTextMax
};
Bytes encode(const NoLease& none);
Result<NoLease> decode_no_lease(ByteView payload);

struct GetBlob {
  Digest address;
  uint64_t first_group = 0;
  uint32_t groups = 1;  // 1 … kBlobGroupsMax
};
Bytes encode(const GetBlob& get);
Result<GetBlob> decode_get_blob(ByteView payload);

// Bytes [first_group, first_group + groups) × 64 KiB of a blob (the last group may be shorter) and
// the siblings of PROTOCOL 4.5 that lead from them to the content address.
struct BlobPart {
  Digest address;
  uint64_t total_bytes = 0;
  uint64_t first_group = 0;
  uint32_t groups = 1;
  std::vector<Digest> siblings;  // ≤ kBlobSiblingsMax
  Bytes bytes;                   // ≤ kBlobGroupsMax · kBlobGroup
};
Bytes encode(const BlobPart& part);
Result<BlobPart> decode_blob(ByteView payload);

struct Abandon {
  Digest lease_id;
};
Bytes encode(const Abandon& abandon);
Result<Abandon> decode_abandon(ByteView payload);

struct ShareMessage {
  Bytes share;
};
Bytes encode(const ShareMessage& message);
Result<ShareMessage> decode_share_message(ByteView payload);

struct ShareOk {
  Digest lease_id;
  uint32_t index = 0;
  uint64_t ledger_seq = 0;
};
Bytes encode(const ShareOk& ok);
Result<ShareOk> decode_share_ok(ByteView payload);

struct Challenge {
  Digest lease_id;
  uint32_t index = 0;
  Digest seed;
  uint32_t answer_ms = 0;
};
Bytes encode(const Challenge& challenge);
Result<Challenge> decode_challenge(ByteView payload);

struct OpeningMessage {
  Digest lease_id;
  uint32_t index = 0;
  uint32_t block = 0;  // number of the drawn block, from 0
  Bytes opening;       // ≤ PROTOCOL 9's opening_bytes_max
};
Bytes encode(const OpeningMessage& message);
Result<OpeningMessage> decode_opening_message(ByteView payload);

struct VerdictMessage {
  Bytes verdict;
};
Bytes encode(const VerdictMessage& message);
Result<VerdictMessage> decode_verdict_message(ByteView payload);

// A part of the lease's delta, laid out like BlobPart; checked against the share's delta_root.
struct DeltaPart {
  Digest lease_id;
  uint64_t total_bytes = 0;
  uint64_t first_group = 0;
  uint32_t groups = 1;
  std::vector<Digest> siblings;
  Bytes bytes;
};
Bytes encode(const DeltaPart& part);
Result<DeltaPart> decode_delta(ByteView payload);

struct DeltaOk {
  Digest lease_id;
};
Bytes encode(const DeltaOk& ok);
Result<DeltaOk> decode_delta_ok(ByteView payload);

struct LeaseClosed {
  Digest lease_id;
  uint8_t reason = 0;  // verifier::CloseReason
  Digest secret;
};
Bytes encode(const LeaseClosed& closed);
Result<LeaseClosed> decode_lease_closed(ByteView payload);

struct Watch {
  uint64_t first_seq = 0;
};
Bytes encode(const Watch& watch);
Result<Watch> decode_watch(ByteView payload);

struct RecordMessage {
  uint64_t seq = 0;
  uint64_t time_ms = 0;
  uint8_t kind = 0;  // verifier::RecordKind
  Bytes body;        // ≤ verifier::kRecordBytesMax
};
Bytes encode(const RecordMessage& record);
Result<RecordMessage> decode_record(ByteView payload);

struct Ping {
  uint64_t echo = 0;
};
using Pong = Ping;  // the same payload
Bytes encode(const Ping& ping);
Result<Ping> decode_ping(ByteView payload);

struct Bye {
  std::string text;  // ≤ kByeTextMax; encode() makes it fit and printable
};
Bytes encode(const Bye& bye);
Result<Bye> decode_bye(ByteView payload);

}  // namespace gemmine::pool
