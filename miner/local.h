// Training a job on this machine alone, with the bits that a pool of any size reaches.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "kernels/engine.h"
#include "miner/local_checkpoint.h"
#include "miner/trainer.h"
#include "pool/data/loaded_job.h"

namespace gemmine::miner {

struct LocalOptions {
  uint32_t rounds = 0;  // to run; 0: all that the job has left
  // Where to begin: after so many rounds, with this θ (empty: the job's first). An outer velocity
  // begins at 0. first_round <= the job's rounds; theta.size() <= the program's parameters.
  uint32_t first_round = 0;
  std::vector<float> theta = {};
  // Or where one stopped: of this job (decode_local_checkpoint). first_round and theta do not
  // count.
  const LocalCheckpoint* resume = nullptr;
  int threads = 1;       // for evaluation
  bool evaluate = true;  // after each round
};

// What the caller does meanwhile; each may be empty.
struct LocalHooks {
  std::function<void(uint64_t done, uint64_t total)> step_done;  // steps, of all that will be run
  std::function<void(uint32_t round, std::span<const float> theta)> merged;  // before evaluation
  std::function<void(const RoundReport&)> round_done;
  // After each lease and each round, and where it is stopped: where it stands. wants_checkpoint is
  // asked first, but at a stop: a checkpoint copies the model.
  std::function<bool(bool round_ended)> wants_checkpoint;
  std::function<void(const LocalCheckpoint&)> checkpoint;
  std::function<bool()> stop;  // asked before each step and each evaluation; true ends the training
};

struct LocalModel {
  std::vector<float> theta;  // after the last round that was merged
  uint32_t round = 0;        // how many were, of the job's
  bool stopped = false;      // by LocalHooks::stop
};

// Errors: those of Engine; invalid when a lease diverged.
Result<LocalModel> train_locally(const pool::LoadedJob& job, const EngineFactory& factory,
                                 const LocalOptions& options, const LocalHooks& hooks);

}  // namespace gemmine::miner
