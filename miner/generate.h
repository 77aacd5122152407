// Text from a trained gpt: its forward pass in plain fp32, one token at a time, and the choice of
// the next one. For people; no proof depends on these bits.
#pragma once

#include <span>
#include <vector>

#include "kernels/model/program.h"

namespace gemmine::miner {

class GptForward {
 public:
  // program.is_gpt(); theta.size() == program.parameters().
  GptForward(const kernels::Program& program, std::vector<float> theta);

  // Logits of what follows the tokens so far and `token`, valid until the next call. Keys and
  // values of earlier positions are kept. With the context full, its older half is forgotten.
  std::span<const float> next(uint32_t token);

 private:
  struct Kept {  // of a block, [context, width]
    std::vector<float> keys;
    std::vector<float> values;
  };
  void run(uint32_t token);
  const float* parameter(uint32_t index) const;
  void norm(uint32_t norm, const std::vector<float>& x, std::vector<float>& out) const;
  void linear(uint32_t linear, const std::vector<float>& x, std::vector<float>& out) const;
  void attend(Kept& kept);

  kernels::Program program_;
  std::vector<float> theta_;
  std::vector<Kept> kept_;
  std::vector<uint32_t> tokens_;  // in the context
  std::vector<float> residual_;
  std::vector<float> normed_;
  std::vector<float> qkv_;
  std::vector<float> mixed_;
  std::vector<float> hidden_;
  std::vector<float> logits_;
};

struct Sampling {
  float temperature = 0.8F;  // 0: always the likeliest
  uint32_t top_k = 0;        // 0: any token
  uint64_t seed = 1;
};
// The same everywhere for the same logits. `index` counts the choices of a text.
uint32_t choose_token(std::span<const float> given, const Sampling& sampling, uint32_t index);

}  // namespace gemmine::miner
