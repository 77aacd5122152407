// Training a job on this machine alone, with the bits that a pool of any size reaches.
#pragma once

#include <functional>
#include <vector>

#include "kernels/engine.h"
#include "miner/trainer.h"
#include "verifier/records/job.h"

namespace gemmine::miner {

struct RoundReport {
  uint32_t round = 0;  // merged rounds so far
  float loss = 0;      // mean training loss of the round's last steps
  kernels::Evaluation evaluation;
  Digest theta_root;   // of what the round publishes
  double seconds = 0;  // of training, without evaluation
};

struct LocalOptions {
  uint32_t rounds = 0;  // to run; 0: all that the job has left
  // Where to begin: after so many rounds, with this θ (empty: the job's first). An outer velocity
  // begins at 0.
  uint32_t first_round = 0;
  std::vector<float> theta = {};
  int threads = 1;       // for evaluation
  bool evaluate = true;  // after each round
};

// step_done(steps so far, steps in all) after every step; round_done after every merge.
// Returns θ. Errors: those of Engine; invalid when a lease diverged.
Result<std::vector<float>> train_locally(const verifier::Job& job, ByteView train_records,
                                         ByteView test_records, const EngineFactory& factory,
                                         const LocalOptions& options,
                                         const std::function<void(uint64_t, uint64_t)>& step_done,
                                         const std::function<void(const RoundReport&)>& round_done);

}  // namespace gemmine::miner
