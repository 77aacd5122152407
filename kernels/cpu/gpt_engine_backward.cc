// Backward of the gpt engine (PROTOCOL 10.6).
#include <algorithm>

#include "kernels/cpu/gpt_engine.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels {

Status GptCpuEngine::backward() {
  const GptShape& gpt = program_.spec().gpt;
  const uint32_t head = gpt.head_linear();
  if (Status status = gradient_columns(head, wide_.data()); !status) return status;
  if (Status status = norm_into(gpt.last_norm(), head); !status) return status;
  if (Status status = norm_back(gpt.last_norm(), nullptr, d_residuals_[gpt.blocks].data()); !status)
    return status;
  for (uint32_t block = gpt.blocks; block-- > 0;)
    if (Status status = block_gradient(block); !status) return status;
  embedding_gradient();
  return Ok{};
}

// The dX of a linear behind a norm is N, the gradient of the norm's value.
Status GptCpuEngine::norm_into(uint32_t norm, uint32_t index) {
  const Linear& linear = linears_[index];
  pass_down(index, [&](size_t t, size_t col, size_t cols, const int32_t* acc) {
    raise(worst_,
          gpt_->scale(acc, cols, linear.s1[t], norms_[norm].gradient.data() + t * width_ + col));
  });
  weight_gradient(index);
  return finite(TensorKind::d_norm, norm);
}

// out = above + norm'(N; R), which is dY of the linear in front of that residual: its G1 too. What
// `out` is, D or M, follows from the norm.
Status GptCpuEngine::norm_back(uint32_t norm, const float* above, float* out) {
  const OpTimer timer(profile_, StepOp::column_sums);
  const GptShape& gpt = program_.spec().gpt;
  const bool makes_d = norm % 2 == 0;
  const uint32_t d_index = norm / 2;  // of D, where it makes one
  const uint32_t next = makes_d ? 4 * d_index - 1 : 2 * (norm - 1) + 1;
  const bool has_next = norm > 0;
  const NormWeights weights = norm_weights(norm);
  const bool is_layer = gpt.norm == Norm::layer;
  NormPlace& place = norms_[norm];
  if (has_next) std::fill(linears_[next].maxima.begin(), linears_[next].maxima.end(), 0);
  const auto rows = [&](const Run& run, Scratch& scratch) {
    uint32_t worst = 0;
    for (size_t t = run.first; t < run.end; ++t) {
      const size_t part = t / kColumnSumRun * width_;
      float* const gain = place.gain_parts.data() + part;
      float* const shift = is_layer ? place.shift_parts.data() + part : nullptr;
      if (t % kColumnSumRun == 0) {
        std::fill_n(gain, width_, 0.0F);
        if (is_layer) std::fill_n(shift, width_, 0.0F);
      }
      const size_t at = t * width_;
      worst = std::max(worst, gpt_->norm_gradient(weights, residuals_[norm].data() + at,
                                                  place.gradient.data() + at,
                                                  {.above = above == nullptr ? nullptr : above + at,
                                                   .out = out + at,
                                                   .gain = gain,
                                                   .shift = shift,
                                                   .scratch = scratch.row.data()}));
    }
    raise(worst_, worst);
    if (has_next) gradient_rows(next, run, out, scratch);
  };
  if (!has_next) {
    for_each_run(runs_, {{TensorKind::d_norm, norm}, {TensorKind::d_residual, d_index}}, rows);
  } else if (makes_d) {
    for_each_run(
        runs_,
        {{TensorKind::d_norm, norm}, {TensorKind::d_residual, d_index}, {TensorKind::g1, next}},
        rows);
  } else {
    for_each_run(runs_, {{TensorKind::d_norm, norm}, {TensorKind::g1, next}}, rows);
  }
  sum_runs(TensorKind::gain_parts, norm, place.gain_parts, gain_gradient(norm));
  if (is_layer)
    sum_runs(TensorKind::shift_parts, norm, place.shift_parts, gain_gradient(norm) + width_);
  return finite(TensorKind::d_residual, d_index, "the gradient near ");
}

// G1 of some rows of dY, and their share of G2's maxima and of db.
void GptCpuEngine::gradient_rows(uint32_t index, const Run& run, const float* dy,
                                 Scratch& scratch) {
  Linear& linear = linears_[index];
  const size_t n = linear.outputs;
  const StochasticKey key{program_.spec().sr_seed,
                          16 * index + static_cast<uint32_t>(TensorKind::g1), step_id_};
  std::fill_n(scratch.maxima.begin(), n, 0);
  for (size_t t = run.first; t < run.end; ++t) {
    const float* const row = dy + t * n;
    const uint32_t max = passes_->scaled_absmax(row, linear.sw.data(), n);
    raise(worst_, max);
    const Scale scale = scale_of(max < kNotFinite ? max : 0);
    linear.s1[t] = scale.s;
    passes_->quantise_g1(row, linear.sw.data(), scale.inv, key, stochastic_counter(t, n), n,
                         linear.g1.data() + t * n);
    float* const sums = linear.db_parts.data() + t / kColumnSumRun * n;
    if (t % kColumnSumRun == 0) std::fill_n(sums, n, 0.0F);
    gpt_->column_step(row, n, linear.sx[t], sums, scratch.maxima.data());
  }
  for (size_t c = 0; c < n; ++c)
    raise(linear.maxima[c], scratch.maxima[c]);
}

// G2, by now known columns, and db.
Status GptCpuEngine::gradient_columns(uint32_t index, const float* dy) {
  const OpTimer timer(profile_, StepOp::quantise_gradients);
  Linear& linear = linears_[index];
  const size_t n = linear.outputs;
  for (size_t c = 0; c < n; ++c) {
    worst_ = std::max(worst_, linear.maxima[c]);
    const Scale scale = scale_of(linear.maxima[c] < kNotFinite ? linear.maxima[c] : 0);
    linear.s2[c] = scale.s;
    linear.inv2[c] = scale.inv;
  }
  if (Status status = finite(TensorKind::g2, index, "what is made G1 or "); !status) return status;
  const StochasticKey key{program_.spec().sr_seed,
                          16 * index + static_cast<uint32_t>(TensorKind::g2), step_id_};
  for_each_run(runs_, {{TensorKind::g2, index}}, [&](const Run& run, Scratch&) {
    for (size_t t = run.first; t < run.end; ++t)
      passes_->quantise_g2(dy + t * n, linear.sx[t], linear.inv2.data(), key,
                           stochastic_counter(t, n), n, linear.g2.data() + t * n);
  });
  if (!linear.b.empty())
    sum_runs(TensorKind::bias_parts, index, linear.db_parts,
             gradient_of(program_.linears()[index].weight + 1));
  return Ok{};
}

// The end of colsum: the sums of runs of 32 rows, in order. Commits to them where they are whole
// chunks.
void GptCpuEngine::sum_runs(TensorKind kind, uint32_t layer, const Floats& parts, float* out) {
  const uint32_t position = program_.position(kind, layer);
  const TensorInfo& tensor = program_.tensors()[position];
  const size_t count = tensor.cols;
  const bool commits = commits_ && hashed_in_parts(tensor);
  constexpr size_t kColumns = 256;  // four panels: as many chunks as there are runs
  static_assert(kColumns * sizeof(float) == kChunkBytes);
  pool_.run((count + kColumns - 1) / kColumns, [&](size_t task) {
    const size_t first = task * kColumns;
    const size_t columns = std::min(kColumns, count - first);
    std::fill_n(out + first, columns, 0.0F);
    for (size_t part = 0; part < tensor.rows; ++part)
      gpt_->add(out + first, parts.data() + part * count + first, columns, out + first);
    if (commits)
      forest_.hash_chunks(
          position, {task * tensor.rows,
                     std::min<uint64_t>((task + 1) * tensor.rows, tensor.bytes() / kChunkBytes)});
  });
}

void GptCpuEngine::weight_gradient(uint32_t index) {
  const OpTimer timer(profile_, StepOp::weight_gradient);
  Linear& linear = linears_[index];
  const size_t k = linear.inputs;
  const uint32_t parameter = program_.linears()[index].weight;
  const bool updates = fused_ && program_.parameter_list()[parameter].kind == ParameterKind::weight;
  if (updates) std::fill(linear.w_max.begin(), linear.w_max.end(), 0);
  float* const kept = updates ? nullptr : gradient_of(parameter);
  const Masters all = masters(program_.weight_offset(index));
  const auto epilogue = [&](size_t row0, size_t rows, size_t col0, size_t cols, const int32_t* tile,
                            size_t ld) {
    for (size_t r = 0; r < rows; ++r) {
      const size_t n = row0 + r;
      const size_t at = n * k + col0;
      if (!updates) {
        gpt_->scale(tile + r * ld, cols, linear.s2[n], kept + at);
        continue;
      }
      const Masters here{all.w + at, all.m + at, all.v == nullptr ? nullptr : all.v + at};
      const RowMaxima max =
          passes_->update_weights(tile + r * ld, cols, linear.s2[n], rates_, here);
      raise(linear.w_max[n], max.result);
      raise(worst_, max.all);
    }
  };
  matmul(by_columns(linear.g2.data(), linear.outputs), by_columns(linear.x.data(), k),
         linear.outputs, k, rows_, packed_, epilogue_of(epilogue), pool_);
}

// dY of down is D_{i+1}, whose G1 is there already; so is that of o when M is.
Status GptCpuEngine::block_gradient(uint32_t i) {
  const Linear& down = linears_[4 * i + 3];
  if (Status status = gradient_columns(4 * i + 3, d_residuals_[i + 1].data()); !status)
    return status;
  pass_down(4 * i + 3, [&](size_t t, size_t col, size_t cols, const int32_t* acc) {
    const size_t at = t * down.inputs + col;
    gpt_->scale_slope(acc, cols, down.s1[t], blocks_[i].slope.data() + at, wide_.data() + at);
  });
  weight_gradient(4 * i + 3);
  if (Status status = wide_gradient(4 * i + 2); !status) return status;
  if (Status status = norm_into(2 * i + 1, 4 * i + 2); !status) return status;
  if (Status status = norm_back(2 * i + 1, d_residuals_[i + 1].data(), middle_.data()); !status)
    return status;

  const Linear& out = linears_[4 * i + 1];
  if (Status status = gradient_columns(4 * i + 1, middle_.data()); !status) return status;
  pass_down(4 * i + 1, [&](size_t t, size_t col, size_t cols, const int32_t* acc) {
    gpt_->scale(acc, cols, out.s1[t], d_mixed_.data() + t * width_ + col);
  });
  weight_gradient(4 * i + 1);
  if (Status status = attention_gradient(i); !status) return status;
  if (Status status = wide_gradient(4 * i); !status) return status;
  if (Status status = norm_into(2 * i, 4 * i); !status) return status;
  return norm_back(2 * i, middle_.data(), d_residuals_[i].data());
}

// G1, G2 and db of a linear whose dY is in wide_.
Status GptCpuEngine::wide_gradient(uint32_t index) {
  std::fill(linears_[index].maxima.begin(), linears_[index].maxima.end(), 0);
  {
    const OpTimer timer(profile_, StepOp::quantise_gradients);
    for_each_run(runs_, {{TensorKind::g1, index}}, [&](const Run& run, Scratch& scratch) {
      gradient_rows(index, run, wide_.data(), scratch);
    });
  }
  return gradient_columns(index, wide_.data());
}

}  // namespace gemmine::kernels
