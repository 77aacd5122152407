#include "pool/core/closing.h"

#include "pool/core/garbage.h"
#include "pool/core/transfers.h"

namespace gemmine::pool {

using verifier::CloseReason;

bool close_lease(PoolState& pool, const Digest& lease_id, CloseReason reason, uint64_t now) {
  const verifier::LeaseState& state = pool.known_lease(lease_id);
  GEMMINE_CHECK(!state.closed);
  const Digest secret = pool.secret(state.lease);
  const Digest key = state.lease.miner_key;
  const verifier::CloseBody body{lease_id, reason, secret};
  const auto logged = pool.book.append(verifier::RecordKind::close, gemmine::encode(body), now);
  if (!logged) {
    pool.out.note("close_refused",
                  {{"lease", short_hex(lease_id)}, {"reason", logged.error().detail}},
                  Level::error);
    return false;
  }
  GEMMINE_CHECK(state.closed == reason);
  drop_upload(pool, lease_id);
  if (const auto open = pool.open_leases.find(key); open != pool.open_leases.end()) {
    open->second.erase(lease_id);
    if (open->second.empty()) pool.open_leases.erase(open);
  }
  const auto notes = pool.lease_notes.find(lease_id);
  const bool answered = notes == pool.lease_notes.end() || !notes->second.unanswered;
  if (notes != pool.lease_notes.end()) pool.lease_notes.erase(notes);
  if (reason == CloseReason::complete) {
    if (answered) pool.pauses.erase(key);
  } else if (state.delta_root) {
    drop_delta(pool, *state.delta_root);
  }
  pool.tell_miner(key, LeaseClosed{body, logged.value()});
  pool.out.note("lease_closed", {{"lease", short_hex(lease_id)},
                                 {"miner", short_hex(key)},
                                 {"reason", std::string(verifier::to_string(reason))}});
  return true;
}

void pause_key(PoolState& pool, const Digest& key, uint64_t now) {
  Pause& pause = pool.pauses[key];
  pause.failed(now);
  pool.out.note("key_paused",
                {{"miner", short_hex(key)}, {"wait_ms", std::to_string(pause.left_ms(now))}});
}

}  // namespace gemmine::pool
