// Rules of the pool, its jobs and members, and of rounds (PROTOCOL 8.5).
#include <algorithm>

#include "verifier/ledger/data.h"

namespace gemmine::verifier {

namespace {

// What a merge takes out again (PROTOCOL 8.3): leases of earlier rounds that were struck, each
// once; all of those that were known when the round began, as far as they fit.
Status check_subtracted(const JobState& job, const std::vector<Digest>& subtracted) {
  for (size_t i = 0; i < subtracted.size(); ++i) {
    if (i > 0 && subtracted[i] <= subtracted[i - 1]) return invalid("subtracted leases ascend");
    if (!job.to_subtract.contains(subtracted[i]))
      return invalid("a subtracted lease is not merged and struck, or was subtracted before");
  }
  if (subtracted.size() == kernels::kSlotsMax) return Ok{};
  for (const auto& [id, seq] : job.to_subtract) {
    if (seq < job.round_seq && !std::ranges::binary_search(subtracted, id))
      return invalid("a lease that was struck before the round is not subtracted");
  }
  return Ok{};
}

// A repair takes out all that is struck, and waits for no lease of the round (PROTOCOL 8.3).
Status check_repair(const JobState& job, const MergeBody& body) {
  if (job.to_subtract.empty()) return invalid("a merge without leases has nothing to take out");
  if (Status order = check_subtracted(job, body.subtracted); !order) return order;
  if (body.subtracted.size() < std::min<size_t>(job.to_subtract.size(), kernels::kSlotsMax))
    return invalid("a repair takes out every lease that was struck");
  return Ok{};
}

Status check_merge(const LedgerData& data, const JobState& job, const MergeBody& body) {
  if (job.finished) return invalid("the job has finished");
  if (body.round != job.round)
    return invalid("the job's current round is " + std::to_string(job.round));
  if (body.theta_before != job.theta_roots.back())
    return invalid("theta_before is not the current round's");
  if (body.repairs()) return check_repair(job, body);
  if (job.ended()) return invalid("the job has ended");
  if (body.lease_ids.size() != job.slots.size())
    return invalid("a merge names one lease for each slot");
  for (size_t slot = 0; slot < job.slots.size(); ++slot) {
    if (job.slots[slot] != body.lease_ids[slot])
      return invalid("slot " + std::to_string(slot) + " has another lease");
    if (data.leases.at(body.lease_ids[slot]).closed != CloseReason::complete)
      return invalid("the lease of slot " + std::to_string(slot) + " is not complete");
  }
  return check_subtracted(job, body.subtracted);
}

// The round begins again from other weights: nothing is built on its leases.
void set_round_aside(LedgerData& data, JobState& job, const Digest& theta_root) {
  for (const std::optional<Digest>& slot : job.slots) {
    if (slot) data.leases.at(*slot).set_aside = true;
  }
  job.replaced.emplace_back(job.round, job.theta_roots.back());
  job.theta_roots.back() = theta_root;
}

}  // namespace

std::vector<Digest> suspects(const LedgerData& data, const JobState& job) {
  std::set<Digest> out;
  const auto look = [&](const Digest& id) {
    const LeaseState& lease = data.leases.at(id);
    const bool struck = lease.subtracted || job.to_subtract.contains(id);
    if (lease.merged && !lease.replayed && !struck) out.insert(id);
  };
  const Digest& job_id = job.work.id();
  for (auto it = data.unsettled.lower_bound({job_id, {}, 0});
       it != data.unsettled.end() && it->job_id == job_id; ++it)
    std::ranges::for_each(find_batch(data, *it)->leases, look);
  const size_t rounds = std::min<size_t>(job.merged.size(), kSuspectRounds);
  for (size_t round = job.merged.size() - rounds; round < job.merged.size(); ++round)
    std::ranges::for_each(job.merged[round], look);
  return {out.begin(), out.end()};
}

Status apply_genesis(LedgerData& data, const Record& record) {
  auto decoded = decode<GenesisBody>(record.body);
  if (!decoded) return decoded.error();
  if (!account_ok(decoded.value().fee_account)) return invalid("the fee account is no account");
  data.pool_key = decoded.value().pool_key;
  data.fee_account = std::move(decoded.value().fee_account);
  data.begun = true;
  return Ok{};
}

Status apply_job(LedgerData& data, const Record& record) {
  const auto body = decode<JobBody>(record.body);
  if (!body) return body.error();
  auto work = Work::decode(body.value().job);
  if (!work) return work.error();
  const Job& job = work.value().job();
  const Digest id = work.value().id();
  if (data.jobs.contains(id)) return invalid("the job is already in the ledger");
  const auto gross = gross_of(job.price_per_tmac,
                              work.value().program().macs_per_step() * job.spec.steps_per_lease);
  if (!gross) return invalid("a lease of this job would earn more than an account can hold");
  JobState state{.work = std::move(work.value()),
                 .seq = record.seq,
                 .gross_per_lease = *gross,
                 .round_seq = record.seq,
                 .stopped = {},
                 .theta_roots = {body.value().theta_root},
                 .slots = {},
                 .merged = {},
                 .to_subtract = {},
                 .replaced = {}};
  state.slots.resize(state.work.job().spec.slots);
  data.jobs.emplace(id, std::move(state));
  return Ok{};
}

Status apply_fund(LedgerData& data, const Record& record) {
  const auto decoded = decode<FundBody>(record.body);
  if (!decoded) return decoded.error();
  const FundBody& body = decoded.value();
  const JobState* const job = find_in(data.jobs, body.job_id);
  if (job == nullptr) return invalid("no such job");
  if (job->finished) return invalid("the job has finished");
  if (body.amount > static_cast<uint64_t>(INT64_MAX)) return invalid("the amount overflows");
  PostingSheet sheet;
  sheet.move(kExternal, escrow_account(job->work.id()), static_cast<int64_t>(body.amount));
  auto post = sheet.settle(data, record.seq);
  if (!post) return post.error();
  data.pending = std::move(post.value());
  return Ok{};
}

Status apply_member(LedgerData& data, const Record& record) {
  auto decoded = decode<MemberBody>(record.body);
  if (!decoded) return decoded.error();
  const MemberBody& body = decoded.value();
  if (!account_ok(body.account)) return invalid("the account is no account");
  const MemberState* const known = find_in(data.members, body.key);
  // An old word of the key's cannot be said again.
  if (known != nullptr && body.counter <= known->counter) return invalid("counters ascend");
  if (!verify_signature(body.key, member_message(data.pool_key, body), body.signature))
    return invalid("the key did not sign who is paid for its work");
  MemberState& member = data.members[body.key];
  member.account = body.account;
  member.counter = body.counter;
  return Ok{};
}

Status apply_merge(LedgerData& data, const Record& record) {
  const auto decoded = decode<MergeBody>(record.body);
  if (!decoded) return decoded.error();
  const MergeBody& body = decoded.value();
  JobState* const job = find_in(data.jobs, body.job_id);
  if (job == nullptr) return invalid("no such job");
  if (Status merge = check_merge(data, *job, body); !merge) return merge;
  GEMMINE_CHECK(job->merged.size() == job->round && job->theta_roots.size() == job->round + 1);

  for (const Digest& id : body.lease_ids) {
    GEMMINE_CHECK(!data.leases.at(id).wrong);  // it would have left its slot
    data.leases.at(id).merged = true;
  }
  for (const Digest& id : body.subtracted) {
    data.leases.at(id).subtracted = true;
    GEMMINE_CHECK(job->to_subtract.erase(id) == 1);
  }
  if (body.repairs()) {
    set_round_aside(data, *job, body.theta_root);
  } else {
    job->merged.push_back(body.lease_ids);
    job->theta_roots.push_back(body.theta_root);
    ++job->round;
  }
  job->round_seq = record.seq;
  job->slots.assign(job->slots.size(), std::nullopt);
  return Ok{};
}

Status apply_stop(LedgerData& data, const Record& record) {
  const auto decoded = decode<StopBody>(record.body);
  if (!decoded) return decoded.error();
  const StopBody& body = decoded.value();
  JobState* const job = find_in(data.jobs, body.job_id);
  if (job == nullptr) return invalid("no such job");
  if (job->ended()) return invalid("the job has ended");
  const LeaseState* const lease = find_in(data.leases, body.lease_id);
  if (lease == nullptr || lease->lease.job_id != body.job_id)
    return invalid("the lease is not one of this job");
  if (lease->lease.round != job->round || lease->lease.theta_root != job->theta_roots.back())
    return invalid("the lease is not of the current round");
  // Who diverges has no share to show from there on.
  const auto next = static_cast<uint32_t>(lease->shares.size());
  if (next == lease->lease.shares()) return invalid("the lease has all its shares");
  const uint32_t first = lease->lease.first_step(next);
  if (body.step < first || body.step - first >= lease->lease.steps_of(next))
    return invalid("the step is not one of the lease's next share");
  if (!job->to_subtract.empty()) return invalid("a merged lease was struck and is not taken out");
  if (!suspects(data, *job).empty()) return invalid("a merged lease was not replayed");
  job->stopped = StopState{body.lease_id, body.step, body.reason};
  return Ok{};
}

Status apply_finish(LedgerData& data, const Record& record) {
  const auto decoded = decode<FinishBody>(record.body);
  if (!decoded) return decoded.error();
  const FinishBody& body = decoded.value();
  JobState* const job = find_in(data.jobs, body.job_id);
  if (job == nullptr) return invalid("no such job");
  if (job->finished) return invalid("the job has already finished");
  if (!job->ended()) return invalid("the last round is not merged, and the job has not stopped");
  if (job->open_leases != 0) return invalid("a lease of the job is open");
  if (job->unsettled_leases != 0) return invalid("a batch of the job is not settled");
  if (!job->to_subtract.empty()) return invalid("a merged lease was struck and is not taken out");
  if (body.theta_root != job->theta_roots.back())
    return invalid("theta_root is not the last round's");
  PostingSheet sheet;
  const std::string escrow = escrow_account(job->work.id());
  sheet.move(escrow, kExternal, balance(data, escrow));
  auto post = sheet.settle(data, record.seq);
  if (!post) return post.error();
  job->finished = true;
  data.pending = std::move(post.value());
  return Ok{};
}

}  // namespace gemmine::verifier
