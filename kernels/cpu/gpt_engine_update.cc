// Embedding gradients, clip and optimiser of the gpt engine (PROTOCOL 10.6, 10.7, 3.4).
#include <algorithm>

#include "kernels/cpu/gpt_engine.h"
#include "kernels/numbers/numerics.h"
#include "kernels/numbers/rows.h"

namespace gemmine::kernels {

// dE and dP: each task has its own columns, so that every sum keeps the order of the tokens.
void GptCpuEngine::embedding_gradient() {
  const OpTimer timer(profile_, StepOp::optimiser);
  const GptShape& gpt = program_.spec().gpt;
  constexpr size_t kColumns = 64;
  float* const d_tokens = gpt.tied ? d_tokens_.data() : gradient_of(0);
  float* const d_places = gradient_of(1);
  const float* const d_residual = d_residuals_[0].data();
  pool_.run((width_ + kColumns - 1) / kColumns, [&](size_t task) {
    const size_t first = task * kColumns;
    const size_t columns = std::min(kColumns, width_ - first);
    for (size_t v = 0; v < gpt.vocabulary; ++v)
      std::fill_n(d_tokens + v * width_ + first, columns, 0.0F);
    for (size_t p = 0; p < gpt.context; ++p)
      std::fill_n(d_places + p * width_ + first, columns, 0.0F);
    for (size_t t = 0; t < rows_; ++t) {
      const float* const row = d_residual + t * width_ + first;
      float* const token = d_tokens + inputs_[t] * width_ + first;
      float* const place = d_places + t % gpt.context * width_ + first;
      gpt_->add(token, row, columns, token);
      gpt_->add(place, row, columns, place);
    }
    if (!gpt.tied) return;
    float* const all = gradient_of(0);
    for (size_t v = 0; v < gpt.vocabulary; ++v) {
      const size_t at = v * width_ + first;
      gpt_->add(all + at, d_tokens + at, columns, all + at);
    }
  });
}

// CQ of the units of a piece.
void GptCpuEngine::measure_gradient(const Piece& piece) {
  const ParameterInfo& parameter = program_.parameter_list()[piece.parameter];
  const float* const g = gradient_of(piece.parameter);
  Floats& out = squares_[piece.parameter];
  if (parameter.is_vector()) {
    for (size_t unit = 0; unit < out.size(); ++unit) {
      const size_t first = unit * kTileCols;
      out[unit] = gpt_->unit_squares(g + first, 0, 1, std::min(kTileCols, parameter.rows - first));
    }
    return;
  }
  const size_t cols = parameter.cols;
  for (size_t row = piece.first; row < piece.first + piece.count; row += kTileRows) {
    const size_t rows = std::min(kTileRows, parameter.rows - row);
    for (size_t col = 0; col < cols; col += kTileCols)
      out[col / kTileCols * parameter.units_down() + row / kTileRows] =
          gpt_->unit_squares(g + row * cols + col, cols, rows, std::min(kTileCols, cols - col));
  }
}

// f of 10.7, and what it is made of.
Result<float> GptCpuEngine::clip_factor() {
  const float clip = program_.spec().clip;
  if (clip == 0) return 1.0F;
  pool_.run(pieces_.size(), [&](size_t i) { measure_gradient(pieces_[i]); });
  for (size_t j = 0; j < squares_.size(); ++j)
    clip_[j] = longsum(squares_[j].data(), squares_[j].size());
  const float f = clip_factor_of(clip_.data(), squares_.size(), clip);
  if (magnitude(f) >= kNotFinite)
    return Error{Errc::invalid, "NaN or infinity in the norm of the gradient"};
  clip_.back() = f;
  return f;
}

// Of the gradients that were kept; the other weights have changed already.
Status GptCpuEngine::optimise() {
  const OpTimer timer(profile_, StepOp::optimiser);
  const Result<float> clipped = clip_factor();
  if (!clipped) return clipped.error();
  const float factor = clipped.value();
  pool_.run(pieces_.size(), [&](size_t i) {
    const Piece& piece = pieces_[i];
    const ParameterInfo& parameter = program_.parameter_list()[piece.parameter];
    const size_t cols = parameter.is_vector() ? parameter.rows : parameter.cols;
    Linear* const linear = linear_of(parameter);
    uint32_t worst = 0;
    for (size_t row = piece.first; row < piece.first + piece.count; ++row) {
      const size_t at = row * cols;
      const RowMaxima max =
          passes_->update(gradient_of(piece.parameter) + at, cols, factor, parameter.decays(),
                          rates_, masters(parameter.offset + at));
      if (linear != nullptr) linear->w_max[row] = max.result;
      worst = std::max(worst, max.all);
    }
    raise(worst_, worst);
  });
  if (worst_ >= kNotFinite) return Error{Errc::invalid, "NaN or infinity in the new state"};
  return Ok{};
}

// The linear whose matrix this parameter is; null if it is none's.
GptCpuEngine::Linear* GptCpuEngine::linear_of(const ParameterInfo& parameter) {
  if (parameter.kind == ParameterKind::weight) return &linears_[parameter.index];
  if (parameter.kind == ParameterKind::tokens && program_.spec().gpt.tied)
    return &linears_[program_.spec().gpt.head_linear()];
  return nullptr;
}

}  // namespace gemmine::kernels
