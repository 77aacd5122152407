// Leases and shares: handing slots out, admitting work, closing (PROTOCOL 6.2, 6.3, 8.5).
#include <algorithm>

#include "pool/core/pool.h"
#include "verifier/merge/delta.h"
#include "verifier/records/coin.h"

namespace gemmine::pool {

using verifier::CloseReason;
using verifier::LeaseState;
using verifier::RecordKind;

void Pool::on_miner(const Peer& peer, uint32_t seq, const GetLease& get, uint64_t now) {
  const Digest wanted = get.job_id;
  if (ledger().open_leases(peer.key) >= options_.leases_per_key)
    return refuse(peer.id, seq, WireError::too_many, "this key holds enough leases", 1'000);
  bool unfinished = false;
  for (const auto& [id, job] : ledger().jobs()) {
    if (job.finished || !rooms_.contains(id) || (!wanted.is_zero() && wanted != id)) continue;
    unfinished = true;
    if (grant(peer, job, seq, now)) return;
  }
  if (!unfinished)
    return refuse(peer.id, seq, WireError::unknown_job, "no such job, or it has finished");
  out_.send(peer.id, NoLease{kNoLeaseRetryMs, "no slot is free"});
}

bool Pool::grant(const Peer& peer, const verifier::JobState& job, uint32_t seq, uint64_t now) {
  const auto slot = std::ranges::find_if(job.slots, [](const auto& s) { return !s; });
  if (slot == job.slots.end() || rooms_.at(job.work.id()).merging) return false;
  verifier::Lease terms;
  terms.job_id = job.work.id();
  terms.pool_key = identity_.public_key();
  terms.miner_key = peer.key;
  terms.round = job.round;
  terms.slot = static_cast<uint32_t>(slot - job.slots.begin());
  terms.serial = next_serial_;
  terms.theta_root = job.theta_roots.back();
  terms.steps = job.work.job().spec.steps_per_lease;
  terms.steps_per_share =
      choose_share_size(paces_[peer.key], options_.share_ms, terms.steps,
                        job.work.program().macs_per_step(), job.work.job().steps_per_share);
  terms.issued_ms = std::max(now, ledger().last_time_ms());
  terms.deadline_ms = terms.issued_ms + job.work.job().audit.lease_ms;
  terms.coin_commit =
      verifier::coin_commit(verifier::lease_secret(options_.coin_master, terms.serial));
  verifier::sign(terms, identity_);
  const Bytes bytes = encode(terms);
  const auto logged = book_.append(RecordKind::lease, signed_body(bytes), now);
  if (!logged) {
    out_.note("lease_refused", {{"job", job.work.job().name}, {"reason", logged.error().detail}},
              Level::warning);
    out_.send(peer.id, NoLease{60'000, "the escrow covers no more leases"});
    return true;
  }
  ++next_serial_;
  out_.send(peer.id, LeaseMessage{bytes});
  out_.note("lease", {{"lease", short_hex(terms.id)},
                      {"job", job.work.job().name},
                      {"round", std::to_string(terms.round)},
                      {"slot", std::to_string(terms.slot)},
                      {"miner", short_hex(peer.key)},
                      {"frame", std::to_string(seq)}});
  return true;
}

void Pool::on_miner(const Peer& peer, uint32_t seq, const Abandon& abandon, uint64_t now) {
  const Digest id = abandon.lease_id;
  const LeaseState* const state = lease(id);
  if (state == nullptr || state->lease.miner_key != peer.key)
    return refuse(peer.id, seq, WireError::unknown_lease, "not a lease of this key");
  if (state->closed) return refuse(peer.id, seq, WireError::lease_closed, "closed already");
  // Walking away from a challenge is an answer too: otherwise it would be free to be caught.
  for (const ShareKey& key : audits_.of_lease(id)) {
    const Audit* const audit = audits_.find(key);
    if (audit != nullptr && audit->stage == Audit::Stage::waiting_answer)
      return unanswered(key, now);
  }
  close_lease(id, CloseReason::abandoned, now);
}

void Pool::on_miner(const Peer& peer, uint32_t seq, const ShareMessage& message, uint64_t now) {
  const auto decoded = verifier::decode_share(message.share);
  if (!decoded) return refuse(peer.id, seq, WireError::malformed, decoded.error().detail);
  const verifier::Share& share = decoded.value();
  const LeaseState* const state = lease(share.lease_id);
  if (state == nullptr || state->lease.miner_key != peer.key)
    return refuse(peer.id, seq, WireError::unknown_lease, "not a lease of this key");
  if (share.index < state->shares.size()) {
    // Compared as decoded: another signature under the same words is the same share.
    const verifier::ShareState& known = state->shares[share.index];
    if (verifier::share_id(share) != known.id)
      return refuse(peer.id, seq, WireError::conflict, "this index is logged with other bytes");
    refuse(peer.id, seq, WireError::duplicate, "already logged");
    return out_.send(peer.id, ShareOk{share.lease_id, share.index, known.seq});
  }
  if (state->closed || state->voided || now > state->lease.deadline_ms)
    return refuse(peer.id, seq, WireError::lease_closed, "past its deadline, or closed");
  if (audits_.full()) return refuse(peer.id, seq, WireError::busy, "audits are behind", 2'000);
  admit(peer, seq, *state, share, now);
}

void Pool::admit(const Peer& peer, uint32_t seq, const LeaseState& state,
                 const verifier::Share& share, uint64_t now) {
  JobRoom* const place = room(state.lease.job_id);
  if (place == nullptr)
    return refuse(peer.id, seq, WireError::unknown_job, "this pool does not serve the job now");
  const auto start = place->start_roots.find(state.lease.theta_root);
  if (state.shares.empty() && start == place->start_roots.end())
    return refuse(peer.id, seq, WireError::internal, "the round's start is unknown", 5'000);
  const Digest previous =
      state.shares.empty() ? start->second : state.shares.back().share.state_after;
  const auto index = static_cast<uint32_t>(state.shares.size());
  const verifier::Refusal refusal = verifier::admit_share(state.lease, share, index, previous,
                                                          place->work->program().macs_per_step());
  if (refusal.wire_code != 0)
    return refuse(peer.id, seq, static_cast<WireError>(refusal.wire_code), refusal.detail);
  if (!verifier::signed_by(share, peer.key))
    return refuse(peer.id, seq, WireError::bad_signature, "the share's signature is wrong");
  // The draw depends on what was known when the share was logged (PROTOCOL 7.2): before it is.
  const Digest secret = verifier::lease_secret(options_.coin_master, state.lease.serial);
  const Digest seed = verifier::challenge_seed(secret, verifier::share_id(share));
  const verifier::AuditKind kind = verifier::audit_kind(
      place->work->job().audit, seed, ledger().valid_shares(peer.key, state.lease.job_id));
  const auto logged = book_.append(RecordKind::share, signed_body(encode(share)), now);
  if (!logged) return refuse(peer.id, seq, WireError::internal, logged.error().detail, 1'000);
  out_.send(peer.id, ShareOk{share.lease_id, index, logged.value()});
  out_.note("share", {{"lease", short_hex(share.lease_id)},
                      {"index", std::to_string(index)},
                      {"miner", short_hex(peer.key)},
                      {"loss", std::to_string(share.loss)},
                      {"audit", std::string(verifier::to_string(kind))}});
  keep_pace(paces_[peer.key], pace_of(state, index));
  speed_.emplace_back(now, share.macs);
  if (speed_.size() > kSpeedSamplesMax) speed_.pop_front();
  if (kind != verifier::AuditKind::none)
    begin_audit(*lease(share.lease_id), index, kind, seed, now);
}

void Pool::on_miner(const Peer& peer, uint32_t seq, const DeltaPart& part, uint64_t now) {
  const LeaseState* const state = lease(part.lease_id);
  if (state == nullptr || state->lease.miner_key != peer.key)
    return refuse(peer.id, seq, WireError::unknown_lease, "not a lease of this key");
  if (state->delta_root) return out_.send(peer.id, DeltaOk{part.lease_id});
  if (state->closed || state->voided)
    return refuse(peer.id, seq, WireError::lease_closed, "the lease is closed");
  const JobRoom* const place = room(state->lease.job_id);
  if (place == nullptr || state->shares.size() != state->lease.shares())
    return refuse(peer.id, seq, WireError::out_of_order, "the delta comes after the last share");
  const Digest root = state->shares.back().share.delta_root;
  const uint64_t parameters = place->work->program().parameters();
  auto whole = uploads_.take(part, root, verifier::delta_bytes(parameters));
  if (!whole) {
    const bool busy = whole.error().code == Errc::busy;
    return refuse(peer.id, seq, busy ? WireError::busy : WireError::bad_delta, whole.error().detail,
                  busy ? 2'000 : 0);
  }
  if (!whole.value()) return;
  if (const Status checked = verifier::check_delta(*whole.value(), parameters); !checked)
    return refuse(peer.id, seq, WireError::bad_delta, checked.error().detail);
  const auto logged =
      book_.append(RecordKind::delta, verifier::delta_body(part.lease_id, root), now);
  if (!logged) return refuse(peer.id, seq, WireError::internal, logged.error().detail, 1'000);
  blobs_.push_back(std::move(*whole.value()));
  out_.send(peer.id, DeltaOk{part.lease_id});
  try_complete(part.lease_id, now);
}

bool Pool::close_lease(const Digest& lease_id, CloseReason reason, uint64_t now) {
  const LeaseState* const state = lease(lease_id);
  const Digest secret = verifier::lease_secret(options_.coin_master, state->lease.serial);
  const Digest key = state->lease.miner_key;
  const auto logged =
      book_.append(RecordKind::close, verifier::close_body(lease_id, reason, secret), now);
  if (!logged) {
    out_.note("close_refused", {{"lease", short_hex(lease_id)}, {"reason", logged.error().detail}},
              Level::error);
    return false;
  }
  uploads_.forget(lease_id);
  tell_miner(key, LeaseClosed{lease_id, static_cast<uint8_t>(reason), secret});
  constexpr const char* kReasons[] = {"?",        "complete",  "expired",
                                      "rejected", "abandoned", "cancelled"};
  out_.note("lease_closed", {{"lease", short_hex(lease_id)},
                             {"miner", short_hex(key)},
                             {"reason", kReasons[static_cast<size_t>(reason)]}});
  return true;
}

void Pool::expire(uint64_t now) {
  std::vector<Digest> late;
  for (const auto& [job_id, job] : ledger().jobs()) {
    for (const auto& slot : job.slots) {
      const LeaseState* const state = slot ? lease(*slot) : nullptr;
      if (state == nullptr || state->closed || now <= state->lease.deadline_ms) continue;
      // All work is in: the lease waits for the pool's own audits, which is not the miner's fault.
      const bool all_in = state->shares.size() == state->lease.shares() && state->delta_root;
      if (!all_in || audits_.waits_for_miner(*slot)) late.push_back(*slot);
    }
  }
  for (const Digest& id : late) {
    const auto owed = audits_.of_lease(id);
    const auto open = std::ranges::find_if(owed, [&](const ShareKey& key) {
      const Audit& audit = *audits_.find(key);
      return audit.stage == Audit::Stage::waiting_answer && now > audit.due_ms;
    });
    if (open != owed.end()) {
      unanswered(*open, now);
    } else if (!audits_.waits_for_miner(id)) {  // else it has time left to answer
      close_lease(id, CloseReason::expired, now);
    }
  }
}

void Pool::try_complete(const Digest& lease_id, uint64_t now) {
  const LeaseState* const state = lease(lease_id);
  const JobRoom* const place = room(state->lease.job_id);
  if (state->closed || state->voided || place == nullptr || !state->delta_root) return;
  if (state->shares.size() != state->lease.shares() || audits_.owes(lease_id)) return;
  if (close_lease(lease_id, CloseReason::complete, now)) try_merge(state->lease.job_id);
}

}  // namespace gemmine::pool
