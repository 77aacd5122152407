#include "pool/core/garbage.h"

#include <algorithm>

namespace gemmine::pool {

using verifier::JobState;

namespace {

// What its miner has sent: the delta, and the answers.
std::vector<Digest> blobs_of(const PoolState& pool, const verifier::LeaseState& lease) {
  std::vector<Digest> out;
  if (lease.delta_root) out.push_back(*lease.delta_root);
  for (const uint64_t challenge : lease.challenges) {
    const auto& answer = pool.ledger().challenges().at(challenge).answer;
    if (answer) out.push_back(answer->address);
  }
  return out;
}

void need_job(const PoolState& pool, const JobState& job, uint32_t first_kept,
              std::set<Digest>& needed) {
  needed.insert(job.work.job().train_address);
  needed.insert(job.work.job().test_address);
  if (const Digest& sheet = job.work.job().sheet_address; !sheet.is_zero()) needed.insert(sheet);
  GEMMINE_CHECK(!job.theta_roots.empty());
  const size_t from = std::min<size_t>(first_kept, job.theta_roots.size() - 1);
  needed.insert(job.theta_roots.begin() + static_cast<ptrdiff_t>(from), job.theta_roots.end());
  const auto need_delta = [&](const Digest& lease_id) {
    for (const Digest& address : blobs_of(pool, pool.known_lease(lease_id)))
      needed.insert(address);
  };
  for (const auto& [round, root] : job.replaced) {
    if (round >= first_kept) needed.insert(root);
  }
  for (size_t round = first_kept; round < job.merged.size(); ++round)
    std::ranges::for_each(job.merged[round], need_delta);
  for (const auto& slot : job.slots) {
    if (slot) need_delta(*slot);
  }
}

// Its batch may still be drawn, and it be run again.
bool unsettled(const PoolState& pool, const verifier::LeaseState& state) {
  if (state.closed != verifier::CloseReason::complete) return !state.closed;
  const auto* const batch =
      pool.ledger().batch({state.lease.job_id, state.lease.miner_key, state.batch});
  return batch != nullptr && !batch->settled;
}

}  // namespace

std::set<Digest> needed_blobs(const PoolState& pool) {
  std::set<Digest> needed;
  for (const auto& [id, place] : pool.rooms)
    need_job(pool, pool.ledger().jobs().at(id), place.first_kept, needed);
  for (const auto& [key, leases] : pool.open_leases) {
    for (const Digest& id : leases) {
      const verifier::LeaseState& lease = pool.known_lease(id);
      if (lease.delta_root) needed.insert(*lease.delta_root);
    }
  }
  for (const auto& [id, upload] : pool.uploads.all())
    needed.insert(upload.root);
  for (const auto& [address, proof] : pool.ledger().proofs())
    needed.insert(address);
  for (const auto& [id, notes] : pool.descents) {
    for (const uint64_t seq : pool.known_lease(id).challenges) {
      const auto& answer = pool.ledger().challenges().at(seq).answer;
      if (answer) needed.insert(answer->address);
    }
  }
  for (const auto& [seq, notes] : pool.answers) {
    const auto& answer = pool.ledger().challenges().at(seq).answer;
    if (answer) needed.insert(answer->address);
  }
  return needed;
}

void drop_unneeded(PoolState& pool, const Digest& address) {
  if (!needed_blobs(pool).contains(address)) pool.out.disk.emplace_back(DropBlobs{{address}});
}

uint32_t first_round_kept(uint32_t round, uint32_t rounds_kept) {
  // Those in which the reason is looked for when training diverges.
  if (rounds_kept != 0) rounds_kept = std::max(rounds_kept, verifier::kSuspectRounds);
  return rounds_kept == 0 || round < rounds_kept ? 0 : round - rounds_kept;
}

void drop_old_rounds(PoolState& pool, const Digest& job_id) {
  JobRoom* const place = pool.room(job_id);
  GEMMINE_CHECK(place != nullptr);
  const JobState& job = pool.ledger().jobs().at(job_id);
  uint32_t first = first_round_kept(job.round, pool.options.rounds_kept);
  for (const auto& [id, state] : pool.ledger().leases()) {
    const bool of_use =
        pool.audits.contains(id) || unsettled(pool, state) || job.to_subtract.contains(id);
    if (of_use && state.lease.job_id == job_id) first = std::min(first, state.lease.round);
  }
  if (first <= place->first_kept) return;
  GEMMINE_CHECK(first < job.theta_roots.size() && first <= job.merged.size());
  std::vector<Digest> old;
  for (uint32_t round = place->first_kept; round < first; ++round) {
    old.push_back(job.theta_roots[round]);
    for (const Digest& lease_id : job.merged[round]) {
      const verifier::LeaseState& lease = pool.known_lease(lease_id);
      const std::vector<Digest> blobs = blobs_of(pool, lease);
      old.insert(old.end(), blobs.begin(), blobs.end());
      for (const verifier::ShareState& share : lease.shares)
        pool.kept.drop.push_back(share.id);
    }
  }
  for (const auto& [round, root] : job.replaced) {
    if (round >= place->first_kept && round < first) old.push_back(root);
  }
  place->first_kept = first;
  const auto kept = job.theta_roots.begin() + static_cast<ptrdiff_t>(first);
  std::erase_if(place->start_roots, [&](const auto& start) {
    return std::find(kept, job.theta_roots.end(), start.first) == job.theta_roots.end();
  });
  const std::set<Digest> needed = needed_blobs(pool);
  std::erase_if(old, [&](const Digest& address) { return needed.contains(address); });
  if (!old.empty()) pool.out.disk.emplace_back(DropBlobs{std::move(old)});
}

}  // namespace gemmine::pool
