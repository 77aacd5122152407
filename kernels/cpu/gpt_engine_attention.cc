// Backward of attention in the gpt engine (PROTOCOL 10.6): δ, HO, GO, and dq, dk, dv by head.
#include <algorithm>

#include "kernels/cpu/gpt_engine.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels {

// dY of qkv, into wide_.
Status GptCpuEngine::attention_gradient(uint32_t index) {
  if (Status status = quantise_mixed(index); !status) return status;
  const OpTimer timer(profile_, StepOp::attention_gradient);
  const GptShape& gpt = program_.spec().gpt;
  const Block& block = blocks_[index];
  const HeadView shape{gpt.context, gpt.head_width(), width_, gpt.heads};
  const uint64_t seed = program_.spec().sr_seed;
  pool_.run(size_t{program_.spec().batch} * gpt.heads, [&](size_t task) {
    const ScratchLease scratch(*this);
    const size_t sequence = task / gpt.heads;
    const size_t head = task % gpt.heads;
    const size_t first = sequence * gpt.context;
    const size_t column = head * shape.width;
    const size_t at = first * width_ + column;
    const size_t scalar = first * gpt.heads + head;
    float* const out = wide_.data() + first * 3 * width_ + column;
    raise(worst_, scratch.get().attention.backward(
                      shape, {.q = block.q.data() + at,
                              .k = block.k.data() + at,
                              .v = block.v.data() + at,
                              .ho = block.ho.data() + at,
                              .go = block.go.data() + at,
                              .sq = block.sq.data() + scalar,
                              .sk = block.sk.data() + scalar,
                              .m = block.m.data() + scalar,
                              .l = block.l.data() + scalar,
                              .delta = block.delta.data() + scalar,
                              .sh = block.sh.data() + scalar,
                              .sg = block.sg.data() + sequence * width_ + column,
                              .key1 = {seed, 64 * index + 11, step_id_},
                              .key2 = {seed, 64 * index + 12, step_id_},
                              .first_row = scalar,
                              .dq = out,
                              .dk = out + width_,
                              .dv = out + 2 * width_,
                              .out_ld = 3 * width_}));
  });
  return finite(TensorKind::q, index, "the attention gradient of ");
}

// HO by row and head, GO by column of its sequence.
Status GptCpuEngine::quantise_mixed(uint32_t index) {
  const OpTimer timer(profile_, StepOp::quantise_gradients);
  const GptShape& gpt = program_.spec().gpt;
  Block& block = blocks_[index];
  std::fill(go_max_.begin(), go_max_.end(), 0);
  for_each_run(sequence_runs_, {{TensorKind::ho, index}},
               [&](const Run& run, Scratch& scratch) { quantise_mixed_rows(index, run, scratch); });
  for (size_t i = 0; i < go_max_.size(); ++i) {
    worst_ = std::max(worst_, go_max_[i]);
    const Scale scale = scale_of(go_max_[i] < kNotFinite ? go_max_[i] : 0);
    block.sg[i] = scale.s;
    inv_v_[i] = scale.inv;
  }
  if (Status status = finite(TensorKind::go, index, "delta or what is made HO or "); !status)
    return status;
  const StochasticKey key{program_.spec().sr_seed, 64 * index + 10, step_id_};
  for_each_run(sequence_runs_, {{TensorKind::go, index}}, [&](const Run& run, Scratch& scratch) {
    float* const value = scratch.row.data();
    for (size_t t = run.first; t < run.end; ++t) {
      go_values(gpt, block, t, value);
      passes_->quantise_g2(value, 1.0F, inv_v_.data() + run.sequence * width_, key,
                           stochastic_counter(t, width_), width_, block.go.data() + t * width_);
    }
  });
  return Ok{};
}

// dO · (1/l) of a row.
uint32_t GptCpuEngine::go_values(const GptShape& gpt, const Block& block, size_t t, float* value) {
  const size_t d = gpt.head_width();
  for (size_t head = 0; head < gpt.heads; ++head)
    std::fill_n(value + head * d, d, 1.0F / block.l[t * gpt.heads + head]);
  return gpt_->multiply(d_mixed_.data() + t * width_, value, width_, value);
}

// δ and HO of some rows, and their share of GO's maxima.
void GptCpuEngine::quantise_mixed_rows(uint32_t index, const Run& run, Scratch& scratch) {
  const GptShape& gpt = program_.spec().gpt;
  Block& block = blocks_[index];
  const size_t d = gpt.head_width();
  const StochasticKey key{program_.spec().sr_seed, 64 * index + 9, step_id_};
  float* const value = scratch.row.data();
  float* const inv = value + width_;
  const float* const sv = block.sv.data() + run.sequence * width_;
  uint32_t worst = 0;
  std::fill_n(scratch.maxima.begin(), width_, 0);
  for (size_t t = run.first; t < run.end; ++t) {
    const size_t at = t * width_;
    const float* const d_mixed = d_mixed_.data() + at;
    go_values(gpt, block, t, value);
    gpt_->column_max(value, width_, scratch.maxima.data());
    for (size_t head = 0; head < gpt.heads; ++head) {
      const size_t c = head * d;
      const size_t scalar = t * gpt.heads + head;
      const float delta = gpt_->dot(d_mixed + c, block.mixed.data() + at + c, d);
      block.delta[scalar] = delta;
      const uint32_t max = gpt_->multiply(d_mixed + c, sv + c, d, value + c);
      worst = std::max({worst, max, magnitude(delta)});
      const Scale scale = scale_of(max < kNotFinite ? max : 0);
      block.sh[scalar] = scale.s;
      std::fill_n(inv + c, d, scale.inv);
    }
    passes_->quantise_g2(value, 1.0F, inv, key, stochastic_counter(t, width_), width_,
                         block.ho.data() + at);
  }
  raise(worst_, worst);
  for (size_t c = 0; c < width_; ++c)
    raise(go_max_[run.sequence * width_ + c], scratch.maxima[c]);
}

}  // namespace gemmine::kernels
