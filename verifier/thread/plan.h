// What an answer to a thread has, and in which order: follows from the lease, the seed and the
// witnesses that the prover names (PROTOCOL 11.3, 11.9).
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "verifier/records/records.h"
#include "verifier/thread/scale.h"
#include "verifier/thread/strata.h"

namespace gemmine::verifier {

// A lease, and the ticket that asks for a thread of it.
struct ThreadCase {
  const Work& work;
  const Lease& lease;             // of this job
  std::span<const Share> shares;  // in order; all lease.shares() of them to prove or check
  Digest seed;
  uint16_t blocks = 0;  // the policy's thread_blocks

  const kernels::Program& program() const { return work.program(); }
  kernels::StepKey key(uint32_t step) const { return {lease.round, lease.slot, step}; }
  const Share& share_of(uint32_t step) const { return shares[step / lease.steps_per_share]; }
  uint32_t index_of(uint32_t step) const { return step % lease.steps_per_share; }
};

// A fibre as the answer follows it: to the lease's end, or, one that shows a scale's witness, up to
// the step where it is asked for.
struct Chain {
  Fibre fibre;
  uint32_t steps = 0;
  uint32_t pieces = 1;  // of each step
};
// One piece of one step of a chain.
struct Link {
  uint32_t chain = 0;
  uint32_t piece = 0;
  bool operator==(const Link&) const = default;
};

inline constexpr uint32_t kNoChain = 0xffffffff;
inline constexpr uint32_t kNoFeature = 0xffffffff;  // the witness of a scale that is 0

// Of a scale that has to be witnessed.
struct ScaleWitness {
  ScaleDraw draw;
  uint32_t feature = kNoFeature;  // k, along the whole row
  uint32_t chain = kNoChain;      // that follows it; the fibre's own if it lies in there
};

class ThreadPlan {
 public:
  // Draws all that needs no prover. Errors: those of `data`.
  static Result<ThreadPlan> make(const ThreadCase& thread, const PublicData& data);
  // The prover's witnesses, one of each of scale_draws() in its order. Errors: malformed (not so
  // many, or not a feature of the row).
  Status set_witnesses(std::span<const uint32_t> features);

  const ThreadDraw& draw() const { return draw_; }
  const std::vector<ThreadBlock>& blocks() const { return blocks_; }
  const std::vector<ScaleDraw>& scale_draws() const { return scale_draws_; }

  // From here on after set_witnesses(). The first draw().fibres.size() chains are the fibres.
  const std::vector<Chain>& chains() const { return chains_; }
  const std::vector<ScaleWitness>& witnesses() const { return witnesses_; }
  // The witness that is asked for of chain `chain` at `step`, if any.
  const ScaleWitness* witness_at(uint32_t chain, uint32_t step) const;

  // The parts of a step: links in the order of chains and pieces, as many to a part as surely fit.
  std::vector<std::vector<Link>> parts_of_step(uint32_t step) const;
  // The parts after the last step: chains whose end state_after and the delta show.
  std::vector<std::vector<uint32_t>> end_parts() const;

  // The string of the links' digests: in order of steps, chains, pieces; then each chain's last.
  uint64_t digests() const { return links_before(steps_) + chains_.size(); }
  uint64_t digest_number(uint32_t step, Link link) const;
  uint64_t last_digest(uint32_t chain) const { return links_before(steps_) + chain; }
  // Number of the digest that follows that of a link in its chain.
  uint64_t next_digest(uint32_t step, Link link) const;
  uint64_t links_before(uint32_t step) const;

  // Bytes that a fibre's link can take of a part at most.
  static uint64_t link_bytes_max(const kernels::Program& program, const Fibre& fibre);
  // What every part has: the step's digest in the trace, its roots, the clip.
  static uint64_t part_base_bytes(const kernels::Program& program);
  static uint64_t end_bytes_max(const kernels::Program& program, const Fibre& fibre);

 private:
  explicit ThreadPlan(const ThreadCase& thread)
      : program_(&thread.program()), steps_(thread.lease.steps) {}

  const kernels::Program* program_;
  uint32_t steps_;
  ThreadDraw draw_;
  std::vector<ThreadBlock> blocks_;
  std::vector<ScaleDraw> scale_draws_;
  std::vector<ScaleWitness> witnesses_;
  std::vector<Chain> chains_;
};

// A part is cut before it has more, unless a single link is as long: so a proof that rests on one
// stays below 1 MB.
inline constexpr uint64_t kPartTarget = 800 * 1024;

}  // namespace gemmine::verifier
