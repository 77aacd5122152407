// What the ledger's records are and what they say: kinds and bodies (PROTOCOL 8.1, 8.2, 8.4).
//
// Lease, share and verdict records hold a signed record (verifier/records/records.h) as a blob; the
// body of any other kind is described here once for both directions: encode(FundBody{…}),
// decode<FundBody>(bytes). Errors of decoding: malformed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/fields.h"
#include "kernels/model/program.h"
#include "verifier/records/head.h"
#include "verifier/records/identity.h"
#include "verifier/records/job.h"
#include "verifier/records/proof_kind.h"

namespace gemmine::verifier {

using gemmine::encode;  // of bodies, wherever their names are found

inline constexpr uint16_t kVersion = 2;
inline constexpr size_t kRecordBytesMax = 1 << 20;
inline constexpr uint64_t kTimeMsMax = uint64_t{1} << 60;
inline constexpr size_t kAccountBytesMax = 64;
inline constexpr uint64_t kAnswerBlobBytesMax = uint64_t{1} << 32;

enum class RecordKind : uint8_t {
  genesis = 1,
  job = 2,
  fund = 3,
  member = 4,
  lease = 5,
  share = 6,
  verdict = 7,
  delta = 8,
  close = 9,
  ban = 10,
  merge = 11,
  proof = 12,
  finish = 13,
  post = 14,
  challenge = 15,
  answer = 16,
  draw = 17,
  redraw = 18,
  settle = 19,
  stop = 20,
};
enum class CloseReason : uint8_t {
  complete = 1,
  expired = 2,
  rejected = 3,
  abandoned = 4,
  cancelled = 5
};
enum class ChallengeWhy : uint8_t { immediate = 1, ticket = 2, descent = 3 };
// What a miner is asked for: a thread, or a question about one step (PROTOCOL 12.11).
enum class Asked : uint8_t {
  thread = 1,
  roots = 2,
  nodes = 3,
  chunks = 4,
  witnesses = 5,
  state_nodes = 6
};
enum class DrawReason : uint8_t { full = 1, asked = 2, job_ended = 3, idle = 4 };
enum class SettleOutcome : uint8_t { paid = 1, fined = 2, forfeited = 3 };
enum class StopReason : uint8_t { diverged = 1 };

std::string_view to_string(RecordKind kind);
std::string_view to_string(CloseReason reason);
std::string_view to_string(Asked asked);  // "chunks"
std::string_view to_string(DrawReason reason);
std::string_view to_string(SettleOutcome outcome);

// Whether it shows that the lease's miner signed wrong bits.
inline bool convicts_miner(ProofKind kind) {
  return kind >= ProofKind::block && kind <= ProofKind::update;
}

// 1 to 64 characters of [A-Za-z0-9._-] (PROTOCOL 5.5, 9).
bool account_ok(std::string_view account);

struct Record {
  uint64_t seq = 0;
  uint64_t time_ms = 0;
  RecordKind kind = RecordKind::genesis;
  Bytes body;

  static constexpr std::string_view kName = "the record";
  static void fields(auto& f, auto& r) {
    f(r.seq)(r.time_ms)(r.kind).blob(r.body, kRecordBytesMax);
  }
};
Digest next_head(const Digest& head, const Record& record);
// seq, time, kind, blob: as 8.1 packs it. Errors: malformed.
Bytes encode(const Record& record);
Result<Record> decode_record(ByteView bytes);

// The body of a lease, share or verdict record from the signed bytes, and the reverse. Errors:
// malformed.
Bytes signed_body(ByteView signed_bytes);
Result<ByteView> decode_wrapped(ByteView body, size_t bytes_max);

struct GenesisBody {
  static constexpr std::string_view kName = "the body";
  Digest pool_key;
  std::string fee_account;
  static void fields(auto& f, auto& b) {
    f.constant(kVersion)(b.pool_key).text(b.fee_account, kAccountBytesMax);
  }
};
struct JobBody {
  static constexpr std::string_view kName = "the body";
  Bytes job;
  Digest theta_root;  // of round 0
  static void fields(auto& f, auto& b) { f.blob(b.job, kJobBytesMax)(b.theta_root); }
};
struct FundBody {
  static constexpr std::string_view kName = "the body";
  Digest job_id;
  uint64_t amount = 0;
  static void fields(auto& f, auto& b) { f(b.job_id)(b.amount); }
};
struct MemberBody {
  static constexpr std::string_view kName = "the body";
  Digest key;
  std::string account;
  uint64_t counter = 0;      // ascends with every one of the key's
  Signature signature = {};  // the miner's, over member_message()
  static void fields(auto& f, auto& b) {
    f(b.key).text(b.account, kAccountBytesMax)(b.counter).raw(b.signature);
  }
};
struct DeltaBody {
  static constexpr std::string_view kName = "the body";
  Digest lease_id;
  Digest delta_root;
  static void fields(auto& f, auto& b) { f(b.lease_id)(b.delta_root); }
};
struct CloseBody {
  static constexpr std::string_view kName = "the body";
  Digest lease_id;
  CloseReason reason = CloseReason::complete;
  Digest secret;           // the lease's
  Digest proof = {};       // of rejected only
  Signature abandon = {};  // of abandoned only: the miner's, over abandon_message()
  static void fields(auto& f, auto& b) {
    f(b.lease_id)(b.reason)(b.secret)(b.proof).raw(b.abandon);
    f.must(b.reason >= CloseReason::complete && b.reason <= CloseReason::cancelled);
  }
};
struct BanBody {
  static constexpr std::string_view kName = "the body";
  Digest key;
  Digest lease_id;
  Digest proof;
  static void fields(auto& f, auto& b) { f(b.key)(b.lease_id)(b.proof); }
};
// Without leases it is a repair: it takes deltas out, and the round begins again (PROTOCOL 8.3).
struct MergeBody {
  static constexpr std::string_view kName = "the body";
  Digest job_id;
  uint32_t round = 0;
  Digest theta_before;             // of round
  Digest theta_root;               // of round + 1; of a repair of round from now on
  std::vector<Digest> lease_ids;   // by slot
  std::vector<Digest> subtracted;  // ascending: leases of earlier rounds whose deltas are taken out
  bool repairs() const { return lease_ids.empty(); }
  static void fields(auto& f, auto& b) {
    f(b.job_id)(b.round)(b.theta_before)(b.theta_root);
    f.template list<uint32_t>(b.lease_ids, kernels::kSlotsMax);
    f.template list<uint32_t>(b.subtracted, kernels::kSlotsMax);
  }
};
struct ProofBody {
  static constexpr std::string_view kName = "the body";
  ProofKind kind = ProofKind::block;
  Digest lease_id;  // zero when it is about no lease
  Digest address;   // content address of the proof's file
  uint32_t bytes = 0;
  static void fields(auto& f, auto& b) {
    f(b.kind)(b.lease_id)(b.address)(b.bytes);
    f.must(b.kind >= ProofKind::block && b.kind <= ProofKind::unanswered);
    f.must(b.bytes <= kProofBytesMax);
  }
};
struct FinishBody {
  static constexpr std::string_view kName = "the body";
  Digest job_id;
  Digest theta_root;
  static void fields(auto& f, auto& b) { f(b.job_id)(b.theta_root); }
};
struct Posting {
  std::string account;
  int64_t amount = 0;
  bool operator==(const Posting&) const = default;
  static void fields(auto& f, auto& p) { f.text(p.account, kAccountBytesMax + 32)(p.amount); }
};
struct PostBody {
  static constexpr std::string_view kName = "the body";
  uint64_t cause = 0;  // seq
  std::vector<Posting> postings;
  static void fields(auto& f, auto& b) {
    f(b.cause).template list<uint16_t>(b.postings, UINT16_MAX);
  }
};
struct ChallengeBody {
  static constexpr std::string_view kName = "the body";
  Digest lease_id;
  ChallengeWhy why = ChallengeWhy::immediate;
  Asked what = Asked::thread;
  Digest question;  // a thread's ticket_seed(), else the content address of what is asked
  uint32_t answer_ms = 0;
  static void fields(auto& f, auto& b) {
    f(b.lease_id)(b.why)(b.what)(b.question)(b.answer_ms);
    f.must(b.why >= ChallengeWhy::immediate && b.why <= ChallengeWhy::descent);
    f.must(b.what >= Asked::thread && b.what <= Asked::state_nodes);
  }
};
struct AnswerBody {
  static constexpr std::string_view kName = "the body";
  Digest lease_id;
  uint64_t challenge = 0;  // seq of its record
  Digest address;          // content address of the answer's bytes
  uint64_t bytes = 0;
  Signature signature = {};  // the miner's, over answer_message()
  static void fields(auto& f, auto& b) {
    f(b.lease_id)(b.challenge)(b.address)(b.bytes).raw(b.signature);
    f.must(b.bytes <= kAnswerBlobBytesMax);
  }
};
struct DrawBody {
  static constexpr std::string_view kName = "the body";
  Digest job_id;
  Digest key;
  uint64_t batch = 0;   // counted from 0 for each key in a job
  uint32_t leases = 0;  // complete ones that it holds
  DrawReason reason = DrawReason::full;
  Digest s1;
  Signature asked = {};  // of asked only: the miner's, over settle_message()
  static void fields(auto& f, auto& b) {
    f(b.job_id)(b.key)(b.batch)(b.leases)(b.reason)(b.s1).raw(b.asked);
    f.must(b.reason >= DrawReason::full && b.reason <= DrawReason::idle);
  }
};
struct RedrawBody {
  static constexpr std::string_view kName = "the body";
  Digest job_id;
  Digest key;
  uint64_t batch = 0;
  Digest s0;
  static void fields(auto& f, auto& b) { f(b.job_id)(b.key)(b.batch)(b.s0); }
};
struct SettleBody {
  static constexpr std::string_view kName = "the body";
  Digest job_id;
  Digest key;
  uint64_t batch = 0;
  SettleOutcome outcome = SettleOutcome::paid;
  uint32_t paid = 0;  // leases
  static void fields(auto& f, auto& b) {
    f(b.job_id)(b.key)(b.batch)(b.outcome)(b.paid);
    f.must(b.outcome >= SettleOutcome::paid && b.outcome <= SettleOutcome::forfeited);
  }
};
struct StopBody {
  static constexpr std::string_view kName = "the body";
  Digest job_id;
  Digest lease_id;
  uint32_t step = 0;
  StopReason reason = StopReason::diverged;
  static void fields(auto& f, auto& b) {
    f(b.job_id)(b.lease_id)(b.step)(b.reason);
    f.must(b.reason == StopReason::diverged);
  }
};

// What a miner signs to say who is paid for its work, to give a lease back, to answer a challenge,
// and to have a batch settled (PROTOCOL 1.3).
Digest member_message(const Digest& pool_key, const MemberBody& member);
MemberBody sign_member(const Digest& pool_key, const Identity& miner, std::string_view account,
                       uint64_t counter);
Digest abandon_message(const Digest& lease_id);
Digest answer_message(const AnswerBody& answer);
Digest settle_message(const Digest& batch_commit);

}  // namespace gemmine::verifier
