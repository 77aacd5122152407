#include "tests/adversaries/cheat.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kernels/hash/blake3.h"

namespace gemmine::adversaries {

namespace {

using kernels::StepKey;
using kernels::StepResult;

// A small hash of a number: the adversary's own dice.
uint64_t dice(uint64_t x) {
  x += 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

class CheatingEngine : public kernels::Engine {
 public:
  CheatingEngine(std::unique_ptr<kernels::Engine> inner, const kernels::Program& program,
                 const CheatPlan& plan)
      : inner_(std::move(inner)), program_(program), plan_(plan) {}

  std::string_view name() const override { return inner_->name(); }

  Status load_state(std::span<const float> state, uint32_t steps_done) override {
    if (plan_.cheat == Cheat::full_device)
      return Error{Errc::out_of_memory, "cuda:0: needs 900 MiB, free are 100 MiB"};
    start_.assign(state.begin(), state.end());
    first_step_ = steps_done;
    haunted_ = false;
    return inner_->load_state(state, steps_done);
  }

  Result<StepResult> run_step(StepKey key, const Digest* step_key) override {
    forged_.clear();
    if (plan_.cheat == Cheat::lost_device && cheating(key) && key.step > 0)
      return Error{Errc::closed, "cuda:0: a kernel failed: the device is gone"};
    if (!cheating(key)) return inner_->run_step(key, step_key);
    if (plan_.cheat == Cheat::stale_state && key.step == 0) {
      if (auto moved = drift(0); !moved) return moved.error();
    }
    haunted_ = plan_.cheat == Cheat::ghost_steps && key.step > first_step_;
    if (haunted_) {
      const std::vector<float> nothing(start_.size(), 0.0F);
      if (auto loaded = inner_->load_state(nothing, key.step); !loaded) return loaded.error();
    }
    auto result = inner_->run_step(key, step_key);
    if (!result) return result;
    switch (plan_.cheat) {
      case Cheat::wrong_gradient:
        if (auto moved = drift(key.step + 1); !moved) return moved.error();
        break;
      case Cheat::skipped_step:
        if (!last_roots_.empty()) result.value().roots = last_roots_;
        break;
      case Cheat::random_matrices:
        forge(key, step_key, result.value());
        break;
      case Cheat::wrong_loss:
        result.value().loss = result.value().loss * 0.5F;
        break;
      case Cheat::none:
      case Cheat::stale_state:
      case Cheat::ghost_steps:
      case Cheat::lost_device:
      case Cheat::full_device:
        break;
    }
    last_roots_ = result.value().roots;
    return result;
  }

  Status read_state(std::span<float> state) override {
    if (!haunted_) return inner_->read_state(state);
    std::copy(start_.begin(), start_.end(), state.begin());
    return Ok{};
  }

  Result<Bytes> read_tensor(uint32_t position) override {
    const auto found = forged_.find(position);
    if (found != forged_.end()) return found->second;
    return inner_->read_tensor(position);
  }

 private:
  bool cheating(StepKey key) {
    const auto lease = std::make_pair(key.round, key.slot);
    const auto order = order_.try_emplace(lease, static_cast<uint32_t>(order_.size())).first;
    if (plan_.cheat == Cheat::none || order->second < plan_.honest_leases) return false;
    if (plan_.cheat == Cheat::stale_state || plan_.cheat == Cheat::ghost_steps) return true;
    const uint64_t seed = (uint64_t{key.round} << 40) ^ (uint64_t{key.slot} << 20) ^ key.step;
    return static_cast<double>(dice(seed) >> 11) * 0x1p-53 < plan_.fraction;
  }

  Status drift(uint32_t steps_done) {
    std::vector<float> state(program_.state_floats());
    if (auto read = inner_->read_state(state); !read) return read;
    for (size_t i = 0; i < 64; ++i)
      state[i] = state[i] + 0x1p-10F;
    return inner_->load_state(state, steps_done);
  }

  void forge(StepKey key, const Digest* step_key, StepResult& result) {
    for (uint32_t i = 0; i < program_.tensors().size(); ++i) {
      const auto& tensor = program_.tensors()[i];
      if (tensor.kind != kernels::TensorKind::g1 && tensor.kind != kernels::TensorKind::g2)
        continue;
      std::vector<int8_t> values(size_t{tensor.rows} * tensor.cols);
      for (size_t j = 0; j < values.size(); ++j)
        values[j] = static_cast<int8_t>(dice(j + key.step) % 127) - 63;
      forged_[i] = kernels::to_tile_order(values.data(), tensor.rows, tensor.cols, tensor.cols);
      if (step_key != nullptr) result.roots[i] = kernels::blake3_keyed(*step_key, forged_[i]);
    }
  }

  std::unique_ptr<kernels::Engine> inner_;
  const kernels::Program program_;
  const CheatPlan plan_;
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> order_;  // leases by when they came
  std::vector<float> start_;                                 // of the share
  uint32_t first_step_ = 0;
  bool haunted_ = false;
  std::vector<Digest> last_roots_;
  std::map<uint32_t, Bytes> forged_;
};

}  // namespace

Result<Cheat> parse_cheat(std::string_view name) {
  const std::map<std::string_view, Cheat> names = {
      {"none", Cheat::none},
      {"wrong-gradient", Cheat::wrong_gradient},
      {"skipped-step", Cheat::skipped_step},
      {"random-matrices", Cheat::random_matrices},
      {"wrong-loss", Cheat::wrong_loss},
      {"stale-state", Cheat::stale_state},
      {"ghost-steps", Cheat::ghost_steps},
      {"lost-device", Cheat::lost_device},
      {"full-device", Cheat::full_device},
  };
  if (const auto found = names.find(name); found != names.end()) return found->second;
  std::string list;
  for (const auto& [known, cheat] : names)
    list += (list.empty() ? "" : ", ") + std::string(known);
  return Error{Errc::invalid_argument, "unknown cheat '" + std::string(name) + "': one of " + list};
}

std::unique_ptr<kernels::Engine> make_cheating_engine(std::unique_ptr<kernels::Engine> inner,
                                                      const kernels::Program& program,
                                                      const CheatPlan& plan) {
  return std::make_unique<CheatingEngine>(std::move(inner), program, plan);
}

}  // namespace gemmine::adversaries
