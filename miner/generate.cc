#include "miner/generate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/numbers/numerics.h"
#include "kernels/numbers/philox.h"

namespace gemmine::miner {

namespace {

constexpr uint32_t kPurposeSample = 0x534D;  // no other use of Philox has it
constexpr size_t kLanes = 16;                // sums that the compiler may keep side by side

float dot(const float* a, const float* b, size_t count) {
  float lane[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (size_t l = 0; l < kLanes; ++l)
      lane[l] += a[i + l] * b[i + l];
  float sum = 0;
  for (; i < count; ++i)
    sum += a[i] * b[i];
  return std::accumulate(std::begin(lane), std::end(lane), sum);
}

float activate(float x, kernels::Activation activation) {
  const float z =
      activation == kernels::Activation::silu ? x : (x + 0.044715F * x * x * x) * 0x1.988454p+0F;
  return x / (1 + kernels::gn_exp(-z));
}

}  // namespace

GptForward::GptForward(const kernels::Program& program, std::vector<float> theta)
    : program_(program), theta_(std::move(theta)), kept_(program.spec().gpt.blocks) {
  const kernels::GptShape& gpt = program.spec().gpt;
  GEMMINE_CHECK(program.is_gpt() && theta_.size() == program.parameters());
  for (Kept& kept : kept_) {
    kept.keys.resize(size_t{gpt.context} * gpt.width);
    kept.values.resize(size_t{gpt.context} * gpt.width);
  }
}

const float* GptForward::parameter(uint32_t index) const {
  return theta_.data() + program_.parameter_list()[index].offset;
}

void GptForward::norm(uint32_t norm, const std::vector<float>& x, std::vector<float>& out) const {
  const bool layer = program_.spec().gpt.norm == kernels::Norm::layer;
  const float* const gain = theta_.data() + program_.gain_offset(norm);
  const auto width = static_cast<float>(x.size());
  const float mean = layer ? std::accumulate(x.begin(), x.end(), 0.0F) / width : 0.0F;
  out.resize(x.size());
  for (size_t i = 0; i < x.size(); ++i)
    out[i] = x[i] - mean;
  const float rate = 1 / std::sqrt(dot(out.data(), out.data(), out.size()) / width + 1e-5F);
  for (size_t i = 0; i < x.size(); ++i)
    out[i] = out[i] * rate * gain[i] + (layer ? gain[x.size() + i] : 0.0F);
}

void GptForward::linear(uint32_t linear, const std::vector<float>& x,
                        std::vector<float>& out) const {
  const kernels::LinearInfo& info = program_.linears()[linear];
  const float* const weight = parameter(info.weight);
  const float* const bias = info.has_bias ? parameter(info.weight + 1) : nullptr;
  out.resize(info.outputs);
  for (size_t n = 0; n < out.size(); ++n)
    out[n] = dot(weight + n * x.size(), x.data(), x.size()) + (bias == nullptr ? 0.0F : bias[n]);
}

// The newest position over all that are kept.
void GptForward::attend(Kept& kept) {
  const kernels::GptShape& gpt = program_.spec().gpt;
  const size_t width = gpt.width;
  const size_t head_width = gpt.head_width();
  const size_t count = tokens_.size();
  const auto at = static_cast<ptrdiff_t>((count - 1) * width);
  const auto part = [&](size_t i) { return qkv_.begin() + static_cast<ptrdiff_t>(i * width); };
  std::copy(part(1), part(2), kept.keys.begin() + at);
  std::copy(part(2), part(3), kept.values.begin() + at);
  const float scale = 1 / std::sqrt(static_cast<float>(head_width));
  std::vector<float> weights(count);
  mixed_.assign(width, 0.0F);
  for (size_t first = 0; first < width; first += head_width) {
    for (size_t j = 0; j < count; ++j)
      weights[j] =
          scale * dot(qkv_.data() + first, kept.keys.data() + j * width + first, head_width);
    const float most = *std::ranges::max_element(weights);
    float sum = 0;
    for (float& weight : weights)
      sum += weight = kernels::gn_exp(weight - most);
    for (size_t j = 0; j < count; ++j)
      for (size_t c = first; c < first + head_width; ++c)
        mixed_[c] += weights[j] / sum * kept.values[j * width + c];
  }
}

void GptForward::run(uint32_t token) {
  const kernels::GptShape& gpt = program_.spec().gpt;
  const float* const embedding = parameter(0) + size_t{token} * gpt.width;
  const float* const position = parameter(1) + tokens_.size() * gpt.width;
  tokens_.push_back(token);
  residual_.resize(gpt.width);
  for (size_t c = 0; c < gpt.width; ++c)
    residual_[c] = embedding[c] + position[c];
  const auto add = [&](const std::vector<float>& y) {
    for (size_t c = 0; c < y.size(); ++c)
      residual_[c] += y[c];
  };
  for (uint32_t i = 0; i < gpt.blocks; ++i) {
    norm(2 * i, residual_, normed_);
    linear(4 * i, normed_, qkv_);
    attend(kept_[i]);
    linear(4 * i + 1, mixed_, normed_);
    add(normed_);
    norm(2 * i + 1, residual_, normed_);
    linear(4 * i + 2, normed_, hidden_);
    for (float& x : hidden_)
      x = activate(x, gpt.activation);
    linear(4 * i + 3, hidden_, normed_);
    add(normed_);
  }
}

std::span<const float> GptForward::next(uint32_t token) {
  const kernels::GptShape& gpt = program_.spec().gpt;
  GEMMINE_CHECK(token < gpt.vocabulary);
  if (tokens_.size() == gpt.context) {
    // Positions are learned, so what stays moves to the front and is computed again.
    const std::vector<uint32_t> newer(tokens_.begin() + gpt.context / 2, tokens_.end());
    tokens_.clear();
    for (const uint32_t old : newer)
      run(old);
  }
  run(token);
  norm(gpt.last_norm(), residual_, normed_);
  linear(gpt.head_linear(), normed_, logits_);
  return logits_;
}

uint32_t choose_token(std::span<const float> given, const Sampling& sampling, uint32_t index) {
  // Weights that are finite may still give logits that are not.
  std::vector<float> logits(given.begin(), given.end());
  std::ranges::replace_if(
      logits, [](float x) { return !std::isfinite(x); }, std::numeric_limits<float>::lowest());
  std::vector<uint32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, [&](uint32_t a, uint32_t b) { return logits[a] > logits[b]; });
  if (!(sampling.temperature > 0)) return order.front();
  if (sampling.top_k > 0) order.resize(std::min<size_t>(order.size(), sampling.top_k));
  std::vector<float> weights;
  float sum = 0;
  for (const uint32_t token : order) {
    weights.push_back(
        kernels::gn_exp((logits[token] - logits[order.front()]) / sampling.temperature));
    sum += weights.back();
  }
  const uint32_t word = kernels::philox(sampling.seed, index, 0, 0, kPurposeSample).w[0];
  float left = static_cast<float>(word >> 8) * 0x1p-24F * sum;
  for (size_t i = 0; i < order.size(); ++i) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order.front();  // rounding left a little over
}

}  // namespace gemmine::miner
