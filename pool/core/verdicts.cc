#include "pool/core/verdicts.h"

#include <algorithm>

#include "pool/core/audits.h"

namespace gemmine::pool {

using verifier::AuditKind;
using verifier::LeaseState;
using verifier::Outcome;
using verifier::RecordKind;

namespace {

constexpr uint32_t kUnlistedRetryMs = 60'000;

}  // namespace

void log_verdict(PoolState& pool, const ShareKey& key, AuditKind kind,
                 const verifier::Finding& finding, uint64_t now) {
  const LeaseState& state = pool.known_lease(key.lease_id);
  GEMMINE_CHECK(key.index < state.shares.size());
  // Silence proves nothing, and a verdict that is none convicts nobody.
  GEMMINE_CHECK((kind == AuditKind::unanswered) == (finding.outcome == Outcome::undecided));
  verifier::Verdict verdict;
  verdict.lease_id = key.lease_id;
  verdict.index = key.index;
  verdict.share_id = state.shares[key.index].id;
  verdict.kind = kind;
  verdict.outcome = finding.outcome;
  verdict.step = finding.step;
  verdict.time_ms = std::max(now, pool.ledger().last_time_ms());
  verdict.auditor_key = pool.identity.public_key();
  verdict.detail = verifier::detail_text(finding.detail);
  verifier::sign(verdict, pool.identity);
  const Bytes bytes = encode(verdict);
  const auto logged = pool.book.append(RecordKind::verdict, signed_body(bytes), now);
  pool.out.note("verdict", {{"lease", short_hex(key.lease_id)},
                            {"index", std::to_string(key.index)},
                            {"miner", short_hex(state.lease.miner_key)},
                            {"kind", std::string(verifier::to_string(kind))},
                            {"outcome", std::string(verifier::to_string(finding.outcome))},
                            {"detail", logged ? verdict.detail : logged.error().detail}});
  if (logged) pool.tell_miner(state.lease.miner_key, VerdictMessage{bytes});
}

void on_auditor_verdict(PoolState& pool, const Peer& peer, uint32_t seq,
                        const VerdictMessage& message, uint64_t now) {
  GEMMINE_CHECK(peer.role == Role::auditor);
  const auto decoded = verifier::decode_verdict(message.verdict);
  if (!decoded) return pool.refuse(peer.id, seq, WireError::malformed, decoded.error().detail);
  const verifier::Verdict& verdict = decoded.value();
  const auto& listed = pool.options.auditors;
  if (!listed.empty() && std::ranges::find(listed, peer.key) == listed.end())
    // It may go on watching, and the list may change.
    return pool.refuse(peer.id, seq, WireError::too_many, "not one of this pool's auditors",
                       kUnlistedRetryMs);
  if (verdict.auditor_key != peer.key || !verifier::signed_by_auditor(verdict))
    return pool.refuse(peer.id, seq, WireError::bad_signature,
                       "the verdict is not signed by this key");
  const LeaseState* const state = pool.lease(verdict.lease_id);
  if (state == nullptr || verdict.index >= state->shares.size() ||
      state->shares[verdict.index].id != verdict.share_id)
    return pool.refuse(peer.id, seq, WireError::unknown_lease, "no such share");
  const ShareKey key{verdict.lease_id, verdict.index};
  std::set<Digest>& heard = pool.heard[key];
  if (heard.contains(peer.key))
    return pool.refuse(peer.id, seq, WireError::duplicate,
                       "this auditor has spoken about this share");
  if (heard.size() >= kVerdictsPerShareMax)
    return pool.refuse(peer.id, seq, WireError::too_many, "enough was said about this share");
  const bool wrong = verdict.outcome == Outcome::invalid || verdict.outcome == Outcome::malformed;
  if (wrong && pool.audits.full())
    return pool.refuse(peer.id, seq, WireError::busy, "audits are behind", 2'000);
  const auto logged = pool.book.append(RecordKind::verdict, signed_body(message.verdict), now);
  if (!logged) return pool.refuse(peer.id, seq, WireError::malformed, logged.error().detail);
  pool.out.note("auditor_verdict", {{"lease", short_hex(key.lease_id)},
                                    {"index", std::to_string(key.index)},
                                    {"outcome", std::string(verifier::to_string(verdict.outcome))},
                                    {"auditor", short_hex(peer.key)}});
  heard.insert(peer.key);
  if (wrong) doubt(pool, *state, key.index);
}

void doubt(PoolState& pool, const LeaseState& state, uint32_t index) {
  GEMMINE_CHECK(index < state.shares.size());
  const verifier::ShareState& share = state.shares[index];
  if (state.voided || share.replayed || share.found_wrong()) return;
  const JobRoom* const place = pool.room(state.lease.job_id);
  if (place == nullptr || state.lease.round < place->first_kept) return;  // that round is final
  if (Audit* const pending = pool.audits.find({state.lease.id, index})) {
    pending->doubted = true;
  } else {
    begin_replay(pool, state, index, false);
  }
}

}  // namespace gemmine::pool
