#include "verifier/records/records.h"

#include <algorithm>
#include <cmath>

#include "kernels/hash/blake3.h"

namespace gemmine::verifier {

namespace {

template <class T>
Digest body_hash(std::string_view context, const T& record) {
  PutFields put;
  T::body(put, record);
  return kernels::blake3_derive_key(context, put.take());
}

}  // namespace

std::string_view to_string(AuditKind kind) {
  switch (kind) {
    case AuditKind::none:
      return "none";
    case AuditKind::replay:
      return "replay";
    case AuditKind::thread:
      return "thread";
    case AuditKind::unanswered:
      return "unanswered";
  }
  return "unknown";
}

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::valid:
      return "valid";
    case Outcome::invalid:
      return "invalid";
    case Outcome::malformed:
      return "malformed";
    case Outcome::undecided:
      return "undecided";
  }
  return "unknown";
}

std::string detail_text(std::string_view text) {
  std::string out(text.substr(0, kDetailBytesMax));
  std::ranges::replace_if(
      out, [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return out;
}

Bytes encode(const Lease& lease) {
  Bytes out = gemmine::encode(lease);
  GEMMINE_CHECK(out.size() == kLeaseBytes);
  return out;
}
Bytes encode(const Share& share) {
  Bytes out = gemmine::encode(share);
  GEMMINE_CHECK(out.size() == kShareBytes);
  return out;
}
Bytes encode(const Verdict& verdict) {
  GEMMINE_CHECK(verdict.detail.size() <= kDetailBytesMax);
  Bytes out = gemmine::encode(verdict);
  GEMMINE_CHECK(out.size() <= kVerdictBytesMax);
  return out;
}

Result<Lease> decode_lease(ByteView bytes) {
  auto out = decode<Lease>(bytes);
  if (!out) return out;
  if (!share_size_ok(out.value().steps, out.value().steps_per_share))
    return Error{Errc::malformed, "lease: steps_per_share is out of bounds"};
  out.value().id = lease_id(out.value());
  return out;
}
Result<Share> decode_share(ByteView bytes) {
  return decode<Share>(bytes);
}
Result<Verdict> decode_verdict(ByteView bytes) {
  return decode<Verdict>(bytes);
}

Digest lease_id(const Lease& lease) {
  return body_hash(domain::kLease, lease);
}
Digest share_id(const Share& share) {
  return body_hash(domain::kShare, share);
}
Digest verdict_id(const Verdict& verdict) {
  return body_hash(domain::kVerdict, verdict);
}

void sign(Lease& lease, const Identity& pool) {
  lease.pool_key = pool.public_key();
  lease.id = lease_id(lease);
  lease.signature = pool.sign(lease.id);
}
void sign(Share& share, const Identity& miner) {
  share.signature = miner.sign(share_id(share));
}
void sign(Verdict& verdict, const Identity& auditor) {
  verdict.auditor_key = auditor.public_key();
  verdict.signature = auditor.sign(verdict_id(verdict));
}

bool signed_by_pool(const Lease& lease) {
  // Hashed again: what was changed since it was decoded is not what was signed.
  return verify_signature(lease.pool_key, lease_id(lease), lease.signature);
}
bool signed_by(const Share& share, const Digest& miner_key) {
  return verify_signature(miner_key, share_id(share), share.signature);
}
bool signed_by_auditor(const Verdict& verdict) {
  return verify_signature(verdict.auditor_key, verdict_id(verdict), verdict.signature);
}

std::optional<Refusal> check_share(const Lease& lease, const Share& share, uint32_t next_index,
                                   const Digest& previous_state, uint64_t macs_per_step) {
  const uint32_t shares = lease.shares();
  if (share.lease_id != lease.id)
    return Refusal{WireError::unknown_lease, "the share names another lease"};
  if (next_index >= shares)
    return Refusal{WireError::lease_closed, "every share of this lease is in the ledger"};
  if (share.index != next_index)
    return Refusal{WireError::out_of_order,
                   "the next share has index " + std::to_string(next_index)};
  const uint32_t first = lease.first_step(share.index);
  const uint32_t steps = lease.steps_of(share.index);
  if (share.first_step != first)
    return Refusal{WireError::out_of_order, "this share starts at step " + std::to_string(first)};
  if (share.steps != steps)
    return Refusal{WireError::bad_steps, "this share has " + std::to_string(steps) + " steps"};
  if (share.state_before != previous_state)
    return Refusal{WireError::out_of_order,
                   "the share does not start from the state the last one ended with"};
  if (share.macs != steps * macs_per_step)
    return Refusal{WireError::bad_price,
                   "the share's macs are " + std::to_string(steps * macs_per_step)};
  if (!std::isfinite(share.loss)) return Refusal{WireError::bad_value, "the loss is not finite"};
  const bool last = share.index + 1 == shares;
  if (last == share.delta_root.is_zero())
    return Refusal{WireError::bad_delta, "delta_root belongs to the last share, and only to it"};
  return {};
}

std::optional<Refusal> admit_share(const Lease& lease, const Share& share, uint32_t next_index,
                                   const Digest& previous_state, uint64_t macs_per_step) {
  auto refusal = check_share(lease, share, next_index, previous_state, macs_per_step);
  // Last, since it costs more than all the rest.
  if (!refusal && !signed_by(share, lease.miner_key))
    return Refusal{WireError::bad_signature, "not signed by the lease's miner"};
  return refusal;
}

}  // namespace gemmine::verifier
