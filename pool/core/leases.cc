#include "pool/core/leases.h"

#include <algorithm>

#include "pool/core/answers.h"
#include "pool/core/audits.h"
#include "pool/core/closing.h"
#include "pool/core/granting.h"
#include "verifier/records/trace.h"

namespace gemmine::pool {

using verifier::CloseReason;
using verifier::LeaseState;
using verifier::RecordKind;

namespace {

void admit(PoolState& pool, const Peer& peer, uint32_t seq, const LeaseState& state,
           const verifier::Share& share, std::span<const Digest> steps, uint64_t now) {
  JobRoom* const place = pool.room(state.lease.job_id);
  if (place == nullptr)
    return pool.refuse(peer.id, seq, WireError::unknown_job,
                       "this pool does not serve the job now");
  const auto start = place->start_roots.find(state.lease.theta_root);
  if (state.shares.empty() && start == place->start_roots.end())
    return pool.refuse(peer.id, seq, WireError::internal, "the round's start is unknown", 5'000);
  const Digest previous =
      state.shares.empty() ? start->second : state.shares.back().share.state_after;
  const auto index = static_cast<uint32_t>(state.shares.size());
  const auto refusal = verifier::check_share(state.lease, share, index, previous,
                                             place->work->program().macs_per_step());
  if (refusal) return pool.refuse(peer.id, seq, refusal->code, refusal->detail);
  if (steps.size() != share.steps ||
      verifier::trace_root(share.lease_id, share.first_step, steps) != share.trace_root)
    return pool.refuse(peer.id, seq, WireError::bad_steps,
                       "the steps' digests do not give trace_root");
  // The one look at the signature is the ledger's, and at the time.
  const auto logged =
      pool.book.append(RecordKind::share, verifier::signed_body(encode(share)), now);
  if (!logged) return pool.refuse(peer.id, seq, WireError::bad_signature, logged.error().detail);
  GEMMINE_CHECK(state.shares.size() == size_t{index} + 1);
  pool.kept.put.emplace_back(state.shares.back().id, bytes_of(steps));
  pool.out.send(peer.id, ShareOk{share.lease_id, index, logged.value()});
  pool.out.note("share", {{"lease", short_hex(share.lease_id)},
                          {"index", std::to_string(index)},
                          {"miner", short_hex(peer.key)},
                          {"loss", std::to_string(share.loss)}});
  keep_pace(pool.keys[peer.key].paces, pace_of(state, index));
  pool.speed.emplace_back(now, share.macs);
  if (pool.speed.size() > kSpeedSamplesMax) pool.speed.pop_front();
}

// The lease if it is one of this key; else the peer is told.
const LeaseState* own_lease(PoolState& pool, const Peer& peer, uint32_t seq, const Digest& id) {
  const LeaseState* const state = pool.lease(id);
  if (state != nullptr && state->lease.miner_key == peer.key) return state;
  pool.refuse(peer.id, seq, WireError::unknown_lease, "not a lease of this key");
  return nullptr;
}

// Everything of it is in: what it waits for is the pool's to do.
bool all_in(const LeaseState& state) {
  return state.shares.size() == state.lease.shares() && state.delta_root;
}

}  // namespace

void on_abandon(PoolState& pool, const Peer& peer, const Abandon& abandon, uint32_t seq,
                uint64_t now) {
  const Digest id = abandon.lease_id;
  const LeaseState* const state = own_lease(pool, peer, seq, id);
  if (state == nullptr) return;
  if (state->closed) return pool.refuse(peer.id, seq, WireError::lease_closed, "closed already");
  // No confession: machines fail. Work that is not whole is not paid, and nobody looks at it.
  const bool closed = close_lease(pool,
                                  {.lease_id = id,
                                   .reason = CloseReason::abandoned,
                                   .secret = {},
                                   .abandon = abandon.signature},
                                  now);
  if (!closed)
    return pool.refuse(peer.id, seq, WireError::bad_signature,
                       "ABANDON does not give this lease back");
  pause_key(pool, state->lease, Pause::kFirstMs, now);
  if (abandon.diverged != verifier::kNoStep) look_at_divergence(pool, *state, abandon.diverged);
}

void on_share(PoolState& pool, const Peer& peer, const ShareMessage& message, uint32_t seq,
              uint64_t now) {
  const auto decoded = verifier::decode_share(message.share);
  if (!decoded) return pool.refuse(peer.id, seq, WireError::malformed, decoded.error().detail);
  const verifier::Share& share = decoded.value();
  const LeaseState* const state = own_lease(pool, peer, seq, share.lease_id);
  if (state == nullptr) return;
  if (share.index < state->shares.size()) {
    // Compared as decoded: another signature under the same words is the same share.
    const verifier::ShareState& known = state->shares[share.index];
    if (verifier::share_id(share) != known.id)
      return pool.refuse(peer.id, seq, WireError::conflict,
                         "this index is logged with other bytes");
    const auto* const receipt = pool.book.receipts().share(share.lease_id, share.index);
    if (receipt == nullptr)
      return pool.refuse(peer.id, seq, WireError::lease_closed, "already logged, and closed since");
    pool.refuse(peer.id, seq, WireError::duplicate, "already logged");
    return pool.out.send(peer.id, ShareOk{share.lease_id, share.index, *receipt});
  }
  if (state->closed || now > pool.ledger().shares_until_ms(share.lease_id))
    return pool.refuse(peer.id, seq, WireError::lease_closed, "past its deadline, or closed");
  admit(pool, peer, seq, *state, share, message.steps, now);
}

void expire(PoolState& pool, uint64_t now) {
  std::vector<Digest> late;
  for (const auto& [key, leases] : pool.open_leases) {
    for (const Digest& id : leases) {
      const LeaseState& state = pool.known_lease(id);
      if (now <= state.lease.deadline_ms || now <= pool.ledger().shares_until_ms(id)) continue;
      // Audits that are still to come are not the miner's fault.
      if (!all_in(state) || state.wrong) late.push_back(id);
    }
  }
  for (const Digest& id : late) {
    const LeaseState& state = pool.known_lease(id);
    const bool our_fault = state.lease.deadline_ms < pool.resumed_ms;  // nobody was there
    if (!close_lease(pool, {.lease_id = id, .reason = CloseReason::expired, .secret = {}}, now))
      continue;
    // Who sent nothing kept a slot from others for nothing, whatever it did before.
    const bool worked =
        pool.standing(state.lease.miner_key) == Standing::proven && !state.shares.empty();
    const uint64_t first_ms = worked ? Pause::kFirstMs : lease_ms_of(state.lease);
    if (!our_fault) pause_key(pool, state.lease, first_ms, now);
  }
}

void try_complete(PoolState& pool, const Digest& lease_id, uint64_t now) {
  const LeaseState& state = pool.known_lease(lease_id);
  if (state.closed || state.wrong || !all_in(state)) return;
  if (pool.room(state.lease.job_id) == nullptr) return;
  const Digest& secret = pool.secret(state.lease.coin_commit);
  const auto at_once = pool.ledger().immediate_audit(lease_id, secret);
  if (at_once && audit_at_once(pool, state, *at_once, now)) return;
  if (!close_lease(pool, {.lease_id = lease_id, .reason = CloseReason::complete, .secret = {}},
                   now))
    return pool.out.note("close_refused", {{"lease", short_hex(lease_id)}}, Level::error);
  pool.due.merge.insert(state.lease.job_id);
}

}  // namespace gemmine::pool
