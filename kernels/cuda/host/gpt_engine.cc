// Memory and the order of a step; gpt_forward.cc and _backward.cc queue its
// parts.
#include "kernels/cuda/host/gpt_engine.h"

#include <algorithm>

#include "kernels/cuda/host/longsum_levels.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels::cuda {
namespace {

constexpr auto kRunRows = static_cast<uint32_t>(kColumnSumRun);

}  // namespace

void CudaGptEngine::allocate() {
  const uint64_t activations = uint64_t{program_.rows()} * gpt_.width;
  const uint64_t parts = uint64_t{pieces(program_.rows(), kRunRows)} * gpt_.width;
  const auto floats = [&](uint64_t count) { return session_->allocate<float>(count); };
  linears_.resize(program_.linears().size());
  for (uint32_t i = 0; i < linears_.size(); ++i)
    allocate_linear(i);
  for (uint32_t i = 0; i <= gpt_.last_norm(); ++i)
    norms_.push_back({.gain = floats(gpt_.width),
                      .shift = gpt_.norm == Norm::layer ? floats(gpt_.width) : nullptr,
                      .mean = floats(program_.rows()),
                      .rate = floats(program_.rows()),
                      .d_value = floats(activations),
                      .gain_parts = floats(parts),
                      .shift_parts = floats(parts)});
  for (uint32_t i = 0; i < gpt_.blocks; ++i)
    allocate_block();
  for (uint32_t i = 0; i <= 2 * gpt_.blocks; ++i)
    residuals_.push_back(floats(activations));
  for (uint32_t i = 0; i <= gpt_.blocks; ++i)
    d_residuals_.push_back(floats(activations));
  loss_max_ = floats(uint64_t{program_.rows()} * gpt_.loss_groups());
  loss_sum_ = floats(uint64_t{program_.rows()} * gpt_.loss_groups());
  allocate_scratch();
  prepare_clip();
}

void CudaGptEngine::allocate_linear(uint32_t index) {
  const LinearInfo& shape = program_.linears()[index];
  const uint32_t rows = program_.rows();
  Linear& linear = linears_[index];
  linear.x = allocate_matrix(*session_, rows, shape.inputs);
  linear.w = allocate_matrix(*session_, shape.outputs, shape.inputs);
  linear.g1 = allocate_matrix(*session_, rows, shape.outputs);
  linear.g2 = allocate_matrix(*session_, rows, shape.outputs);
  for (float** per_row : {&linear.sx, &linear.s1})
    *per_row = session_->allocate<float>(rows);
  for (float** per_output : {&linear.sw, &linear.s2, &linear.b})
    *per_output = session_->allocate<float>(shape.outputs);
  linear.db_parts = session_->allocate<float>(uint64_t{pieces(rows, kRunRows)} * shape.outputs);
  if (shape.has_bias) return;
  // Adding −0 changes no bit of any float.
  const std::vector<float> nothing(shape.outputs, -0.0F);
  session_->upload(linear.b, nothing.data(), nothing.size() * sizeof(float));
}

void CudaGptEngine::allocate_block() {
  const uint32_t rows = program_.rows();
  Block& block = blocks_.emplace_back();
  for (DeviceMatrix* matrix : {&block.q, &block.k, &block.v, &block.ho, &block.go})
    *matrix = allocate_matrix(*session_, rows, gpt_.width);
  for (float** per_head :
       {&block.sq, &block.sk, &block.sh, &block.row_max, &block.row_sum, &block.delta})
    *per_head = session_->allocate<float>(uint64_t{rows} * gpt_.heads);
  for (float** per_column : {&block.sv, &block.sg})
    *per_column = session_->allocate<float>(uint64_t{program_.spec().batch} * gpt_.width);
  block.mixed = session_->allocate<float>(uint64_t{rows} * gpt_.width);
  block.up = session_->allocate<float>(uint64_t{rows} * gpt_.hidden);
}

void CudaGptEngine::allocate_scratch() {
  const uint32_t rows = program_.rows();
  const uint64_t activations = uint64_t{rows} * gpt_.width;
  uint32_t outputs_max = 0;
  uint64_t x_max = 0;
  uint64_t w_max = 0;
  uint64_t g2_max = 0;
  for (const LinearInfo& shape : program_.linears()) {
    outputs_max = std::max(outputs_max, shape.outputs);
    x_max = std::max(x_max, matrix_of(nullptr, shape.inputs, rows).bytes());
    w_max = std::max(w_max, matrix_of(nullptr, shape.inputs, shape.outputs).bytes());
    g2_max = std::max(g2_max, matrix_of(nullptr, shape.outputs, rows).bytes());
  }
  x_transposed_ = session_->allocate<int8_t>(x_max);
  w_transposed_ = session_->allocate<int8_t>(w_max);
  g2_transposed_ = session_->allocate<int8_t>(g2_max);
  for (int8_t** transposed : {&q_transposed_, &k_transposed_, &v_transposed_, &go_transposed_})
    *transposed = session_->allocate<int8_t>(matrix_of(nullptr, gpt_.width, rows).bytes());
  inputs_ = session_->allocate<uint32_t>(rows);
  targets_ = session_->allocate<uint32_t>(rows);
  nll_ = session_->allocate<float>(rows);
  logits_ = session_->allocate<float>(uint64_t{rows} * gpt_.vocabulary);
  wide_ = session_->allocate<float>(uint64_t{rows} * std::max(3 * gpt_.width, gpt_.hidden));
  middle_ = session_->allocate<float>(activations);
  d_mixed_ = session_->allocate<float>(activations);
  gradient_ = session_->allocate<float>(program_.parameters());
  inv2_ = session_->allocate<float>(outputs_max);
  inv_h_ = session_->allocate<float>(uint64_t{rows} * gpt_.heads);
  inv_g_ = session_->allocate<float>(uint64_t{program_.spec().batch} * gpt_.width);
  run_max_ = session_->allocate<uint32_t>(uint64_t{pieces(rows, kRunRows)} * outputs_max);
  unused_sums_ = session_->allocate<float>(gpt_.vocabulary);
}

void CudaGptEngine::prepare_clip() {
  if (!(program_.spec().clip > 0)) return;
  std::vector<SumPiece> vectors;
  std::vector<UnitJob> jobs;
  uint32_t units = 0;
  for (const ParameterInfo& parameter : program_.parameter_list()) {
    UnitJob job{.first = parameter.offset,
                .first_unit = units,
                .units = parameter.units(),
                .rows = parameter.rows,
                .cols = parameter.cols,
                .units_down = parameter.units_down()};
    if (parameter.is_vector()) {
      job.rows = 1;
      job.cols = parameter.rows;
      job.units_down = 1;
    }
    jobs.push_back(job);
    vectors.push_back({units, job.units});
    units += job.units;
    units_max_ = std::max(units_max_, job.units);
  }
  unit_jobs_ = session_->allocate<UnitJob>(jobs.size());
  session_->upload(unit_jobs_, jobs.data(), jobs.size() * sizeof(UnitJob));
  squares_ = session_->allocate<float>(units);
  for (const UnitJob& job : jobs)
    first_unit_.push_back(job.first_unit);
  for (const std::vector<SumPiece>& of_level : longsum_levels(std::move(vectors))) {
    SumLevel level;
    level.count = static_cast<uint32_t>(of_level.size());
    level.pieces = session_->allocate<SumPiece>(level.count);
    level.sums = session_->allocate<float>(level.count);
    session_->upload(level.pieces, of_level.data(), of_level.size() * sizeof(SumPiece));
    clip_levels_.push_back(level);
  }
  clip_ = session_->allocate<float>(jobs.size() + 1);
}

TensorMemory CudaGptEngine::block_memory(const Block& block, TensorKind kind) const {
  switch (kind) {
    case TensorKind::q:
      return block.q.q;
    case TensorKind::sq:
      return block.sq;
    case TensorKind::k:
      return block.k.q;
    case TensorKind::sk:
      return block.sk;
    case TensorKind::v:
      return block.v.q;
    case TensorKind::sv:
      return block.sv;
    case TensorKind::row_max:
      return block.row_max;
    case TensorKind::row_sum:
      return block.row_sum;
    case TensorKind::delta_dot:
      return block.delta;
    case TensorKind::ho:
      return block.ho.q;
    case TensorKind::sh:
      return block.sh;
    case TensorKind::go:
      return block.go.q;
    default:
      break;
  }
  GEMMINE_CHECK(kind == TensorKind::sg);
  return block.sg;
}

TensorMemory CudaGptEngine::tensor_memory(const TensorInfo& tensor) const {
  switch (tensor.kind) {
    case TensorKind::residual:
      return residuals_[tensor.layer];
    case TensorKind::d_residual:
      return d_residuals_[tensor.layer];
    case TensorKind::gain:
      return norms_[tensor.layer].gain;
    case TensorKind::shift:
      return norms_[tensor.layer].shift;
    case TensorKind::d_norm:
      return norms_[tensor.layer].d_value;
    case TensorKind::loss_max:
      return loss_max_;
    case TensorKind::loss_sum:
      return loss_sum_;
    case TensorKind::bias_parts:
      return linears_[tensor.layer].memory(tensor.kind);
    case TensorKind::gain_parts:
      return norms_[tensor.layer].gain_parts;
    case TensorKind::shift_parts:
      return norms_[tensor.layer].shift_parts;
    case TensorKind::squares:
      return squares_ + first_unit_[tensor.layer];
    case TensorKind::clip:
      return clip_;
    default:
      break;
  }
  return tensor.kind <= TensorKind::s2 ? linears_[tensor.layer].memory(tensor.kind)
                                       : block_memory(blocks_[tensor.layer], tensor.kind);
}

void CudaGptEngine::queue_step(StepKey key) {
  queue_forward(key);
  queue_loss();
  queue_backward(key);
  queue_optimiser(key);
}

}  // namespace gemmine::kernels::cuda
