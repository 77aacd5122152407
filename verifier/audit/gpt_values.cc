#include "verifier/audit/gpt_values.h"

#include "kernels/numbers/rederive.h"
#include "verifier/audit/mlp_values.h"

namespace gemmine::verifier {

using kernels::TensorInfo;
using kernels::TensorKind;

Floats GptValues::linear(uint32_t linear, Range rows, Range cols) {
  const kernels::LinearInfo& info = program_.linears()[linear];
  const uint32_t k = info.inputs;
  const Ints x = reader_.ints(TensorKind::x, linear, rows, {0, k});
  const Ints w = reader_.ints(TensorKind::w, linear, cols, {0, k});
  const Floats sx = reader_.run(TensorKind::sx, linear, rows);
  const Floats sw = reader_.run(TensorKind::sw, linear, cols);
  Floats b;
  if (info.has_bias) b = reader_.run(TensorKind::b, linear, cols);
  Floats out;
  out.reserve(size_t{rows.count} * cols.count);
  for (uint32_t r = 0; r < rows.count; ++r)
    for (uint32_t c = 0; c < cols.count; ++c) {
      const auto acc = static_cast<float>(
          kernels::dot(x.data() + size_t{r} * k, 1, w.data() + size_t{c} * k, 1, k));
      const float y = acc * (sx[r] * sw[c]);
      out.push_back(info.has_bias ? y + b[c] : y);
    }
  return out;
}

Floats GptValues::d_input(uint32_t linear, Range rows, Range cols) {
  const uint32_t n = program_.linears()[linear].outputs;
  const Ints g1 = reader_.ints(TensorKind::g1, linear, rows, {0, n});
  const Ints w = reader_.ints(TensorKind::w, linear, {0, n}, cols);
  const Floats s1 = reader_.run(TensorKind::s1, linear, rows);
  Ints column(n);
  Floats out(size_t{rows.count} * cols.count);
  for (uint32_t c = 0; c < cols.count; ++c) {
    for (uint32_t i = 0; i < n; ++i)
      column[i] = w[size_t{i} * cols.count + c];
    for (uint32_t r = 0; r < rows.count; ++r)
      out[size_t{r} * cols.count + c] =
          static_cast<float>(kernels::dot(g1.data() + size_t{r} * n, 1, column.data(), 1, n)) *
          s1[r];
  }
  return out;
}

uint32_t GptValues::token(uint32_t row, uint32_t ahead) {
  const uint32_t b = row / gpt_.context;
  const uint64_t at = uint64_t{program_.sequence_start(key_, b)} + row % gpt_.context + ahead;
  const Bytes bytes = reader_.train(at * gpt_.token_bytes, gpt_.token_bytes);
  const uint32_t out = gpt_.token_of(bytes, 0);
  if (out < gpt_.vocabulary) return out;
  reader_.object_to_data("a token is not in the vocabulary");  // the opened bytes are a stranger's
  return 0;
}

Floats GptValues::embedding(Range rows, Range cols) {
  Floats out;
  out.reserve(size_t{rows.count} * cols.count);
  for (uint32_t r = rows.first; r < rows.end(); ++r) {
    const uint64_t place = uint64_t{gpt_.vocabulary} + r % gpt_.context;
    const Floats e =
        reader_.state_before(uint64_t{token(r, 0)} * gpt_.width + cols.first, cols.count);
    const Floats p = reader_.state_before(place * gpt_.width + cols.first, cols.count);
    for (uint32_t c = 0; c < cols.count; ++c)
      out.push_back(e[c] + p[c]);
  }
  return out;
}

Floats GptValues::residual(uint32_t number, Range rows, Range cols) {
  if (number == 0) return embedding(rows, cols);
  const uint32_t block = (number - 1) / 2;
  const bool after_attention = number % 2 == 1;
  Floats out = reader_.matrix(TensorKind::residual, number - 1, rows, cols);
  const Floats y = linear(4 * block + (after_attention ? 1 : 3), rows, cols);
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = out[i] + y[i];
  return out;
}

Floats GptValues::normed(uint32_t norm, Range rows, Range cols) {
  const uint32_t d = gpt_.width;
  const Floats x = reader_.matrix(TensorKind::residual, norm, rows, {0, d});
  const Floats gain = reader_.run(TensorKind::gain, norm, cols);
  Floats shift;
  if (gpt_.norm == kernels::Norm::layer) shift = reader_.run(TensorKind::shift, norm, cols);
  Floats normal(d);
  Floats scratch(d);
  Floats out;
  out.reserve(size_t{rows.count} * cols.count);
  for (uint32_t r = 0; r < rows.count; ++r) {
    kernels::normalise_row(gpt_.norm, x.data() + size_t{r} * d, d, scratch.data(), normal.data());
    for (uint32_t c = 0; c < cols.count; ++c)
      out.push_back(kernels::norm_value(normal[cols.first + c], gain.data(),
                                        shift.empty() ? nullptr : shift.data(), c));
  }
  return out;
}

Floats GptValues::input_of(uint32_t linear, Range rows, Range cols) {
  if (linear % 4 == 1) return mixed(linear / 4, rows, cols);
  if (linear % 4 != 3) return normed(linear / 2, rows, cols);  // of qkv, up and the head
  Floats out = this->linear(linear - 1, rows, cols);
  for (float& y : out)
    y = kernels::activate(gpt_.activation, y).value;
  return out;
}

Floats GptValues::vector(const TensorInfo& tensor, Range rows) {
  const uint64_t shift = tensor.kind == TensorKind::shift ? gpt_.width : 0;
  return reader_.state_before(program_.gain_offset(tensor.layer) + shift + rows.first, rows.count);
}

Floats GptValues::values(const TensorInfo& tensor, Range rows, Range cols) {
  const uint32_t layer = tensor.layer;
  Floats out;
  switch (tensor.kind) {
    case TensorKind::x:
      return input_of(layer, rows, cols);
    case TensorKind::w:
      return master_weights(program_, reader_, layer, rows, cols);
    case TensorKind::g1:
    case TensorKind::g2:
      out = d_output(layer, rows, cols);
      fold_scales(reader_, tensor, rows, cols, out);
      return out;
    case TensorKind::q:
      return linear(4 * layer, rows, cols);
    case TensorKind::k:
      return linear(4 * layer, rows, {gpt_.width + cols.first, cols.count});
    case TensorKind::v:
      return linear(4 * layer, rows, {2 * gpt_.width + cols.first, cols.count});
    case TensorKind::ho:
    case TensorKind::go:
      return folded_mixed(tensor, rows, cols);
    case TensorKind::residual:
      return residual(layer, rows, cols);
    case TensorKind::d_residual:
      return d_residual(layer, rows, cols);
    case TensorKind::gain:
    case TensorKind::shift:
      return vector(tensor, rows);
    case TensorKind::d_norm:
      return d_input(2 * layer, rows, cols);  // the linear behind norm ν is 2ν
    case TensorKind::row_max:
    case TensorKind::row_sum:
      return softmax_row(tensor, rows, cols);
    case TensorKind::delta_dot:
      return delta_dot(layer, rows, cols);
    case TensorKind::loss_max:
      return loss_max(rows, cols);
    case TensorKind::loss_sum:
      return loss_sum(rows, cols);
    case TensorKind::bias_parts:
    case TensorKind::gain_parts:
    case TensorKind::shift_parts:
      return parts(tensor, rows, cols);
    case TensorKind::squares:
      return squares(layer, rows);
    case TensorKind::clip:
      return clip();
    default:
      GEMMINE_CHECK(false && "only tensors that are audited are blocks");
  }
}

}  // namespace gemmine::verifier
