// A gpt miner that leaves work out and is careful about it: every tensor of its step is what the
// tensors it committed to before give, except where its theft says otherwise.
//
// That is the best a thief can do against spot checks, which look at one tile and its inputs: only
// the tensors that the theft replaces are wrong, however far the step is from the honest one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kernels/engine.h"
#include "verifier/audit/block_reader.h"

namespace gemmine::thefts {

using verifier::Floats;

// A tensor that is about to be committed to, row-major and before it is quantised.
struct Draft {
  const kernels::Program& program;
  const kernels::TensorInfo& info;
  kernels::StepKey key;
  verifier::BlockReader& committed;  // everything in front of it
  const Floats* before;              // the same tensor one step earlier; null in the first
  Floats values;                     // in: what its inputs give; out: what is committed to
};

// What the weights of a step are. Between a share's boundaries they are committed only as W.
enum class Weights {
  trained,     // an honest optimiser's
  frozen,      // those of the share's start, for ever
  first_only,  // after the share's first step all zero
};

struct Theft {
  std::string name;
  std::string how;
  std::function<void(Draft&)> bend = [](Draft&) {};
  Weights weights = Weights::trained;
  // Tensors that are wrong in all their tiles, counted by hand for L blocks and a share of S steps
  // and averaged over the steps as the coin draws them (PROTOCOL 7.3).
  std::function<double(double blocks, double steps)> wrong = [](double, double) { return 0.0; };
  // Not all tiles of some tensors are wrong: `wrong` is a floor.
  bool in_part = false;
  // Multiply-accumulates of a step that are not done, averaged over a share.
  std::function<double(const kernels::Program&, double steps)> saved_macs =
      [](const kernels::Program&, double) { return 0.0; };
};

class Thief final : public kernels::Engine {
 public:
  // program.is_gpt(). All outlive it.
  Thief(const kernels::Program& program, ByteView tokens, const Theft& theft);

  std::string_view name() const override { return "thief"; }
  // Of a share's start.
  Status load_state(std::span<const float> state, uint32_t steps_done) override;
  Result<kernels::StepResult> run_step(kernels::StepKey key, const Digest* step_key) override;
  Status read_state(std::span<float> state) override;
  Result<Bytes> read_tensor(uint32_t position) override;

  // From now on read_tensor gives the tensors of step `index` of the share.
  void stand_after(uint32_t index) { standing_ = index; }
  const std::vector<Bytes>& tensors(uint32_t index) const { return steps_.at(index).bytes; }

 private:
  struct Step {
    std::vector<Bytes> bytes;    // committed, by position
    std::vector<Floats> values;  // before quantising; empty where nothing is quantised or checked
  };
  void commit(kernels::StepKey key, uint32_t position, verifier::BlockReader& reader);

  const kernels::Program& program_;
  const ByteView tokens_;
  const Theft& theft_;
  std::unique_ptr<kernels::Engine> trainer_;
  std::vector<float> start_;
  std::vector<float> state_;  // of the step at hand
  std::vector<Step> steps_;
  size_t standing_ = 0;
};

// The chunks of whole objects in memory.
class WholeSource final : public verifier::BlockSource {
 public:
  WholeSource(const std::vector<Bytes>& tensors, std::span<const float> state_before,
              ByteView tokens)
      : tensors_(tensors), state_before_(as_bytes(state_before)), tokens_(tokens) {}
  ByteView chunk(verifier::ObjectId object, uint64_t index) override;

 private:
  const std::vector<Bytes>& tensors_;
  const ByteView state_before_;
  const ByteView tokens_;
};

}  // namespace gemmine::thefts
