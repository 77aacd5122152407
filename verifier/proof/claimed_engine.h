// Our engine with part of one tensor replaced by what the accused showed of it.
#pragma once

#include <algorithm>

#include "kernels/engine.h"

namespace gemmine::verifier {

// Only read_tensor() is for use: everything else is unsupported.
class ClaimedEngine final : public kernels::Engine {
 public:
  // `bytes` lie in the tensor from `offset` on. All outlive it.
  ClaimedEngine(kernels::Engine& own, uint32_t position, uint64_t offset, ByteView bytes)
      : own_(own), position_(position), offset_(offset), bytes_(bytes) {}

  std::string_view name() const override { return "claimed"; }
  Status load_state(std::span<const float> /*state*/, uint32_t /*steps_done*/) override {
    return Error{Errc::unsupported, "it only reads"};
  }
  Result<kernels::StepResult> run_step(kernels::StepKey /*key*/,
                                       const Digest* /*step_key*/) override {
    return Error{Errc::unsupported, "it only reads"};
  }
  Status read_state(std::span<float> /*state*/) override {
    return Error{Errc::unsupported, "it only reads"};
  }
  Result<Bytes> read_tensor(uint32_t position) override {
    auto out = own_.read_tensor(position);
    if (out && position == position_) {
      GEMMINE_CHECK(offset_ + bytes_.size() <= out.value().size());
      std::copy(bytes_.begin(), bytes_.end(),
                out.value().begin() + static_cast<ptrdiff_t>(offset_));
    }
    return out;
  }

 private:
  kernels::Engine& own_;
  const uint32_t position_;
  const uint64_t offset_;
  const ByteView bytes_;
};

}  // namespace gemmine::verifier
