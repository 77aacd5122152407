#include "pool/core/garbage.h"

#include <algorithm>

namespace gemmine::pool {

using verifier::JobState;

namespace {

void need_job(const PoolState& pool, const JobState& job, uint32_t first_kept,
              std::set<Digest>& needed) {
  needed.insert(job.work.job().train_address);
  needed.insert(job.work.job().test_address);
  GEMMINE_CHECK(!job.theta_roots.empty());
  const size_t from = std::min<size_t>(first_kept, job.theta_roots.size() - 1);
  needed.insert(job.theta_roots.begin() + static_cast<ptrdiff_t>(from), job.theta_roots.end());
  const auto need_delta = [&](const Digest& lease_id) {
    const verifier::LeaseState& lease = pool.known_lease(lease_id);
    if (lease.delta_root) needed.insert(*lease.delta_root);
  };
  for (size_t round = first_kept; round < job.merged.size(); ++round)
    std::ranges::for_each(job.merged[round], need_delta);
  for (const auto& slot : job.slots) {
    if (slot) need_delta(*slot);
  }
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
  return needed;
}

void drop_delta(PoolState& pool, const Digest& address) {
  if (!needed_blobs(pool).contains(address)) pool.out.disk.emplace_back(DropBlobs{{address}});
}

uint32_t first_round_kept(uint32_t round, uint32_t rounds_kept) {
  return rounds_kept == 0 || round < rounds_kept ? 0 : round - rounds_kept;
}

void leave_over(PoolState& pool, const Digest& job_id, uint32_t round, const Digest& address) {
  if (JobRoom* const place = pool.room(job_id)) place->left_over[round].push_back(address);
}

void drop_old_rounds(PoolState& pool, const Digest& job_id) {
  JobRoom* const place = pool.room(job_id);
  GEMMINE_CHECK(place != nullptr);
  const JobState& job = pool.ledger().jobs().at(job_id);
  uint32_t first = first_round_kept(job.round, pool.options.rounds_kept);
  for (const auto& [key, audit] : pool.audits.pending()) {
    const verifier::Lease& lease = pool.known_lease(key.lease_id).lease;
    if (lease.job_id == job_id) first = std::min(first, lease.round);
  }
  if (first <= place->first_kept) return;
  GEMMINE_CHECK(first < job.theta_roots.size() && first <= job.merged.size());
  std::vector<Digest> old;
  for (uint32_t round = place->first_kept; round < first; ++round) {
    old.push_back(job.theta_roots[round]);
    for (const Digest& lease_id : job.merged[round]) {
      if (const auto& delta = pool.known_lease(lease_id).delta_root) old.push_back(*delta);
    }
  }
  place->first_kept = first;
  const auto kept = job.theta_roots.begin() + static_cast<ptrdiff_t>(first);
  std::erase_if(place->start_roots, [&](const auto& start) {
    return std::find(kept, job.theta_roots.end(), start.first) == job.theta_roots.end();
  });
  while (!place->left_over.empty() && place->left_over.begin()->first < first) {
    const auto& addresses = place->left_over.begin()->second;
    old.insert(old.end(), addresses.begin(), addresses.end());
    place->left_over.erase(place->left_over.begin());
  }
  const std::set<Digest> needed = needed_blobs(pool);
  std::erase_if(old, [&](const Digest& address) { return needed.contains(address); });
  if (!old.empty()) pool.out.disk.emplace_back(DropBlobs{std::move(old)});
}

}  // namespace gemmine::pool
