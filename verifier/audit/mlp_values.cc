#include "verifier/audit/mlp_values.h"

#include <algorithm>

#include "kernels/numbers/rederive.h"

namespace gemmine::verifier {

using kernels::TensorInfo;
using kernels::TensorKind;

Floats master_weights(const kernels::Program& program, BlockReader& reader, uint32_t linear,
                      Range rows, Range cols) {
  Floats out;
  out.reserve(size_t{rows.count} * cols.count);
  const uint64_t width = program.linears()[linear].inputs;
  for (uint32_t r = rows.first; r < rows.end(); ++r) {
    const Floats row =
        reader.state_before(program.weight_offset(linear) + r * width + cols.first, cols.count);
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

void fold_scales(BlockReader& reader, const TensorInfo& tensor, Range rows, Range cols,
                 Floats& dy) {
  const bool by_row = tensor.kind == TensorKind::g2;
  const Floats fold = by_row ? reader.run(TensorKind::sx, tensor.layer, rows)
                             : reader.run(TensorKind::sw, tensor.layer, cols);
  for (size_t i = 0; i < dy.size(); ++i)
    dy[i] = dy[i] * fold[by_row ? i / cols.count : i % cols.count];
}

Range rows_of_run(const kernels::Program& program, uint32_t run) {
  constexpr auto kRows = static_cast<uint32_t>(kernels::kColumnSumRun);
  GEMMINE_CHECK(run * kRows < program.rows());
  return {run * kRows, std::min(kRows, program.rows() - run * kRows)};
}

Bytes MlpValues::record(uint32_t batch_row, Range bytes) {
  const uint64_t index = program_.record_index(key_, batch_row);
  return reader_.train(index * program_.record_bytes() + bytes.first, bytes.count);
}

Floats MlpValues::inputs(Range rows, Range cols) {
  Floats out;
  out.reserve(size_t{rows.count} * cols.count);
  for (uint32_t r = rows.first; r < rows.end(); ++r) {
    for (const uint8_t byte : record(r, cols))
      out.push_back(kernels::feature_value(byte, program_.spec().feature_scale,
                                           program_.spec().feature_shift));
  }
  return out;
}

Floats MlpValues::forward(uint32_t layer, Range rows, Range cols) {
  const uint32_t k = program_.inputs(layer);
  const Ints x = reader_.ints(TensorKind::x, layer, rows, {0, k});
  const Ints w = reader_.ints(TensorKind::w, layer, cols, {0, k});
  const Floats sx = reader_.run(TensorKind::sx, layer, rows);
  const Floats sw = reader_.run(TensorKind::sw, layer, cols);
  const Floats b = reader_.run(TensorKind::b, layer, cols);
  Floats out;
  out.reserve(size_t{rows.count} * cols.count);
  for (uint32_t r = 0; r < rows.count; ++r)
    for (uint32_t c = 0; c < cols.count; ++c)
      out.push_back(kernels::forward_value(x.data() + size_t{r} * k, w.data() + size_t{c} * k, k,
                                           sx[r], sw[c], b[c]));
  return out;
}

Floats MlpValues::loss_gradient(Range rows, Range cols) {
  const uint32_t last = program_.layers() - 1;
  const uint32_t classes = program_.outputs(last);
  const Floats logits = forward(last, rows, {0, classes});
  const float inv_t = 1.0F / static_cast<float>(program_.spec().batch);
  const Range label_range{program_.inputs(0), program_.label_bytes()};
  Floats dy(classes);
  Floats out;
  out.reserve(size_t{rows.count} * cols.count);
  for (uint32_t r = 0; r < rows.count; ++r) {
    uint32_t label = program_.label_of(record(rows.first + r, label_range));
    if (label >= classes) {  // the opened bytes are a stranger's
      reader_.object_to_data("a label is not one of the classes");
      label = 0;
    }
    float nll = 0;
    kernels::loss_row(logits.data() + size_t{r} * classes, classes, label, inv_t, dy.data(), &nll);
    out.insert(out.end(), dy.begin() + cols.first, dy.begin() + cols.end());
  }
  return out;
}

Floats MlpValues::gradient(uint32_t layer, Range rows, Range cols) {
  if (layer + 1 == program_.layers()) return loss_gradient(rows, cols);
  const uint32_t n = program_.outputs(layer + 1);
  const Floats y = forward(layer, rows, cols);
  const Ints g1 = reader_.ints(TensorKind::g1, layer + 1, rows, {0, n});
  const Ints w = reader_.ints(TensorKind::w, layer + 1, {0, n}, cols);
  const Floats s1 = reader_.run(TensorKind::s1, layer + 1, rows);
  Floats out(y.size());
  for (uint32_t r = 0; r < rows.count; ++r) {
    for (uint32_t c = 0; c < cols.count; ++c) {
      const size_t at = size_t{r} * cols.count + c;
      out[at] = kernels::backward_value(g1.data() + size_t{r} * n, w.data() + c, cols.count, n,
                                        s1[r], y[at]);
    }
  }
  return out;
}

Floats MlpValues::bias_parts(uint32_t layer, Range runs, Range cols) {
  Floats out;
  for (uint32_t run = runs.first; run < runs.end(); ++run) {
    const Floats parts =
        kernels::run_sums(gradient(layer, rows_of_run(program_, run), cols), cols.count);
    out.insert(out.end(), parts.begin(), parts.end());
  }
  return out;
}

Floats MlpValues::values(const TensorInfo& tensor, Range rows, Range cols) {
  const uint32_t layer = tensor.layer;
  Floats out;
  switch (tensor.kind) {
    case TensorKind::x:
      if (layer == 0) return inputs(rows, cols);
      out = forward(layer - 1, rows, cols);
      for (float& v : out)
        v = kernels::relu(v);
      return out;
    case TensorKind::w:
      return master_weights(program_, reader_, layer, rows, cols);
    case TensorKind::g1:
    case TensorKind::g2:
      out = gradient(layer, rows, cols);
      fold_scales(reader_, tensor, rows, cols, out);
      return out;
    case TensorKind::bias_parts:
      return bias_parts(layer, rows, cols);
    default:
      GEMMINE_CHECK(false && "only tensors that are audited are blocks");
  }
}

}  // namespace gemmine::verifier
