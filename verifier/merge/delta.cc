#include "verifier/merge/delta.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/model/program.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::verifier {

namespace {

constexpr int kExponentMin = -40;
constexpr int kExponentMax = 2;
constexpr int kQuantumMin = -127;
constexpr uint32_t kAbsMask = 0x7fffffff;
constexpr uint32_t kDivergedBits = 0x43800000;     // 256.0; NaN and infinity are above it
constexpr uint32_t kLargestMantissa = 0x007e0000;  // of 1.984375 = 127/64: q stays within ±127

// PROTOCOL 6.4, from the bits of a = max |d|. Denormals are far below 2⁻⁴⁰.
int block_exponent(uint32_t bits) {
  if (bits < 0x00800000) return kExponentMin;
  const int x = static_cast<int>(bits >> 23) - 127;
  return std::max(kExponentMin, (bits & 0x007fffff) <= kLargestMantissa ? x - 6 : x - 5);
}

// 2ⁿ for the exponents of deltas.
float power_of_two(int n) {
  GEMMINE_CHECK(n >= -kExponentMax && n <= -kExponentMin);
  return std::bit_cast<float>(static_cast<uint32_t>(n + 127) << 23);
}

}  // namespace

Result<Bytes> make_delta(std::span<const float> theta_local, std::span<const float> theta_global) {
  if (theta_local.size() != theta_global.size())
    return Error{Errc::invalid_argument, "delta: the two models differ in size"};
  const size_t count = theta_local.size();
  const size_t blocks = (count + kDeltaBlock - 1) / kDeltaBlock;
  Bytes out(delta_bytes(count));
  for (size_t block = 0; block < blocks; ++block) {
    const size_t first = block * kDeltaBlock;
    const size_t last = std::min(count, first + kDeltaBlock);
    uint32_t largest = 0;
    for (size_t i = first; i < last; ++i) {
      const float d = theta_local[i] - theta_global[i];
      largest = std::max(largest, std::bit_cast<uint32_t>(d) & kAbsMask);
    }
    if (largest >= kDivergedBits)
      return Error{Errc::invalid, "delta: diverged in block " + std::to_string(block) +
                                      " (|d| ≥ 256, NaN or infinity)"};
    const int e = block_exponent(largest);
    const float scale = power_of_two(-e);
    out[block] = static_cast<uint8_t>(e);
    for (size_t i = first; i < last; ++i) {
      const float d = theta_local[i] - theta_global[i];
      out[blocks + i] = static_cast<uint8_t>(kernels::rni(d * scale));
    }
  }
  return out;
}

Status check_delta_piece(uint64_t at, ByteView bytes, uint64_t parameters) {
  GEMMINE_CHECK(at + bytes.size() <= delta_bytes(parameters));
  const uint64_t blocks = delta_bytes(parameters) - parameters;
  const size_t exponents = at < blocks ? std::min<uint64_t>(blocks - at, bytes.size()) : 0;
  for (size_t i = 0; i < exponents; ++i) {
    const int e = static_cast<int8_t>(bytes[i]);
    if (e < kExponentMin || e > kExponentMax)
      return Error{Errc::malformed, "delta: exponent " + std::to_string(e) + " of block " +
                                        std::to_string(at + i) + " is not in -40 to 2"};
  }
  for (size_t i = exponents; i < bytes.size(); ++i) {
    if (static_cast<int8_t>(bytes[i]) < kQuantumMin)
      return Error{Errc::malformed,
                   "delta: q of parameter " + std::to_string(at + i - blocks) + " is below -127"};
  }
  return Ok{};
}

Status check_delta(ByteView delta, uint64_t parameters) {
  if (delta.size() != delta_bytes(parameters))
    return Error{Errc::malformed, "delta: has " + std::to_string(delta.size()) + " bytes of " +
                                      std::to_string(delta_bytes(parameters))};
  return check_delta_piece(0, delta, parameters);
}

std::vector<float> initial_published(const kernels::Program& program) {
  std::vector<float> out = program.initial_theta();
  out.resize(program.published_floats(), 0.0F);
  return out;
}

std::span<const float> theta_of(const kernels::Program& program, std::span<const float> published) {
  GEMMINE_CHECK(published.size() == program.published_floats());
  return published.first(program.parameters());
}

Merge::Merge(const kernels::Program& program)
    : Merge(program.parameters(), {program.spec().outer_lr, program.spec().outer_momentum}) {}

Status Merge::add(ByteView delta) {
  if (Status status = check_delta(delta, sums_.size()); !status) return status;
  // 127·2⁴² in at most 4096 slots stays below 2⁶².
  if (added_ >= kernels::kSlotsMax)
    return Error{Errc::invalid_argument, "merge: more deltas than slots_max"};
  ++added_;
  const size_t blocks = delta.size() - sums_.size();
  for (size_t i = 0; i < sums_.size(); ++i) {
    const int shift = static_cast<int8_t>(delta[i / kDeltaBlock]) - kExponentMin;
    sums_[i] +=
        static_cast<int64_t>(static_cast<int8_t>(delta[blocks + i])) * (int64_t{1} << shift);
  }
  return Ok{};
}

Result<std::vector<float>> Merge::finish(std::span<const float> published, uint32_t slots) const {
  static_assert(kernels::kSlotsMax <= 4096, "127·2⁴² in so many slots stays below 2⁶²");
  const size_t count = sums_.size();
  const bool with_velocity = outer_.momentum > 0;
  if (slots == 0 || added_ != slots)
    return Error{Errc::invalid_argument,
                 "merge: " + std::to_string(added_) + " deltas of " + std::to_string(slots)};
  if (published.size() != (with_velocity ? 2 * count : count))
    return Error{Errc::invalid_argument,
                 "merge: the round published " + std::to_string(published.size()) +
                     " floats, the deltas are of " + std::to_string(count) + " parameters" +
                     (with_velocity ? " with their outer velocity" : "")};
  const float share = 1.0F / static_cast<float>(slots);
  std::vector<float> out(published.size());
  for (size_t i = 0; i < count; ++i) {
    float move = (static_cast<float>(sums_[i]) * 0x1p-40F) * share;
    if (with_velocity) {
      float& velocity = out[count + i];
      velocity = outer_.momentum * published[count + i] + move;
      move = move + outer_.momentum * velocity;
      if (!std::isfinite(velocity))
        return Error{Errc::invalid,
                     "merge: the velocity of parameter " + std::to_string(i) + " is not finite"};
    }
    // With lr 1 the product is exact: an MLP's merge of 8.3.
    out[i] = published[i] + outer_.lr * move;
    if (!std::isfinite(out[i]))
      return Error{Errc::invalid, "merge: parameter " + std::to_string(i) + " is not finite"};
  }
  return out;
}

}  // namespace gemmine::verifier
