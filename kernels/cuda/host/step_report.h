// All that comes back from a step on a GPU: the first trouble, the loss, and the root of each
// tensor.
#pragma once

#include <string>
#include <vector>

#include "kernels/cuda/host/device_session.h"
#include "kernels/engine.h"

namespace gemmine::kernels::cuda {

// Where a committed tensor lies: int8 as a DeviceMatrix, f32 as its elements in order, also
// where it is committed in panels.
using TensorMemory = const void*;

class StepReport {
 public:
  explicit StepReport(DeviceSession& session) : session_(session) {}

  // Takes memory; once. memory[i] is that of tensors[i].
  void prepare(const std::vector<TensorInfo>& tensors, const std::vector<TensorMemory>& memory);
  // In this order for each step: begin, any number of code_for, maybe queue_roots, finish.
  void begin();
  // What kernels get to say that a NaN or an infinity is in `what`; codes fall as a step goes on.
  uint32_t code_for(std::string what);
  uint32_t* flag() const { return report_; }
  float* loss() const { return reinterpret_cast<float*>(report_ + 1); }
  void queue_roots(const Digest& step_key);
  // Waits for the step. Errors: invalid, naming what a kernel found first; those of the session.
  Result<StepResult> finish();

  // The committed byte string of a tensor.
  Result<Bytes> read_tensor(uint32_t position) const;

 private:
  Result<Bytes> read_panels(uint32_t position) const;

  static constexpr uint32_t kCodeFirst = 1 << 30;
  static constexpr uint32_t kHead = 2;  // words before the roots: flag, loss

  DeviceSession& session_;
  std::vector<TensorInfo> tensors_;
  std::vector<TensorMemory> memory_;
  HashJob* jobs_ = nullptr;
  uint32_t groups_max_ = 0;  // of one tensor
  uint32_t* step_key_ = nullptr;
  uint32_t *group_cvs_ = nullptr, *hash_scratch_ = nullptr;
  uint32_t* report_ = nullptr;
  bool has_roots_ = false;
  std::vector<std::string> troubles_;  // what each code of a step means
};

}  // namespace gemmine::kernels::cuda
