// Audits and verdicts: drawing them, waiting for answers, and what a wrong share costs
// (PROTOCOL 7, design: forfeit, ban, look at the key's other work again).
#include <algorithm>

#include "pool/core/pool.h"
#include "verifier/records/coin.h"

namespace gemmine::pool {

using verifier::AuditKind;
using verifier::CloseReason;
using verifier::LeaseState;
using verifier::Outcome;
using verifier::RecordKind;

namespace {

constexpr uint32_t kUnlistedRetryMs = 60'000;

}  // namespace

void Pool::begin_audit(const LeaseState& state, uint32_t index, AuditKind kind, const Digest& seed,
                       uint64_t now) {
  if (kind == AuditKind::replay) return begin_replay(state, index, true);
  Audit audit;
  audit.kind = AuditKind::spot;
  audit.stage = Audit::Stage::waiting_answer;
  audit.seed = seed;
  const verifier::AuditPolicy& policy = rooms_.at(state.lease.job_id).work->job().audit;
  audit.due_ms = now + policy.answer_ms;
  audit.blocks.resize(policy.spot_blocks);
  send_challenge({state.lease.id, index}, audits_.add({state.lease.id, index}, std::move(audit)),
                 now);
}

void Pool::begin_replay(const LeaseState& state, uint32_t index, bool required) {
  Audit audit;
  audit.kind = AuditKind::replay;
  audit.required = required;
  audits_.add({state.lease.id, index}, std::move(audit));
  ReplayTask task{state.lease, {}};
  for (uint32_t i = 0; i <= index; ++i)
    task.shares.push_back(state.shares[i].share);
  out_.tasks.emplace_back(std::move(task));
}

void Pool::send_challenge(const ShareKey& key, const Audit& audit, uint64_t now) {
  const uint64_t left = audit.due_ms > now ? audit.due_ms - now : 0;
  tell_miner(lease(key.lease_id)->lease.miner_key,
             Challenge{key.lease_id, key.index, audit.seed, static_cast<uint32_t>(left)});
}

void Pool::on_miner(const Peer& peer, uint32_t seq, OpeningMessage& message, uint64_t now) {
  const ShareKey key{message.lease_id, message.index};
  const LeaseState* const state = lease(key.lease_id);
  if (state == nullptr || state->lease.miner_key != peer.key)
    return refuse(peer.id, seq, WireError::unknown_lease, "not a lease of this key");
  Audit* const audit = audits_.find(key);
  const bool asked = audit != nullptr && audit->stage == Audit::Stage::waiting_answer &&
                     message.block < audit->blocks.size() && !message.opening.empty();
  // The first answer counts: a second one could depend on the first one's fate.
  if (!asked || !audit->blocks[message.block].empty())
    return refuse(peer.id, seq, WireError::not_challenged, "nobody asked for this opening");
  audit->blocks[message.block] = std::move(message.opening);
  if (std::ranges::any_of(audit->blocks, &Bytes::empty)) return;
  audit->stage = Audit::Stage::running;
  audit->due_ms = now;
  out_.tasks.emplace_back(SpotTask{.lease = state->lease,
                                   .share = state->shares[key.index].share,
                                   .last_share = key.index + 1 == state->lease.shares(),
                                   .seed = audit->seed,
                                   .openings = std::move(audit->blocks)});
}

void Pool::on_auditor(const Peer& peer, uint32_t seq, const VerdictMessage& message, uint64_t now) {
  const auto decoded = verifier::decode_verdict(message.verdict);
  if (!decoded) return refuse(peer.id, seq, WireError::malformed, decoded.error().detail);
  const verifier::Verdict& verdict = decoded.value();
  const bool listened = options_.auditors.empty() ||
                        std::ranges::find(options_.auditors, peer.key) != options_.auditors.end();
  if (!listened)  // it may go on watching, and the list may change
    return refuse(peer.id, seq, WireError::too_many, "not one of this pool's auditors",
                  kUnlistedRetryMs);
  if (verdict.auditor_key != peer.key || !verifier::signed_by_auditor(verdict))
    return refuse(peer.id, seq, WireError::bad_signature, "the verdict is not signed by this key");
  const LeaseState* const state = lease(verdict.lease_id);
  if (state == nullptr || verdict.index >= state->shares.size() ||
      state->shares[verdict.index].id != verdict.share_id)
    return refuse(peer.id, seq, WireError::unknown_lease, "no such share");
  const ShareKey key{verdict.lease_id, verdict.index};
  if (heard_[key].contains(peer.key))
    return refuse(peer.id, seq, WireError::duplicate, "this auditor has spoken about this share");
  if (heard_[key].size() >= kVerdictsPerShareMax)
    return refuse(peer.id, seq, WireError::too_many, "enough was said about this share");
  const bool wrong = verdict.outcome == Outcome::invalid || verdict.outcome == Outcome::malformed;
  if (wrong && audits_.full())
    return refuse(peer.id, seq, WireError::busy, "audits are behind", 2'000);
  const auto logged = book_.append(RecordKind::verdict, signed_body(message.verdict), now);
  if (!logged) return refuse(peer.id, seq, WireError::malformed, logged.error().detail);
  out_.note("auditor_verdict", {{"lease", short_hex(key.lease_id)},
                                {"index", std::to_string(key.index)},
                                {"outcome", std::string(verifier::to_string(verdict.outcome))},
                                {"auditor", short_hex(peer.key)}});
  heard_[key].insert(peer.key);
  if (wrong) doubt(*state, key.index);
}

// Somebody says that this share is wrong. Believed only after we have run it ourselves.
void Pool::doubt(const LeaseState& state, uint32_t index) {
  const verifier::ShareState& share = state.shares[index];
  if (state.voided || share.replayed || share.found_wrong()) return;
  if (!rooms_.contains(state.lease.job_id)) return;
  if (Audit* const pending = audits_.find({state.lease.id, index})) {
    pending->doubted = true;
  } else {
    begin_replay(state, index, false);
  }
}

bool Pool::log_verdict(const Digest& lease_id, uint32_t index, AuditKind kind,
                       const verifier::Finding& finding, uint64_t now) {
  const LeaseState& state = *lease(lease_id);
  verifier::Verdict verdict;
  verdict.lease_id = lease_id;
  verdict.index = index;
  verdict.share_id = state.shares[index].id;
  verdict.kind = kind;
  verdict.outcome = finding.outcome;
  verdict.step = finding.step;
  verdict.time_ms = std::max(now, ledger().last_time_ms());
  verdict.auditor_key = identity_.public_key();
  verdict.detail = finding.detail.substr(0, 200);
  for (char& c : verdict.detail) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  verifier::sign(verdict, identity_);
  const Bytes bytes = encode(verdict);
  const auto logged = book_.append(RecordKind::verdict, signed_body(bytes), now);
  out_.note("verdict", {{"lease", short_hex(lease_id)},
                        {"index", std::to_string(index)},
                        {"miner", short_hex(state.lease.miner_key)},
                        {"kind", std::string(verifier::to_string(kind))},
                        {"outcome", std::string(verifier::to_string(finding.outcome))},
                        {"detail", logged ? verdict.detail : logged.error().detail}});
  if (logged) tell_miner(state.lease.miner_key, VerdictMessage{bytes});
  return logged.ok();
}

void Pool::on_audit_done(const AuditDone& done, uint64_t now) {
  const ShareKey key{done.lease_id, done.index};
  Audit* const audit = audits_.find(key);
  if (audit == nullptr) return;  // condemned or cancelled meanwhile
  if (done.finding.outcome == Outcome::undecided) {
    audit->stage = Audit::Stage::waiting_retry;
    audit->due_ms = now + kAuditRetryMs;
    return out_.note("audit_undecided",
                     {{"lease", short_hex(key.lease_id)}, {"reason", done.finding.detail}},
                     Level::warning);
  }
  const Digest job_id = lease(key.lease_id)->lease.job_id;
  const bool logged = log_verdict(key.lease_id, done.found_index, done.kind, done.finding, now);
  const bool doubted = audit->doubted;
  audits_.erase(key);
  if (done.finding.outcome != Outcome::valid) return condemn(key.lease_id, now);
  const LeaseState& state = *lease(key.lease_id);
  if (doubted) doubt(state, key.index);
  if (logged && !state.closed) try_complete(key.lease_id, now);
  try_merge(job_id);
}

// A connection that is dead and does not know it yet carried no challenge: only a word of the
// miner after the time was up proves that it is there and kept silent.
bool Pool::spoke_since(const Digest& key, uint64_t since_ms) const {
  return std::ranges::any_of(sessions_.of_miner(key), [&](ConnId id) {
    return sessions_.peers().at(id).heard_ms >= since_ms;
  });
}

void Pool::check_deadlines(uint64_t now) {
  std::vector<ShareKey> late;
  std::vector<ShareKey> again;
  for (const auto& [key, audit] : audits_.pending()) {
    if (audit.stage == Audit::Stage::running || now < audit.due_ms) continue;
    if (audit.stage == Audit::Stage::waiting_retry) {
      again.push_back(key);
    } else if (spoke_since(lease(key.lease_id)->lease.miner_key, audit.due_ms)) {
      late.push_back(key);  // who is away answers on the way back, or loses the lease
    }
  }
  for (const ShareKey& key : again) {
    // Openings of a spot check are gone with their task; a replay decides without them.
    const Audit before = *audits_.find(key);
    begin_replay(*lease(key.lease_id), key.index, before.required);
    audits_.find(key)->doubted = before.doubted;
  }
  for (const ShareKey& key : late) {
    if (audits_.find(key) != nullptr) unanswered(key, now);
  }
}

void Pool::unanswered(const ShareKey& key, uint64_t now) {
  log_verdict(key.lease_id, key.index, AuditKind::unanswered,
              {Outcome::invalid, verifier::kNoStep, "the challenge was not answered in time"}, now);
  condemn(key.lease_id, now);
}

// A share of this lease is wrong: the lease, its key, and what else the key did and is not paid
// for.
void Pool::condemn(const Digest& lease_id, uint64_t now) {
  audits_.erase_lease(lease_id);
  const Digest key = lease(lease_id)->lease.miner_key;
  if (!lease(lease_id)->closed) close_lease(lease_id, CloseReason::rejected, now);
  const std::vector<Digest> unpaid = ledger().unvested(key);
  const auto member = ledger().members().find(key);
  if (member != ledger().members().end() && !member->second.banned) {
    std::vector<Digest> open;
    for (const auto& [id, state] : ledger().leases()) {
      if (state.lease.miner_key == key && !state.closed && !state.voided) open.push_back(id);
    }
    const auto banned = book_.append(RecordKind::ban, verifier::ban_body(key, lease_id), now);
    if (!banned) out_.note("ban_refused", {{"reason", banned.error().detail}}, Level::error);
    out_.note("banned", {{"miner", short_hex(key)}, {"lease", short_hex(lease_id)}},
              Level::warning);
    for (const Digest& id : open) {
      audits_.erase_lease(id);
      close_lease(id, CloseReason::cancelled, now);
    }
    for (const ConnId id : sessions_.of_miner(key))
      refuse(id, 0, WireError::banned, "this key was found cheating");
    for (const Digest& id : unpaid) {
      if (id != lease_id) second_look(id);
    }
  }
  roll_back(lease_id, now);
  try_merge(lease(lease_id)->lease.job_id);
}

}  // namespace gemmine::pool
