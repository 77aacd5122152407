// A round redone: what the next round publishes follows from what this one published and the deltas
// of its slots (PROTOCOL 8.3, 10.13). Pool, auditors, the offline judge and local training all go
// through here.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/model/program.h"
#include "verifier/records/job.h"

namespace gemmine::verifier {

// Bytes of a blob or of a file as the floats they are. bytes.size() is a multiple of 4.
std::vector<float> floats_of(ByteView bytes);

// What a lease starts from: θ, and moments of 0 (PROTOCOL 7.6). theta.size() ==
// program.parameters(); the result has program.state_floats().
std::vector<float> start_state(const kernels::Program& program, std::span<const float> theta);
// Its state root: state_before of a lease's first share.
Digest start_root(const kernels::Program& program, std::span<const float> theta);

struct RedoneRound {
  std::vector<float> published;  // by the next round, or by this one after a repair
  Digest theta_root;             // content address of it, as a merge record names it
};
// How many deltas a merge adds, S or none, and how many it takes out again, at most kSlotsMax.
struct MergeCounts {
  uint32_t added = 0;
  uint32_t subtracted = 0;
};
// The deltas that a merge is made of: first each slot's, then those that it takes out again, in the
// order of its record. Asked for once each, in order; only one is held at a time.
using DeltaSource = std::function<Result<Bytes>(uint32_t number)>;
// published: what the merged round did, program.published_floats(). Nothing added: a repair, which
// subtracts, and gives what the same round publishes. Errors: those of delta_of; malformed (a
// delta); invalid (a value is not finite).
Result<RedoneRound> redo_round(const Work& work, std::span<const float> published,
                               MergeCounts counts, const DeltaSource& delta_of);

}  // namespace gemmine::verifier
