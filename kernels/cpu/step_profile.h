// Where the time of a step goes, for benchmarks: filled by the CPU engine when it is given one.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <ctime>

namespace gemmine::kernels {

enum class StepOp : uint8_t {
  input,            // gather records, features to floats
  quantise_inputs,  // commitments of X included
  quantise_weights,
  pack_forward,
  forward,
  attention,  // this, attention_gradient and optimiser: of a gpt
  loss,
  column_sums,  // of a gpt: norms' gradients and G1 in the same pass
  quantise_gradients,
  pack_input_gradient,
  input_gradient,
  pack_weight_gradient,
  weight_gradient,  // the optimiser included, but not a gpt's
  attention_gradient,
  optimiser,
  roots,  // of the trace: scales, and the trees above the tiles
  tiles,  // hashing, part of the quantise_ lines; of all threads
  count,
};

struct StepProfile {
  std::array<std::atomic<uint64_t>, static_cast<size_t>(StepOp::count)> ns{};
};

// Adds to one line of a profile the CPU time that its thread takes while it lives, so that other
// programs on the machine do not count; without a profile it does nothing.
class OpTimer {
 public:
  OpTimer(StepProfile* profile, StepOp op) : profile_(profile), op_(op) {
    if (profile_ != nullptr) began_ = now();
  }
  ~OpTimer() {
    if (profile_ == nullptr) return;
    profile_->ns[static_cast<size_t>(op_)].fetch_add(now() - began_, std::memory_order_relaxed);
  }
  OpTimer(const OpTimer&) = delete;
  OpTimer& operator=(const OpTimer&) = delete;

 private:
  static uint64_t now() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
  }
  StepProfile* profile_;
  StepOp op_;
  uint64_t began_ = 0;
};

}  // namespace gemmine::kernels
