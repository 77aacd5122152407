// A step's whole objects, as a prover has them: what a look at them touches becomes an opening
// (PROTOCOL 6.5).
#pragma once

#include <map>
#include <set>

#include "verifier/audit/block_reader.h"
#include "verifier/audit/opening.h"

namespace gemmine::verifier {

// Remembers which chunks were read while recording. The engine of the view stands right after the
// step for as long as this lives.
class WholeSource : public BlockSource {
 public:
  explicit WholeSource(const ProverView& view) : view_(view) {}

  ByteView chunk(ObjectId object, uint64_t index) override;
  ByteView bytes(ObjectId object);

  bool recording = false;
  std::map<ObjectId, std::set<uint64_t>> touched;

 private:
  ByteView tensor(uint16_t position);

  const ProverView& view_;
  std::map<uint16_t, Bytes> tensors_;
};

// The opening of what was touched, at step `index` of the share. Errors: out_of_memory.
Result<Bytes> open_touched(const ProverView& view, WholeSource& source, uint32_t index,
                           uint32_t witness);

}  // namespace gemmine::verifier
