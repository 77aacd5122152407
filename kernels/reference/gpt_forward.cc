// PROTOCOL 10.4 and 10.5.
#include <algorithm>
#include <cmath>

#include "kernels/numbers/rederive.h"
#include "kernels/numbers/rows.h"
#include "kernels/reference/gpt.h"

namespace gemmine::kernels {

using Floats = std::vector<float>;

Result<Floats> GptReferenceEngine::linear(uint32_t index, const Floats& x) {
  const LinearInfo& shape = program_.linears()[index];
  const float* const master = state_.data() + program_.weight_offset(index);
  const size_t n = shape.outputs;
  const size_t k = shape.inputs;
  if (Status status = quantise(TensorKind::x, index, x); !status) return status.error();
  if (Status status = quantise(TensorKind::w, index, Floats(master, master + n * k)); !status)
    return status.error();
  Floats b(n, 0.0F);
  if (shape.has_bias) {
    const float* const bias = state_.data() + program_.bias_offset(index);
    b.assign(bias, bias + n);
    if (Status status = keep(TensorKind::b, index, b); !status) return status.error();
  }
  const Ints& xq = ints(TensorKind::x, index);
  const Ints& wq = ints(TensorKind::w, index);
  const Floats& sx = floats(TensorKind::sx, index);
  const Floats& sw = floats(TensorKind::sw, index);
  Floats y(program_.rows() * n);
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t t = i / n;
    const size_t c = i % n;
    const auto acc = static_cast<float>(dot(&xq[t * k], 1, &wq[c * k], 1, k));
    const float product = acc * (sx[t] * sw[c]);
    y[i] = shape.has_bias ? product + b[c] : product;
  }
  return y;
}

Result<Floats> GptReferenceEngine::norm(uint32_t index, const Floats& residual) {
  const GptShape& gpt = program_.spec().gpt;
  const size_t d = gpt.width;
  const float* const gain = state_.data() + program_.gain_offset(index);
  const float* const shift = gpt.norm == Norm::layer ? gain + d : nullptr;
  if (Status status = keep(TensorKind::gain, index, Floats(gain, gain + d)); !status)
    return status.error();
  if (shift != nullptr) {
    if (Status status = keep(TensorKind::shift, index, Floats(shift, shift + d)); !status)
      return status.error();
  }
  NormRows& rows = norms_[index];
  rows.normed.resize(residual.size());
  rows.rate.resize(program_.rows());
  Floats value(residual.size());
  Floats scratch(d);
  for (size_t t = 0; t < program_.rows(); ++t) {
    rows.rate[t] =
        normalise_row(gpt.norm, &residual[t * d], d, scratch.data(), &rows.normed[t * d]);
    for (size_t c = 0; c < d; ++c)
      value[t * d + c] = norm_value(rows.normed[t * d + c], gain, shift, c);
  }
  return value;
}

Status GptReferenceEngine::forward() {
  const GptShape& gpt = program_.spec().gpt;
  const size_t d = gpt.width;
  Floats residual(program_.rows() * d);
  for (size_t t = 0; t < program_.rows(); ++t) {
    const float* const token = &state_[inputs_[t] * d];
    const float* const place = &state_[(gpt.vocabulary + t % gpt.context) * d];
    for (size_t c = 0; c < d; ++c)
      residual[t * d + c] = token[c] + place[c];
  }
  if (Status status = keep(TensorKind::residual, 0, std::move(residual)); !status) return status;
  for (uint32_t block = 0; block < gpt.blocks; ++block)
    if (Status status = run_block(block); !status) return status;
  auto value = norm(gpt.last_norm(), floats(TensorKind::residual, 2 * gpt.blocks));
  if (!value) return value.error();
  auto logits = linear(gpt.head_linear(), value.value());
  if (!logits) return logits.error();
  logits_ = std::move(logits.value());
  return Ok{};
}

Status GptReferenceEngine::run_block(uint32_t i) {
  const auto add = [&](uint32_t to, const Floats& y) {
    Floats sum = floats(TensorKind::residual, to - 1);
    for (size_t e = 0; e < sum.size(); ++e)
      sum[e] = sum[e] + y[e];
    return keep(TensorKind::residual, to, std::move(sum));
  };
  auto value = norm(2 * i, floats(TensorKind::residual, 2 * i));
  if (!value) return value.error();
  auto qkv = linear(4 * i, value.value());
  if (!qkv) return qkv.error();
  auto mixed = attend(i, qkv.value());
  if (!mixed) return mixed.error();
  auto out = linear(4 * i + 1, mixed.value());
  if (!out) return out.error();
  mixed_[i] = std::move(mixed.value());
  if (Status status = add(2 * i + 1, out.value()); !status) return status;

  value = norm(2 * i + 1, floats(TensorKind::residual, 2 * i + 1));
  if (!value) return value.error();
  auto up = linear(4 * i + 2, value.value());
  if (!up) return up.error();
  Floats active = up.value();
  for (float& y : active)
    y = activate(program_.spec().gpt.activation, y).value;
  activated_[i] = std::move(up.value());
  auto down = linear(4 * i + 3, active);
  if (!down) return down.error();
  return add(2 * i + 2, down.value());
}

Result<Floats> GptReferenceEngine::attend(uint32_t block, const Floats& qkv) {
  const GptShape& gpt = program_.spec().gpt;
  const size_t d = gpt.width;
  const TensorKind kinds[] = {TensorKind::q, TensorKind::k, TensorKind::v};
  for (size_t part = 0; part < 3; ++part) {
    Floats values(program_.rows() * d);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = qkv[i / d * 3 * d + part * d + i % d];
    if (Status status = quantise(kinds[part], block, values); !status) return status.error();
  }
  Floats row_max(program_.rows() * gpt.heads);
  Floats row_sum(row_max.size());
  Floats mixed(program_.rows() * d);
  for (uint32_t b = 0; b < program_.spec().batch; ++b)
    for (uint32_t a = 0; a < gpt.heads; ++a)
      if (Status status = attend_head({block, b, a}, row_max, row_sum, mixed); !status)
        return status.error();
  if (Status status = keep(TensorKind::row_max, block, std::move(row_max)); !status)
    return status.error();
  if (Status status = keep(TensorKind::row_sum, block, std::move(row_sum)); !status)
    return status.error();
  return mixed;
}

// S_ij for j <= i.
Floats GptReferenceEngine::scores_of(const HeadAt& at, uint32_t i) const {
  const GptShape& gpt = program_.spec().gpt;
  const size_t d = gpt.head_width();
  const Ints& q = ints(TensorKind::q, at.block);
  const Ints& k = ints(TensorKind::k, at.block);
  const Floats& sq = floats(TensorKind::sq, at.block);
  const Floats& sk = floats(TensorKind::sk, at.block);
  const size_t first = size_t{at.sequence} * gpt.context;
  const auto column = [&](size_t t) { return t * gpt.width + at.head * d; };
  Floats scores(i + 1);
  for (size_t j = 0; j <= i; ++j) {
    const auto acc = static_cast<float>(dot(&q[column(first + i)], 1, &k[column(first + j)], 1, d));
    scores[j] =
        acc * (sq[(first + i) * gpt.heads + at.head] * sk[(first + j) * gpt.heads + at.head]);
  }
  return scores;
}

std::vector<int32_t> GptReferenceEngine::weights_of(const HeadAt& at, uint32_t i, float max) const {
  const float rate = attention_rate(program_.spec().gpt.head_width());
  std::vector<int32_t> weights;
  for (const float score : scores_of(at, i))
    weights.push_back(attention_weight(score, max, rate));
  return weights;
}

Status GptReferenceEngine::attend_head(const HeadAt& at, Floats& row_max, Floats& row_sum,
                                       Floats& mixed) const {
  const GptShape& gpt = program_.spec().gpt;
  const size_t d = gpt.head_width();
  const Ints& v = ints(TensorKind::v, at.block);
  const Floats& sv = floats(TensorKind::sv, at.block);
  for (uint32_t i = 0; i < gpt.context; ++i) {
    const size_t t = size_t{at.sequence} * gpt.context + i;
    const Floats scores = scores_of(at, i);
    float max = scores[0];
    for (const float score : scores) {
      if (!std::isfinite(score))
        return Error{Errc::invalid, "NaN or infinity in a score of m_" + std::to_string(at.block)};
      max = score > max ? score : max;
    }
    max = max + 0.0F;
    const std::vector<int32_t> weights = weights_of(at, i, max);
    int32_t sum = 0;
    for (const int32_t weight : weights)
      sum += weight;
    const auto l = static_cast<float>(sum);
    row_max[t * gpt.heads + at.head] = max;
    row_sum[t * gpt.heads + at.head] = l;
    for (size_t c = 0; c < d; ++c) {
      const size_t column = at.head * d + c;
      int32_t acc = 0;
      for (size_t j = 0; j <= i; ++j)
        acc += weights[j] * v[(t - i + j) * gpt.width + column];
      mixed[t * gpt.width + column] =
          (static_cast<float>(acc) * sv[at.sequence * size_t{gpt.width} + column]) * (1.0F / l);
    }
  }
  return Ok{};
}

Result<float> GptReferenceEngine::loss() {
  const GptShape& gpt = program_.spec().gpt;
  const size_t rows = program_.rows();
  const size_t v = gpt.vocabulary;
  const size_t groups = gpt.loss_groups();
  const float inv_t = 1.0F / static_cast<float>(rows);
  Floats maxima(rows * groups);
  Floats sums(rows * groups);
  Floats e(v);
  nll_.resize(rows);
  d_logits_.resize(rows * v);
  for (size_t t = 0; t < rows; ++t) {
    const float* const z = &logits_[t * v];
    float* const mu = &maxima[t * groups];
    for (size_t g = 0; g < groups; ++g) {
      const size_t end = std::min<size_t>(v, (g + 1) * kLossGroup);
      float most = z[g * kLossGroup];
      for (size_t c = g * kLossGroup; c < end; ++c)
        most = z[c] > most ? z[c] : most;
      mu[g] = most + 0.0F;
    }
    const float max = *std::max_element(mu, mu + groups);
    for (size_t c = 0; c < v; ++c)
      e[c] = gn_exp(z[c] - max);
    float sum = 0.0F;
    for (size_t g = 0; g < groups; ++g) {
      const size_t count = std::min<size_t>(kLossGroup, v - g * kLossGroup);
      sums[t * groups + g] = rowsum(&e[g * kLossGroup], count);
      sum += sums[t * groups + g];
    }
    nll_[t] = gn_log(sum) - (z[targets_[t]] - max);
    for (size_t c = 0; c < v; ++c)
      d_logits_[t * v + c] = logit_gradient(z[c], max, sum, c == targets_[t], inv_t);
  }
  if (Status status = keep(TensorKind::loss_max, 0, std::move(maxima)); !status)
    return status.error();
  if (Status status = keep(TensorKind::loss_sum, 0, std::move(sums)); !status)
    return status.error();
  const float mean = longsum(nll_.data(), rows) * inv_t;
  if (!std::isfinite(mean)) return Error{Errc::invalid, "NaN or infinity in the loss"};
  return mean;
}

}  // namespace gemmine::kernels
