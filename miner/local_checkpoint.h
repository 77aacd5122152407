// Where a training here stands, on disk: to go on after a stop, a crash or a power cut with the
// same bits.
#pragma once

#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/engine.h"
#include "verifier/records/job.h"

namespace gemmine::miner {

struct RoundReport {
  uint32_t round = 0;  // merged rounds so far
  float loss = 0;      // mean training loss of the round's last steps
  kernels::Evaluation evaluation = {};
  Digest theta_root = {};  // of what the round publishes
  double seconds = 0;      // of training, without evaluation
};

struct LocalCheckpoint {
  Digest job_id;
  uint32_t round = 0;  // merged rounds
  std::vector<float>
      published;  // by the last of them: θ, and the outer velocity where there is one
  std::vector<RoundReport> reports;
  // Of the round that is under way: the deltas of its first slots, with the losses of their last
  // steps, and the state of the next slot's lease after so many steps; empty after none.
  std::vector<Bytes> deltas;
  std::vector<float> losses;
  uint32_t steps = 0;
  std::vector<float> state;
};

// Replaces the file in one step. Errors: io.
Status write_local_checkpoint(const std::string& path, const LocalCheckpoint& checkpoint);
// Errors: those of read_file; malformed (no checkpoint, damaged); invalid (of another job, or it
// does not fit the job).
Result<LocalCheckpoint> read_local_checkpoint(const std::string& path, const verifier::Work& work);

// Its bytes. decode: errors as above, without the path.
Bytes encode_local_checkpoint(const LocalCheckpoint& checkpoint);
Result<LocalCheckpoint> decode_local_checkpoint(ByteView bytes, const verifier::Work& work);

}  // namespace gemmine::miner
