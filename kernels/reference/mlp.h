// The slow twin: PROTOCOL 3 and 4 read aloud, one element at a time, for other engines' belief.
#pragma once

#include <vector>

#include "kernels/engine.h"

namespace gemmine::kernels {

class ReferenceEngine final : public Engine {
 public:
  // Labels must be below the number of classes.
  ReferenceEngine(const Program& program, ByteView train_records)
      : program_(program), records_(train_records) {
    GEMMINE_CHECK(!program.is_gpt());
  }

  std::string_view name() const override { return "reference"; }
  Status load_state(std::span<const float> state, uint32_t steps_done) override;
  Result<StepResult> run_step(StepKey key, const Digest* step_key) override;
  Status read_state(std::span<float> state) override;
  Result<Bytes> read_tensor(uint32_t position) override;

 private:
  using Floats = std::vector<float>;
  struct Quantised {
    std::vector<int8_t> q;
    Floats s;
  };
  struct Layer {
    size_t k = 0;
    size_t n = 0;
    Quantised x, w, g1, g2;
    Floats b, y, dy, db, dw;
    Floats db_parts;  // PB, [runs, n]
  };

  Status forward(StepKey key);
  Result<float> loss(StepKey key);
  Status backward(StepKey key);
  Status optimise(StepKey key);
  Status update(uint64_t offset, const Floats& gradient, bool decays, float lr);
  uint8_t record_byte(StepKey key, size_t row, size_t byte) const;
  uint32_t label(StepKey key, size_t row) const;
  Bytes tensor_bytes(const TensorInfo& tensor) const;

  Program program_;
  ByteView records_;
  Floats state_;
  std::vector<Layer> layers_;
  uint32_t steps_done_ = 0;
  bool loaded_ = false;
};

}  // namespace gemmine::kernels
