// Rules of leases and what happens in them: share, verdict, delta, close (PROTOCOL 8.5).
#include "verifier/ledger/data.h"
#include "verifier/records/coin.h"

namespace gemmine::verifier {

namespace {

__extension__ using Wide = unsigned __int128;

Status check_place(const LedgerData& data, const Lease& lease, const JobState& job) {
  if (job.finished) return invalid("the job has finished");
  if (lease.round != job.round || job.round >= job.work.job().spec.rounds)
    return invalid("the lease is of round " + std::to_string(lease.round) +
                   ", the job's current round is " + std::to_string(job.round));
  if (lease.theta_root != job.theta_roots.back())
    return invalid("theta_root is not the current round's");
  if (lease.slot >= job.slots.size()) return invalid("there is no such slot");
  if (job.slots[lease.slot]) return invalid("the slot has an open or complete lease");
  if (lease.steps != job.work.job().spec.steps_per_lease)
    return invalid("steps differ from the job's steps_per_lease");
  const MemberState* const member = find_in(data.members, lease.miner_key);
  if (member == nullptr) return invalid("the key is no member");
  if (member->banned) return invalid("the key is banned");
  const uint32_t* const open = find_in(data.open_by_key, lease.miner_key);
  if (open != nullptr && *open >= kOpenLeasesMax)
    return invalid("the key has open_leases_max leases open");
  const Wide promised = Wide{job.gross_per_lease} * (Wide{job.open_leases} + 1);
  const int64_t escrow = balance(data, escrow_account(job.work.id()));
  GEMMINE_CHECK(escrow >= 0);
  if (promised > Wide{static_cast<uint64_t>(escrow)})
    return invalid("the escrow does not cover this lease and those open");
  return Ok{};
}

Status check_complete(const LedgerData& data, const LeaseState& lease,
                      const std::vector<AuditKind>& required) {
  if (lease.voided) return invalid("the lease is void");
  const MemberState* const member = find_in(data.members, lease.lease.miner_key);
  if (member == nullptr || member->banned) return invalid("the key is banned");
  if (lease.shares.size() != lease.lease.shares()) return invalid("a share is missing");
  for (size_t i = 0; i < lease.shares.size(); ++i) {
    const ShareState& share = lease.shares[i];
    const std::string name = "share " + std::to_string(i);
    if (share.found_wrong()) return invalid(name + " was found wrong");
    // A replay sees all that a spot audit sees.
    const bool done = required[i] == AuditKind::none || share.replayed ||
                      (required[i] == AuditKind::spot && share.spotted);
    if (!done)
      return invalid(name + " lacks the valid " + std::string(to_string(required[i])) +
                     " verdict that its audit demands");
  }
  if (!lease.delta_root) return invalid("the delta is not logged");
  return Ok{};
}

// The lease earns; beyond vest_leases the oldest unvested one of the key vests (PROTOCOL 8.4).
PostingSheet earn(const LedgerData& data, const LeaseState& lease, const JobState& job,
                  const Tally& tally, const LeaseState** vested) {
  PostingSheet sheet;
  const Digest& key = lease.lease.miner_key;
  sheet.move(escrow_account(job.work.id()), vesting_account(key),
             static_cast<int64_t>(job.gross_per_lease));
  if (tally.unvested.size() < job.work.job().audit.vest_leases) return sheet;
  LeaseState self = lease;
  self.gross = job.gross_per_lease;
  *vested = tally.unvested.empty() ? &lease : find_in(data.leases, tally.unvested.front());
  GEMMINE_CHECK(*vested != nullptr);  // the tally names only leases that are there
  post_vested(sheet, data, job, tally.unvested.empty() ? self : **vested);
  return sheet;
}

}  // namespace

Status apply_lease(LedgerData& data, const Record& record) {
  const auto wrapped = decode_wrapped(record.body, kLeaseBytes);
  if (!wrapped) return wrapped.error();
  const auto decoded = decode_lease(wrapped.value());
  if (!decoded) return decoded.error();
  const Lease& lease = decoded.value();
  const Digest id = lease.id;
  if (data.leases.contains(id)) return invalid("the lease is already in the ledger");
  JobState* const job = find_in(data.jobs, lease.job_id);
  if (job == nullptr) return invalid("no such job");
  if (Status place = check_place(data, lease, *job); !place) return place;
  if (lease.pool_key != data.pool_key || !signed_by_pool(lease))
    return invalid("the lease is not signed by the pool");

  LeaseState state;
  state.lease = lease;
  data.leases.emplace(id, std::move(state));
  job->slots[lease.slot] = id;
  ++job->open_leases;
  ++data.open_by_key[lease.miner_key];
  data.tallies.try_emplace({lease.job_id, lease.miner_key});
  return Ok{};
}

Status apply_share(LedgerData& data, const Record& record) {
  const auto wrapped = decode_wrapped(record.body, kShareBytes);
  if (!wrapped) return wrapped.error();
  const auto decoded = decode_share(wrapped.value());
  if (!decoded) return decoded.error();
  const Share& share = decoded.value();
  LeaseState* const lease = find_in(data.leases, share.lease_id);
  if (lease == nullptr) return invalid("no such lease");
  if (lease->closed || lease->voided) return invalid("the lease is closed");
  const JobState* const job = find_in(data.jobs, lease->lease.job_id);
  GEMMINE_CHECK(job != nullptr);
  // Share 0 starts from (θ, 0), which only who has θ can hash: audits look at it (PROTOCOL 7.6).
  const Digest& previous =
      lease->shares.empty() ? share.state_before : lease->shares.back().share.state_after;
  const auto refusal = admit_share(lease->lease, share, static_cast<uint32_t>(lease->shares.size()),
                                   previous, job->work.program().macs_per_step());
  if (refusal) return invalid(refusal->detail);

  ShareState state;
  state.share = share;
  state.id = share_id(share);
  state.seq = record.seq;
  state.time_ms = record.time_ms;
  state.valid_before = data.tallies.at({job->work.id(), lease->lease.miner_key}).valid_shares;
  lease->shares.push_back(state);
  return Ok{};
}

Status apply_verdict(LedgerData& data, const Record& record) {
  const auto wrapped = decode_wrapped(record.body, kVerdictBytesMax);
  if (!wrapped) return wrapped.error();
  const auto decoded = decode_verdict(wrapped.value());
  if (!decoded) return decoded.error();
  const Verdict& verdict = decoded.value();
  LeaseState* const lease = find_in(data.leases, verdict.lease_id);
  if (lease == nullptr || verdict.index >= lease->shares.size())
    return invalid("the verdict is on a share that is not in the ledger");
  ShareState& share = lease->shares[verdict.index];
  if (verdict.share_id != share.id) return invalid("share_id is another share's");
  if (!signed_by_auditor(verdict)) return invalid("the verdict is not signed by its auditor");

  const bool wrong = verdict.outcome == Outcome::invalid || verdict.outcome == Outcome::malformed;
  if (wrong) ++share.invalid_verdicts;
  // Anybody can make a key: only the pool's word counts for pay, probation and bans.
  if (verdict.auditor_key != data.pool_key || share.found_wrong()) return Ok{};
  const bool audited = verdict.kind != AuditKind::unanswered;
  if (verdict.outcome == Outcome::valid && audited) {
    if (!share.replayed && !share.spotted)
      ++data.tallies.at({lease->lease.job_id, lease->lease.miner_key}).valid_shares;
    share.replayed |= verdict.kind == AuditKind::replay;
    share.spotted |= verdict.kind == AuditKind::spot;
  }
  if (wrong || share.pool_verdict != Outcome::valid) share.pool_verdict = verdict.outcome;
  return Ok{};
}

Status apply_delta(LedgerData& data, const Record& record) {
  const auto decoded = decode<DeltaBody>(record.body);
  if (!decoded) return decoded.error();
  LeaseState* const lease = find_in(data.leases, decoded.value().lease_id);
  if (lease == nullptr) return invalid("no such lease");
  if (lease->closed || lease->voided) return invalid("the lease is closed");
  const JobState* const job = find_in(data.jobs, lease->lease.job_id);
  GEMMINE_CHECK(job != nullptr);
  if (lease->delta_root) return invalid("the delta is already in the ledger");
  if (lease->shares.size() != lease->lease.shares())
    return invalid("the lease's last share is not in the ledger");
  if (decoded.value().delta_root != lease->shares.back().share.delta_root)
    return invalid("delta_root differs from the last share's");
  lease->delta_root = decoded.value().delta_root;
  return Ok{};
}

Status apply_close(LedgerData& data, const Record& record) {
  const auto decoded = decode<CloseBody>(record.body);
  if (!decoded) return decoded.error();
  const CloseBody& body = decoded.value();
  LeaseState* const lease = find_in(data.leases, body.lease_id);
  if (lease == nullptr) return invalid("no such lease");
  if (lease->closed) return invalid("the lease is already closed");
  if (coin_commit(body.secret) != lease->lease.coin_commit)
    return invalid("the secret is not the one committed to");
  JobState* const job = find_in(data.jobs, lease->lease.job_id);
  GEMMINE_CHECK(job != nullptr);
  std::vector<AuditKind> required;
  for (const ShareState& share : lease->shares)
    required.push_back(audit_kind(job->work.job().audit, challenge_seed(body.secret, share.id),
                                  share.valid_before));
  const bool complete = body.reason == CloseReason::complete;
  std::optional<PendingPost> post;
  const LeaseState* vested = nullptr;
  Tally& tally = data.tallies.at({job->work.id(), lease->lease.miner_key});
  if (complete) {
    if (Status status = check_complete(data, *lease, required); !status) return status;
    auto settled = earn(data, *lease, *job, tally, &vested).settle(data, record.seq);
    if (!settled) return settled.error();
    post = std::move(settled.value());
  }

  lease->closed = body.reason;
  lease->secret = body.secret;
  for (size_t i = 0; i < required.size(); ++i)
    lease->shares[i].required = required[i];
  GEMMINE_CHECK(job->open_leases > 0);
  --job->open_leases;
  uint32_t& open = data.open_by_key[lease->lease.miner_key];
  GEMMINE_CHECK(open > 0);
  if (--open == 0) data.open_by_key.erase(lease->lease.miner_key);
  if (complete) {
    lease->gross = job->gross_per_lease;
    tally.unvested.push_back(lease->lease.id);
  } else if (!lease->voided) {
    job->slots[lease->lease.slot].reset();
  }
  if (vested != nullptr) {
    GEMMINE_CHECK(tally.unvested.front() == vested->lease.id);
    data.leases.at(vested->lease.id).vested = true;
    tally.unvested.pop_front();
  }
  data.pending = std::move(post);
  return Ok{};
}

}  // namespace gemmine::verifier
