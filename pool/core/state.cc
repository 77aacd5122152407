#include "pool/core/state.h"

#include <algorithm>

#include "verifier/records/coin.h"

namespace gemmine::pool {

PoolState::PoolState(Book folded, const verifier::Identity& pool_identity, PoolOptions chosen)
    : book(std::move(folded)),
      identity(pool_identity),
      options(std::move(chosen)),
      sessions(pool_identity.public_key(), options.idle_ms),
      audits(options.audits_at_once),
      uploads(options.upload_bytes) {
  GEMMINE_CHECK(options.random);
  GEMMINE_CHECK(options.audits_at_once >= 1);
  GEMMINE_CHECK(options.leases_per_key >= 1 && options.leases_per_key <= kOpenLeasesMax);
  GEMMINE_CHECK(ledger().next_seq() > 0);  // a book begins with its genesis record
  GEMMINE_CHECK(ledger().pool_key() == identity.public_key());
  for (const auto& [id, state] : ledger().leases()) {
    if (!state.closed) open_leases[state.lease.miner_key].insert(id);
    const Digest& key = state.lease.miner_key;
    const verifier::KeyState* const in_job = ledger().key_state(state.lease.job_id, key);
    if (in_job != nullptr && in_job->right > 0) proven.insert(key);
  }
}

JobRoom* PoolState::room(const Digest& job_id) {
  const auto found = rooms.find(job_id);
  return found == rooms.end() ? nullptr : &found->second;
}

const verifier::LeaseState* PoolState::lease(const Digest& lease_id) const {
  const auto found = ledger().leases().find(lease_id);
  return found == ledger().leases().end() ? nullptr : &found->second;
}

const verifier::LeaseState& PoolState::known_lease(const Digest& lease_id) const {
  const verifier::LeaseState* const found = lease(lease_id);
  GEMMINE_CHECK(found != nullptr);  // what is owed names only leases of the ledger
  return *found;
}

const verifier::Work& PoolState::work_of(const verifier::Lease& lease) const {
  const auto found = ledger().jobs().find(lease.job_id);
  GEMMINE_CHECK(found != ledger().jobs().end());  // the ledger takes leases of its jobs only
  return found->second.work;
}

const std::deque<Pace>& PoolState::paces_of(const Digest& key) const {
  static const std::deque<Pace> none;
  const auto found = keys.find(key);
  return found == keys.end() ? none : found->second.paces;
}

void PoolState::keep_secret(const Digest& commitment, const Digest& secret) {
  secrets[commitment] = secret;
  kept.put.emplace_back(commitment, Bytes(secret.bytes.begin(), secret.bytes.end()));
}

const Digest& PoolState::secret(const Digest& commitment) const {
  const auto found = secrets.find(commitment);
  GEMMINE_CHECK(found != secrets.end());  // it goes when the ledger has revealed it
  return found->second;
}

void PoolState::drop_secret(const Digest& commitment) {
  if (secrets.erase(commitment) > 0) kept.drop.push_back(commitment);
}

Standing PoolState::standing(const Digest& key) const {
  return proven.contains(key) ? Standing::proven : Standing::fresh;
}

bool PoolState::listed(const Digest& auditor) const {
  return std::ranges::find(options.auditors, auditor) != options.auditors.end();
}

void PoolState::refuse(ConnId to, uint32_t seq, WireError code, const std::string& text,
                       uint32_t retry_after_ms) {
  out.send(to, ErrorMessage{seq, code, retry_after_ms, text});
  if (closes(code)) out.hangups.push_back({to, std::string(to_string(code)) + ": " + text});
}

}  // namespace gemmine::pool
