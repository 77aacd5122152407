// Reads parts of a step's objects out of 1 KiB chunks (PROTOCOL 6.5), and remembers what was
// missing or made no sense.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/model/program.h"

namespace gemmine::verifier {

// PROTOCOL 6.5: where opened bytes come from.
enum class Origin : uint8_t { tensor = 0, state_before = 1, state_after = 2, train = 3, delta = 4 };

struct ObjectId {
  Origin origin = Origin::tensor;
  uint16_t position = 0;  // of the tensor; 0 for other origins
  auto operator<=>(const ObjectId&) const = default;
};

inline constexpr size_t kChunk = 1024;

// The chunks of the objects of one step. Chunks are 1 KiB, the last of an object may be shorter.
class BlockSource {
 public:
  virtual ~BlockSource() = default;
  // Empty when this source does not have the chunk; the block then cannot be decided.
  virtual ByteView chunk(ObjectId object, uint64_t index) = 0;
};

// Length of an object in bytes; no chunk beyond it is asked for. 0 for an object that the program
// does not have.
uint64_t object_bytes(const kernels::Program& program, ObjectId object);

// Rows or columns of a matrix.
struct Range {
  uint32_t first = 0;
  uint32_t count = 0;
  uint32_t end() const { return first + count; }
};

using Ints = std::vector<int8_t>;
using Floats = std::vector<float>;

class BlockReader {
 public:
  // Both outlive the reader.
  BlockReader(const kernels::Program& program, BlockSource& source)
      : program_(program), source_(source) {}

  // Every read sets missing() and gives zeros where a chunk is not to be had. The range lies inside
  // the object.
  void read(ObjectId object, uint64_t offset, std::span<uint8_t> out);
  // Of an int8 tensor, row-major rows.count × cols.count.
  Ints ints(uint32_t position, Range rows, Range cols);
  Ints ints(kernels::TensorKind kind, uint32_t layer, Range rows, Range cols) {
    return ints(program_.position(kind, layer), rows, cols);
  }
  // `count` f32 from float number `first` on.
  Floats floats(ObjectId object, uint64_t first, uint32_t count);
  // A run of the elements of an f32 tensor, in its order.
  Floats run(kernels::TensorKind kind, uint32_t layer, Range range);
  // Of an f32 matrix, by rows or in panels, row-major rows.count × cols.count. In panels the
  // columns may go on into the padding.
  Floats matrix(kernels::TensorKind kind, uint32_t layer, Range rows, Range cols);
  Floats state_before(uint64_t first, uint32_t count) {
    return floats({Origin::state_before, 0}, first, count);
  }
  Bytes train(uint64_t offset, size_t count);

  // What is read makes no sense, whoever committed to it: the block is invalid.
  void object_to(std::string what) {
    if (objection_.empty()) objection_ = std::move(what);
  }
  // The same about a byte of the training data, which the miner has not chosen: the block is
  // invalid, and nobody is to blame for it.
  void object_to_data(std::string what) {
    blames_data_ = true;
    object_to(std::move(what));
  }
  bool missing() const { return missing_; }
  // Empty, or the first thing found wrong: NaN, infinity, a label or token out of range.
  const std::string& objection() const { return objection_; }
  bool blames_data() const { return blames_data_; }
  void forget() {
    missing_ = false;
    blames_data_ = false;
    objection_.clear();
  }

 private:
  Floats panels(ObjectId object, uint32_t tensor_rows, Range rows, Range cols);

  const kernels::Program& program_;
  BlockSource& source_;
  bool missing_ = false;
  bool blames_data_ = false;
  std::string objection_;
};

}  // namespace gemmine::verifier
