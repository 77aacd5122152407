// PROTOCOL 10.6.
#include <algorithm>

#include "kernels/numbers/philox.h"
#include "kernels/numbers/rederive.h"
#include "kernels/numbers/rows.h"
#include "kernels/reference/gpt.h"

namespace gemmine::kernels {

using Floats = std::vector<float>;

// dX of 3.3; dW and db go to gradient_.
Result<Floats> GptReferenceEngine::linear_gradient(uint32_t index, const Floats& dy) {
  const LinearInfo& shape = program_.linears()[index];
  const size_t rows = program_.rows();
  const size_t n = shape.outputs;
  const size_t k = shape.inputs;
  const Floats& sx = floats(TensorKind::sx, index);
  const Floats& sw = floats(TensorKind::sw, index);
  Floats v1(rows * n);
  Floats v2(rows * n);
  for (size_t i = 0; i < v1.size(); ++i) {
    v1[i] = dy[i] * sw[i % n];
    v2[i] = dy[i] * sx[i / n];
  }
  if (Status status = quantise(TensorKind::g1, index, v1); !status) return status.error();
  if (Status status = quantise(TensorKind::g2, index, v2); !status) return status.error();
  const Ints& x = ints(TensorKind::x, index);
  const Ints& w = ints(TensorKind::w, index);
  const Ints& g1 = ints(TensorKind::g1, index);
  const Ints& g2 = ints(TensorKind::g2, index);
  const Floats& s1 = floats(TensorKind::s1, index);
  const Floats& s2 = floats(TensorKind::s2, index);
  float* const dw = &gradient_[program_.weight_offset(index)];
  for (size_t i = 0; i < n * k; ++i)
    dw[i] = static_cast<float>(dot(&g2[i / k], n, &x[i % k], k, rows)) * s2[i / k];
  if (shape.has_bias) {
    float* const db = &gradient_[program_.bias_offset(index)];
    if (Status status = keep_parts(TensorKind::bias_parts, index, dy, db); !status)
      return status.error();
  }
  Floats dx(rows * k);
  for (size_t i = 0; i < dx.size(); ++i)
    dx[i] = static_cast<float>(dot(&g1[i / k * n], 1, &w[i % k], k, n)) * s1[i / k];
  return dx;
}

// The sums of runs of 32 rows of x, and to `sums` their sums.
Status GptReferenceEngine::keep_parts(TensorKind kind, uint32_t layer, const Floats& x,
                                      float* sums) {
  const size_t cols = info(kind, layer).cols;
  Floats parts = run_sums(x, cols);
  const Floats all = sum_of_runs(parts, cols);
  std::copy(all.begin(), all.end(), sums);
  return keep(kind, layer, std::move(parts));
}

Result<Floats> GptReferenceEngine::norm_gradient(uint32_t index, Floats d_value) {
  const GptShape& gpt = program_.spec().gpt;
  const size_t d = gpt.width;
  const size_t rows = program_.rows();
  const NormRows& forward = norms_.at(index);
  const float* const gain = floats(TensorKind::gain, index).data();
  if (Status status = keep(TensorKind::d_norm, index, d_value); !status) return status.error();
  Floats product(d_value.size());
  for (size_t i = 0; i < product.size(); ++i)
    product[i] = d_value[i] * forward.normed[i];
  float* const d_gain = &gradient_[program_.gain_offset(index)];
  if (Status status = keep_parts(TensorKind::gain_parts, index, product, d_gain); !status)
    return status.error();
  if (gpt.norm == Norm::layer) {
    Status status = keep_parts(TensorKind::shift_parts, index, d_value, d_gain + d);
    if (!status) return status.error();
  }
  Floats out(d_value.size());
  Floats scratch(d);
  for (size_t t = 0; t < rows; ++t)
    norm_gradient_row(gpt.norm, &d_value[t * d], gain, &forward.normed[t * d], forward.rate[t], d,
                      scratch.data(), &out[t * d]);
  return out;
}

Status GptReferenceEngine::backward() {
  const GptShape& gpt = program_.spec().gpt;
  gradient_.assign(program_.parameters(), 0.0F);
  auto d_value = linear_gradient(gpt.head_linear(), d_logits_);
  if (!d_value) return d_value.error();
  auto d_residual = norm_gradient(gpt.last_norm(), std::move(d_value.value()));
  if (!d_residual) return d_residual.error();
  if (Status status = keep(TensorKind::d_residual, gpt.blocks, d_residual.value()); !status)
    return status;
  for (uint32_t block = gpt.blocks; block-- > 0;) {
    d_residual = block_gradient(block, d_residual.value());
    if (!d_residual) return d_residual.error();
    if (Status status = keep(TensorKind::d_residual, block, d_residual.value()); !status)
      return status;
  }
  embedding_gradient(d_residual.value());
  return Ok{};
}

Result<Floats> GptReferenceEngine::block_gradient(uint32_t i, const Floats& d_residual) {
  auto d_up = linear_gradient(4 * i + 3, d_residual);
  if (!d_up) return d_up.error();
  const Floats& up = activated_.at(i);
  for (size_t e = 0; e < up.size(); ++e)
    d_up.value()[e] = d_up.value()[e] * activate(program_.spec().gpt.activation, up[e]).slope;
  auto d_value = linear_gradient(4 * i + 2, d_up.value());
  if (!d_value) return d_value.error();
  auto back = norm_gradient(2 * i + 1, std::move(d_value.value()));
  if (!back) return back.error();
  Floats middle(d_residual.size());
  for (size_t e = 0; e < middle.size(); ++e)
    middle[e] = d_residual[e] + back.value()[e];

  auto d_mixed = linear_gradient(4 * i + 1, middle);
  if (!d_mixed) return d_mixed.error();
  auto d_qkv = attention_gradient(i, d_mixed.value());
  if (!d_qkv) return d_qkv.error();
  d_value = linear_gradient(4 * i, d_qkv.value());
  if (!d_value) return d_value.error();
  back = norm_gradient(2 * i, std::move(d_value.value()));
  if (!back) return back.error();
  for (size_t e = 0; e < middle.size(); ++e)
    middle[e] = middle[e] + back.value()[e];
  return middle;
}

Result<Floats> GptReferenceEngine::attention_gradient(uint32_t block, const Floats& d_mixed) {
  const GptShape& gpt = program_.spec().gpt;
  const size_t rows = program_.rows();
  const size_t d = gpt.width;
  const Floats& mixed = mixed_.at(block);
  const Floats& sv = floats(TensorKind::sv, block);
  const Floats& l = floats(TensorKind::row_sum, block);
  Floats delta(rows * gpt.heads);
  Floats product(gpt.head_width());
  for (size_t t = 0; t < rows; ++t)
    for (size_t a = 0; a < gpt.heads; ++a) {
      for (size_t c = 0; c < product.size(); ++c) {
        const size_t at = t * d + a * product.size() + c;
        product[c] = d_mixed[at] * mixed[at];
      }
      delta[t * gpt.heads + a] = rowsum(product.data(), product.size());
    }
  if (Status status = keep(TensorKind::delta_dot, block, std::move(delta)); !status)
    return status.error();
  Floats by_row(rows * d);
  Floats by_column(rows * d);
  for (size_t i = 0; i < by_row.size(); ++i) {
    const size_t t = i / d;
    const size_t c = i % d;
    by_row[i] = d_mixed[i] * sv[t / gpt.context * d + c];
    by_column[i] = d_mixed[i] * (1.0F / l[t * gpt.heads + c / gpt.head_width()]);
  }
  if (Status status = quantise(TensorKind::ho, block, by_row); !status) return status.error();
  if (Status status = quantise(TensorKind::go, block, by_column); !status) return status.error();
  Floats d_qkv(rows * 3 * d);
  for (uint32_t b = 0; b < program_.spec().batch; ++b)
    for (uint32_t a = 0; a < gpt.heads; ++a)
      if (Status status = head_gradient({block, b, a}, d_qkv); !status) return status.error();
  return d_qkv;
}

Status GptReferenceEngine::head_gradient(const HeadAt& at, Floats& d_qkv) {
  const GptShape& gpt = program_.spec().gpt;
  const size_t count = gpt.context;
  const size_t d = gpt.head_width();
  const size_t first = at.sequence * count;
  const float rate = attention_rate(gpt.head_width());
  const auto scalar = [&](TensorKind kind, size_t i) {
    return floats(kind, at.block)[(first + i) * gpt.heads + at.head];
  };
  const auto row = [&](TensorKind kind, size_t i) {
    return &ints(kind, at.block)[(first + i) * gpt.width + at.head * d];
  };
  std::vector<int32_t> weights(count * count, 0);  // Π, then dS of the same pairs
  Floats ds(count * count, 0.0F);
  std::vector<uint32_t> max1(count, 0);
  std::vector<uint32_t> max2(count, 0);
  for (uint32_t i = 0; i < count; ++i) {
    const std::vector<int32_t> of_row = weights_of(at, i, scalar(TensorKind::row_max, i));
    const float inv_l = 1.0F / scalar(TensorKind::row_sum, i);
    for (size_t j = 0; j <= i; ++j) {
      weights[i * count + j] = of_row[j];
      const auto acc =
          static_cast<float>(dot(row(TensorKind::ho, i), 1, row(TensorKind::v, j), 1, d));
      const float d_weight = acc * scalar(TensorKind::sh, i);
      const float s =
          score_gradient(of_row[j], inv_l, d_weight, scalar(TensorKind::delta_dot, i), rate);
      ds[i * count + j] = s;
      max1[i] = std::max(max1[i], magnitude(s * scalar(TensorKind::sk, j)));
      max2[j] = std::max(max2[j], magnitude(s * scalar(TensorKind::sq, i)));
    }
  }
  for (size_t i = 0; i < count; ++i)
    if (max1[i] >= kNotFinite || max2[i] >= kNotFinite)
      return Error{Errc::invalid, "NaN or infinity in the attention gradient of block " +
                                      std::to_string(at.block)};
  const uint64_t seed = program_.spec().sr_seed;
  const StochasticKey key1{seed, 64 * at.block + 11, step_id_};
  const StochasticKey key2{seed, 64 * at.block + 12, step_id_};
  Ints u1(count * count, 0);
  Ints u2(count * count, 0);
  for (uint32_t i = 0; i < count; ++i)
    for (uint32_t j = 0; j <= i; ++j) {
      const auto r = static_cast<uint32_t>((first + i) * gpt.heads + at.head);
      const float s = ds[i * count + j];
      u1[i * count + j] = round_stochastic(s * scalar(TensorKind::sk, j), scale_of(max1[i]).inv,
                                           stochastic_u16(key1, r, j, gpt.context));
      u2[i * count + j] = round_stochastic(s * scalar(TensorKind::sq, i), scale_of(max2[j]).inv,
                                           stochastic_u16(key2, r, j, gpt.context));
    }
  const Floats& sg = floats(TensorKind::sg, at.block);
  for (size_t i = 0; i < count; ++i)
    for (size_t c = 0; c < d; ++c) {
      float* const out = &d_qkv[(first + i) * 3 * gpt.width + at.head * d + c];
      const int32_t dq = dot(&u1[i * count], 1, row(TensorKind::k, 0) + c, gpt.width, i + 1);
      int32_t dk = 0;
      int32_t dv = 0;
      for (size_t later = i; later < count; ++later) {
        dk += u2[later * count + i] * row(TensorKind::q, later)[c];
        dv += weights[later * count + i] * row(TensorKind::go, later)[c];
      }
      out[0] = static_cast<float>(dq) * scale_of(max1[i]).s;
      out[gpt.width] = static_cast<float>(dk) * scale_of(max2[i]).s;
      out[2 * gpt.width] =
          static_cast<float>(dv) * sg[at.sequence * size_t{gpt.width} + at.head * d + c];
    }
  return Ok{};
}

void GptReferenceEngine::embedding_gradient(const Floats& d_residual) {
  const GptShape& gpt = program_.spec().gpt;
  const size_t d = gpt.width;
  Floats d_tokens(gpt.vocabulary * d, 0.0F);
  float* const d_places = &gradient_[gpt.vocabulary * d];
  for (size_t t = 0; t < program_.rows(); ++t)
    for (size_t c = 0; c < d; ++c) {
      d_tokens[inputs_[t] * d + c] += d_residual[t * d + c];
      d_places[t % gpt.context * d + c] += d_residual[t * d + c];
    }
  for (size_t i = 0; i < d_tokens.size(); ++i)
    gradient_[i] = gpt.tied ? gradient_[i] + d_tokens[i] : d_tokens[i];
}

}  // namespace gemmine::kernels
