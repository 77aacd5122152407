// What both CPU engines have: a state and its place in a lease, the trace, and the order in which a
// step is entered and left.
#pragma once

#include <span>

#include "kernels/base/aligned.h"
#include "kernels/base/thread_pool.h"
#include "kernels/cpu/passes/passes.h"
#include "kernels/cpu/step_profile.h"
#include "kernels/engine.h"
#include "kernels/hash/forest.h"

namespace gemmine::kernels {

// What a linear layer commits to; without b for a gpt's head, without g1 and s1 for the first layer
// of an MLP.
struct CommittedLinear {
  AlignedVector<int8_t> x, w, g1, g2;  // row-major
  AlignedVector<float> sx, sw, b, s1, s2;

  // kind: one of x … s2.
  const void* data(TensorKind kind) const;
};

class StepEngine : public Engine {
 public:
  std::string_view name() const final { return "cpu"; }
  Status load_state(std::span<const float> state, uint32_t steps_done) final;
  Result<StepResult> run_step(StepKey key, const Digest* step_key) final;
  Status read_state(std::span<float> state) final;
  Result<Bytes> read_tensor(uint32_t position) final;

  // Steps from here on add their times to it; null stops that.
  void set_profile(StepProfile* profile) { profile_ = profile; }

 protected:
  struct TensorPlace {
    TensorKind kind;
    uint32_t layer;
  };

  // threads >= 1. Memory is asked for by constructors, where running out of it is still an answer.
  StepEngine(const Program& program, ByteView records, int threads);

  // Errors: invalid, naming the part of the state that is not finite.
  virtual Status check_state() = 0;
  virtual void measure_weights() = 0;
  // Everything of a step but the roots; its loss. Errors: invalid.
  virtual Result<float> step(StepKey key) = 0;
  // Where the tensor lies, row-major.
  virtual const void* tensor_data(const TensorInfo& tensor) const = 0;
  // Whether an f32 tensor is hashed while it is written, like an int8 one, or at the end.
  virtual bool hashed_in_parts(const TensorInfo&) const { return false; }

  // Takes θ alone, for steps without backward: nothing can go on from here. Errors: invalid,
  // invalid_argument.
  Status take_theta(std::span<const float> theta);
  // Where a parameter and its moments are.
  Masters masters(uint64_t offset);

  Program program_;
  ByteView records_;
  ThreadPool pool_;
  const Passes* passes_;
  AlignedVector<float> state_;
  uint32_t step_id_ = 0;  // of this step, as are its rates
  UpdateRates rates_{};
  Blake3Forest forest_;  // the trees of Program::tensors(), once a step commits
  bool commits_ = false;
  StepProfile* profile_ = nullptr;
  // Bits of the largest magnitude seen in values without scales (Y, moments); it tells of NaN and
  // infinity.
  uint32_t worst_ = 0;

 private:
  UpdateRates rates_of(StepKey key);
  void plant_forest();

  uint32_t steps_done_ = 0;
  float power1_ = 1;  // AdamW's p1 and p2
  float power2_ = 1;
  bool loaded_ = false;
  bool ran_ = false;  // tensors are those of a step
};

}  // namespace gemmine::kernels
