// Rules of leases: when one may be given out, what is logged in it, how it ends (PROTOCOL 8.5).
#include <algorithm>

#include "verifier/ledger/data.h"
#include "verifier/records/coin.h"

namespace gemmine::verifier {

namespace {

__extension__ using Wide = unsigned __int128;

constexpr uint64_t kDeadlineMsMax = uint64_t{1} << 40;  // after it was issued: 34 years

// Its place in the job: the round, the slot, the work.
Status check_place(const Lease& lease, const JobState& job) {
  if (job.finished) return invalid("the job has finished");
  if (job.stopped) return invalid("the job has stopped");
  if (lease.round != job.round || job.ended())
    return invalid("the lease is of round " + std::to_string(lease.round) +
                   ", the job's current round is " + std::to_string(job.round));
  if (lease.theta_root != job.theta_roots.back())
    return invalid("theta_root is not the current round's");
  if (lease.slot >= job.slots.size()) return invalid("there is no such slot");
  if (job.slots[lease.slot]) return invalid("the slot has an open or complete lease");
  if (lease.steps != job.work.job().spec.steps_per_lease)
    return invalid("steps differ from the job's steps_per_lease");
  return Ok{};
}

Status check_miner(const LedgerData& data, const Lease& lease) {
  const MemberState* const member = find_in(data.members, lease.miner_key);
  if (member == nullptr) return invalid("the key is no member");
  if (member->banned) return invalid("the key is banned");
  const uint32_t* const open = find_in(data.open_by_key, lease.miner_key);
  if (open != nullptr && *open >= kOpenLeasesMax)
    return invalid("the key has open_leases_max leases open");
  return Ok{};
}

Status check_times(const Lease& lease, const JobState& job, uint64_t time_ms) {
  if (lease.issued_ms != time_ms) return invalid("issued_ms is not the time it was logged");
  if (lease.deadline_ms < lease.issued_ms ||
      lease.deadline_ms - lease.issued_ms < job.work.job().audit.lease_ms)
    return invalid("the deadline leaves less than lease_ms");
  if (lease.deadline_ms - lease.issued_ms > kDeadlineMsMax)
    return invalid("the deadline is too far away");
  return Ok{};
}

// It pays at once for everything that it may have to pay: nothing of that leaves it before.
Status check_escrow(const LedgerData& data, const JobState& job) {
  const Wide promised = Wide{job.gross_per_lease} * (job.open_leases + job.unsettled_leases + 1);
  const int64_t escrow = balance(data, escrow_account(job.work.id()));
  GEMMINE_CHECK(escrow >= 0);
  if (promised > Wide{static_cast<uint64_t>(escrow)})
    return invalid("the escrow does not cover this lease, those open and those unsettled");
  return Ok{};
}

// A batch of the key in the job that has room, or one that this lease begins: a commitment which
// was used for anything else is one whose secret may be out (PROTOCOL 13.2).
Result<uint64_t> batch_for(const LedgerData& data, const Lease& lease) {
  if (data.coin_commits.contains(lease.coin_commit) ||
      data.batch_commits.contains(lease.coin_commit) || lease.coin_commit == lease.batch_commit)
    return invalid("coin_commit was used before");
  if (data.coin_commits.contains(lease.batch_commit))
    return invalid("batch_commit was used for a lease's own coin");
  const BatchId* const used = find_in(data.batch_commits, lease.batch_commit);
  if (used == nullptr) {
    const KeyState* const key = find_in(data.keys, {lease.job_id, lease.miner_key});
    return key == nullptr ? uint64_t{0} : uint64_t{key->batches.size()};
  }
  if (used->job_id != lease.job_id || used->key != lease.miner_key)
    return invalid("batch_commit is another batch's");
  const BatchState* const batch = find_batch(data, *used);
  GEMMINE_CHECK(batch != nullptr);
  if (batch->draw) return invalid("the batch is drawn");
  if (batch->settled) return invalid("the batch is settled");
  if (batch->open + batch->leases.size() >= batch->size) return invalid("the batch is full");
  return used->number;
}

// Whether the thread audit of the immediate coin said that all is right.
bool passed_at_once(const LedgerData& data, const LeaseState& lease) {
  return std::ranges::any_of(lease.challenges, [&](uint64_t seq) {
    const ChallengeState& challenge = data.challenges.at(seq);
    return challenge.why == ChallengeWhy::immediate && challenge.outcome == Outcome::valid;
  });
}

// An immediate challenge is the coin's, or the pool draws as it likes (PROTOCOL 7.2).
Status check_coin(const LedgerData& data, const LeaseState& lease, const Digest& secret) {
  if (coin_commit(secret) != lease.lease.coin_commit)
    return invalid("the secret is not the one committed to");
  for (const uint64_t seq : lease.challenges) {
    const ChallengeState& challenge = data.challenges.at(seq);
    if (challenge.why != ChallengeWhy::immediate) continue;
    if (immediate_audit(data, lease, secret) != challenge.question)
      return invalid("challenge " + std::to_string(seq) + " is not what the coin drew");
  }
  return Ok{};
}

Status check_complete(const LedgerData& data, const LeaseState& lease, const Digest& secret) {
  const MemberState* const member = find_in(data.members, lease.lease.miner_key);
  GEMMINE_CHECK(member != nullptr);  // it was one when the lease was issued
  if (member->banned) return invalid("the key is banned");
  if (lease.shares.size() != lease.lease.shares()) return invalid("a share is missing");
  if (!lease.delta_root) return invalid("the delta is not logged");
  if (lease.wrong) return invalid("the lease was found wrong");
  if (immediate_audit(data, lease, secret) && !lease.replayed && !passed_at_once(data, lease))
    return invalid("the lease lacks the valid verdict that its coin demands");
  return Ok{};
}

// Whether the lease may be closed for this reason at this time.
Status check_reason(const LedgerData& data, const LeaseState& lease, const JobState& job,
                    const CloseBody& body, uint64_t time_ms) {
  if ((body.reason == CloseReason::rejected) == body.proof.is_zero())
    return invalid("a proof belongs to rejected, and only to it");
  if (body.reason != CloseReason::abandoned && body.abandon != Signature{})
    return invalid("the miner's signature belongs to abandoned only");
  switch (body.reason) {
    case CloseReason::complete:
      return check_complete(data, lease, body.secret);
    case CloseReason::expired:
      if (time_ms <= shares_until_ms(data, lease))
        return invalid("the lease's time has not run out");
      if (check_complete(data, lease, body.secret)) return invalid("the lease is complete");
      return Ok{};
    case CloseReason::rejected:
      return check_proof(data, body.proof, body.lease_id);
    case CloseReason::abandoned:
      if (!verify_signature(lease.lease.miner_key, abandon_message(body.lease_id), body.abandon))
        return invalid("the miner did not sign that it gives the lease back");
      return Ok{};
    case CloseReason::cancelled:
      // Found wrong and not proven yet: it loses its slot, and that is all.
      if (job.ended() || lease.wrong || data.members.at(lease.lease.miner_key).banned) return Ok{};
      // Its round began again; whoever had sent everything is paid all the same.
      if (lease.set_aside && !lease.delta_root) return Ok{};
      return invalid("the job has not ended, and neither is the key banned nor the lease wrong");
  }
  return malformed("unknown reason");
}

}  // namespace

std::vector<Digest> share_ids(const LeaseState& lease) {
  std::vector<Digest> out;
  out.reserve(lease.shares.size());
  for (const ShareState& share : lease.shares)
    out.push_back(share.id);
  return out;
}

uint64_t shares_until_ms(const LedgerData& data, const LeaseState& lease) {
  const JobState* const job = find_in(data.jobs, lease.lease.job_id);
  const MemberState* const member = find_in(data.members, lease.lease.miner_key);
  GEMMINE_CHECK(job != nullptr && member != nullptr);
  GEMMINE_CHECK(member->challenged_ms >= lease.challenged_before_ms);
  const uint64_t challenged = member->challenged_ms - lease.challenged_before_ms;
  return lease.lease.deadline_ms + std::min<uint64_t>(challenged, job->work.job().audit.lease_ms);
}

std::optional<Digest> immediate_audit(const LedgerData& data, const LeaseState& lease,
                                      const Digest& secret) {
  GEMMINE_CHECK(lease.delta_root && lease.shares.size() == lease.lease.shares());
  const JobState* const job = find_in(data.jobs, lease.lease.job_id);
  GEMMINE_CHECK(job != nullptr);
  const Digest seed = immediate_seed(secret, share_ids(lease));
  if (!audited_at_once(job->work.job().audit, seed, lease.right_before)) return std::nullopt;
  return ticket_seed(seed, lease.lease.id, 0);
}

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
  if (Status place = check_place(lease, *job); !place) return place;
  if (Status miner = check_miner(data, lease); !miner) return miner;
  if (Status times = check_times(lease, *job, record.time_ms); !times) return times;
  if (lease.serial < data.next_serial || lease.serial == UINT64_MAX)
    return invalid("serials ascend");
  const auto number = batch_for(data, lease);
  if (!number) return number.error();
  if (Status escrow = check_escrow(data, *job); !escrow) return escrow;
  if (lease.pool_key != data.pool_key || !signed_by_pool(lease))
    return invalid("the lease is not signed by the pool");

  const MemberState& member = data.members.at(lease.miner_key);
  KeyState& key = data.keys[{lease.job_id, lease.miner_key}];
  const BatchId batch{lease.job_id, lease.miner_key, number.value()};
  GEMMINE_CHECK(batch.number <= key.batches.size());
  if (batch.number == key.batches.size()) {
    const AuditPolicy& audit = job->work.job().audit;
    BatchState& begun = key.batches.emplace_back();
    begun.commit = lease.batch_commit;
    begun.size = batch.number == 0 ? audit.first_batch : audit.batch_leases;
    data.batch_commits.emplace(lease.batch_commit, batch);
  }
  ++key.batches[batch.number].open;
  LeaseState state;
  state.lease = lease;
  state.seq = record.seq;
  state.account = member.account;
  state.batch = batch.number;
  state.challenged_before_ms = member.challenged_ms;
  data.leases.emplace(id, std::move(state));
  data.coin_commits.insert(lease.coin_commit);
  data.next_serial = lease.serial + 1;
  job->slots[lease.slot] = id;
  ++job->open_leases;
  ++data.open_by_key[lease.miner_key];
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
  if (lease->closed) return invalid("the lease is closed");
  const JobState* const job = find_in(data.jobs, lease->lease.job_id);
  GEMMINE_CHECK(job != nullptr);
  if (job->ended()) return invalid("the job has ended");
  if (lease->set_aside) return invalid("the lease's round began again");
  if (record.time_ms > shares_until_ms(data, *lease))
    return invalid("the lease's time has run out");
  // Share 0 starts from (θ, 0), which only who has θ can hash: audits look at it (PROTOCOL 7.6).
  const Digest& previous =
      lease->shares.empty() ? share.state_before : lease->shares.back().share.state_after;
  const auto refusal = admit_share(lease->lease, share, static_cast<uint32_t>(lease->shares.size()),
                                   previous, job->work.program().macs_per_step());
  if (refusal) return invalid(refusal->detail);

  lease->shares.push_back({share, share_id(share), record.seq, record.time_ms});
  return Ok{};
}

Status apply_delta(LedgerData& data, const Record& record) {
  const auto decoded = decode<DeltaBody>(record.body);
  if (!decoded) return decoded.error();
  LeaseState* const lease = find_in(data.leases, decoded.value().lease_id);
  if (lease == nullptr) return invalid("no such lease");
  if (lease->closed) return invalid("the lease is closed");
  if (lease->delta_root) return invalid("the delta is already in the ledger");
  if (lease->shares.size() != lease->lease.shares())
    return invalid("the lease's last share is not in the ledger");
  if (decoded.value().delta_root != lease->shares.back().share.delta_root)
    return invalid("delta_root differs from the last share's");
  lease->delta_root = decoded.value().delta_root;
  lease->right_before = data.keys.at({lease->lease.job_id, lease->lease.miner_key}).right;
  return Ok{};
}

Status apply_close(LedgerData& data, const Record& record) {
  const auto decoded = decode<CloseBody>(record.body);
  if (!decoded) return decoded.error();
  const CloseBody& body = decoded.value();
  LeaseState* const lease = find_in(data.leases, body.lease_id);
  if (lease == nullptr) return invalid("no such lease");
  if (lease->closed) return invalid("the lease is already closed");
  JobState* const job = find_in(data.jobs, lease->lease.job_id);
  GEMMINE_CHECK(job != nullptr);
  if (Status coin = check_coin(data, *lease, body.secret); !coin) return coin;
  if (Status reason = check_reason(data, *lease, *job, body, record.time_ms); !reason)
    return reason;

  const Digest& miner = lease->lease.miner_key;
  KeyState& key = data.keys.at({lease->lease.job_id, miner});
  BatchState& batch = key.batches.at(lease->batch);
  lease->closed = body.reason;
  lease->closed_ms = record.time_ms;
  lease->secret = body.secret;
  GEMMINE_CHECK(job->open_leases > 0 && batch.open > 0);
  --job->open_leases;
  --batch.open;
  uint32_t& open = data.open_by_key.at(miner);
  GEMMINE_CHECK(open > 0);
  if (--open == 0) data.open_by_key.erase(miner);
  if (body.reason == CloseReason::complete) {
    GEMMINE_CHECK(!batch.draw && batch.leases.size() < batch.size);
    batch.leases.push_back(lease->lease.id);
    batch.last_close_ms = record.time_ms;
    ++job->unsettled_leases;
    data.unsettled.insert(batch_id(*lease));
    return Ok{};
  }
  if (!lease->set_aside) {
    GEMMINE_CHECK(job->slots[lease->lease.slot] == lease->lease.id);
    job->slots[lease->lease.slot].reset();
  }
  if (body.reason == CloseReason::rejected) prove(data, *lease, body.proof);
  return Ok{};
}

}  // namespace gemmine::verifier
