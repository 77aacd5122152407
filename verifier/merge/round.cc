#include "verifier/merge/round.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/hash/blake3.h"
#include "verifier/merge/delta.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

std::vector<float> floats_of(ByteView bytes) {
  GEMMINE_CHECK(bytes.size() % sizeof(float) == 0);
  std::vector<float> out(bytes.size() / sizeof(float));
  if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

std::vector<float> start_state(const kernels::Program& program, std::span<const float> theta) {
  GEMMINE_CHECK(theta.size() == program.parameters());
  std::vector<float> out(program.state_floats(), 0.0F);
  std::copy(theta.begin(), theta.end(), out.begin());
  return out;
}

Digest start_root(const kernels::Program& program, std::span<const float> theta) {
  return state_root(start_state(program, theta));
}

Result<RedoneRound> redo_round(const Work& work, std::span<const float> published,
                               MergeCounts counts, const DeltaSource& delta_of) {
  GEMMINE_CHECK(published.size() == work.program().published_floats());
  GEMMINE_CHECK(counts.subtracted <= kernels::kSlotsMax);
  const uint32_t slots = work.program().spec().slots;
  GEMMINE_CHECK(counts.added == slots || (counts.added == 0 && counts.subtracted > 0));
  Merge merge(work);
  for (uint32_t number = 0; number < counts.added + counts.subtracted; ++number) {
    const auto delta = delta_of(number);
    if (!delta) return delta.error();
    const bool adds = number < counts.added;
    const Status done = adds ? merge.add(delta.value()) : merge.subtract(delta.value());
    if (!done) return done.error();
  }
  auto next = merge.finish(published, slots);
  if (!next) return next.error();
  RedoneRound out{std::move(next.value()), {}};
  out.theta_root = kernels::blake3(as_bytes(std::span<const float>(out.published)));
  return out;
}

}  // namespace gemmine::verifier
