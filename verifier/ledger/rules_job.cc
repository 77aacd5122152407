// Rules of the pool, its jobs and members, and of rounds (PROTOCOL 8.5).
#include <algorithm>

#include "verifier/ledger/data.h"

namespace gemmine::verifier {

namespace {

// Complete, unvested leases of a key give their gross back to their jobs' escrows.
std::vector<Digest> forfeit(const LedgerData& data, const Digest& key, PostingSheet& sheet) {
  std::vector<Digest> out;
  for (const auto& [job_id, job] : data.jobs) {
    const auto tally = data.tallies.find({job_id, key});
    if (tally == data.tallies.end()) continue;
    for (const Digest& id : tally->second.unvested) {
      const auto gross = static_cast<int64_t>(data.leases.at(id).gross);
      sheet.move(vesting_account(key), escrow_account(job_id), gross);
      out.push_back(id);
    }
  }
  return out;
}

bool found_wrong(const LeaseState& lease) {
  return std::ranges::any_of(lease.shares, &ShareState::found_wrong);
}

void void_leases(LedgerData& data, const std::vector<std::optional<Digest>>& slots) {
  for (const auto& slot : slots) {
    if (slot) data.leases.at(*slot).voided = true;
  }
}

}  // namespace

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
                 .theta_roots = {body.value().theta_root},
                 .slots = {},
                 .merged = {}};
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

Status apply_ban(LedgerData& data, const Record& record) {
  const auto decoded = decode<BanBody>(record.body);
  if (!decoded) return decoded.error();
  const BanBody& body = decoded.value();
  MemberState* const member = find_in(data.members, body.key);
  if (member == nullptr) return invalid("the key is no member");
  if (member->banned) return invalid("the key is already banned");
  const LeaseState* const lease = find_in(data.leases, body.lease_id);
  if (lease == nullptr || lease->lease.miner_key != body.key)
    return invalid("the lease is not one of this key");
  if (!found_wrong(*lease)) return invalid("no share of the lease was found wrong by the pool");
  PostingSheet sheet;
  const std::vector<Digest> forfeited = forfeit(data, body.key, sheet);
  auto post = sheet.settle(data, record.seq);
  if (!post) return post.error();

  member->banned = true;
  member->banned_ms = record.time_ms;
  for (const Digest& id : forfeited) {
    LeaseState& lost = data.leases.at(id);
    lost.forfeited = true;
    data.tallies.at({lost.lease.job_id, body.key}).unvested.clear();
  }
  data.pending = std::move(post.value());
  return Ok{};
}

Status apply_merge(LedgerData& data, const Record& record) {
  const auto decoded = decode<MergeBody>(record.body);
  if (!decoded) return decoded.error();
  const MergeBody& body = decoded.value();
  JobState* const job = find_in(data.jobs, body.job_id);
  if (job == nullptr) return invalid("no such job");
  if (job->finished) return invalid("the job has finished");
  if (body.round != job->round || job->round >= job->work.job().spec.rounds)
    return invalid("the job's current round is " + std::to_string(job->round));
  if (body.lease_ids.size() != job->slots.size())
    return invalid("a merge names one lease for each slot");
  for (size_t slot = 0; slot < job->slots.size(); ++slot) {
    if (job->slots[slot] != body.lease_ids[slot])
      return invalid("slot " + std::to_string(slot) + " has another lease");
    if (data.leases.at(body.lease_ids[slot]).closed != CloseReason::complete)
      return invalid("the lease of slot " + std::to_string(slot) + " is not complete");
  }
  GEMMINE_CHECK(job->merged.size() == job->round && job->theta_roots.size() == job->round + 1);
  job->merged.push_back(body.lease_ids);
  job->theta_roots.push_back(body.theta_root);
  ++job->round;
  job->slots.assign(job->slots.size(), std::nullopt);
  return Ok{};
}

Status apply_rollback(LedgerData& data, const Record& record) {
  const auto decoded = decode<RollbackBody>(record.body);
  if (!decoded) return decoded.error();
  const RollbackBody& body = decoded.value();
  JobState* const job = find_in(data.jobs, body.job_id);
  if (job == nullptr) return invalid("no such job");
  if (job->finished) return invalid("the job has finished");
  if (body.round >= job->round) return invalid("the round is not merged");
  GEMMINE_CHECK(job->merged.size() == job->round);
  const std::vector<Digest>& leases = job->merged[body.round];
  const auto named = std::ranges::find(leases, body.lease_id);
  if (named == leases.end()) return invalid("the lease was not merged in this round");
  LeaseState& wrong = data.leases.at(body.lease_id);
  if (!found_wrong(wrong)) return invalid("no share of the lease was found wrong by the pool");

  void_leases(data, job->slots);
  for (uint32_t round = body.round + 1; round < job->round; ++round) {
    const std::vector<Digest>& later = job->merged[round];
    void_leases(data, {later.begin(), later.end()});
  }
  wrong.voided = true;
  job->slots.assign(leases.begin(), leases.end());
  job->slots[wrong.lease.slot].reset();
  job->round = body.round;
  job->merged.resize(body.round);
  job->theta_roots.resize(body.round + 1);
  return Ok{};
}

Status apply_finish(LedgerData& data, const Record& record) {
  const auto decoded = decode<FinishBody>(record.body);
  if (!decoded) return decoded.error();
  const FinishBody& body = decoded.value();
  JobState* const job = find_in(data.jobs, body.job_id);
  if (job == nullptr) return invalid("no such job");
  if (job->finished) return invalid("the job has already finished");
  if (job->round != job->work.job().spec.rounds) return invalid("the last round is not merged");
  if (job->open_leases != 0) return invalid("a lease of the job is open");
  if (body.theta_root != job->theta_roots.back())
    return invalid("theta_root is not the last round's");
  PostingSheet sheet;
  const auto first = data.tallies.lower_bound({job->work.id(), Digest{}});
  auto last = first;
  for (; last != data.tallies.end() && last->first.first == job->work.id(); ++last) {
    for (const Digest& id : last->second.unvested)
      post_vested(sheet, data, *job, data.leases.at(id));
  }
  sheet.move(escrow_account(job->work.id()), kExternal,
             balance(data, escrow_account(job->work.id())));
  auto post = sheet.settle(data, record.seq);
  if (!post) return post.error();

  for (auto at = first; at != last; ++at) {
    for (const Digest& id : at->second.unvested)
      data.leases.at(id).vested = true;
    at->second.unvested.clear();
  }
  job->finished = true;
  data.pending = std::move(post.value());
  return Ok{};
}

}  // namespace gemmine::verifier
