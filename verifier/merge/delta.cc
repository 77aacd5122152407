#include "verifier/merge/delta.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/model/program.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::verifier {

namespace {

constexpr int kExponentMin = -40;
constexpr int kQuantumMin = -127;
constexpr uint32_t kAbsMask = 0x7fffffff;
constexpr uint32_t kNotFiniteBits = 0x7f800000;    // infinity; NaNs are above it
constexpr uint32_t kLargestMantissa = 0x007e0000;  // of 1.984375 = 127/64: q stays within ±127

// PROTOCOL 6.4, from the bits of a = max |d|. Denormals are far below 2⁻⁴⁰.
int block_exponent(uint32_t bits) {
  if (bits < 0x00800000) return kExponentMin;
  const int x = static_cast<int>(bits >> 23) - 127;
  return std::max(kExponentMin, (bits & 0x007fffff) <= kLargestMantissa ? x - 6 : x - 5);
}

// Of the largest change there is, 127·2^(delta_max − 7), and so of every block.
int exponent_max(int delta_max) {
  GEMMINE_CHECK(delta_max >= kDeltaMaxMin && delta_max <= kDeltaMaxMax);
  static_assert(kDeltaMaxMin - 7 > kExponentMin);
  return delta_max - 7;
}

// 2ⁿ for the exponents of deltas.
float power_of_two(int n) {
  GEMMINE_CHECK(n >= -kDeltaMaxMax && n <= -kExponentMin);
  return std::bit_cast<float>(static_cast<uint32_t>(n + 127) << 23);
}

}  // namespace

float delta_bound(int delta_max) {
  return 127.0F / power_of_two(-exponent_max(delta_max));
}

Result<Bytes> make_delta(std::span<const float> theta_local, std::span<const float> theta_global,
                         int delta_max) {
  if (theta_local.size() != theta_global.size())
    return Error{Errc::invalid_argument, "delta: the two models differ in size"};
  const size_t count = theta_local.size();
  const size_t blocks = (count + kDeltaBlock - 1) / kDeltaBlock;
  const float bound = delta_bound(delta_max);
  const auto change = [&](size_t i) {
    return std::clamp(theta_local[i] - theta_global[i], -bound, bound);  // a NaN stays one
  };
  Bytes out(delta_bytes(count));
  for (size_t block = 0; block < blocks; ++block) {
    const size_t first = block * kDeltaBlock;
    const size_t last = std::min(count, first + kDeltaBlock);
    uint32_t largest = 0;
    for (size_t i = first; i < last; ++i) {
      if ((std::bit_cast<uint32_t>(theta_local[i] - theta_global[i]) & kAbsMask) >= kNotFiniteBits)
        return Error{Errc::invalid,
                     "delta: diverged in block " + std::to_string(block) + " (NaN or infinity)"};
      largest = std::max(largest, std::bit_cast<uint32_t>(change(i)) & kAbsMask);
    }
    const int e = block_exponent(largest);
    const float scale = power_of_two(-e);
    out[block] = static_cast<uint8_t>(e);
    for (size_t i = first; i < last; ++i) {
      out[blocks + i] = static_cast<uint8_t>(kernels::rni(change(i) * scale));
    }
  }
  return out;
}

Status check_delta_piece(uint64_t at, ByteView bytes, uint64_t parameters, int delta_max) {
  GEMMINE_CHECK(at + bytes.size() <= delta_bytes(parameters));
  const uint64_t blocks = delta_bytes(parameters) - parameters;
  const size_t exponents = at < blocks ? std::min<uint64_t>(blocks - at, bytes.size()) : 0;
  for (size_t i = 0; i < exponents; ++i) {
    const int e = static_cast<int8_t>(bytes[i]);
    if (e < kExponentMin || e > exponent_max(delta_max))
      return Error{Errc::malformed, "delta: exponent " + std::to_string(e) + " of block " +
                                        std::to_string(at + i) + " is not in -40 to " +
                                        std::to_string(exponent_max(delta_max))};
  }
  for (size_t i = exponents; i < bytes.size(); ++i) {
    if (static_cast<int8_t>(bytes[i]) < kQuantumMin)
      return Error{Errc::malformed,
                   "delta: q of parameter " + std::to_string(at + i - blocks) + " is below -127"};
  }
  return Ok{};
}

Status check_delta(ByteView delta, uint64_t parameters, int delta_max) {
  if (delta.size() != delta_bytes(parameters))
    return Error{Errc::malformed, "delta: has " + std::to_string(delta.size()) + " bytes of " +
                                      std::to_string(delta_bytes(parameters))};
  return check_delta_piece(0, delta, parameters, delta_max);
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

Merge::Merge(const Work& work)
    : Merge(work.program().parameters(),
            {work.program().spec().outer_lr, work.program().spec().outer_momentum},
            work.job().audit.delta_max) {}

Status Merge::add(ByteView delta) {
  if (added_ >= kernels::kSlotsMax)
    return Error{Errc::invalid_argument, "merge: more deltas than slots_max"};
  if (Status status = accumulate(delta, 1); !status) return status;
  ++added_;
  return Ok{};
}

Status Merge::subtract(ByteView delta) {
  if (subtracted_ >= kernels::kSlotsMax)
    return Error{Errc::invalid_argument, "merge: more deltas to subtract than slots_max"};
  if (Status status = accumulate(delta, -1); !status) return status;
  ++subtracted_;
  return Ok{};
}

Status Merge::accumulate(ByteView delta, int64_t sign) {
  static_assert(kernels::kSlotsMax <= 4096 && kDeltaMaxMax - 7 - kExponentMin < 42,
                "127·2⁴¹ in twice so many deltas stays below 2⁶²");
  if (Status status = check_delta(delta, sums_.size(), delta_max_); !status) return status;
  const size_t blocks = delta.size() - sums_.size();
  for (size_t i = 0; i < sums_.size(); ++i) {
    const int shift = static_cast<int8_t>(delta[i / kDeltaBlock]) - kExponentMin;
    const auto q = static_cast<int64_t>(static_cast<int8_t>(delta[blocks + i]));
    sums_[i] += sign * q * (int64_t{1} << shift);
  }
  return Ok{};
}

Result<std::vector<float>> Merge::finish(std::span<const float> published, uint32_t slots) const {
  const size_t count = sums_.size();
  const bool with_velocity = outer_.momentum > 0;
  const bool repair = added_ == 0 && subtracted_ > 0;
  if (slots == 0 || (added_ != slots && !repair))
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
      const float old = published[count + i];
      velocity = (repair ? old : outer_.momentum * old) + move;
      move = move + outer_.momentum * (repair ? move : velocity);
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
