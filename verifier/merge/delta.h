// Deltas and their merge in integers: any arrival order gives the same bits (PROTOCOL 6.4, 8.3).
//
// What a round *publishes* (the blob behind theta_root; PROTOCOL 10.13) is θ and, for a job with
// outer_momentum > 0, as many floats of outer velocity behind it: Program::published_floats() in
// all. Only a merge reads and writes the velocity. Everything else takes θ alone: leases start from
// it, deltas, openings, replays and evaluations are of it.
#pragma once

#include <span>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/model/program.h"
#include "verifier/records/job.h"

namespace gemmine::verifier {

inline constexpr size_t kDeltaBlock = 128;

inline uint64_t delta_bytes(uint64_t parameters) {
  return (parameters + kDeltaBlock - 1) / kDeltaBlock + parameters;
}

// The most that a lease's delta moves a parameter, 127·2^(delta_max − 7) (PROTOCOL 6.4).
float delta_bound(int delta_max);

// What a lease changed, 8 bits a parameter with an exponent for each kDeltaBlock of them (PROTOCOL
// 6.4). A change by more than delta_bound() counts as that: no lease moves a parameter by
// 2^delta_max. delta_max: the job's (AuditPolicy).
// Errors: invalid_argument (spans of two sizes); invalid when the lease has diverged (NaN or
// infinity).
Result<Bytes> make_delta(std::span<const float> theta_local, std::span<const float> theta_global,
                         int delta_max);
// Whether these bytes are a delta of so many parameters: length and ranges. Errors: malformed.
Status check_delta(ByteView delta, uint64_t parameters, int delta_max);
// Ranges of the bytes of a delta from `at` on, for who reads it in pieces. Errors: malformed.
Status check_delta_piece(uint64_t at, ByteView bytes, uint64_t parameters, int delta_max);

// What round 0 publishes: θ as it follows from init_seed, and no velocity yet.
std::vector<float> initial_published(const kernels::Program& program);
// θ of what a round publishes. published.size() == program.published_floats().
std::span<const float> theta_of(const kernels::Program& program, std::span<const float> published);

// PROTOCOL 10.13. An MLP's is the default: θ moves by the mean of the deltas.
struct OuterStep {
  float lr = 1;
  float momentum = 0;
};

class Merge {
 public:
  explicit Merge(const Work& work);
  Merge(uint64_t parameters, OuterStep outer, int delta_max)
      : outer_(outer), delta_max_(delta_max), sums_(parameters, 0) {}
  // In any order, and mixed. add: of a slot of the round. subtract: of a lease that an earlier
  // round was made of and that was found wrong since. Errors: malformed; invalid_argument beyond
  // kSlotsMax deltas of either.
  Status add(ByteView delta);
  Status subtract(ByteView delta);
  // What the next round publishes, from what this one did; of the same length. `slots` is S.
  // If deltas were only subtracted it is a repair: what the same round publishes from now on,
  // without a step of the momentum (PROTOCOL 8.3). Errors: invalid when a value is not finite;
  // invalid_argument when neither exactly S deltas were added nor any was subtracted alone, or
  // `published` has another length.
  Result<std::vector<float>> finish(std::span<const float> published, uint32_t slots) const;

 private:
  Status accumulate(ByteView delta, int64_t sign);

  OuterStep outer_;
  int delta_max_;
  std::vector<int64_t> sums_;
  uint32_t added_ = 0;
  uint32_t subtracted_ = 0;
};

}  // namespace gemmine::verifier
