// Re-derives one tile of a committed tensor, or one block of a delta, from chunks alone, and says
// if it is what its inputs give (PROTOCOL 7.4). Prover and auditor run the same code on other
// sources.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "kernels/bytes.h"
#include "kernels/program.h"
#include "kernels/result.h"
#include "verifier/coin.h"
#include "verifier/replay.h"

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
  // An empty view: this chunk is not to be had (the block then cannot be decided).
  virtual ByteView chunk(ObjectId object, uint64_t index) = 0;
};

// Bytes of an object's string, a bound on what a source is asked for.
uint64_t object_bytes(const kernels::Program& program, ObjectId object);

class BlockCheck {
 public:
  // key: position of the step in the job. All references outlive the check.
  BlockCheck(const kernels::Program& program, kernels::StepKey key, BlockSource& source)
      : program_(program), key_(key), source_(source) {}

  // The lowest index along the drawn group where the scale is attained; 0 if the scale is 0.
  // Errors: invalid (no element attains it), undecided (a chunk is missing).
  Result<uint32_t> find_witness(const BlockChoice& choice);

  // valid, invalid, malformed (the witness lies outside its group), or undecided when a chunk is
  // missing.
  Finding check(const BlockChoice& choice, uint32_t witness);
  // A block of the delta against state_after and θ.
  Finding check_delta(const BlockChoice& choice, std::span<const float> theta);

 private:
  struct Group;
  struct Range {
    uint32_t first = 0;
    uint32_t count = 0;
  };
  using Ints = std::vector<int8_t>;
  using Floats = std::vector<float>;

  // Every load sets missing_ and returns zeros where a chunk is not to be had.
  void load(ObjectId object, uint64_t offset, std::span<uint8_t> out);
  Ints load_tiles(uint32_t position, Range rows, Range cols);  // row-major rows.count × cols.count
  Floats load_floats(ObjectId object, uint64_t first, uint32_t count);
  Floats load_vector(kernels::TensorKind kind, uint32_t layer, Range range);

  // Real values v of a tensor before quantising, row-major rows.count × cols.count.
  Floats values(const kernels::TensorInfo& tensor, Range rows, Range cols);
  Floats input_values(Range rows, Range cols);
  Floats forward(uint32_t layer, Range rows, Range cols);  // Y_layer
  Floats loss_gradient(Range rows, Range cols);
  Floats gradient(uint32_t layer, Range rows, Range cols);  // dY_layer
  Bytes load_record(uint32_t batch_row, Range bytes);

  Finding check_elements(const kernels::TensorInfo& tensor, Range rows, Range cols,
                         const Ints& tile, const Floats& scales);
  Finding check_padding(const kernels::TensorInfo& tensor, const BlockChoice& choice);
  Finding check_biases(uint32_t layer, Range rows);
  Finding check_witness(const kernels::TensorInfo& tensor, const Group& group, uint32_t witness);
  Group drawn_group(const kernels::TensorInfo& tensor, const BlockChoice& choice);

  const kernels::Program& program_;
  const kernels::StepKey key_;
  BlockSource& source_;
  bool missing_ = false;
  bool infinite_ = false;  // an f32 that was read is NaN or infinite
};

}  // namespace gemmine::verifier
