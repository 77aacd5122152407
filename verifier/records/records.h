// Lease, share, verdict: the three signed records between strangers (PROTOCOL 6.2, 6.3, 6.6).
//
// Each names its fields once: body() is what is hashed and signed, fields() the record with its
// signature (kernels/base/fields.h).
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/base/bytes.h"
#include "kernels/base/fields.h"
#include "verifier/records/identity.h"
#include "verifier/records/job.h"
#include "verifier/records/wire_error.h"

namespace gemmine::verifier {

struct Lease {
  Digest id;  // lease_id() of the rest; decode_lease() and sign() set it, and it is not encoded
  Digest job_id;
  Digest pool_key;
  Digest miner_key;
  uint32_t round = 0;
  uint32_t slot = 0;
  uint64_t serial = 0;
  Digest theta_root;
  uint32_t steps = 0;
  uint32_t steps_per_share = 1;
  uint64_t issued_ms = 0;
  uint64_t deadline_ms = 0;
  Digest coin_commit;   // of the secret of its own coin, which closing it reveals
  Digest batch_commit;  // of the batch that it is settled with (PROTOCOL 13.2)
  Signature signature{};
  bool operator==(const Lease&) const = default;

  static constexpr std::string_view kName = "lease";
  static void body(auto& f, auto& r) {
    f(r.job_id)(r.pool_key)(r.miner_key)(r.round)(r.slot)(r.serial)(r.theta_root);
    f(r.steps)(r.steps_per_share)(r.issued_ms)(r.deadline_ms);
    f(r.coin_commit)(r.batch_commit);
  }
  static void fields(auto& f, auto& r) {
    body(f, r);
    f.raw(r.signature);
  }

  // PROTOCOL 6.3. share_size_ok(steps, steps_per_share).
  uint32_t shares() const { return share_count(steps, steps_per_share); }
  // Of a share below shares().
  uint32_t first_step(uint32_t share) const { return share * steps_per_share; }
  uint32_t steps_of(uint32_t share) const {
    GEMMINE_CHECK(share < shares());
    return std::min(steps_per_share, steps - first_step(share));
  }
};
inline constexpr size_t kLeaseBytes = 32 * 6 + 4 * 4 + 8 * 3 + 64;

struct Share {
  Digest lease_id;
  uint32_t index = 0;
  uint32_t first_step = 0;
  uint32_t steps = 0;
  Digest state_before;
  Digest state_after;
  Digest trace_root;
  float loss = 0;
  uint64_t macs = 0;
  Digest delta_root;  // zero except in the lease's last share
  Signature signature{};

  static constexpr std::string_view kName = "share";
  static void body(auto& f, auto& r) {
    f(r.lease_id)(r.index)(r.first_step)(r.steps)(r.state_before)(r.state_after)(r.trace_root);
    f(r.loss)(r.macs)(r.delta_root);
  }
  static void fields(auto& f, auto& r) {
    body(f, r);
    f.raw(r.signature);
  }
};
inline constexpr size_t kShareBytes = 32 * 5 + 4 * 4 + 8 + 64;
static_assert(kLeaseBytes == 296 && kShareBytes == 248);  // PROTOCOL 6.2, 6.3

inline constexpr size_t kOpeningBytesMax = (size_t{1} << 21) - 4096;  // PROTOCOL 9

enum class AuditKind : uint8_t { none = 0, replay = 1, thread = 2, unanswered = 3 };
// Malformed is what a block's opening can be, never a verdict: what does not decode is silence.
enum class Outcome : uint8_t { valid = 0, invalid = 1, malformed = 2, undecided = 3 };
inline constexpr uint32_t kNoStep = 0xffffffff;
inline constexpr size_t kDetailBytesMax = 200;  // of a verdict

// On a whole lease. An invalid one names the share at fault and either a proof or what the
// auditor's replay got; any other one names the lease's last share (PROTOCOL 6.6).
struct Verdict {
  Digest lease_id;
  uint32_t index = 0;
  Digest share_id;
  AuditKind kind = AuditKind::replay;
  Outcome outcome = Outcome::undecided;
  uint32_t step = kNoStep;  // first wrong step of the lease
  uint64_t time_ms = 0;
  Digest auditor_key;
  Digest proof;  // content address of a proof (PROTOCOL 12); zero: none
  // Replay and invalid: the auditor's digest of `step`, or its state_after or delta_root when no
  // step's digest differs. Thread, unanswered: the seed of the challenge. Else zero.
  Digest digest;
  std::string detail;  // for people; a detail_text()
  Signature signature{};

  static constexpr std::string_view kName = "verdict";
  static void body(auto& f, auto& r) {
    f(r.lease_id)(r.index)(r.share_id)(r.kind)(r.outcome)(r.step)(r.time_ms)(r.auditor_key);
    f(r.proof)(r.digest).text(r.detail, kDetailBytesMax);
    f.must(r.kind >= AuditKind::replay && r.kind <= AuditKind::unanswered);
    f.must(r.outcome <= Outcome::undecided && r.outcome != Outcome::malformed);
  }
  static void fields(auto& f, auto& r) {
    body(f, r);
    f.raw(r.signature);
  }
};
inline constexpr size_t kVerdictBytesMax = 32 * 5 + 4 * 2 + 2 + 8 + 2 + kDetailBytesMax + 64;

// Any text as a verdict can carry it: cut to kDetailBytesMax, and '?' for every byte that is not
// printable ASCII.
std::string detail_text(std::string_view text);

std::string_view to_string(AuditKind kind);
std::string_view to_string(Outcome outcome);

Bytes encode(const Lease& lease);
Bytes encode(const Share& share);
Bytes encode(const Verdict& verdict);  // its detail is a detail_text()
// Errors: malformed. Signatures are not looked at.
Result<Lease> decode_lease(ByteView bytes);
Result<Share> decode_share(ByteView bytes);
Result<Verdict> decode_verdict(ByteView bytes);

Digest lease_id(const Lease& lease);  // hashes; who holds a Lease has it as its id
Digest share_id(const Share& share);
Digest verdict_id(const Verdict& verdict);

// Set the signature, and with it what only the signer's key decides: a lease's pool_key and id, a
// verdict's auditor_key.
void sign(Lease& lease, const Identity& pool);
void sign(Share& share, const Identity& miner);
void sign(Verdict& verdict, const Identity& auditor);
bool signed_by_pool(const Lease& lease);
bool signed_by(const Share& share, const Digest& miner_key);
bool signed_by_auditor(const Verdict& verdict);

// Whether a share may follow the lease's earlier ones (PROTOCOL 8.5). `previous_state` is the state
// root it must start from, `next_index` the index it must have. None: it may.
// check_share looks at everything but the signature, admit_share at that, too.
struct Refusal {
  WireError code = WireError::internal;
  std::string detail;
};
std::optional<Refusal> check_share(const Lease& lease, const Share& share, uint32_t next_index,
                                   const Digest& previous_state, uint64_t macs_per_step);
std::optional<Refusal> admit_share(const Lease& lease, const Share& share, uint32_t next_index,
                                   const Digest& previous_state, uint64_t macs_per_step);

}  // namespace gemmine::verifier
