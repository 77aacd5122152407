// What a step adds up of its gradients: PROTOCOL 10.7, and PB, PG, PS, CQ, cf of 10.10.
#include <algorithm>

#include "kernels/numbers/rederive.h"
#include "verifier/audit/gpt_values.h"
#include "verifier/audit/mlp_values.h"

namespace gemmine::verifier {

using kernels::ParameterInfo;
using kernels::ParameterKind;
using kernels::TensorInfo;
using kernels::TensorKind;

Floats GptValues::parts(const TensorInfo& tensor, Range runs, Range cols) {
  const uint32_t d = gpt_.width;
  Floats normal(d);
  Floats scratch(d);
  Floats out;
  for (uint32_t run = runs.first; run < runs.end(); ++run) {
    const Range rows = rows_of_run(program_, run);
    Floats g = tensor.kind == TensorKind::bias_parts
                   ? d_output(tensor.layer, rows, cols)
                   : reader_.matrix(TensorKind::d_norm, tensor.layer, rows, cols);
    if (tensor.kind == TensorKind::gain_parts) {
      const Floats x = reader_.matrix(TensorKind::residual, tensor.layer, rows, {0, d});
      for (size_t r = 0; r < rows.count; ++r) {
        kernels::normalise_row(gpt_.norm, x.data() + r * d, d, scratch.data(), normal.data());
        for (uint32_t c = 0; c < cols.count; ++c)
          g[r * cols.count + c] = g[r * cols.count + c] * normal[cols.first + c];
      }
    }
    const Floats sums = kernels::run_sums(g, cols.count);
    out.insert(out.end(), sums.begin(), sums.end());
  }
  return out;
}

Floats GptValues::weight_gradient(uint32_t linear, Range rows, Range cols) {
  const Range all{0, program_.rows()};
  const Ints g2 = reader_.ints(TensorKind::g2, linear, all, rows);
  const Ints x = reader_.ints(TensorKind::x, linear, all, cols);
  const Floats s2 = reader_.run(TensorKind::s2, linear, rows);
  std::vector<int32_t> sums(size_t{rows.count} * cols.count, 0);
  for (size_t t = 0; t < all.count; ++t)
    for (uint32_t n = 0; n < rows.count; ++n)
      for (uint32_t k = 0; k < cols.count; ++k)
        sums[size_t{n} * cols.count + k] += g2[t * rows.count + n] * x[t * cols.count + k];
  Floats out(sums.size());
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(sums[i]) * s2[i / cols.count];
  return out;
}

Floats GptValues::embedding_gradient(ParameterKind kind, Range rows, Range cols) {
  Floats out(size_t{rows.count} * cols.count, 0.0F);
  for (uint32_t t = 0; t < program_.rows(); ++t) {
    const uint32_t row = kind == ParameterKind::tokens ? token(t, 0) : t % gpt_.context;
    if (row < rows.first || row >= rows.end()) continue;
    const Floats d = reader_.matrix(TensorKind::d_residual, 0, {t, 1}, cols);
    float* const to = &out[size_t{row - rows.first} * cols.count];
    for (uint32_t c = 0; c < cols.count; ++c)
      to[c] = to[c] + d[c];
  }
  return out;
}

Floats GptValues::vector_gradient(const ParameterInfo& parameter, Range elements) {
  const TensorKind kind = parameter.kind == ParameterKind::bias   ? TensorKind::bias_parts
                          : parameter.kind == ParameterKind::gain ? TensorKind::gain_parts
                                                                  : TensorKind::shift_parts;
  const TensorInfo& tensor = program_.tensors()[program_.position(kind, parameter.index)];
  return kernels::sum_of_runs(reader_.matrix(kind, parameter.index, {0, tensor.rows}, elements),
                              elements.count);
}

Floats GptValues::squares(uint32_t parameter_number, Range units) {
  const ParameterInfo& parameter = program_.parameter_list()[parameter_number];
  const uint32_t down = parameter.units_down();
  Floats out;
  for (uint32_t unit = units.first; unit < units.end(); ++unit) {
    if (parameter.is_vector()) {
      const Range run{unit * 64, std::min(64U, parameter.rows - unit * 64)};
      const Floats g = vector_gradient(parameter, run);
      out.push_back(kernels::unit_squares(g.data(), 0, 1, g.size()));
      continue;
    }
    const uint32_t row = unit % down * 16;
    const uint32_t col = unit / down * 64;
    const Range rows{row, std::min(16U, parameter.rows - row)};
    const Range cols{col, std::min(64U, parameter.cols - col)};
    Floats g;
    if (parameter.kind == ParameterKind::weight) {
      g = weight_gradient(parameter.index, rows, cols);
    } else {
      const bool tied = parameter.kind == ParameterKind::tokens && gpt_.tied;
      if (tied) g = weight_gradient(gpt_.head_linear(), rows, cols);
      const Floats sum = embedding_gradient(parameter.kind, rows, cols);
      g.resize(sum.size());
      for (size_t i = 0; i < g.size(); ++i)
        g[i] = tied ? g[i] + sum[i] : sum[i];
    }
    out.push_back(kernels::unit_squares(g.data(), cols.count, rows.count, cols.count));
  }
  return out;
}

Floats GptValues::clip_of_squares(uint32_t row) {
  const auto count = static_cast<uint32_t>(program_.parameter_list().size());
  GEMMINE_CHECK(row <= count);
  Floats sums;
  for (uint32_t j = 0; j < count; ++j) {
    if (row < count && row != j) continue;
    const Floats squares =
        reader_.run(TensorKind::squares, j, {0, program_.parameter_list()[j].units()});
    sums.push_back(kernels::longsum(squares.data(), squares.size()));
  }
  if (row < count) return sums;
  return {kernels::clip_factor_of(sums.data(), sums.size(), program_.spec().clip)};
}

Floats GptValues::clip() {
  const auto count = static_cast<uint32_t>(program_.parameter_list().size());
  Floats out = reader_.run(TensorKind::clip, 0, {0, count});
  out.push_back(kernels::clip_factor_of(out.data(), count, program_.spec().clip));
  return out;
}

}  // namespace gemmine::verifier
