// What every engine on a GPU has: a session, a state and a report; state, operands and hashes stay
// on the device; roots, loss and a flag return.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kernels/cuda/host/device_matrix.h"
#include "kernels/cuda/host/device_state.h"
#include "kernels/cuda/host/step_report.h"

namespace gemmine::kernels::cuda {

// What a linear layer commits to. g1 and s1 are null where no gradient is passed down.
struct DeviceLinear {
  DeviceMatrix x, w, g1, g2;
  float *sx = nullptr, *sw = nullptr, *b = nullptr, *s1 = nullptr, *s2 = nullptr;
  float* db_parts = nullptr;  // PB, [runs of 32, outputs]; not committed without b

  // kind: one of x … s2, bias_parts.
  TensorMemory memory(TensorKind kind) const;
};

class DeviceEngine : public Engine {
 public:
  // Takes all memory it will ever need, copies the records, and probes the layout of the device's
  // tensor cores. Labels and tokens must be below the number of classes. name: "cuda:0".
  // Errors: out_of_memory, unsupported, closed, invalid (the device computes other bits).
  template <class Derived>
  static Result<std::unique_ptr<Engine>> make(const DeviceApi& api, uint32_t device,
                                              std::string name, const Program& program,
                                              ByteView records) {
    auto session = open(api, device, std::move(name));
    if (!session) return session.error();
    auto engine = std::make_unique<Derived>(std::move(session.value()), program);
    if (Status status = engine->prepare(records); !status) return status.error();
    return std::unique_ptr<Engine>(std::move(engine));
  }

  std::string_view name() const final { return session_->name(); }
  Status load_state(std::span<const float> state, uint32_t steps_done) final;
  Result<StepResult> run_step(StepKey key, const Digest* step_key) final;
  Status read_state(std::span<float> state) final;
  Result<Bytes> read_tensor(uint32_t position) final;

 protected:
  DeviceEngine(std::unique_ptr<DeviceSession> session, const Program& program)
      : session_(std::move(session)),
        program_(program),
        state_(*session_, program_),
        report_(*session_) {}

  // Once, before anything else. The session keeps what goes wrong.
  virtual void allocate() = 0;
  virtual TensorMemory tensor_memory(const TensorInfo& tensor) const = 0;
  // Queues the whole step but the roots.
  virtual void queue_step(StepKey key) = 0;

  const std::unique_ptr<DeviceSession> session_;
  const Program program_;
  DeviceState state_;
  StepReport report_;
  uint8_t* records_ = nullptr;

 private:
  static Result<std::unique_ptr<DeviceSession>> open(const DeviceApi& api, uint32_t device,
                                                     std::string name);
  Status prepare(ByteView records);

  bool has_step_ = false;
};

}  // namespace gemmine::kernels::cuda
