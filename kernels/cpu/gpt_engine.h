// The CPU engine for a gpt: PROTOCOL 10 by fused passes over exact products, on a pool of threads.
//
// Memory a row of T, beside the committed tensors (program.h), which read_tensor needs: O and the
// slope of the activation of every block (4·D + 4·F bytes), one matrix of max(3·D, F, V) floats and
// two of D, and the packed operands of one product. Weights: their int8 copy, and, where the clip
// needs the norm of all gradients, 4 bytes a parameter; without a clip only the gradients of E, P
// and the vectors are kept. Attention keeps nothing of size C², but has C² bytes a thread.
#pragma once

#include <initializer_list>
#include <mutex>
#include <string>

#include "kernels/cpu/gpt_attention.h"
#include "kernels/cpu/matmul/matmul.h"
#include "kernels/cpu/passes/gpt_passes.h"
#include "kernels/cpu/step_engine.h"

namespace gemmine::kernels {

class GptCpuEngine final : public StepEngine {
 public:
  // program.is_gpt(); tokens are below the vocabulary (make_engine has looked). threads >= 1.
  GptCpuEngine(const Program& program, ByteView tokens, int threads);

  // PROTOCOL 10.9. Leaves the engine without a state to go on from. Errors: invalid.
  Result<Evaluation> evaluate(std::span<const float> theta, ByteView tokens);

 private:
  using Floats = AlignedVector<float>;
  using Ints = AlignedVector<int8_t>;
  struct Linear : CommittedLinear {
    size_t inputs = 0;
    size_t outputs = 0;
    Floats inv2;                     // [outputs]
    AlignedVector<uint32_t> maxima;  // of X by row, then of G2 by column; bits
    AlignedVector<uint32_t> w_max;   // by row
    Floats db_parts;                 // PB, committed but for the head; [runs of 32, outputs]
  };
  struct Block {
    Ints q, k, v, ho, go;                    // committed
    Floats sq, sk, sv, m, l, delta, sh, sg;  // committed
    Floats mixed;                            // O, [T, D]
    Floats slope;                            // [T, F]
  };
  struct NormPlace {
    Floats gain, shift;              // committed
    Floats gradient;                 // N, committed; [T, D]
    Floats gain_parts, shift_parts;  // PG, PS, committed; [runs of 32, D]
  };
  // What one thread needs to itself in a task.
  struct Scratch {
    Floats row;                      // 3 · D
    AlignedVector<uint32_t> maxima;  // of the widest matrix's columns
    AttentionScratch attention;
  };
  class ScratchLease {
   public:
    explicit ScratchLease(GptCpuEngine& engine);
    ~ScratchLease();
    ScratchLease(const ScratchLease&) = delete;
    ScratchLease& operator=(const ScratchLease&) = delete;
    Scratch& get() const { return *scratch_; }

   private:
    GptCpuEngine& engine_;
    Scratch* scratch_;
  };
  // Rows [first, end) of T, within one sequence in sequence_runs_.
  struct Run {
    size_t first;
    size_t end;
    size_t sequence;
  };
  // Rows of a parameter, for one task; a vector is one row.
  struct Piece {
    uint32_t parameter;
    size_t first;
    size_t count;
  };

  void reserve_linear(uint32_t linear);
  void reserve_block(Block& block);
  void lay_out_runs();
  void lay_out_gradient();
  NormWeights norm_weights(uint32_t norm) const;

  // f(run, scratch); then commits to `tensors`' rows there, by the thread that wrote them.
  template <class F>
  void for_each_run(const std::vector<Run>& runs, std::initializer_list<TensorPlace> tensors,
                    const F& f) {
    pool_.run(runs.size(), [&](size_t i) {
      {
        const ScratchLease scratch(*this);
        f(runs[i], scratch.get());
      }
      commit(runs[i], tensors);
    });
  }
  void commit(const Run& run, std::initializer_list<TensorPlace> tensors);
  const void* tensor_data(const TensorInfo& tensor) const override;
  bool hashed_in_parts(const TensorInfo& tensor) const override;
  const void* attention_data(const TensorInfo& tensor) const;
  // Errors: invalid if something raised worst_ to what is not finite.
  Status finite(TensorKind kind, uint32_t layer, std::string_view of = {}) const;

  void take_sequence(ByteView tokens, uint32_t sequence, uint64_t start);
  Status check_state() override;
  void measure_weights() override;
  Result<float> step(StepKey key) override;

  Status forward();
  Status normalise(uint32_t norm, uint32_t linear);
  void quantise_row(uint32_t linear, size_t t, const float* x, uint32_t max);
  void quantise_weights(uint32_t linear);
  // Y of a linear: f(t, first column, columns, sums) for every piece of a row.
  template <class F>
  void multiply_forward(uint32_t index, const F& f) {
    quantise_weights(index);
    const OpTimer timer(profile_, StepOp::forward);
    Linear& linear = linears_[index];
    const auto rows = by_row(f);
    matmul(by_rows(linear.x.data(), linear.inputs), by_rows(linear.w.data(), linear.inputs), rows_,
           linear.outputs, linear.inputs, packed_, epilogue_of(rows), pool_);
  }
  // dX of a linear, likewise.
  template <class F>
  void pass_down(uint32_t index, const F& f) {
    const OpTimer timer(profile_, StepOp::input_gradient);
    Linear& linear = linears_[index];
    const auto rows = by_row(f);
    matmul(by_rows(linear.g1.data(), linear.outputs), by_columns(linear.w.data(), linear.inputs),
           rows_, linear.inputs, linear.outputs, packed_, epilogue_of(rows), pool_);
  }
  template <class F>
  static auto by_row(const F& f) {
    return
        [&f](size_t row0, size_t rows, size_t col0, size_t cols, const int32_t* tile, size_t ld) {
          for (size_t r = 0; r < rows; ++r)
            f(row0 + r, col0, cols, tile + r * ld);
        };
  }
  Status run_block(uint32_t block);
  Status quantise_qkv(uint32_t block);
  Status attend(uint32_t block);
  Status add_to_residual(uint32_t linear, uint32_t residual);
  Result<float> loss(bool backward);
  void count_right(Evaluation& out, size_t sequences) const;

  Status backward();
  Status block_gradient(uint32_t block);
  Status norm_back(uint32_t norm, const float* above, float* out);
  Status norm_into(uint32_t norm, uint32_t linear);
  void gradient_rows(uint32_t linear, const Run& run, const float* dy, Scratch& scratch);
  Status gradient_columns(uint32_t linear, const float* dy);
  Status wide_gradient(uint32_t linear);
  void weight_gradient(uint32_t linear);
  Status attention_gradient(uint32_t block);
  Status quantise_mixed(uint32_t block);
  void quantise_mixed_rows(uint32_t block, const Run& run, Scratch& scratch);
  uint32_t go_values(const GptShape& gpt, const Block& block, size_t t, float* value);
  void embedding_gradient();
  void sum_runs(TensorKind kind, uint32_t layer, const Floats& parts, float* out);
  void measure_gradient(const Piece& piece);
  Result<float> clip_factor();
  Status optimise();

  Linear* linear_of(const ParameterInfo& parameter);
  // Of the gain of a norm, and its shift after it: they are kept always.
  float* gain_gradient(uint32_t norm) { return gradient_of(gain_parameters_[norm]); }
  float* gradient_of(uint32_t parameter) { return gradient_.data() + gradient_at_[parameter]; }

  const GptPasses* gpt_;
  size_t rows_;                     // T
  size_t width_;                    // D
  bool fused_;                      // no clip: weights change as their gradient appears
  std::vector<Run> runs_;           // multiples of 32 rows, so that colsum's runs stay whole
  std::vector<Run> sequence_runs_;  // multiples of 16
  std::vector<Linear> linears_;
  std::vector<Block> blocks_;
  std::vector<NormPlace> norms_;
  std::vector<Floats> residuals_;    // R_s
  std::vector<Floats> d_residuals_;  // D_i
  Floats loss_max_, loss_sum_;       // μ, ζ
  Floats nll_;
  Floats wide_;     // [T, max(3·D, F, V)]: of one linear at a time, Y or dY
  Floats middle_;   // M
  Floats d_mixed_;  // dO
  AlignedVector<uint32_t> v_max_, go_max_;  // [B, D]
  Floats inv_v_;                            // [B, D]
  Floats gradient_;                         // what is kept of θ's gradient
  std::vector<size_t> gradient_at_;         // by parameter, where it is kept
  std::vector<uint32_t> gain_parameters_;   // by norm
  std::vector<Piece> pieces_;               // but for vectors, whole strips of tiles
  std::vector<Floats> squares_;             // CQ by parameter, committed; empty without a clip
  Floats clip_;                             // cf, committed
  Floats d_tokens_;                         // tied: dE beside dW_head
  PackedPair packed_;
  std::vector<uint32_t> inputs_, targets_;
  std::mutex scratch_mutex_;
  std::vector<Scratch> scratches_;
  std::vector<Scratch*> free_scratches_;
};

}  // namespace gemmine::kernels
