#include "pool/core/granting.h"

#include <algorithm>

#include "pool/core/closing.h"
#include "pool/core/settlement.h"
#include "verifier/records/coin.h"

namespace gemmine::pool {

using verifier::JobState;
using verifier::RecordKind;

namespace {

enum class Grant : uint8_t { given, no_slot, dry };

// The ledger learns of a key with its first work, not with its first word: keys are free, and
// records stay for ever. False when the ledger refuses it, which the peer is told.
bool know_member(PoolState& pool, const Peer& peer, uint32_t seq, uint64_t now) {
  const auto member = pool.ledger().members().find(peer.key);
  const bool known = member != pool.ledger().members().end();
  if (known && member->second.account == peer.member.account) return true;
  const auto logged = pool.book.append(RecordKind::member, verifier::encode(peer.member), now);
  if (!logged) pool.refuse(peer.id, seq, WireError::bad_account, logged.error().detail);
  return logged.ok();
}

// The key's batch that is still open and has room; none: the lease begins a new one.
const verifier::BatchState* open_batch(const PoolState& pool, const Digest& key,
                                       const Digest& job_id) {
  const verifier::KeyState* const known = pool.ledger().key_state(job_id, key);
  if (known == nullptr) return nullptr;
  const verifier::BatchState& last = known->batches.back();
  const bool room = last.open + last.leases.size() < last.size;
  const bool asked = pool.settle_asked.contains(last.commit);
  return room && !asked && !last.draw && !last.settled ? &last : nullptr;
}

struct Coins {
  Digest lease_secret;
  Digest batch_secret;  // s0 of a new batch; zero: the batch is there
};

verifier::Lease make_terms(const PoolState& pool, const Digest& key, const JobState& job,
                           uint32_t slot, Coins& coins, uint64_t now) {
  const verifier::Job& wanted = job.work.job();
  verifier::Lease terms;
  terms.job_id = job.work.id();
  terms.pool_key = pool.identity.public_key();
  terms.miner_key = key;
  terms.round = job.round;
  terms.slot = slot;
  terms.serial = pool.ledger().next_serial();
  terms.theta_root = job.theta_roots.back();
  terms.steps = wanted.spec.steps_per_lease;
  terms.steps_per_share =
      choose_share_size(pool.paces_of(key), pool.options.share_ms, terms.steps,
                        job.work.program().macs_per_step(), wanted.steps_per_share);
  GEMMINE_CHECK(verifier::share_size_ok(terms.steps, terms.steps_per_share));
  terms.issued_ms = std::max(now, pool.ledger().last_time_ms());
  terms.deadline_ms = terms.issued_ms + wanted.audit.lease_ms;
  coins.lease_secret = pool.options.random();
  terms.coin_commit = verifier::coin_commit(coins.lease_secret);
  if (const verifier::BatchState* const batch = open_batch(pool, key, terms.job_id)) {
    terms.batch_commit = batch->commit;
  } else {
    coins.batch_secret = pool.options.random();
    terms.batch_commit = verifier::coin_commit(verifier::coin_commit(coins.batch_secret));
  }
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

bool here(const PoolState& pool, const Digest& key) {
  return pool.open_leases.contains(key) || !pool.sessions.of_miner(key).empty();
}

bool proven_key_waits(const PoolState& pool, uint64_t now) {
  return std::ranges::any_of(pool.proven, [&](const Digest& key) {
    const auto notes = pool.keys.find(key);
    return notes != pool.keys.end() && notes->second.no_slot_at_ms &&
           now < *notes->second.no_slot_at_ms + kWaitingMs;
  });
}

// Whether a new key may have one of the round's slots.
bool room_for_new_key(const PoolState& pool, const JobState& job, uint64_t now) {
  const bool any =
      std::ranges::any_of(pool.proven, [&](const Digest& key) { return here(pool, key); });
  if (!any) return true;
  if (proven_key_waits(pool, now)) return false;
  size_t held = 0;
  for (const auto& slot : job.slots) {
    if (!slot) continue;
    const verifier::LeaseState& lease = pool.known_lease(*slot);
    if (!lease.closed && pool.standing(lease.lease.miner_key) == Standing::fresh) ++held;
  }
  return held < std::max<size_t>(1, job.slots.size() / kFreshPart);
}

Grant grant(PoolState& pool, const Peer& peer, const JobState& job, uint32_t seq, uint64_t now) {
  JobRoom& place = pool.rooms.at(job.work.id());
  const auto slot = std::ranges::find_if(job.slots, [](const auto& s) { return !s; });
  // Where weights are known to be bad nobody begins.
  const bool waits = place.merging || place.repair_due || place.diverges;
  if (slot == job.slots.end() || waits) return Grant::no_slot;
  if (pool.standing(peer.key) == Standing::fresh && !room_for_new_key(pool, job, now))
    return Grant::no_slot;
  const int64_t free = pool.ledger().escrow_free(job.work.id());
  GEMMINE_CHECK(free >= 0);  // the ledger never promises more than there is
  if (static_cast<uint64_t>(free) < job.gross_per_lease) {
    note_dry(pool, job, place);
    return Grant::dry;
  }
  place.dry = false;
  if (!know_member(pool, peer, seq, now)) return Grant::given;
  Coins coins;
  verifier::Lease terms =
      make_terms(pool, peer.key, job, static_cast<uint32_t>(slot - job.slots.begin()), coins, now);
  verifier::sign(terms, pool.identity);
  const Bytes bytes = encode(terms);
  const auto logged = pool.book.append(RecordKind::lease, verifier::signed_body(bytes), now);
  if (!logged) {
    pool.out.note("lease_refused",
                  {{"job", job.work.job().name}, {"reason", logged.error().detail}},
                  Level::warning);
    return Grant::no_slot;
  }
  pool.keep_secret(terms.coin_commit, coins.lease_secret);
  if (!coins.batch_secret.is_zero()) pool.keep_secret(terms.batch_commit, coins.batch_secret);
  pool.open_leases[peer.key].insert(terms.id);
  KeyNotes& notes = pool.keys[peer.key];
  notes.neighbourhood = peer.neighbourhood;
  notes.no_slot_at_ms.reset();
  pool.out.send(peer.id, LeaseMessage{bytes});
  pool.out.note("lease", {{"lease", short_hex(terms.id)},
                          {"job", job.work.job().name},
                          {"round", std::to_string(terms.round)},
                          {"slot", std::to_string(terms.slot)},
                          {"miner", short_hex(peer.key)},
                          {"frame", std::to_string(seq)}});
  return Grant::given;
}

}  // namespace

void on_get_lease(PoolState& pool, const Peer& peer, const GetLease& get, uint32_t seq,
                  uint64_t now) {
  GEMMINE_CHECK(peer.stage == Peer::Stage::ready && peer.role == Role::miner);
  const bool proven = pool.standing(peer.key) == Standing::proven;
  const uint32_t held = pool.ledger().open_leases(peer.key);
  const auto notes = pool.keys.find(peer.key);
  const bool failing = notes != pool.keys.end() && notes->second.pause.failing(now);
  if (held >= pool.options.leases_per_key || ((!proven || failing) && held > 0))
    return pool.refuse(peer.id, seq, WireError::too_many, "this key holds enough leases",
                       kManyLeasesRetryMs);
  if (const uint64_t wait = pause_left_ms(pool, peer.key, peer.neighbourhood, now); wait > 0)
    return pool.out.send(peer.id,
                         NoLease{static_cast<uint32_t>(std::min<uint64_t>(wait, UINT32_MAX)),
                                 "the last lease of this key came to nothing"});
  // Nothing is paid unaudited: a pool that is behind takes no more on.
  if (pool.audits.full() || unsettled_batches(pool, peer.key).size() > kUnsettledBatchesMax)
    return pool.out.send(peer.id, NoLease{kAuditsBehindMs, "audits are behind"});
  bool unfinished = false;
  bool slots = false;  // taken ones, of a job that could pay
  for (const Digest& id : pool.queue) {
    const JobState& job = pool.ledger().jobs().at(id);
    if (job.finished || (!get.job_id.is_zero() && get.job_id != id)) continue;
    unfinished = true;
    if (job.ended()) {
      slots = true;
      continue;
    }
    const Grant result = grant(pool, peer, job, seq, now);
    if (result == Grant::given) return;
    slots |= result == Grant::no_slot;
  }
  if (!unfinished)
    return pool.refuse(peer.id, seq, WireError::unknown_job, "no such job, or it has finished");
  if (slots && proven) pool.keys[peer.key].no_slot_at_ms = now;
  pool.out.send(peer.id, slots ? NoLease{kNoLeaseRetryMs, "no slot is free"}
                               : NoLease{kDryRetryMs, "the escrow covers no more leases"});
}

}  // namespace gemmine::pool
