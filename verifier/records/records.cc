#include "verifier/records/records.h"

#include <algorithm>
#include <cmath>

#include "kernels/hash/blake3.h"

namespace gemmine::verifier {

namespace {

constexpr size_t kDetailBytesMax = 200;

void put_body(Writer& out, const Lease& lease) {
  out.put_digest(lease.job_id).put_digest(lease.pool_key).put_digest(lease.miner_key);
  out.put(lease.round).put(lease.slot).put(lease.serial).put_digest(lease.theta_root);
  out.put(lease.steps)
      .put(lease.steps_per_share)
      .put(lease.issued_ms)
      .put(lease.deadline_ms)
      .put_digest(lease.coin_commit);
}

void put_body(Writer& out, const Share& share) {
  out.put_digest(share.lease_id).put(share.index).put(share.first_step).put(share.steps);
  out.put_digest(share.state_before).put_digest(share.state_after).put_digest(share.trace_root);
  out.put_f32(share.loss).put(share.macs).put_digest(share.delta_root);
}

void put_body(Writer& out, const Verdict& verdict) {
  out.put_digest(verdict.lease_id).put(verdict.index).put_digest(verdict.share_id);
  out.put(verdict.kind).put(verdict.outcome).put(verdict.step).put(verdict.time_ms);
  out.put_digest(verdict.auditor_key).put_text(verdict.detail);
}

template <class T>
Bytes encode_signed(const T& record) {
  Writer out;
  put_body(out, record);
  out.put_raw(record.signature);
  return out.take();
}

template <class T>
Digest body_hash(std::string_view context, const T& record) {
  Writer out;
  put_body(out, record);
  return kernels::blake3_derive_key(context, out.bytes());
}

Signature get_signature(Reader& in) {
  Signature out{};
  const ByteView raw = in.get_raw(out.size());
  std::copy(raw.begin(), raw.end(), out.begin());
  return out;
}

Error malformed(std::string_view what) {
  return {Errc::malformed, std::string(what) + ": does not decode"};
}

// PROTOCOL 5.5, as far as a share can earn them.
enum Wire : uint16_t {
  bad_signature = 13,
  unknown_lease = 21,
  lease_closed = 22,
  out_of_order = 23,
  bad_price = 26,
  bad_steps = 27,
  bad_value = 28,
  bad_delta = 29,
};

}  // namespace

std::string_view to_string(AuditKind kind) {
  switch (kind) {
    case AuditKind::none:
      return "none";
    case AuditKind::replay:
      return "replay";
    case AuditKind::spot:
      return "spot";
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

Bytes encode(const Lease& lease) {
  return encode_signed(lease);
}
Bytes encode(const Share& share) {
  return encode_signed(share);
}
Bytes encode(const Verdict& verdict) {
  GEMMINE_CHECK(verdict.detail.size() <= kDetailBytesMax);
  return encode_signed(verdict);
}

Result<Lease> decode_lease(ByteView bytes) {
  Reader in(bytes);
  Lease out;
  out.job_id = in.get_digest();
  out.pool_key = in.get_digest();
  out.miner_key = in.get_digest();
  out.round = in.get<uint32_t>();
  out.slot = in.get<uint32_t>();
  out.serial = in.get<uint64_t>();
  out.theta_root = in.get_digest();
  out.steps = in.get<uint32_t>();
  out.steps_per_share = in.get<uint32_t>();
  out.issued_ms = in.get<uint64_t>();
  out.deadline_ms = in.get<uint64_t>();
  out.coin_commit = in.get_digest();
  out.signature = get_signature(in);
  if (!in.done()) return malformed("lease");
  if (!share_size_ok(out.steps, out.steps_per_share))
    return Error{Errc::malformed, "lease: steps_per_share is out of bounds"};
  out.id = lease_id(out);
  return out;
}

Result<Share> decode_share(ByteView bytes) {
  Reader in(bytes);
  Share out;
  out.lease_id = in.get_digest();
  out.index = in.get<uint32_t>();
  out.first_step = in.get<uint32_t>();
  out.steps = in.get<uint32_t>();
  out.state_before = in.get_digest();
  out.state_after = in.get_digest();
  out.trace_root = in.get_digest();
  out.loss = in.get_f32();
  out.macs = in.get<uint64_t>();
  out.delta_root = in.get_digest();
  out.signature = get_signature(in);
  if (!in.done()) return malformed("share");
  return out;
}

Result<Verdict> decode_verdict(ByteView bytes) {
  Reader in(bytes);
  Verdict out;
  out.lease_id = in.get_digest();
  out.index = in.get<uint32_t>();
  out.share_id = in.get_digest();
  out.kind = in.get<AuditKind>();
  out.outcome = in.get<Outcome>();
  out.step = in.get<uint32_t>();
  out.time_ms = in.get<uint64_t>();
  out.auditor_key = in.get_digest();
  out.detail = in.get_text(kDetailBytesMax);
  out.signature = get_signature(in);
  if (!in.done()) return malformed("verdict");
  if (out.kind < AuditKind::replay || out.kind > AuditKind::unanswered)
    return Error{Errc::malformed, "verdict: kind must be 1 … 3"};
  if (out.outcome > Outcome::undecided)
    return Error{Errc::malformed, "verdict: outcome must be 0 … 3"};
  return out;
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

Refusal check_share(const Lease& lease, const Share& share, uint32_t next_index,
                    const Digest& previous_state, uint64_t macs_per_step) {
  const uint32_t shares = lease.shares();
  if (share.lease_id != lease.id) return {unknown_lease, "the share names another lease"};
  if (next_index >= shares) return {lease_closed, "every share of this lease is in the ledger"};
  if (share.index != next_index)
    return {out_of_order, "the next share has index " + std::to_string(next_index)};
  const uint32_t first = lease.first_step(share.index);
  const uint32_t steps = lease.steps_of(share.index);
  if (share.first_step != first)
    return {out_of_order, "this share starts at step " + std::to_string(first)};
  if (share.steps != steps)
    return {bad_steps, "this share has " + std::to_string(steps) + " steps"};
  if (share.state_before != previous_state)
    return {out_of_order, "the share does not start from the state the last one ended with"};
  if (share.macs != steps * macs_per_step)
    return {bad_price, "the share's macs are " + std::to_string(steps * macs_per_step)};
  if (!std::isfinite(share.loss)) return {bad_value, "the loss is not finite"};
  const bool last = share.index + 1 == shares;
  if (last == share.delta_root.is_zero())
    return {bad_delta, "delta_root belongs to the last share, and only to it"};
  return {};
}

Refusal admit_share(const Lease& lease, const Share& share, uint32_t next_index,
                    const Digest& previous_state, uint64_t macs_per_step) {
  Refusal refusal = check_share(lease, share, next_index, previous_state, macs_per_step);
  // Last, since it costs more than all the rest.
  if (refusal.wire_code == 0 && !signed_by(share, lease.miner_key))
    return {bad_signature, "not signed by the lease's miner"};
  return refusal;
}

}  // namespace gemmine::verifier
