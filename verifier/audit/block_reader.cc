#include "verifier/audit/block_reader.h"

#include <algorithm>
#include <cstring>

#include "kernels/numbers/numerics.h"
#include "verifier/merge/delta.h"

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
      return program.data_bytes(program.spec().records);
    case Origin::delta:
      return delta_bytes(program.parameters());
  }
  return 0;
}

void BlockReader::read(ObjectId object, uint64_t offset, std::span<uint8_t> out) {
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

// Tile by tile, since a tile is a chunk (PROTOCOL 4.1).
Ints BlockReader::ints(uint32_t position, Range rows, Range cols) {
  const TensorInfo& tensor = program_.tensors()[position];
  GEMMINE_CHECK(tensor.is_int8() && rows.end() <= tensor.rows && cols.end() <= tensor.cols);
  Ints out(size_t{rows.count} * cols.count, 0);
  const ObjectId object{Origin::tensor, static_cast<uint16_t>(position)};
  for (uint32_t j = cols.first / 64; j * 64 < cols.end(); ++j) {
    const uint32_t c0 = std::max(cols.first, j * 64);
    const uint32_t c1 = std::min(cols.end(), j * 64 + 64);
    for (uint32_t i = rows.first / 16; i * 16 < rows.end(); ++i) {
      const ByteView tile = source_.chunk(object, uint64_t{j} * tensor.tile_rows() + i);
      if (tile.size() < kChunk) {
        missing_ = true;
        continue;
      }
      const uint32_t r1 = std::min(rows.end(), i * 16 + 16);
      for (uint32_t r = std::max(rows.first, i * 16); r < r1; ++r)
        std::memcpy(out.data() + size_t{r - rows.first} * cols.count + (c0 - cols.first),
                    tile.data() + size_t{r % 16} * 64 + (c0 - j * 64), c1 - c0);
    }
  }
  return out;
}

Floats BlockReader::floats(ObjectId object, uint64_t first, uint32_t count) {
  Floats out(count, 0.0F);
  read(object, first * sizeof(float),
       {reinterpret_cast<uint8_t*>(out.data()), out.size() * sizeof(float)});
  for (const float v : out)
    if (kernels::magnitude(v) >= kernels::kNotFinite)
      object_to("a value that the block is derived from is not finite");
  return out;
}

Floats BlockReader::run(TensorKind kind, uint32_t layer, Range range) {
  const auto position = static_cast<uint16_t>(program_.position(kind, layer));
  return floats({Origin::tensor, position}, range.first, range.count);
}

Floats BlockReader::matrix(TensorKind kind, uint32_t layer, Range rows, Range cols) {
  const uint32_t position = program_.position(kind, layer);
  const TensorInfo& tensor = program_.tensors()[position];
  const uint64_t width = tensor.in_panels ? tensor.tile_cols() * uint64_t{64} : tensor.cols;
  GEMMINE_CHECK(!tensor.is_int8() && rows.end() <= tensor.rows && cols.end() <= width);
  const ObjectId object{Origin::tensor, static_cast<uint16_t>(position)};
  if (tensor.in_panels) return panels(object, tensor.rows, rows, cols);
  if (cols.count == width) return floats(object, rows.first * width, rows.count * cols.count);
  Floats out;
  out.reserve(size_t{rows.count} * cols.count);
  for (uint32_t r = rows.first; r < rows.end(); ++r) {
    const Floats row = floats(object, r * width + cols.first, cols.count);
    out.insert(out.end(), row.begin(), row.end());
  }
  return out;
}

Floats BlockReader::panels(ObjectId object, uint32_t tensor_rows, Range rows, Range cols) {
  Floats out(size_t{rows.count} * cols.count);
  for (uint32_t c0 = cols.first; c0 < cols.end();) {
    const uint32_t c1 = std::min(cols.end(), c0 / 64 * 64 + 64);
    for (uint32_t r = rows.first; r < rows.end(); ++r) {
      const uint64_t row = uint64_t{c0 / 64} * tensor_rows + r;
      const Floats part = floats(object, row * 64 + c0 % 64, c1 - c0);
      std::copy(part.begin(), part.end(),
                out.begin() + (size_t{r - rows.first} * cols.count + (c0 - cols.first)));
    }
    c0 = c1;
  }
  return out;
}

Bytes BlockReader::train(uint64_t offset, size_t count) {
  Bytes out(count, 0);
  read({Origin::train, 0}, offset, out);
  return out;
}

}  // namespace gemmine::verifier
