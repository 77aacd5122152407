// The bytes of an opening (PROTOCOL 6.5): bounded decoding, no judgement.
#pragma once

#include <vector>

#include "kernels/hash/blake3.h"
#include "kernels/model/program.h"
#include "verifier/audit/block.h"

namespace gemmine::verifier {

// Views look into the encoded bytes (or the prover's own), which must outlive them.
struct OpenedObject {
  ObjectId id;
  uint64_t total_bytes = 0;                 // of the whole object
  std::vector<kernels::ChunkRange> ranges;  // ascending, maximal
  std::vector<Digest> siblings;
  ByteView bytes;  // of the ranges' chunks, in order
};

struct Opening {
  uint32_t witness = 0;
  std::vector<Digest> step_siblings;
  ByteView step_chunk;                // the chunk of step digests that holds ours
  ByteView roots;                     // of the step's tensors, then the loss
  std::vector<OpenedObject> objects;  // ascending by id
};

// The ranges, siblings and bytes of an object, which has at least one range; without its id and its
// length.
void put_chunks(Writer& out, const OpenedObject& object);
// Reads them; the id stays for the caller to set. The result looks into the reader's bytes.
// Errors: malformed, naming the field.
Result<OpenedObject> get_chunks(Reader& reader, uint64_t total_bytes);

// Every object has at least one range.
Bytes encode_opening(const Opening& opening);
// Counts are compared with the bytes that are left before anything is allocated. The result looks
// into `bytes`. Errors: malformed, naming the field.
Result<Opening> decode_opening(const kernels::Program& program, ByteView bytes);

}  // namespace gemmine::verifier
