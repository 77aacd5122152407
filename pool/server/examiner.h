// What an audit thread does with one task: replay, spot check, merge, evaluation. No thread in
// here.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kernels/engine.h"
#include "pool/core/actions.h"
#include "pool/data/loaded_job.h"

namespace gemmine::pool {

using JobTable = std::map<Digest, LoadedJob>;  // not changed while threads look at it

// States that replays ended with, so that the next share of the lease costs only itself. A state is
// kept only after every share up to it was found right. Any thread.
class StateCache {
 public:
  explicit StateCache(uint64_t bytes_max) : bytes_max_(bytes_max) {}
  struct Kept {
    uint32_t next_share = 0;
    std::vector<float> state;
  };
  // The lease's kept state if it is before share `index` or at it. It leaves the cache.
  std::optional<Kept> take(const Digest& lease_id, uint32_t index);
  // Replaces an earlier one; the least recently kept ones make room.
  void keep(const Digest& lease_id, Kept kept);
  uint64_t bytes() const;

 private:
  const uint64_t bytes_max_;
  mutable std::mutex mutex_;
  uint64_t bytes_ = 0;
  std::list<std::pair<Digest, Kept>> kept_;  // newest first
};

class Examiner {
 public:
  // jobs, cache outlive it. blobs: the folder of blobs.
  Examiner(const JobTable& jobs, StateCache& cache, std::string blobs)
      : jobs_(jobs), cache_(cache), blobs_(std::move(blobs)) {}

  TaskDone run(const Task& task);

 private:
  AuditDone replay(const ReplayTask& task);
  AuditDone spot(const SpotTask& task);
  // Memory: 17 bytes a parameter, 25 with an outer momentum: θ, the sums, a delta at a time, next
  // θ.
  MergeDone merge(const MergeTask& task);
  EvaluateDone evaluate(const EvaluateTask& task);
  Result<std::vector<float>> published(const LoadedJob& job, const Digest& root) const;
  // Of what was published, without the outer velocity.
  Result<std::vector<float>> theta(const LoadedJob& job, const Digest& root) const;
  Result<kernels::Engine*> engine(const Digest& job_id, const LoadedJob& job);

  const JobTable& jobs_;
  StateCache& cache_;
  const std::string blobs_;
  std::map<Digest, std::unique_ptr<kernels::Engine>> engines_;
};

}  // namespace gemmine::pool
