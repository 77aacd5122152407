#include "pool/core/leases.h"

#include <algorithm>

#include "pool/core/answer_time.h"
#include "pool/core/audits.h"
#include "pool/core/closing.h"
#include "verifier/merge/delta.h"
#include "verifier/records/coin.h"

namespace gemmine::pool {

using verifier::AuditKind;
using verifier::CloseReason;
using verifier::JobState;
using verifier::LeaseState;
using verifier::RecordKind;

namespace {

enum class Grant : uint8_t { given, no_slot, dry };

// The ledger learns of a key, and of another account of it, with a lease and not with a word: keys
// are free, and records stay for ever. False when the ledger refuses it, which the peer is told.
bool know_member(PoolState& pool, const Peer& peer, uint32_t seq, uint64_t now) {
  const auto member = pool.ledger().members().find(peer.key);
  const bool known = member != pool.ledger().members().end();
  if (known && member->second.account == peer.member.account) return true;
  const auto logged = pool.book.append(RecordKind::member, encode(peer.member), now);
  if (!logged) pool.refuse(peer.id, seq, WireError::bad_account, logged.error().detail);
  return logged.ok();
}

verifier::Lease make_terms(const PoolState& pool, const Digest& key, const JobState& job,
                           uint32_t slot, uint64_t now) {
  const verifier::Job& wanted = job.work.job();
  verifier::Lease terms;
  terms.job_id = job.work.id();
  terms.pool_key = pool.identity.public_key();
  terms.miner_key = key;
  terms.round = job.round;
  terms.slot = slot;
  terms.serial = pool.next_serial;
  terms.theta_root = job.theta_roots.back();
  terms.steps = wanted.spec.steps_per_lease;
  terms.steps_per_share =
      choose_share_size(pool.paces_of(key), share_target_ms(wanted, pool.options.share_ms),
                        terms.steps, job.work.program().macs_per_step(), wanted.steps_per_share);
  GEMMINE_CHECK(verifier::share_size_ok(terms.steps, terms.steps_per_share));
  terms.issued_ms = std::max(now, pool.ledger().last_time_ms());
  terms.deadline_ms = terms.issued_ms + wanted.audit.lease_ms;
  terms.coin_commit = verifier::coin_commit(pool.secret(terms));
  return terms;
}

// Once for every time that it runs dry: who waits asks again and again.
void note_dry(PoolState& pool, const JobState& job, JobRoom& place) {
  if (std::exchange(place.dry, true)) return;
  pool.out.note("job_dry",
                {{"job", job.work.job().name},
                 {"id", short_hex(job.work.id())},
                 {"escrow_free", std::to_string(pool.ledger().escrow_free(job.work.id()))},
                 {"lease_costs", std::to_string(job.gross_per_lease)},
                 {"help", "a start with --fund N fills the escrow up to N"}},
                Level::warning);
}

Grant grant(PoolState& pool, const Peer& peer, const JobState& job, uint32_t seq, uint64_t now) {
  JobRoom& place = pool.rooms.at(job.work.id());
  const auto slot = std::ranges::find_if(job.slots, [](const auto& s) { return !s; });
  if (slot == job.slots.end() || place.merging) return Grant::no_slot;
  const int64_t free = pool.ledger().escrow_free(job.work.id());
  GEMMINE_CHECK(free >= 0);  // the ledger never promises more than there is
  if (static_cast<uint64_t>(free) < job.gross_per_lease) {
    note_dry(pool, job, place);
    return Grant::dry;
  }
  place.dry = false;
  if (!know_member(pool, peer, seq, now)) return Grant::given;
  verifier::Lease terms =
      make_terms(pool, peer.key, job, static_cast<uint32_t>(slot - job.slots.begin()), now);
  verifier::sign(terms, pool.identity);
  const Bytes bytes = encode(terms);
  const auto logged = pool.book.append(RecordKind::lease, signed_body(bytes), now);
  if (!logged) {
    pool.out.note("lease_refused",
                  {{"job", job.work.job().name}, {"reason", logged.error().detail}},
                  Level::warning);
    return Grant::no_slot;
  }
  ++pool.next_serial;
  pool.open_leases[peer.key].insert(terms.id);
  pool.out.send(peer.id, LeaseMessage{bytes});
  pool.out.note("lease", {{"lease", short_hex(terms.id)},
                          {"job", job.work.job().name},
                          {"round", std::to_string(terms.round)},
                          {"slot", std::to_string(terms.slot)},
                          {"miner", short_hex(peer.key)},
                          {"frame", std::to_string(seq)}});
  return Grant::given;
}

void admit(PoolState& pool, const Peer& peer, uint32_t seq, const LeaseState& state,
           const verifier::Share& share, uint64_t now) {
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
  // The draw depends on what was known when the share was logged (PROTOCOL 7.2): before it is.
  const Digest seed = verifier::challenge_seed(pool.secret(state.lease), verifier::share_id(share));
  const AuditKind kind = verifier::audit_kind(
      place->work->job().audit, seed, pool.ledger().valid_shares(peer.key, state.lease.job_id));
  // The one look at the signature is the ledger's; nothing else is left for it to refuse.
  const auto logged = pool.book.append(RecordKind::share, signed_body(encode(share)), now);
  if (!logged) return pool.refuse(peer.id, seq, WireError::bad_signature, logged.error().detail);
  GEMMINE_CHECK(state.shares.size() == size_t{index} + 1);
  pool.out.send(peer.id, ShareOk{share.lease_id, index, logged.value()});
  pool.out.note("share", {{"lease", short_hex(share.lease_id)},
                          {"index", std::to_string(index)},
                          {"miner", short_hex(peer.key)},
                          {"loss", std::to_string(share.loss)},
                          {"audit", std::string(verifier::to_string(kind))}});
  keep_pace(pool.paces[peer.key], pace_of(state, index));
  pool.speed.emplace_back(now, share.macs);
  if (pool.speed.size() > kSpeedSamplesMax) pool.speed.pop_front();
  if (kind != AuditKind::none) begin_audit(pool, state, index, kind, seed, now);
}

// The lease if it is one of this key; else the peer is told.
const LeaseState* own_lease(PoolState& pool, const Peer& peer, uint32_t seq, const Digest& id) {
  const LeaseState* const state = pool.lease(id);
  if (state != nullptr && state->lease.miner_key == peer.key) return state;
  pool.refuse(peer.id, seq, WireError::unknown_lease, "not a lease of this key");
  return nullptr;
}

}  // namespace

void on_get_lease(PoolState& pool, const Peer& peer, const GetLease& get, uint32_t seq,
                  uint64_t now) {
  GEMMINE_CHECK(peer.stage == Peer::Stage::ready && peer.role == Role::miner);
  const Digest wanted = get.job_id;
  if (pool.ledger().open_leases(peer.key) >= pool.options.leases_per_key)
    return pool.refuse(peer.id, seq, WireError::too_many, "this key holds enough leases",
                       kManyLeasesRetryMs);
  const auto pause = pool.pauses.find(peer.key);
  const uint64_t wait = pause == pool.pauses.end() ? 0 : pause->second.left_ms(now);
  if (wait > 0)
    return pool.out.send(peer.id, NoLease{static_cast<uint32_t>(wait),
                                          "the last lease of this key came to nothing"});
  bool unfinished = false;
  bool slots = false;  // taken ones, of a job that could pay
  for (const Digest& id : pool.queue) {
    const JobState& job = pool.ledger().jobs().at(id);
    if (job.finished || (!wanted.is_zero() && wanted != id)) continue;
    unfinished = true;
    const Grant result = grant(pool, peer, job, seq, now);
    if (result == Grant::given) return;
    slots |= result == Grant::no_slot;
  }
  if (!unfinished)
    return pool.refuse(peer.id, seq, WireError::unknown_job, "no such job, or it has finished");
  pool.out.send(peer.id, slots ? NoLease{kNoLeaseRetryMs, "no slot is free"}
                               : NoLease{kDryRetryMs, "the escrow covers no more leases"});
}

void on_abandon(PoolState& pool, const Peer& peer, const Abandon& abandon, uint32_t seq,
                uint64_t now) {
  const Digest id = abandon.lease_id;
  const LeaseState* const state = own_lease(pool, peer, seq, id);
  if (state == nullptr) return;
  if (state->closed) return pool.refuse(peer.id, seq, WireError::lease_closed, "closed already");
  // No confession: machines fail. What was sent is judged by the pool alone, and is not paid.
  stop_asking(pool, id);
  if (close_lease(pool, id, CloseReason::abandoned, now)) pause_key(pool, peer.key, now);
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
  if (state->closed || state->voided || now > lease_end_ms(pool, *state, now))
    return pool.refuse(peer.id, seq, WireError::lease_closed, "past its deadline, or closed");
  if (pool.audits.full())
    return pool.refuse(peer.id, seq, WireError::busy, "audits are behind", 2'000);
  admit(pool, peer, seq, *state, share, now);
}

void expire(PoolState& pool, uint64_t now) {
  std::vector<Digest> late;
  for (const auto& [key, leases] : pool.open_leases) {
    for (const Digest& id : leases) {
      const LeaseState& state = pool.known_lease(id);
      if (now <= state.lease.deadline_ms || now <= lease_end_ms(pool, state, now)) continue;
      // All work is in: the lease waits for audits, which are not the miner's fault.
      const bool all_in = state.shares.size() == state.lease.shares() && state.delta_root;
      if (!all_in) late.push_back(id);
    }
  }
  for (const Digest& id : late) {
    const Digest key = pool.known_lease(id).lease.miner_key;
    stop_asking(pool, id);
    if (close_lease(pool, id, CloseReason::expired, now)) pause_key(pool, key, now);
  }
}

void try_complete(PoolState& pool, const Digest& lease_id, uint64_t now) {
  const LeaseState& state = pool.known_lease(lease_id);
  if (state.closed || state.voided || !state.delta_root) return;
  if (pool.room(state.lease.job_id) == nullptr) return;
  if (state.shares.size() != state.lease.shares() || pool.audits.owes(lease_id)) return;
  if (close_lease(pool, lease_id, CloseReason::complete, now))
    pool.due.merge.insert(state.lease.job_id);
}

}  // namespace gemmine::pool
