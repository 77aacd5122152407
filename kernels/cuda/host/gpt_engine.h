// The gpt of PROTOCOL 10 on a GPU: as CudaEngine, nothing but roots, loss and a flag leaves it.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "kernels/cuda/host/device_engine.h"

namespace gemmine::kernels::cuda {

class CudaGptEngine final : public DeviceEngine {
 public:
  // program.is_gpt().
  CudaGptEngine(std::unique_ptr<DeviceSession> session, const Program& program)
      : DeviceEngine(std::move(session), program), gpt_(program_.spec().gpt) {
    GEMMINE_CHECK(program.is_gpt());
  }

 private:
  // b is a copy, because the update comes before it is read; −0 where there is none.
  using Linear = DeviceLinear;
  struct NormState {
    float *gain = nullptr, *shift = nullptr;              // copies, for the same reason
    float *mean = nullptr, *rate = nullptr;               // [T]; of R
    float* d_value = nullptr;                             // N, [T, D]
    float *gain_parts = nullptr, *shift_parts = nullptr;  // PG, PS, [runs of 32, D]
  };
  struct Block {
    DeviceMatrix q, k, v, ho, go;
    float *sq = nullptr, *sk = nullptr, *sh = nullptr;               // [T, A]
    float *row_max = nullptr, *row_sum = nullptr, *delta = nullptr;  // [T, A]
    float *sv = nullptr, *sg = nullptr;                              // [B, D]
    float *mixed = nullptr, *up = nullptr;                           // O; Y of up
  };
  // One level of longsum over all parameters at once.
  struct SumLevel {
    SumPiece* pieces = nullptr;
    uint32_t count = 0;
    float* sums = nullptr;
  };

  void allocate() override;
  void allocate_linear(uint32_t index);
  void allocate_block();
  void allocate_scratch();
  void prepare_clip();
  TensorMemory tensor_memory(const TensorInfo& tensor) const override;
  TensorMemory block_memory(const Block& block, TensorKind kind) const;

  uint32_t code_for(TensorKind kind, uint32_t layer);            // a tensor
  uint32_t code_for_values_of(TensorKind kind, uint32_t layer);  // what an int8 tensor is made of
  HeadShape head_shape() const;
  HeadOperands head_operands(const Block& block) const;
  Grid head_grid() const;

  void queue_step(StepKey key) override;
  void queue_forward(StepKey key);
  void queue_norm(uint32_t index);  // to X of the linear behind it
  void queue_weights(uint32_t index);
  void queue_linear(uint32_t index, float* y);
  void queue_linear_to_residual(uint32_t index, uint32_t residual);
  void queue_attention(uint32_t block);
  void queue_loss();

  void queue_backward(StepKey key);
  void queue_block_gradient(uint32_t block, StepKey key);
  void queue_linear_gradient(uint32_t index, const float* dy, float* dx, StepKey key);
  static constexpr uint32_t kNotCommitted = ~0U;
  // out = base + norm'(N; R), which is D_{d_residual} or kNotCommitted; base may be null.
  void queue_norm_gradient(uint32_t index, const float* base, float* out, uint32_t d_residual);
  void queue_attention_gradient(uint32_t block, StepKey key);
  void queue_embedding_gradient();
  void queue_clip();
  void queue_optimiser(StepKey key);

  const GptShape& gpt_;
  std::vector<Linear> linears_;
  std::vector<NormState> norms_;
  std::vector<Block> blocks_;
  std::vector<float*> residuals_;    // R
  std::vector<float*> d_residuals_;  // D
  float *loss_max_ = nullptr, *loss_sum_ = nullptr;
  uint32_t *inputs_ = nullptr, *targets_ = nullptr;
  float* nll_ = nullptr;
  float* logits_ = nullptr;                       // then dz
  float* wide_ = nullptr;                         // [T, max(3D, F)]: qkv, gradients of up and qkv
  float *middle_ = nullptr, *d_mixed_ = nullptr;  // M, dO
  float* gradient_ = nullptr;                     // of θ
  int8_t *x_transposed_ = nullptr, *w_transposed_ = nullptr, *g2_transposed_ = nullptr;
  int8_t *q_transposed_ = nullptr, *k_transposed_ = nullptr, *v_transposed_ = nullptr;
  int8_t* go_transposed_ = nullptr;
  float *inv2_ = nullptr, *inv_h_ = nullptr, *inv_g_ = nullptr;
  uint32_t* run_max_ = nullptr;
  float* unused_sums_ = nullptr;  // what the head's bias gradient would be
  UnitJob* unit_jobs_ = nullptr;  // a parameter each
  uint32_t units_max_ = 0;        // of one parameter
  float* squares_ = nullptr;      // CQ of all parameters
  std::vector<uint64_t> first_unit_;
  std::vector<SumLevel> clip_levels_;
  float* clip_ = nullptr;  // cf
};

}  // namespace gemmine::kernels::cuda
