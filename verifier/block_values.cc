// The values a block was quantised from, re-derived from opened chunks (PROTOCOL 3.3, 7.4).
#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/rederive.h"
#include "verifier/block.h"
#include "verifier/delta.h"

namespace gemmine::verifier {

using kernels::TensorInfo;
using kernels::TensorKind;

uint64_t object_bytes(const kernels::Program& program, ObjectId object) {
  switch (object.origin) {
    case Origin::tensor:
      return object.position < program.tensors().size() ? program.tensors()[object.position].bytes()
                                                        : 0;
    case Origin::state_before:
    case Origin::state_after:
      return program.state_floats() * sizeof(float);
    case Origin::train:
      return uint64_t{program.spec().records} * program.record_bytes();
    case Origin::delta:
      return delta_bytes(program.parameters());
  }
  return 0;
}

void BlockCheck::load(ObjectId object, uint64_t offset, std::span<uint8_t> out) {
  GEMMINE_CHECK(offset + out.size() <= object_bytes(program_, object));
  size_t done = 0;
  while (done < out.size()) {
    const uint64_t at = offset + done;
    const size_t within = at % kChunk;
    const ByteView chunk = source_.chunk(object, at / kChunk);
    const size_t take = std::min(out.size() - done, kChunk - within);
    if (chunk.size() < within + take) {
      missing_ = true;
      return;
    }
    std::memcpy(out.data() + done, chunk.data() + within, take);
    done += take;
  }
}

BlockCheck::Ints BlockCheck::load_tiles(uint32_t position, Range rows, Range cols) {
  const TensorInfo& tensor = program_.tensors()[position];
  Ints out(size_t{rows.count} * cols.count, 0);
  const uint32_t row_end = rows.first + rows.count;
  const uint32_t col_end = cols.first + cols.count;
  for (uint32_t j = cols.first / 64; j * 64 < col_end; ++j) {
    const uint32_t c0 = std::max(cols.first, j * 64);
    const uint32_t c1 = std::min(col_end, j * 64 + 64);
    for (uint32_t r = rows.first; r < row_end; ++r) {
      const uint64_t offset = (uint64_t{j} * tensor.tile_rows() * 16 + r) * 64 + (c0 - j * 64);
      auto* into = out.data() + size_t{r - rows.first} * cols.count + (c0 - cols.first);
      load({Origin::tensor, static_cast<uint16_t>(position)}, offset,
           {reinterpret_cast<uint8_t*>(into), c1 - c0});
    }
  }
  return out;
}

BlockCheck::Floats BlockCheck::load_floats(ObjectId object, uint64_t first, uint32_t count) {
  Floats out(count, 0.0F);
  load(object, first * sizeof(float),
       {reinterpret_cast<uint8_t*>(out.data()), out.size() * sizeof(float)});
  for (const float v : out)
    infinite_ |= (std::bit_cast<uint32_t>(v) & 0x7f800000U) == 0x7f800000U;
  return out;
}

BlockCheck::Floats BlockCheck::load_vector(TensorKind kind, uint32_t layer, Range range) {
  const auto position = static_cast<uint16_t>(program_.position(kind, layer));
  return load_floats({Origin::tensor, position}, range.first, range.count);
}

Bytes BlockCheck::load_record(uint32_t batch_row, Range bytes) {
  Bytes out(bytes.count, 0);
  const uint64_t index = program_.record_index(key_, batch_row);
  load({Origin::train, 0}, index * program_.record_bytes() + bytes.first, out);
  return out;
}

BlockCheck::Floats BlockCheck::input_values(Range rows, Range cols) {
  Floats out;
  out.reserve(size_t{rows.count} * cols.count);
  for (uint32_t r = 0; r < rows.count; ++r) {
    for (const uint8_t byte : load_record(rows.first + r, cols))
      out.push_back(kernels::feature_value(byte, program_.spec().feature_scale,
                                           program_.spec().feature_shift));
  }
  return out;
}

BlockCheck::Floats BlockCheck::forward(uint32_t layer, Range rows, Range cols) {
  const uint32_t k = program_.inputs(layer);
  const Ints x = load_tiles(program_.position(TensorKind::x, layer), rows, {0, k});
  const Ints w = load_tiles(program_.position(TensorKind::w, layer), cols, {0, k});
  const Floats sx = load_vector(TensorKind::sx, layer, rows);
  const Floats sw = load_vector(TensorKind::sw, layer, cols);
  const Floats b = load_vector(TensorKind::b, layer, cols);
  Floats out;
  out.reserve(size_t{rows.count} * cols.count);
  for (uint32_t r = 0; r < rows.count; ++r)
    for (uint32_t c = 0; c < cols.count; ++c)
      out.push_back(kernels::forward_value(x.data() + size_t{r} * k, w.data() + size_t{c} * k, k,
                                           sx[r], sw[c], b[c]));
  return out;
}

BlockCheck::Floats BlockCheck::loss_gradient(Range rows, Range cols) {
  const uint32_t last = program_.layers() - 1;
  const uint32_t classes = program_.outputs(last);
  const Floats logits = forward(last, rows, {0, classes});
  const float inv_t = 1.0F / static_cast<float>(program_.spec().batch);
  const Range label_range{program_.inputs(0), program_.label_bytes()};
  Floats dy(classes);
  Floats out;
  out.reserve(size_t{rows.count} * cols.count);
  for (uint32_t r = 0; r < rows.count; ++r) {
    const uint32_t label = program_.label_of(load_record(rows.first + r, label_range));
    float nll = 0;
    kernels::loss_row(logits.data() + size_t{r} * classes, classes, label, inv_t, dy.data(), &nll);
    out.insert(out.end(), dy.begin() + cols.first, dy.begin() + cols.first + cols.count);
  }
  return out;
}

BlockCheck::Floats BlockCheck::gradient(uint32_t layer, Range rows, Range cols) {
  if (layer + 1 == program_.layers()) return loss_gradient(rows, cols);
  const uint32_t n = program_.outputs(layer + 1);
  const Floats y = forward(layer, rows, cols);
  const Ints g1 = load_tiles(program_.position(TensorKind::g1, layer + 1), rows, {0, n});
  const Ints w = load_tiles(program_.position(TensorKind::w, layer + 1), {0, n}, cols);
  const Floats s1 = load_vector(TensorKind::s1, layer + 1, rows);
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

BlockCheck::Floats BlockCheck::values(const TensorInfo& tensor, Range rows, Range cols) {
  const uint32_t layer = tensor.layer;
  Floats out;
  switch (tensor.kind) {
    case TensorKind::x:
      if (layer == 0) return input_values(rows, cols);
      out = forward(layer - 1, rows, cols);
      for (float& v : out)
        v = kernels::relu(v);
      return out;
    case TensorKind::w:
      out.reserve(size_t{rows.count} * cols.count);
      for (uint32_t r = 0; r < rows.count; ++r) {
        const uint64_t first = program_.weight_offset(layer) +
                               uint64_t{rows.first + r} * program_.inputs(layer) + cols.first;
        const Floats row = load_floats({Origin::state_before, 0}, first, cols.count);
        out.insert(out.end(), row.begin(), row.end());
      }
      return out;
    case TensorKind::g1:
    case TensorKind::g2: {
      out = gradient(layer, rows, cols);
      const bool by_row = tensor.kind == TensorKind::g2;  // folded with sx by row, sw by column
      const Floats fold = by_row ? load_vector(TensorKind::sx, layer, rows)
                                 : load_vector(TensorKind::sw, layer, cols);
      for (uint32_t r = 0; r < rows.count; ++r)
        for (uint32_t c = 0; c < cols.count; ++c)
          out[size_t{r} * cols.count + c] = out[size_t{r} * cols.count + c] * fold[by_row ? r : c];
      return out;
    }
    default:
      GEMMINE_CHECK(false && "only int8 tensors are blocks");
  }
}

}  // namespace gemmine::verifier
