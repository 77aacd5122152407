// What somebody else opened: his chunks as a source of a block's inputs, and whether they are the
// bytes that the miner committed to (PROTOCOL 4.5, 6.5).
#pragma once

#include <map>
#include <set>
#include <span>

#include "kernels/hash/blake3.h"
#include "verifier/audit/block_reader.h"
#include "verifier/audit/opening_codec.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"

namespace gemmine::verifier {

// Only what was opened. `objects` ascend by id, as decode_opening() gives them, and outlive it.
class OpenedSource : public BlockSource {
 public:
  explicit OpenedSource(std::span<const OpenedObject> objects) : objects_(objects) {}

  ByteView chunk(ObjectId object, uint64_t index) override;
  // Every chunk that was opened was read.
  bool exhausted() const;

 private:
  std::span<const OpenedObject> objects_;
  std::map<ObjectId, std::set<uint64_t>> touched_;
};

// How an object is hashed. key_of_step: step_key() of the block's step.
kernels::Blake3Mode object_mode(ObjectId object, const Digest& key_of_step);

// Whether every hash holds: the step's digest is in the share's trace, the roots give that digest,
// and each object's chunks their root. `index`: of the step in the share. Errors: invalid.
Status verify_opened(const Work& work, const Lease& lease, const Share& share, uint32_t index,
                     const Opening& opening);

}  // namespace gemmine::verifier
