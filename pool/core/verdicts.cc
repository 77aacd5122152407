#include "pool/core/verdicts.h"

#include <algorithm>

#include "pool/core/audits.h"

namespace gemmine::pool {

using verifier::AuditKind;
using verifier::LeaseState;
using verifier::Outcome;
using verifier::RecordKind;

namespace {

constexpr uint32_t kUnheardRetryMs = 60'000;

// Leases that wait to be run because strangers doubt them, and nobody who is listed.
size_t doubts(const PoolState& pool) {
  return static_cast<size_t>(std::ranges::count_if(pool.accusers, [&](const auto& entry) {
    return std::ranges::none_of(entry.second, [&](const Digest& key) { return pool.listed(key); });
  }));
}

// An accusation that the pool spends a replay on. False: the peer was told why not.
bool hear(PoolState& pool, const Peer& peer, uint32_t seq, const LeaseState& state) {
  const JobRoom* const place = pool.room(state.lease.job_id);
  const bool in_reach = place != nullptr && state.lease.round >= place->first_kept &&
                        !pool.ledger().jobs().at(state.lease.job_id).finished;
  if (!in_reach || state.replayed || state.wrong) {
    pool.refuse(peer.id, seq, WireError::too_many, "the pool has run this lease, or cannot now",
                kUnheardRetryMs);
    return false;
  }
  const bool listed = pool.listed(peer.key);
  const auto notes = pool.auditors.find(peer.key);
  const bool spent =
      notes != pool.auditors.end() && notes->second.accused > notes->second.confirmed;
  const auto known = pool.accusers.find(state.lease.id);
  const bool doubted = known != pool.accusers.end();
  if (doubted && known->second.contains(peer.key)) {
    pool.refuse(peer.id, seq, WireError::duplicate, "this auditor has spoken about this lease");
  } else if ((doubted && known->second.size() >= kAccusersPerLeaseMax) || (!listed && spent)) {
    pool.refuse(peer.id, seq, WireError::too_many, "accusations of this key wait to be confirmed",
                kUnheardRetryMs);
  } else if (listed ? pool.audits.full() : !doubted && doubts(pool) >= kDoubtsPendingMax) {
    pool.refuse(peer.id, seq, WireError::busy, "audits are behind", kUnheardRetryMs);
  } else {
    pool.accusers[state.lease.id].insert(peer.key);
    ++pool.auditors[peer.key].accused;
    return true;
  }
  return false;
}

// What every verdict of the pool says, signed; its miner hears it. False: the ledger refused it.
bool log_signed(PoolState& pool, const LeaseState& state, verifier::Verdict verdict, uint64_t now) {
  GEMMINE_CHECK(verdict.index < state.shares.size());
  verdict.lease_id = state.lease.id;
  verdict.share_id = state.shares[verdict.index].id;
  verdict.time_ms = std::max(now, pool.ledger().last_time_ms());
  verdict.auditor_key = pool.identity.public_key();
  verifier::sign(verdict, pool.identity);
  const Bytes bytes = encode(verdict);
  const auto logged = pool.book.append(RecordKind::verdict, verifier::signed_body(bytes), now);
  pool.out.note("verdict", {{"lease", short_hex(state.lease.id)},
                            {"index", std::to_string(verdict.index)},
                            {"miner", short_hex(state.lease.miner_key)},
                            {"kind", std::string(verifier::to_string(verdict.kind))},
                            {"outcome", std::string(verifier::to_string(verdict.outcome))},
                            {"detail", logged ? verdict.detail : logged.error().detail}});
  if (logged) pool.tell_miner(state.lease.miner_key, VerdictMessage{bytes});
  return logged.ok();
}

// An accusation that the ledger does not take was never said.
void take_back(PoolState& pool, const Digest& lease_id, const Digest& auditor) {
  const auto accused = pool.accusers.find(lease_id);
  accused->second.erase(auditor);
  if (accused->second.empty()) pool.accusers.erase(accused);
  const auto notes = pool.auditors.find(auditor);
  if (--notes->second.accused == 0) pool.auditors.erase(notes);
}

}  // namespace

bool log_verdict(PoolState& pool, const LeaseState& state, AuditKind kind,
                 const verifier::LeaseFinding& found, uint64_t now) {
  const verifier::Finding& finding = found.finding;
  const bool wrong = finding.outcome == Outcome::invalid;
  GEMMINE_CHECK(wrong || found.index + 1 == state.lease.shares());  // all of it was run
  verifier::Verdict verdict;
  verdict.index = found.index;
  verdict.kind = kind;
  verdict.outcome = finding.outcome;
  verdict.step = finding.step;
  // Of a thread or of silence: which challenge it is about.
  verdict.digest = wrong || kind != AuditKind::replay ? found.digest : Digest{};
  verdict.detail = verifier::detail_text(finding.detail);
  return log_signed(pool, state, std::move(verdict), now);
}

void log_conviction(PoolState& pool, const LeaseState& state, const verifier::ProofFinding& proof,
                    const Digest& address, const verifier::ChallengeState* asked, uint64_t now) {
  verifier::Verdict verdict;
  verdict.index = proof.index;
  verdict.kind = asked == nullptr ? AuditKind::replay : AuditKind::thread;
  if (asked != nullptr) verdict.digest = asked->question;
  verdict.outcome = Outcome::invalid;
  verdict.step = proof.step;
  verdict.proof = address;
  verdict.detail = verifier::detail_text(proof.words);
  log_signed(pool, state, std::move(verdict), now);
}

void on_auditor_verdict(PoolState& pool, const Peer& peer, uint32_t seq,
                        const VerdictMessage& message, uint64_t now) {
  GEMMINE_CHECK(peer.role == Role::auditor);
  const auto decoded = verifier::decode_verdict(message.verdict);
  if (!decoded) return pool.refuse(peer.id, seq, WireError::malformed, decoded.error().detail);
  const verifier::Verdict& verdict = decoded.value();
  if (verdict.auditor_key != peer.key || !verifier::signed_by_auditor(verdict))
    return pool.refuse(peer.id, seq, WireError::bad_signature,
                       "the verdict is not signed by this key");
  const LeaseState* const state = pool.lease(verdict.lease_id);
  if (state == nullptr || verdict.index >= state->shares.size() ||
      state->shares[verdict.index].id != verdict.share_id)
    return pool.refuse(peer.id, seq, WireError::unknown_lease, "no such share");
  const bool wrong = verdict.outcome == Outcome::invalid;
  if (!wrong && !pool.listed(peer.key))
    // It may go on watching, and the list may change.
    return pool.refuse(peer.id, seq, WireError::too_many, "not one of this pool's auditors",
                       kUnheardRetryMs);
  if (wrong && !hear(pool, peer, seq, *state)) return;
  const auto logged =
      pool.book.append(RecordKind::verdict, verifier::signed_body(message.verdict), now);
  if (!logged) {
    if (wrong) take_back(pool, verdict.lease_id, peer.key);
    return pool.refuse(peer.id, seq, WireError::malformed, logged.error().detail);
  }
  pool.out.note("auditor_verdict", {{"lease", short_hex(verdict.lease_id)},
                                    {"index", std::to_string(verdict.index)},
                                    {"outcome", std::string(verifier::to_string(verdict.outcome))},
                                    {"auditor", short_hex(peer.key)}});
  if (wrong) look_at_doubts(pool, *state);
}

}  // namespace gemmine::pool
