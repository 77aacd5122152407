// The engine on a GPU: state, operands and hashes stay on the device; roots, loss and a flag
// return.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/cuda/device_session.h"
#include "kernels/engine.h"

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
  // rows × cols of int8 in rows of `ld` bytes: a multiple of 64, zeros after the columns and in
  // rows up to a multiple of 16, as tiles are hashed and products read.
  struct Matrix {
    int8_t* q = nullptr;
    uint32_t rows = 0;
    uint32_t cols = 0;
    uint32_t ld = 0;
    uint64_t bytes() const { return uint64_t{(rows + 15) / 16} * 16 * ld; }
  };
  // Codes of NaN and infinity fall from here as a step goes on.
  static constexpr uint32_t kCodeFirst = 1 << 16;
  static constexpr uint32_t kReportHead = 2;  // words of report_ before the roots: flag, loss

  struct Layer {
    Matrix x, w, g1, g2;                               // committed; g1 not in layer 0
    Matrix x_transposed, w_transposed, g2_transposed;  // w_transposed not in layer 0
    float *sx = nullptr, *sw = nullptr, *b = nullptr, *s1 = nullptr, *s2 = nullptr;
    float *y = nullptr, *dy = nullptr;
  };

  CudaEngine(std::unique_ptr<DeviceSession> session, const Program& program)
      : session_(std::move(session)), program_(program), layers_(program.layers()) {}
  void allocate();
  Matrix allocate_matrix(uint32_t rows, uint32_t cols);
  void prepare_hashing();
  std::pair<const void*, uint64_t> tensor_memory(const TensorInfo& tensor) const;

  void queue_forward(StepKey key);
  void queue_loss();
  void queue_backward(StepKey key);
  void queue_gradient_operands(uint32_t l, StepKey key);
  void queue_update(uint64_t offset, const float* gradient, uint64_t count, bool decays, float lr);
  void queue_transpose(const Matrix& from, const Matrix& to);
  void queue_hashing(const Digest& step_key);
  uint32_t code_for(std::string_view tensor, uint32_t layer);

  std::unique_ptr<DeviceSession> session_;
  Program program_;
  std::vector<Layer> layers_;
  float* state_ = nullptr;
  uint8_t* records_ = nullptr;
  uint32_t* labels_ = nullptr;
  float* nll_ = nullptr;
  float *dw_ = nullptr, *db_ = nullptr, *inv2_ = nullptr;  // of one layer at a time
  float* run_sums_ = nullptr;
  uint32_t* run_max_ = nullptr;

  HashJob* jobs_ = nullptr;
  uint32_t groups_max_ = 0;  // of one tensor
  uint32_t* step_key_ = nullptr;
  uint32_t *group_cvs_ = nullptr, *hash_scratch_ = nullptr;
  uint32_t* report_ = nullptr;  // flag, loss, roots: all that comes back from a step

  std::vector<std::pair<std::string_view, uint32_t>> troubles_;  // what each code of a step means
  uint32_t steps_done_ = 0;
  float power1_ = 1;
  float power2_ = 1;
  bool loaded_ = false;
  bool has_step_ = false;
};

}  // namespace gemmine::kernels::cuda
