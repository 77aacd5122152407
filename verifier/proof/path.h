// The way from one chunk's chaining value up to the root of its string (PROTOCOL 4.5, 12.1).
#pragma once

#include <vector>

#include "kernels/hash/blake3.h"

namespace gemmine::verifier {

// The siblings that a multiproof of chunk `chunk` of `chunks` has, in its order.
uint64_t path_length(uint64_t chunks, uint64_t chunk);
// They are so many digests, without a count. Errors: malformed.
Result<std::vector<Digest>> get_path(Reader& in, uint64_t chunks, uint64_t chunk);
// The root that follows. path.size() == path_length(chunks, chunk); with one chunk `cv` is it.
Digest root_above(const kernels::Blake3Mode& mode, uint64_t chunks, uint64_t chunk,
                  const Digest& cv, const std::vector<Digest>& path);

}  // namespace gemmine::verifier
