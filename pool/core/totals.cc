#include "pool/core/totals.h"

#include <algorithm>
#include <vector>

#include "kernels/base/check.h"

namespace gemmine::pool {

using verifier::LeaseState;
using verifier::LedgerState;
using verifier::Outcome;
using verifier::Record;
using verifier::RecordKind;
using verifier::ShareState;

namespace {

// The signed bytes that the body of a lease, share or verdict wraps.
ByteView unwrapped(const Record& record) {
  Reader in(record.body);
  return in.get_blob(verifier::kRecordBytesMax);
}

const ShareState* share_of_verdict(const Record& record, const LedgerState& state) {
  const auto verdict = verifier::decode_verdict(unwrapped(record));
  if (!verdict) return nullptr;
  const auto lease = state.leases().find(verdict.value().lease_id);
  if (lease == state.leases().end()) return nullptr;
  const std::vector<ShareState>& shares = lease->second.shares;
  return verdict.value().index < shares.size() ? &shares[verdict.value().index] : nullptr;
}

void move_count(ShareCounts& counts, std::optional<Outcome> outcome, int64_t by) {
  if (!outcome || *outcome == Outcome::undecided) return;
  const bool wrong = *outcome == Outcome::invalid || *outcome == Outcome::malformed;
  uint64_t& place = wrong ? counts.invalid : counts.valid;
  GEMMINE_CHECK(by > 0 || place > 0);
  place += static_cast<uint64_t>(by);
}

}  // namespace

void Totals::count_share(const Digest& miner, const Digest& job, const verifier::Share& share) {
  ++shares_.all;
  MinerTotals& of_miner = miners_[miner];
  ++of_miner.shares.all;
  of_miner.macs += share.macs;
  JobTotals& of_job = jobs_[job];
  ++of_job.shares;
  of_job.steps += share.steps;
  of_job.losses.push_back(share.loss);
  if (of_job.losses.size() > kLossesKept) of_job.losses.pop_front();
}

void Totals::count_verdict(const Digest& miner, std::optional<Outcome> from,
                           std::optional<Outcome> to) {
  if (from == to) return;
  for (ShareCounts* const counts : {&shares_, &miners_.at(miner).shares}) {
    move_count(*counts, from, -1);
    move_count(*counts, to, 1);
    GEMMINE_CHECK(counts->valid + counts->invalid <= counts->all);
  }
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
    ++miner.leases;
    miner.gross += lease.gross;
    out.jobs_[lease.lease.job_id].gross += lease.gross;
    for (const ShareState& share : lease.shares)
      logged.push_back({share.seq, &lease, &share});
  }
  std::ranges::sort(logged, {}, &Logged::seq);
  for (const Logged& each : logged) {
    const verifier::Lease& lease = each.lease->lease;
    out.count_share(lease.miner_key, lease.job_id, each.share->share);
    out.count_verdict(lease.miner_key, std::nullopt, each.share->pool_verdict);
  }
  return out;
}

void Totals::before(const Record& record, const LedgerState& state) {
  judged_before_.reset();
  if (record.kind != RecordKind::verdict) return;
  if (const ShareState* const share = share_of_verdict(record, state))
    judged_before_ = share->pool_verdict;
}

void Totals::after(const Record& record, const LedgerState& state) {
  if (record.kind == RecordKind::lease) {
    const auto lease = verifier::decode_lease(unwrapped(record));
    GEMMINE_CHECK(lease.ok());  // the ledger took it
    ++miners_[lease.value().miner_key].leases;
    jobs_.try_emplace(lease.value().job_id);
  } else if (record.kind == RecordKind::share) {
    const auto share = verifier::decode_share(unwrapped(record));
    GEMMINE_CHECK(share.ok());
    const verifier::Lease& lease = state.leases().at(share.value().lease_id).lease;
    count_share(lease.miner_key, lease.job_id, share.value());
  } else if (record.kind == RecordKind::verdict) {
    const auto verdict = verifier::decode_verdict(unwrapped(record));
    GEMMINE_CHECK(verdict.ok());
    const LeaseState& lease = state.leases().at(verdict.value().lease_id);
    count_verdict(lease.lease.miner_key, judged_before_,
                  lease.shares.at(verdict.value().index).pool_verdict);
    judged_before_.reset();
  } else if (record.kind == RecordKind::close) {
    Reader in(record.body);
    const LeaseState& lease = state.leases().at(in.get_digest());
    miners_.at(lease.lease.miner_key).gross += lease.gross;
    jobs_.at(lease.lease.job_id).gross += lease.gross;
  }
}

}  // namespace gemmine::pool
