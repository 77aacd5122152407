// The gpt of PROTOCOL 10 in plain loops: slow, portable, and the twin of every other engine.
#pragma once

#include <map>
#include <utility>

#include "kernels/engine.h"

namespace gemmine::kernels {

class GptReferenceEngine final : public Engine {
 public:
  // program.is_gpt(); tokens are below the vocabulary (make_engine has looked).
  GptReferenceEngine(const Program& program, ByteView tokens) : program_(program), tokens_(tokens) {
    GEMMINE_CHECK(program.is_gpt());
  }

  std::string_view name() const override { return "reference"; }
  Status load_state(std::span<const float> state, uint32_t steps_done) override;
  Result<StepResult> run_step(StepKey key, const Digest* step_key) override;
  Status read_state(std::span<float> state) override;
  Result<Bytes> read_tensor(uint32_t position) override;

  // PROTOCOL 10.9, with the weights of `theta`. Leaves no state. Errors: invalid.
  Result<Evaluation> evaluate(std::span<const float> theta, ByteView tokens);

 private:
  using Floats = std::vector<float>;
  using Ints = std::vector<int8_t>;
  struct NormRows {
    Floats normed;  // x̂, [T, D]
    Floats rate;    // r, [T]
  };
  // One sequence and head, as 10.4 and 10.6 see them: rows of d columns from `first` on.
  struct HeadAt {
    uint32_t block;
    uint32_t sequence;
    uint32_t head;
  };

  const TensorInfo& info(TensorKind kind, uint32_t layer) const;
  const Ints& ints(TensorKind kind, uint32_t layer) const { return ints_.at({kind, layer}); }
  const Floats& floats(TensorKind kind, uint32_t layer) const { return floats_.at({kind, layer}); }
  // Inputs and targets of row (sequence, ·) are the tokens from `start` on.
  void take_sequence(ByteView tokens, uint32_t sequence, uint64_t start);

  // Quantises a whole tensor with its groups, and keeps ints and scales.
  Status quantise(TensorKind kind, uint32_t layer, const Floats& values);
  Status keep(TensorKind kind, uint32_t layer, Floats values);
  Status keep_parts(TensorKind kind, uint32_t layer, const Floats& x, float* sums);

  Result<Floats> linear(uint32_t linear, const Floats& x);            // Y of 3.3
  Result<Floats> linear_gradient(uint32_t linear, const Floats& dy);  // dX; dW and db are kept
  Result<Floats> norm(uint32_t norm, const Floats& residual);
  Result<Floats> norm_gradient(uint32_t norm, Floats d_value);  // norm'(N; R)

  Status forward();  // of inputs_; to logits_
  Status run_block(uint32_t block);
  Result<Floats> attend(uint32_t block, const Floats& qkv);
  Status attend_head(const HeadAt& at, Floats& row_max, Floats& row_sum, Floats& mixed) const;
  // Π row i of a head, from committed m; l is its sum.
  std::vector<int32_t> weights_of(const HeadAt& at, uint32_t i, float max) const;
  Floats scores_of(const HeadAt& at, uint32_t i) const;
  Result<float> loss();  // and nll_, d_logits_

  Status backward();
  Result<Floats> block_gradient(uint32_t block, const Floats& d_residual);
  Result<Floats> attention_gradient(uint32_t block, const Floats& d_mixed);
  Status head_gradient(const HeadAt& at, Floats& d_qkv);
  void embedding_gradient(const Floats& d_residual);
  Floats unit_squares_of(const ParameterInfo& parameter) const;  // CQ
  Status clip_gradient();                                        // 10.7
  Status optimise(StepKey key);

  Program program_;
  ByteView tokens_;
  Floats state_;
  uint32_t steps_done_ = 0;
  bool loaded_ = false;
  uint32_t step_id_ = 0;

  std::vector<uint32_t> inputs_;  // [T]
  std::vector<uint32_t> targets_;
  std::map<std::pair<TensorKind, uint32_t>, Ints> ints_;
  std::map<std::pair<TensorKind, uint32_t>, Floats> floats_;
  std::map<uint32_t, NormRows> norms_;
  std::map<uint32_t, Floats> mixed_;      // O of a block
  std::map<uint32_t, Floats> activated_;  // Y of a block's up
  Floats logits_;
  Floats nll_;
  Floats d_logits_;
  Floats gradient_;  // of θ
};

}  // namespace gemmine::kernels
