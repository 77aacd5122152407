// The messages between a pool and its miners and auditors: one struct each, in the order of
// PROTOCOL 5.2, with its type, its bounds and its fields as they lie on the wire.
//
// encode() gives the payload of a frame, decode<Hello>() reads one (kernels/base/fields.h). Signed
// records stay undecoded blobs of bounded size. A decoded message owns its bytes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/fields.h"
#include "kernels/base/result.h"
#include "pool/wire/types.h"
#include "verifier/ledger/signed_record.h"
#include "verifier/proof/question.h"
#include "verifier/records/identity.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"

namespace gemmine::pool {

using verifier::kAccountBytesMax;
using verifier::kOpenLeasesMax;  // in AUTH_OK
inline constexpr size_t kAgentBytesMax = 64;
inline constexpr size_t kErrorTextMax = 256;
inline constexpr size_t kReasonTextMax = 64;
inline constexpr size_t kByeTextMax = 128;
inline constexpr size_t kJobsMax = 256;            // in AUTH_OK
inline constexpr size_t kOpenBatchesMax = 1024;    // of a key, in AUTH_OK
inline constexpr uint64_t kGroupBytes = 64 << 10;  // of the group that parts count in
inline constexpr uint32_t kPartGroupsMax = 16;     // groups in one part
inline constexpr size_t kPartSiblingsMax = 128;    // two paths from leaf to root of any tree
inline constexpr size_t kSignedBytesMax = 1024;    // lease, share, verdict
// A share's digests fit into one frame. A pool makes no larger ones.
inline constexpr uint32_t kStepsPerShareMax = 1 << 15;
inline constexpr size_t kAccuseBytesMax = (size_t{2} << 20) - 4096;  // a proof, in one frame
// In place of the seq of a challenge: the lease's delta. Record 0 is no challenge.
inline constexpr uint64_t kDelta = 0;

Digest wire_magic();  // the hash of kAlpn

struct Hello {
  static constexpr auto kType = MessageType::hello;
  static constexpr std::string_view kName = "HELLO";
  Digest magic = wire_magic();  // another one is refused
  uint16_t version_min = kWireVersion;
  uint16_t version_max = kWireVersion;
  Role role = Role::miner;
  Digest client_random;
  Digest public_key;
  std::string account;  // only its length is checked here
  std::string agent;
  static void fields(auto& f, auto& m) {
    f(m.magic)(m.version_min)(m.version_max)(m.role)(m.client_random)(m.public_key);
    f.text(m.account, kAccountBytesMax).text(m.agent, kAgentBytesMax);
    f.must(m.magic == wire_magic() && (m.role == Role::miner || m.role == Role::auditor));
  }
};

struct HelloOk {
  static constexpr auto kType = MessageType::hello_ok;
  static constexpr std::string_view kName = "HELLO_OK";
  uint16_t version = kWireVersion;
  Digest server_random;
  Digest pool_key;
  uint32_t idle_ms = 0;
  uint64_t pool_time_ms = 0;
  static void fields(auto& f, auto& m) {
    f(m.version)(m.server_random)(m.pool_key)(m.idle_ms)(m.pool_time_ms);
  }
};

struct Auth {
  static constexpr auto kType = MessageType::auth;
  static constexpr std::string_view kName = "AUTH";
  verifier::Signature signature{};  // of auth_message()
  uint64_t counter = 0;
  verifier::Signature member{};  // of the MemberBody of this key, account and counter
  static void fields(auto& f, auto& m) { f.raw(m.signature)(m.counter).raw(m.member); }
};

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
// Both signatures of it. counter: above those of the key's earlier ones (a clock in ms will do).
Auth make_auth(const AuthMaterial& material, const verifier::Identity& identity, uint64_t counter);

struct AuthOk {
  static constexpr auto kType = MessageType::auth_ok;
  static constexpr std::string_view kName = "AUTH_OK";
  struct Job {
    Bytes job;
    uint32_t round = 0;
    Digest theta_root;
    bool finished = false;
    static void fields(auto& f, auto& m) {
      f.blob(m.job, verifier::kJobBytesMax)(m.round)(m.theta_root)(m.finished);
    }
  };
  struct OpenLease {
    Bytes lease;
    uint32_t shares_accepted = 0;
    bool delta_stored = false;
    static void fields(auto& f, auto& m) {
      f.blob(m.lease, kSignedBytesMax)(m.shares_accepted)(m.delta_stored);
    }
  };
  uint64_t session = 0;
  std::vector<Job> jobs;
  std::vector<OpenLease> leases;
  std::vector<Digest> batches;  // batch_commit of those of the key that are not settled
  static void fields(auto& f, auto& m) {
    f(m.session).template list<uint16_t>(m.jobs, kJobsMax);
    f.template list<uint16_t>(m.leases, kOpenLeasesMax);
    f.template list<uint16_t>(m.batches, kOpenBatchesMax);
  }
};

struct ErrorMessage {
  static constexpr auto kType = MessageType::error;
  static constexpr std::string_view kName = "ERROR";
  uint32_t seq = 0;  // of the frame it answers; 0: none
  WireError code = WireError::internal;
  uint32_t retry_after_ms = 0;
  std::string text;  // for a person; encode() makes it fit and printable
  static void fields(auto& f, auto& m) {
    f(m.seq)(m.code)(m.retry_after_ms).words(m.text, kErrorTextMax);
  }
};

struct Round {
  static constexpr auto kType = MessageType::round;
  static constexpr std::string_view kName = "ROUND";
  Digest job_id;
  uint32_t round = 0;
  Digest theta_root;
  bool finished = false;
  static void fields(auto& f, auto& m) { f(m.job_id)(m.round)(m.theta_root)(m.finished); }
};

struct GetLease {
  static constexpr auto kType = MessageType::get_lease;
  static constexpr std::string_view kName = "GET_LEASE";
  Digest job_id;  // zero: any
  static void fields(auto& f, auto& m) { f(m.job_id); }
};

struct LeaseMessage {
  static constexpr auto kType = MessageType::lease;
  static constexpr std::string_view kName = "LEASE";
  Bytes lease;
  static void fields(auto& f, auto& m) { f.blob(m.lease, kSignedBytesMax); }
};

struct NoLease {
  static constexpr auto kType = MessageType::no_lease;
  static constexpr std::string_view kName = "NO_LEASE";
  uint32_t retry_after_ms = 0;
  std::string reason;
  static void fields(auto& f, auto& m) { f(m.retry_after_ms).text(m.reason, kReasonTextMax); }
};

struct GetBlob {
  static constexpr auto kType = MessageType::get_blob;
  static constexpr std::string_view kName = "GET_BLOB";
  Digest address;
  uint64_t first_group = 0;
  uint32_t groups = 1;  // 1 … kPartGroupsMax
  static void fields(auto& f, auto& m) {
    f(m.address)(m.first_group)(m.groups).must(m.groups >= 1 && m.groups <= kPartGroupsMax);
  }
};

// Groups [first_group, first_group + groups) of a byte string of total_bytes (the last group may be
// shorter) and the siblings of PROTOCOL 4.5 that lead from them to its content address.
struct Part {
  uint64_t total_bytes = 0;
  uint64_t first_group = 0;
  uint32_t groups = 1;           // 1 … kPartGroupsMax
  std::vector<Digest> siblings;  // ≤ kPartSiblingsMax
  Bytes bytes;                   // ≤ groups · kGroupBytes
  static void fields(auto& f, auto& m) {
    f(m.total_bytes)(m.first_group)(m.groups);
    f.must(m.groups >= 1 && m.groups <= kPartGroupsMax);
    f.template list<uint32_t>(m.siblings, kPartSiblingsMax);
    f.blob(m.bytes, size_t{m.groups} * kGroupBytes);
  }
};

struct BlobPart {
  static constexpr auto kType = MessageType::blob;
  static constexpr std::string_view kName = "BLOB";
  Digest address;
  Part part;
  static void fields(auto& f, auto& m) { f(m.address).record(m.part); }
};

struct Abandon {
  static constexpr auto kType = MessageType::abandon;
  static constexpr std::string_view kName = "ABANDON";
  Digest lease_id;
  uint32_t diverged = verifier::kNoStep;  // the step at which the lease diverged; else kNoStep
  verifier::Signature signature{};        // the miner's, of abandon_message()
  static void fields(auto& f, auto& m) { f(m.lease_id)(m.diverged).raw(m.signature); }
};

// The key wants the batch with this commitment settled, full or not (PROTOCOL 13.3).
struct Settle {
  static constexpr auto kType = MessageType::settle;
  static constexpr std::string_view kName = "SETTLE";
  Digest batch_commit;
  verifier::Signature signature{};  // the miner's, of settle_message()
  static void fields(auto& f, auto& m) { f(m.batch_commit).raw(m.signature); }
};

// A file that proves that a miner of this pool committed to something that is not so.
struct AccuseMessage {
  static constexpr auto kType = MessageType::accuse;
  static constexpr std::string_view kName = "ACCUSE";
  Bytes proof;
  static void fields(auto& f, auto& m) { f.blob(m.proof, kAccuseBytesMax); }
};

// The share, and the digests of its steps that hash to its trace_root.
struct ShareMessage {
  static constexpr auto kType = MessageType::share;
  static constexpr std::string_view kName = "SHARE";
  Bytes share;
  std::vector<Digest> steps;
  static void fields(auto& f, auto& m) {
    f.blob(m.share, kSignedBytesMax).template list<uint32_t>(m.steps, kStepsPerShareMax);
  }
};

struct ShareOk {
  static constexpr auto kType = MessageType::share_ok;
  static constexpr std::string_view kName = "SHARE_OK";
  Digest lease_id;
  uint32_t index = 0;
  verifier::Receipt receipt;  // of the share's record
  static void fields(auto& f, auto& m) { f(m.lease_id)(m.index).record(m.receipt); }
};

// The pool asks for a thread of a lease, or something of one step; receipt: of the challenge's
// record.
struct ChallengeMessage {
  static constexpr auto kType = MessageType::challenge;
  static constexpr std::string_view kName = "CHALLENGE";
  verifier::ChallengeBody challenge;
  verifier::Receipt receipt;
  Bytes question;  // whose address the challenge names; of a thread, which has its seed, empty
  static void fields(auto& f, auto& m) {
    f.record(m.challenge).record(m.receipt).blob(m.question, verifier::kQuestionBytes);
  }
};

// What the miner answers, before the answer itself comes as an upload.
struct AnswerMessage {
  static constexpr auto kType = MessageType::answer;
  static constexpr std::string_view kName = "ANSWER";
  verifier::AnswerBody answer;
  static void fields(auto& f, auto& m) { f.record(m.answer); }
};

struct VerdictMessage {
  static constexpr auto kType = MessageType::verdict;
  static constexpr std::string_view kName = "VERDICT";
  Bytes verdict;
  static void fields(auto& f, auto& m) { f.blob(m.verdict, kSignedBytesMax); }
};

// A part of the lease's delta, whose content address is the last share's delta_root; or of the
// answer to a challenge.
struct Upload {
  static constexpr auto kType = MessageType::upload;
  static constexpr std::string_view kName = "UPLOAD";
  Digest lease_id;
  uint64_t challenge = kDelta;  // seq of the challenge's record
  Part part;
  static void fields(auto& f, auto& m) { f(m.lease_id)(m.challenge).record(m.part); }
};

// How much of an upload the pool has, from its beginning (PROTOCOL 5.6).
struct Have {
  static constexpr auto kType = MessageType::have;
  static constexpr std::string_view kName = "HAVE";
  Digest lease_id;
  uint64_t challenge = kDelta;
  uint64_t groups = 0;
  static void fields(auto& f, auto& m) { f(m.lease_id)(m.challenge)(m.groups); }
};

struct DeltaOk {
  static constexpr auto kType = MessageType::delta_ok;
  static constexpr std::string_view kName = "DELTA_OK";
  Digest lease_id;
  verifier::Receipt receipt;  // of the delta's record
  static void fields(auto& f, auto& m) { f(m.lease_id).record(m.receipt); }
};

struct LeaseClosed {
  static constexpr auto kType = MessageType::lease_closed;
  static constexpr std::string_view kName = "LEASE_CLOSED";
  verifier::CloseBody close;
  verifier::Receipt receipt;  // of its record
  static void fields(auto& f, auto& m) { f.record(m.close).record(m.receipt); }
};

struct Watch {
  static constexpr auto kType = MessageType::watch;
  static constexpr std::string_view kName = "WATCH";
  uint64_t first_seq = 0;
  static void fields(auto& f, auto& m) { f(m.first_seq); }
};

struct RecordMessage {
  static constexpr auto kType = MessageType::record;
  static constexpr std::string_view kName = "RECORD";
  verifier::Receipt receipt;
  verifier::RecordKind kind = verifier::RecordKind::genesis;
  Bytes body;
  static void fields(auto& f, auto& m) {
    f.record(m.receipt)(m.kind).blob(m.body, verifier::kRecordBytesMax);
  }
  verifier::SignedRecord record() const {
    return {{receipt.seq, receipt.time_ms, kind, body}, receipt.head_before, receipt.signature};
  }
};

struct Ping {
  static constexpr auto kType = MessageType::ping;
  static constexpr std::string_view kName = "PING";
  uint64_t echo = 0;
  static void fields(auto& f, auto& m) { f(m.echo); }
};

struct Pong {
  static constexpr auto kType = MessageType::pong;
  static constexpr std::string_view kName = "PONG";
  uint64_t echo = 0;  // the ping's
  static void fields(auto& f, auto& m) { f(m.echo); }
};

struct Bye {
  static constexpr auto kType = MessageType::bye;
  static constexpr std::string_view kName = "BYE";
  std::string text;  // encode() makes it fit and printable
  static void fields(auto& f, auto& m) { f.words(m.text, kByeTextMax); }
};

template <class M>
concept Message = Fielded<M> && std::same_as<std::remove_cv_t<decltype(M::kType)>, MessageType>;

template <Message... M>
struct MessageList {
  // Calls visit.operator()<M>() for the message of this type. False when there is none.
  static bool visit(MessageType type, auto&& visit) {
    return ((M::kType == type && (visit.template operator()<M>(), true)) || ...);
  }
  static constexpr size_t size() { return sizeof...(M); }
};

// Every message there is. Names, is_known(), tests and the fuzz target follow from this list.
using Messages =
    MessageList<Hello, HelloOk, Auth, AuthOk, ErrorMessage, Round, GetLease, LeaseMessage, NoLease,
                GetBlob, BlobPart, Abandon, Settle, AccuseMessage, ShareMessage, ShareOk,
                ChallengeMessage, AnswerMessage, VerdictMessage, Upload, DeltaOk, LeaseClosed,
                Watch, RecordMessage, Have, Ping, Pong, Bye>;

bool with_message(MessageType type, auto&& visit) {
  return Messages::visit(type, visit);
}

// Decodes the payload and calls handle(message), if it can be called with a message of this type:
// true; else false, and nothing is decoded. Errors: malformed.
template <class Handle>
Result<bool> deliver(MessageType type, ByteView payload, Handle&& handle) {
  Result<bool> out = false;
  with_message(type, [&]<class M>() {
    if constexpr (std::invocable<Handle&, M&>) {
      auto message = decode<M>(payload);
      if (message) handle(message.value());
      out = message ? Result<bool>(true) : Result<bool>(message.error());
    }
  });
  return out;
}

}  // namespace gemmine::pool
