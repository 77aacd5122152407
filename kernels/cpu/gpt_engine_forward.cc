// Forward and loss of the gpt engine (PROTOCOL 10.4, 10.5).
#include <algorithm>
#include <cstring>

#include "kernels/cpu/gpt_engine.h"
#include "kernels/hash/chunk_source.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels {

Status GptCpuEngine::forward() {
  const GptShape& gpt = program_.spec().gpt;
  for (uint32_t block = 0; block < gpt.blocks; ++block)
    if (Status status = run_block(block); !status) return status;
  if (Status status = normalise(gpt.last_norm(), gpt.head_linear()); !status) return status;
  const Linear& head = linears_[gpt.head_linear()];
  multiply_forward(gpt.head_linear(), [&](size_t t, size_t col, size_t cols, const int32_t* acc) {
    gpt_->logits(acc, cols, head.sx[t], head.sw.data() + col,
                 wide_.data() + t * head.outputs + col);
  });
  return Ok{};
}

Status GptCpuEngine::run_block(uint32_t i) {
  if (Status status = normalise(2 * i, 4 * i); !status) return status;
  Linear& qkv = linears_[4 * i];
  multiply_forward(4 * i, [&](size_t t, size_t col, size_t cols, const int32_t* acc) {
    passes_->forward(acc, cols, qkv.sx[t], qkv.sw.data() + col, qkv.b.data() + col, false,
                     wide_.data() + t * qkv.outputs + col);
  });
  if (Status status = quantise_qkv(i); !status) return status;
  if (Status status = attend(i); !status) return status;
  if (Status status = add_to_residual(4 * i + 1, 2 * i + 1); !status) return status;

  if (Status status = normalise(2 * i + 1, 4 * i + 2); !status) return status;
  Linear& up = linears_[4 * i + 2];
  Linear& down = linears_[4 * i + 3];
  const Activation activation = program_.spec().gpt.activation;
  std::fill(down.maxima.begin(), down.maxima.end(), 0);
  multiply_forward(4 * i + 2, [&](size_t t, size_t col, size_t cols, const int32_t* acc) {
    const size_t at = t * up.outputs + col;
    raise(down.maxima[t],
          gpt_->activate(activation, acc, cols, up.sx[t], up.sw.data() + col, up.b.data() + col,
                         wide_.data() + at, blocks_[i].slope.data() + at));
  });
  {
    const OpTimer timer(profile_, StepOp::quantise_inputs);
    for_each_run(runs_, {{TensorKind::x, 4 * i + 3}}, [&](const Run& run, Scratch&) {
      for (size_t t = run.first; t < run.end; ++t)
        quantise_row(4 * i + 3, t, wide_.data() + t * down.inputs, down.maxima[t]);
    });
  }
  if (Status status = finite(TensorKind::x, 4 * i + 3, "what is made "); !status) return status;
  return add_to_residual(4 * i + 3, 2 * i + 2);
}

void GptCpuEngine::quantise_row(uint32_t index, size_t t, const float* x, uint32_t max) {
  Linear& linear = linears_[index];
  raise(worst_, max);
  const Scale scale = scale_of(max < kNotFinite ? max : 0);
  linear.sx[t] = scale.s;
  passes_->quantise_nearest(x, linear.inputs, scale.inv, linear.x.data() + t * linear.inputs);
}

// X of the linear behind a norm, from the norm's residual, which for the first is E + P.
Status GptCpuEngine::normalise(uint32_t norm, uint32_t linear) {
  const OpTimer timer(profile_, StepOp::quantise_inputs);
  const GptShape& gpt = program_.spec().gpt;
  NormPlace& place = norms_[norm];
  const float* const gain = state_.data() + program_.gain_offset(norm);
  std::copy_n(gain, width_, place.gain.begin());
  if (gpt.norm == Norm::layer) std::copy_n(gain + width_, width_, place.shift.begin());
  const NormWeights weights = norm_weights(norm);
  Floats& residual = residuals_[norm];
  for_each_run(runs_, {{TensorKind::residual, norm}, {TensorKind::x, linear}},
               [&](const Run& run, Scratch& scratch) {
                 float* const value = scratch.row.data();
                 for (size_t t = run.first; t < run.end; ++t) {
                   float* const row = residual.data() + t * width_;
                   if (norm == 0) {
                     const float* const place_row =
                         state_.data() + (gpt.vocabulary + t % gpt.context) * width_;
                     raise(worst_,
                           gpt_->add(state_.data() + inputs_[t] * width_, place_row, width_, row));
                   }
                   const uint32_t max = gpt_->norm(weights, row, value + width_, value);
                   quantise_row(linear, t, value, max);
                 }
               });
  return finite(TensorKind::x, linear, "R or what is made ");
}

void GptCpuEngine::quantise_weights(uint32_t index) {
  const OpTimer timer(profile_, StepOp::quantise_weights);
  Linear& linear = linears_[index];
  const float* const w = state_.data() + program_.weight_offset(index);
  constexpr size_t kRows = 2 * kTileRows;
  pool_.run((linear.outputs + kRows - 1) / kRows, [&](size_t task) {
    const Run run{task * kRows, std::min((task + 1) * kRows, linear.outputs), 0};
    for (size_t n = run.first; n < run.end; ++n) {
      const Scale scale = scale_of(linear.w_max[n]);
      linear.sw[n] = scale.s;
      passes_->quantise_nearest(w + n * linear.inputs, linear.inputs, scale.inv,
                                linear.w.data() + n * linear.inputs);
    }
    commit(run, {{TensorKind::w, index}});
  });
  std::copy_n(w + linear.outputs * linear.inputs, linear.b.size(), linear.b.begin());
}

Status GptCpuEngine::add_to_residual(uint32_t index, uint32_t to) {
  const Linear& linear = linears_[index];
  multiply_forward(index, [&](size_t t, size_t col, size_t cols, const int32_t* acc) {
    const size_t at = t * width_ + col;
    raise(worst_,
          gpt_->add_linear(acc, cols, linear.sx[t], linear.sw.data() + col, linear.b.data() + col,
                           residuals_[to - 1].data() + at, residuals_[to].data() + at));
  });
  return finite(TensorKind::residual, to);
}

// Q and K by row and head; V by column of its sequence.
Status GptCpuEngine::quantise_qkv(uint32_t index) {
  const OpTimer timer(profile_, StepOp::quantise_inputs);
  const GptShape& gpt = program_.spec().gpt;
  Block& block = blocks_[index];
  const size_t d = gpt.head_width();
  const auto by_head = [&](const float* x, size_t t, size_t head, Ints& q, Floats& s) {
    const uint32_t max = passes_->absmax(x + head * d, d);
    raise(worst_, max);
    const Scale scale = scale_of(max < kNotFinite ? max : 0);
    s[t * gpt.heads + head] = scale.s;
    passes_->quantise_nearest(x + head * d, d, scale.inv, q.data() + t * width_ + head * d);
  };
  std::fill(v_max_.begin(), v_max_.end(), 0);
  for_each_run(sequence_runs_, {{TensorKind::q, index}, {TensorKind::k, index}},
               [&](const Run& run, Scratch& scratch) {
                 std::fill_n(scratch.maxima.begin(), width_, 0);
                 for (size_t t = run.first; t < run.end; ++t) {
                   const float* const row = wide_.data() + t * 3 * width_;
                   for (size_t head = 0; head < gpt.heads; ++head) {
                     by_head(row, t, head, block.q, block.sq);
                     by_head(row + width_, t, head, block.k, block.sk);
                   }
                   gpt_->column_max(row + 2 * width_, width_, scratch.maxima.data());
                 }
                 for (size_t c = 0; c < width_; ++c)
                   raise(v_max_[run.sequence * width_ + c], scratch.maxima[c]);
               });
  for (size_t i = 0; i < v_max_.size(); ++i) {
    worst_ = std::max(worst_, v_max_[i]);
    const Scale scale = scale_of(v_max_[i] < kNotFinite ? v_max_[i] : 0);
    block.sv[i] = scale.s;
    inv_v_[i] = scale.inv;
  }
  if (Status status = finite(TensorKind::q, index, "what is made V or "); !status) return status;
  for_each_run(sequence_runs_, {{TensorKind::v, index}}, [&](const Run& run, Scratch&) {
    for (size_t t = run.first; t < run.end; ++t)
      gpt_->quantise_columns(wide_.data() + t * 3 * width_ + 2 * width_, width_,
                             inv_v_.data() + run.sequence * width_, block.v.data() + t * width_);
  });
  return Ok{};
}

// m, l and O, and X of the linear that takes O.
Status GptCpuEngine::attend(uint32_t index) {
  const GptShape& gpt = program_.spec().gpt;
  Block& block = blocks_[index];
  const HeadView shape{gpt.context, gpt.head_width(), width_, gpt.heads};
  {
    const OpTimer timer(profile_, StepOp::attention);
    pool_.run(size_t{program_.spec().batch} * gpt.heads, [&](size_t task) {
      const ScratchLease scratch(*this);
      const size_t sequence = task / gpt.heads;
      const size_t head = task % gpt.heads;
      const size_t first = sequence * gpt.context;
      const size_t at = first * width_ + head * shape.width;
      const size_t scalar = first * gpt.heads + head;
      raise(worst_, scratch.get().attention.forward(
                        shape, {.q = block.q.data() + at,
                                .k = block.k.data() + at,
                                .v = block.v.data() + at,
                                .sq = block.sq.data() + scalar,
                                .sk = block.sk.data() + scalar,
                                .sv = block.sv.data() + sequence * width_ + head * shape.width,
                                .m = block.m.data() + scalar,
                                .l = block.l.data() + scalar,
                                .mixed = block.mixed.data() + at}));
    });
  }
  if (Status status = finite(TensorKind::row_max, index, "a score of "); !status) return status;
  const OpTimer timer(profile_, StepOp::quantise_inputs);
  const uint32_t linear = 4 * index + 1;
  for_each_run(runs_, {{TensorKind::x, linear}}, [&](const Run& run, Scratch&) {
    for (size_t t = run.first; t < run.end; ++t) {
      const float* const row = block.mixed.data() + t * width_;
      quantise_row(linear, t, row, passes_->absmax(row, width_));
    }
  });
  return finite(TensorKind::x, linear, "what is made ");
}

// logits_ to dz where `backward`, and G1 of the head in the same pass.
Result<float> GptCpuEngine::loss(bool backward) {
  const GptShape& gpt = program_.spec().gpt;
  const uint32_t head = gpt.head_linear();
  const float inv_t = 1.0F / static_cast<float>(rows_);
  const auto rows = [&](const Run& run, Scratch& scratch) {
    uint32_t worst = 0;
    for (size_t t = run.first; t < run.end; ++t) {
      const size_t groups = gpt.loss_groups();
      worst = std::max(worst, gpt_->loss({.logits = wide_.data() + t * gpt.vocabulary,
                                          .count = gpt.vocabulary,
                                          .target = targets_[t],
                                          .inv_t = inv_t,
                                          .max = loss_max_.data() + t * groups,
                                          .sum = loss_sum_.data() + t * groups,
                                          .nll = &nll_[t]}));
    }
    raise(worst_, worst);
    if (backward) gradient_rows(head, run, wide_.data(), scratch);
  };
  {
    const OpTimer timer(profile_, StepOp::loss);
    if (backward) {
      std::fill(linears_[head].maxima.begin(), linears_[head].maxima.end(), 0);
      for_each_run(runs_, {{TensorKind::g1, head}}, rows);
    } else {
      for_each_run(runs_, {}, rows);
    }
  }
  const float mean = longsum(nll_.data(), rows_) * inv_t;
  worst_ = std::max(worst_, magnitude(mean));
  if (worst_ >= kNotFinite) return Error{Errc::invalid, "NaN or infinity in the loss"};
  return mean;
}

}  // namespace gemmine::kernels
