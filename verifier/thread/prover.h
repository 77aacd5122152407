// A miner's answer to a thread: one re-run of the lease without commitments, since the roots were
// kept when it was first run, in which the answer is written as it goes (PROTOCOL 11.9).
#pragma once

#include <functional>
#include <span>

#include "kernels/engine.h"
#include "kernels/hash/opening.h"
#include "verifier/thread/answer.h"

namespace gemmine::verifier {

// What was kept of a step when it was first run.
struct KeptStep {
  std::vector<Digest> roots;
  float loss = 0;
};
// A state on the way: after `steps` steps of the lease.
struct KeptState {
  uint32_t steps = 0;
  std::vector<float> state;
};

struct ThreadProver {
  kernels::Engine& engine;  // of the job's program and data
  std::span<const float> theta;
  ByteView train_records;
  const kernels::ChunkTree* train_tree = nullptr;  // of train_records; built on demand when null
  std::span<const Digest> step_digests;            // of all steps of the lease
  std::function<Result<KeptStep>(uint32_t step)> kept_step;
  // The last state at or before `steps` that was kept, for a scale's witness; without one the lease
  // is begun from θ. May be null.
  std::function<Result<KeptState>(uint32_t steps)> kept_state;
  std::function<Result<Bytes>()> delta;  // of the lease; asked for once, at the end
  const Identity& miner;
  // Adversaries in tests switch it off: then the answer is made whether it checks or not.
  bool check_own = true;
};

struct ThreadWritten {
  uint64_t bytes = 0;  // of the answer
  uint32_t steps_run = 0;
};

// Writes the answer to `sink`: everything in order, but for the front, which comes last. Memory
// beside the engine's: the tensors that a step's parts and blocks read, the states of the chains,
// and one opening of each block that waits for t* or the least f (at most 2 MiB each).
// Errors: those of the engine, the callbacks and the sink; invalid when a fibre or a block does not
// check against its own inputs (a bug or faulty hardware: nothing may be sent then).
Result<ThreadWritten> prove_thread(const ThreadCase& thread, const ThreadProver& prover,
                                   const AnswerSink& sink);

}  // namespace gemmine::verifier
