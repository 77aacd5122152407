#include "pool/core/closing.h"

#include <algorithm>

#include "pool/core/audits.h"
#include "pool/core/garbage.h"
#include "pool/core/transfers.h"

namespace gemmine::pool {

using verifier::CloseReason;

bool close_lease(PoolState& pool, verifier::CloseBody body, uint64_t now) {
  const verifier::LeaseState& state = pool.known_lease(body.lease_id);
  GEMMINE_CHECK(!state.closed);
  body.secret = pool.secret(state.lease.coin_commit);
  const Digest key = state.lease.miner_key;
  const auto logged = pool.book.append(verifier::RecordKind::close, verifier::encode(body), now);
  if (!logged) return false;
  GEMMINE_CHECK(state.closed == body.reason);
  pool.drop_secret(state.lease.coin_commit);
  drop_upload(pool, body.lease_id);
  if (const auto open = pool.open_leases.find(key); open != pool.open_leases.end()) {
    open->second.erase(body.lease_id);
    if (open->second.empty()) pool.open_leases.erase(open);
  }
  if (body.reason == CloseReason::complete) {
    pool.keys[key].pause = {};
  } else if (state.delta_root) {
    drop_unneeded(pool, *state.delta_root);
  }
  // Without it the batch may be what it waited to be.
  pool.due.batches.insert({state.lease.job_id, key, state.batch});
  pool.tell_miner(key, LeaseClosed{body, logged.value()});
  pool.out.note("lease_closed", {{"lease", short_hex(body.lease_id)},
                                 {"miner", short_hex(key)},
                                 {"reason", std::string(verifier::to_string(body.reason))}});
  look_at_doubts(pool, state);
  return true;
}

uint64_t lease_ms_of(const verifier::Lease& lease) {
  return lease.deadline_ms - lease.issued_ms;
}

void pause_key(PoolState& pool, const verifier::Lease& lease, uint64_t first_ms, uint64_t now) {
  const Digest& key = lease.miner_key;
  KeyNotes& notes = pool.keys[key];
  const bool proven = pool.standing(key) == Standing::proven;
  notes.pause.failed(now, first_ms,
                     proven ? Pause::kProvenLeases * lease_ms_of(lease) : UINT64_MAX);
  if (!proven && !notes.neighbourhood.empty()) {
    std::erase_if(pool.neighbourhoods, [&](const auto& entry) { return entry.second.over(now); });
    pool.neighbourhoods[notes.neighbourhood].failed(now, first_ms);
  }
  pool.out.note("key_paused",
                {{"miner", short_hex(key)}, {"wait_ms", std::to_string(notes.pause.left_ms(now))}});
}

uint64_t pause_left_ms(const PoolState& pool, const Digest& key, const std::string& neighbourhood,
                       uint64_t now) {
  const auto own = pool.keys.find(key);
  uint64_t left = own == pool.keys.end() ? 0 : own->second.pause.left_ms(now);
  if (pool.standing(key) == Standing::proven) return left;
  const auto near = pool.neighbourhoods.find(neighbourhood);
  if (near != pool.neighbourhoods.end()) left = std::max(left, near->second.left_ms(now));
  return left;
}

}  // namespace gemmine::pool
