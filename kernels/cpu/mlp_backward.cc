// Backward and optimiser of the CPU engine (PROTOCOL 3.3, 3.4).
#include <algorithm>

#include "kernels/cpu/mlp_engine.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels {

Status CpuEngine::backward() {
  for (uint32_t l = program_.layers(); l-- > 0;) {
    if (Status status = quantise_gradient(l); !status) return status.error();
    if (l > 0) pass_gradient_down(l);
    update_weights(l);
    if (Status status = update_biases(l); !status) return status.error();
  }
  return Ok{};
}

// db, PB, and the maxima of G2's columns.
void CpuEngine::sum_columns(Layer& layer) {
  const OpTimer timer(profile_, StepOp::column_sums);
  const size_t n = layer.outputs;
  for_each_row((n + kStripColumns - 1) / kStripColumns, [&](size_t strip) {
    const size_t col = strip * kStripColumns;
    const size_t count = std::min(kStripColumns, n - col);
    passes_->columns(layer.dy.data() + col, n, batch_rows_, count, layer.sx.data(),
                     layer.db.data() + col, layer.db_parts.data() + col, layer.g2_max.data() + col);
  });
}

// G1, G2, their scales, and db.
Status CpuEngine::quantise_gradient(uint32_t l) {
  Layer& layer = layers_[l];
  const size_t n = layer.outputs;
  sum_columns(layer);
  const OpTimer timer(profile_, StepOp::quantise_gradients);
  for (size_t c = 0; c < n; ++c) {
    if (layer.g2_max[c] >= kNotFinite) return not_finite("the gradient by column", l);
    const Scale scale = scale_of(layer.g2_max[c]);
    layer.s2[c] = scale.s;
    layer.inv2[c] = scale.inv;
  }
  const uint64_t seed = program_.spec().sr_seed;
  const StochasticKey key1{seed, l * 16 + static_cast<uint32_t>(TensorKind::g1), step_id_};
  const StochasticKey key2{seed, l * 16 + static_cast<uint32_t>(TensorKind::g2), step_id_};
  const auto quantise = [&](size_t t) {
    const float* const dy = layer.dy.data() + t * n;
    const uint32_t counter = stochastic_counter(t, n);
    passes_->quantise_g2(dy, layer.sx[t], layer.inv2.data(), key2, counter, n,
                         layer.g2.data() + t * n);
    if (l == 0) return;
    const uint32_t max = passes_->scaled_absmax(dy, layer.sw.data(), n);
    raise(worst_, max);
    const Scale scale = scale_of(max < kNotFinite ? max : 0);
    layer.s1[t] = scale.s;
    passes_->quantise_g1(dy, layer.sw.data(), scale.inv, key1, counter, n, layer.g1.data() + t * n);
  };
  if (l > 0) {
    for_each_committed_row(batch_rows_, {{TensorKind::g1, l}, {TensorKind::g2, l}}, quantise);
  } else {
    for_each_committed_row(batch_rows_, {{TensorKind::g2, l}}, quantise);
  }
  if (worst_ >= kNotFinite) return not_finite("the gradient by row", l);
  return Ok{};
}

// dX, masked into the dY of the layer below.
void CpuEngine::pass_gradient_down(uint32_t l) {
  Layer& layer = layers_[l];
  Layer& below = layers_[l - 1];
  {
    const OpTimer timer(profile_, StepOp::pack_input_gradient);
    pack(by_rows(layer.g1.data(), layer.outputs), batch_rows_, layer.outputs, Side::left,
         layer.g1_rows, pool_);
    pack(by_columns(layer.w.data(), layer.inputs), layer.inputs, layer.outputs, Side::right,
         layer.w_columns, pool_);
  }
  const auto epilogue = [&](size_t row0, size_t rows, size_t col0, size_t cols, const int32_t* tile,
                            size_t ld) {
    for (size_t r = 0; r < rows; ++r) {
      const size_t at = (row0 + r) * layer.inputs + col0;
      passes_->backward(tile + r * ld, cols, layer.s1[row0 + r], below.y.data() + at,
                        below.dy.data() + at);
    }
  };
  const OpTimer timer(profile_, StepOp::input_gradient);
  matmul(layer.g1_rows, layer.w_columns, epilogue_of(epilogue), pool_);
}

// dW is never stored: each piece of the product goes straight through the optimiser, which also
// measures the new weights for the next step's quantisation.
void CpuEngine::update_weights(uint32_t l) {
  Layer& layer = layers_[l];
  {
    const OpTimer timer(profile_, StepOp::pack_weight_gradient);
    pack(by_columns(layer.g2.data(), layer.outputs), layer.outputs, batch_rows_, Side::left,
         layer.g2_columns, pool_);
    pack(by_columns(layer.x.data(), layer.inputs), layer.inputs, batch_rows_, Side::right,
         layer.x_columns, pool_);
  }
  std::fill(layer.w_max.begin(), layer.w_max.end(), 0);
  const Masters all = masters(program_.weight_offset(l));
  const auto epilogue = [&](size_t row0, size_t rows, size_t col0, size_t cols, const int32_t* tile,
                            size_t ld) {
    uint32_t worst = 0;
    for (size_t r = 0; r < rows; ++r) {
      const size_t n = row0 + r;
      const size_t at = n * layer.inputs + col0;
      const Masters here{all.w + at, all.m + at, all.v == nullptr ? nullptr : all.v + at};
      const RowMaxima max = passes_->update_weights(tile + r * ld, cols, layer.s2[n], rates_, here);
      raise(layer.w_max[n], max.result);
      worst = std::max(worst, max.all);
    }
    raise(worst_, worst);
  };
  const OpTimer timer(profile_, StepOp::weight_gradient);
  matmul(layer.g2_columns, layer.x_columns, epilogue_of(epilogue), pool_);
}

Status CpuEngine::update_biases(uint32_t l) {
  Layer& layer = layers_[l];
  const RowMaxima max = passes_->update(layer.db.data(), layer.outputs, 1.0F, false, rates_,
                                        masters(program_.bias_offset(l)));
  if (std::max(worst_, max.all) >= kNotFinite) return not_finite("the new state", l);
  return Ok{};
}

}  // namespace gemmine::kernels
