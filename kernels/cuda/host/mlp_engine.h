// The MLP of PROTOCOL 3 on a GPU.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "kernels/cuda/host/device_engine.h"

namespace gemmine::kernels::cuda {

class CudaEngine final : public DeviceEngine {
 public:
  CudaEngine(std::unique_ptr<DeviceSession> session, const Program& program)
      : DeviceEngine(std::move(session), program), layers_(program.layers()) {}

 private:
  struct Layer : DeviceLinear {                              // without g1 in layer 0
    DeviceMatrix x_transposed, w_transposed, g2_transposed;  // w_transposed not in layer 0
    float *y = nullptr, *dy = nullptr;
  };

  void allocate() override;
  TensorMemory tensor_memory(const TensorInfo& tensor) const override {
    return layers_[tensor.layer].memory(tensor.kind);
  }
  void queue_step(StepKey key) override;

  void queue_forward(StepKey key);
  void queue_loss();
  void queue_backward(StepKey key);
  void queue_gradient_operands(uint32_t l, StepKey key);
  void queue_update(uint64_t offset, const float* gradient, uint64_t count, bool decays,
                    StepKey key);
  uint32_t code_for(std::string_view tensor, uint32_t layer);

  std::vector<Layer> layers_;
  uint32_t* labels_ = nullptr;
  float* nll_ = nullptr;
  float *dw_ = nullptr, *db_ = nullptr, *inv2_ = nullptr;  // of one layer at a time
  uint32_t* run_max_ = nullptr;
};

}  // namespace gemmine::kernels::cuda
