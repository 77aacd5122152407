#include "pool/core/totals.h"

#include <algorithm>
#include <vector>

#include "kernels/base/check.h"

namespace gemmine::pool {

using verifier::CloseReason;
using verifier::LeaseState;
using verifier::LedgerState;
using verifier::Record;
using verifier::RecordKind;
using verifier::ShareState;

namespace {

// The signed bytes that the body of a lease, share or verdict wraps.
ByteView unwrapped(const Record& record) {
  Reader in(record.body);
  return in.get_blob(verifier::kRecordBytesMax);
}

const LeaseState* lease_of_verdict(const Record& record, const LedgerState& state) {
  const auto verdict = verifier::decode_verdict(unwrapped(record));
  if (!verdict) return nullptr;
  const auto lease = state.leases().find(verdict.value().lease_id);
  return lease == state.leases().end() ? nullptr : &lease->second;
}

}  // namespace

Totals::Judged Totals::judged(const LedgerState& state, const LeaseState& lease) {
  const bool thread = std::ranges::any_of(lease.challenges, [&](uint64_t seq) {
    return state.challenges().at(seq).outcome == verifier::Outcome::valid;
  });
  return {.audited = lease.wrong || lease.replayed || thread, .wrong = lease.wrong.has_value()};
}

void Totals::count_share(const Digest& miner, const Digest& job, const verifier::Share& share) {
  ++shares_;
  MinerTotals& of_miner = miners_[miner];
  ++of_miner.shares;
  of_miner.macs += share.macs;
  JobTotals& of_job = jobs_[job];
  ++of_job.shares;
  of_job.steps += share.steps;
  of_job.losses.push_back(share.loss);
  if (of_job.losses.size() > kLossesKept) of_job.losses.pop_front();
}

void Totals::count_judged(const Digest& miner, Judged from, Judged to) {
  for (LeaseCounts* const counts : {&leases_, &miners_.at(miner).leases}) {
    if (to.audited && !from.audited) ++counts->audited;
    if (to.wrong && !from.wrong) ++counts->wrong;
    GEMMINE_CHECK(counts->wrong <= counts->audited && counts->audited <= counts->all);
  }
}

void Totals::count_paid(const LedgerState& state, const LeaseState& lease) {
  if (!lease.paid) return;
  const uint64_t gross = state.jobs().at(lease.lease.job_id).gross_per_lease;
  MinerTotals& miner = miners_.at(lease.lease.miner_key);
  ++leases_.paid;
  ++miner.leases.paid;
  miner.gross += gross;
  jobs_.at(lease.lease.job_id).gross += gross;
}

Totals Totals::of(const LedgerState& state) {
  struct Logged {
    uint64_t seq;
    const LeaseState* lease;
    const ShareState* share;
  };
  Totals out;
  std::vector<Logged> logged;  // losses go by the ledger's order
  for (const auto& [id, lease] : state.leases()) {
    MinerTotals& miner = out.miners_[lease.lease.miner_key];
    const uint64_t complete = lease.closed == CloseReason::complete ? 1 : 0;
    for (LeaseCounts* const counts : {&out.leases_, &miner.leases}) {
      ++counts->all;
      counts->complete += complete;
    }
    out.jobs_.try_emplace(lease.lease.job_id);
    out.count_judged(lease.lease.miner_key, {}, judged(state, lease));
    out.count_paid(state, lease);
    for (const ShareState& share : lease.shares)
      logged.push_back({share.seq, &lease, &share});
  }
  std::ranges::sort(logged, {}, &Logged::seq);
  for (const Logged& each : logged) {
    const verifier::Lease& lease = each.lease->lease;
    out.count_share(lease.miner_key, lease.job_id, each.share->share);
  }
  return out;
}

void Totals::before(const Record& record, const LedgerState& state) {
  judged_before_.reset();
  if (record.kind != RecordKind::verdict) return;
  if (const LeaseState* const lease = lease_of_verdict(record, state))
    judged_before_ = judged(state, *lease);
}

void Totals::after(const Record& record, const LedgerState& state) {
  if (record.kind == RecordKind::lease) {
    const auto lease = verifier::decode_lease(unwrapped(record));
    GEMMINE_CHECK(lease.ok());  // the ledger took it
    ++leases_.all;
    ++miners_[lease.value().miner_key].leases.all;
    jobs_.try_emplace(lease.value().job_id);
  } else if (record.kind == RecordKind::share) {
    const auto share = verifier::decode_share(unwrapped(record));
    GEMMINE_CHECK(share.ok());
    const verifier::Lease& lease = state.leases().at(share.value().lease_id).lease;
    count_share(lease.miner_key, lease.job_id, share.value());
  } else if (record.kind == RecordKind::verdict) {
    const LeaseState* const lease = lease_of_verdict(record, state);
    GEMMINE_CHECK(lease != nullptr && judged_before_);
    count_judged(lease->lease.miner_key, *judged_before_, judged(state, *lease));
    judged_before_.reset();
  } else if (record.kind == RecordKind::close) {
    const auto close = decode<verifier::CloseBody>(record.body);
    GEMMINE_CHECK(close.ok());
    if (close.value().reason != CloseReason::complete) return;
    ++leases_.complete;
    ++miners_.at(state.leases().at(close.value().lease_id).lease.miner_key).leases.complete;
  } else if (record.kind == RecordKind::settle) {
    const auto settle = decode<verifier::SettleBody>(record.body);
    GEMMINE_CHECK(settle.ok());
    const verifier::SettleBody& body = settle.value();
    const auto* const batch = state.batch({body.job_id, body.key, body.batch});
    for (const Digest& id : batch->leases)
      count_paid(state, state.leases().at(id));
  }
}

}  // namespace gemmine::pool
