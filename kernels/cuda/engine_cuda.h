// The engine on a GPU: state, operands and hashes stay on the device; roots, loss and a flag
// return.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/cuda/device_matrix.h"
#include "kernels/cuda/device_state.h"
#include "kernels/cuda/step_report.h"

namespace gemmine::kernels::cuda {

class CudaEngine final : public Engine {
 public:
  // Takes all memory it will ever need, copies the records, and probes the layout of the device's
  // tensor cores. Labels must be below the number of classes. name: "cuda:0".
  // Errors: out_of_memory, unsupported, closed, invalid (the device computes other bits).
  static Result<std::unique_ptr<Engine>> make(const DeviceApi& api, uint32_t device,
                                              std::string name, const Program& program,
                                              ByteView train_records);

  std::string_view name() const override { return session_->name(); }
  Status load_state(std::span<const float> state, uint32_t steps_done) override;
  Result<StepResult> run_step(StepKey key, const Digest* step_key) override;
  Status read_state(std::span<float> state) override;
  Result<Bytes> read_tensor(uint32_t position) override;

 private:
  struct Layer {
    DeviceMatrix x, w, g1, g2;                               // committed; g1 not in layer 0
    DeviceMatrix x_transposed, w_transposed, g2_transposed;  // w_transposed not in layer 0
    float *sx = nullptr, *sw = nullptr, *b = nullptr, *s1 = nullptr, *s2 = nullptr;
    float *y = nullptr, *dy = nullptr;
  };

  CudaEngine(std::unique_ptr<DeviceSession> session, const Program& program)
      : session_(std::move(session)),
        program_(program),
        state_(*session_, program_),
        report_(*session_),
        layers_(program.layers()) {}
  void allocate();
  TensorMemory tensor_memory(const TensorInfo& tensor) const;

  void queue_forward(StepKey key);
  void queue_loss();
  void queue_backward(StepKey key);
  void queue_gradient_operands(uint32_t l, StepKey key);
  void queue_update(uint64_t offset, const float* gradient, uint64_t count, bool decays,
                    StepKey key);
  uint32_t code_for(std::string_view tensor, uint32_t layer);

  std::unique_ptr<DeviceSession> session_;
  Program program_;
  DeviceState state_;
  StepReport report_;
  std::vector<Layer> layers_;
  uint8_t* records_ = nullptr;
  uint32_t* labels_ = nullptr;
  float* nll_ = nullptr;
  float *dw_ = nullptr, *db_ = nullptr, *inv2_ = nullptr;  // of one layer at a time
  float* run_sums_ = nullptr;
  uint32_t* run_max_ = nullptr;
  bool has_step_ = false;
};

}  // namespace gemmine::kernels::cuda
