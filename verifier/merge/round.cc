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

Result<RedoneRound> redo_round(const kernels::Program& program, std::span<const float> published,
                               const DeltaOfSlot& delta_of) {
  GEMMINE_CHECK(published.size() == program.published_floats());
  const uint32_t slots = program.spec().slots;
  Merge merge(program);
  for (uint32_t slot = 0; slot < slots; ++slot) {
    const auto delta = delta_of(slot);
    if (!delta) return delta.error();
    if (Status added = merge.add(delta.value()); !added) return added.error();
  }
  auto next = merge.finish(published, slots);
  if (!next) return next.error();
  RedoneRound out{std::move(next.value()), {}};
  out.theta_root = kernels::blake3(as_bytes(std::span<const float>(out.published)));
  return out;
}

}  // namespace gemmine::verifier
