// What PTX instructions on one thread's registers mean, from the PTX ISA text; ptx2cpp.py names
// these. Registers hold raw bits (u16, u32, u64, or bool for predicates); get and put give them a
// type for the length of one instruction.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace gemmine::ptx {

using s8 = int8_t;
using s16 = int16_t;
using s32 = int32_t;
using s64 = int64_t;
using u8 = uint8_t;
using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using b8 = u8;
using b16 = u16;
using b32 = u32;
using b64 = u64;
using f32 = float;
using f64 = double;
using pred = bool;
template <class T>
using Unsigned = std::make_unsigned_t<T>;
template <class T>
using Raw = std::conditional_t<sizeof(T) == 4, u32, u64>;

template <class T, class R>
T get(R raw) {
  if constexpr (std::is_floating_point_v<T>)
    return std::bit_cast<T>(static_cast<Raw<T>>(raw));
  else
    return static_cast<T>(raw);
}
// Narrow results are extended to the register: with their sign if the type has one.
template <class R, class T>
R put(T value) {
  if constexpr (std::is_floating_point_v<T>)
    return static_cast<R>(std::bit_cast<Raw<T>>(value));
  else if constexpr (std::is_same_v<R, bool>)
    return value;
  else if constexpr (std::is_signed_v<T>)
    return static_cast<R>(static_cast<std::make_signed_t<R>>(value));
  else
    return static_cast<R>(value);
}

// Integers wrap; u64 in between keeps C++ from promoting to a type that overflows.
template <class T>
T add(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return a + b;
  else
    return static_cast<T>(static_cast<u64>(a) + static_cast<u64>(b));
}
template <class T>
T sub(T a, T b) {
  if constexpr (std::is_floating_point_v<T>)
    return a - b;
  else
    return static_cast<T>(static_cast<u64>(a) - static_cast<u64>(b));
}
template <class T>
T mul(T a, T b) {
  return a * b;
}
template <class T>
T mul_lo(T a, T b) {
  return static_cast<T>(static_cast<u64>(a) * static_cast<u64>(b));
}
template <class T>
auto mul_wide(T a, T b) {
  using Wide = std::conditional_t<std::is_signed_v<T>, std::conditional_t<sizeof(T) == 2, s32, s64>,
                                  std::conditional_t<sizeof(T) == 2, u32, u64>>;
  return static_cast<Wide>(static_cast<Wide>(a) * static_cast<Wide>(b));
}
__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 Uint128;
template <class T>
T mul_hi(T a, T b) {
  using Wide = std::conditional_t<std::is_signed_v<T>, Int128, Uint128>;
  return static_cast<T>((static_cast<Wide>(a) * static_cast<Wide>(b)) >> (8 * sizeof(T)));
}
template <class T>
T mad_lo(T a, T b, T c) {
  return add(mul_lo(a, b), c);
}
template <class T, class W>
W mad_wide(T a, T b, W c) {
  return add(static_cast<W>(mul_wide(a, b)), c);
}
template <class T>
T mad_hi(T a, T b, T c) {
  return add(mul_hi(a, b), c);
}
template <class T>
T fma(T a, T b, T c) {
  return std::fma(a, b, c);
}
// Division by zero of integers is unspecified on a GPU; here it must not happen.
template <class T>
T div(T a, T b) {
  return static_cast<T>(a / b);
}
template <class T>
T rem(T a, T b) {
  return static_cast<T>(a % b);
}
template <class T>
T rcp(T a) {
  return T{1} / a;
}
template <class T>
T sqrt(T a) {
  return std::sqrt(a);
}
// Of a NaN and a number, PTX takes the number; −0 is below +0.
template <class T>
T min(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (a != a) return b;
    if (b != b) return a;
    if (a == b) return std::signbit(a) ? a : b;
  }
  return a < b ? a : b;
}
template <class T>
T max(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (a != a) return b;
    if (b != b) return a;
    if (a == b) return std::signbit(a) ? b : a;
  }
  return a > b ? a : b;
}
template <class T>
T neg(T a) {
  if constexpr (std::is_floating_point_v<T>)
    return -a;
  else
    return sub(T{0}, a);
}
template <class T>
T abs(T a) {
  if constexpr (std::is_floating_point_v<T>)
    return std::fabs(a);
  else
    return a < 0 ? neg(a) : a;
}
template <class T>
T bit_and(T a, T b) {
  return static_cast<T>(a & b);
}
template <class T>
T bit_or(T a, T b) {
  return static_cast<T>(a | b);
}
template <class T>
T bit_xor(T a, T b) {
  return static_cast<T>(a ^ b);
}
template <class T>
T bit_not(T a) {
  if constexpr (std::is_same_v<T, bool>)
    return !a;
  else
    return static_cast<T>(~a);
}
// Shifts by the width or more give 0, or the sign.
template <class T>
T shl(T a, u32 n) {
  return n >= 8 * sizeof(T) ? T{0} : static_cast<T>(static_cast<u64>(a) << n);
}
template <class T>
T shr(T a, u32 n) {
  const u32 last = 8 * sizeof(T) - 1;
  if constexpr (std::is_signed_v<T>) return static_cast<T>(a >> (n > last ? last : n));
  return n > last ? T{0} : static_cast<T>(a >> n);
}
enum class Direction { left, right };
enum class Amount { wrap, clamp };
inline u32 shf(Direction direction, Amount amount, u32 a, u32 b, u32 c) {
  const u32 n = amount == Amount::wrap ? (c & 31) : std::min(c, 32U);
  const u64 both = (u64{b} << 32) | a;
  return static_cast<u32>(direction == Direction::right ? both >> n : (both << n) >> 32);
}
inline u32 lop3(u32 a, u32 b, u32 c, u32 table) {
  u32 out = 0;
  for (u32 i = 0; i < 8; ++i) {
    const u32 term = ((i & 4) != 0 ? a : ~a) & ((i & 2) != 0 ? b : ~b) & ((i & 1) != 0 ? c : ~c);
    if ((table >> i & 1) != 0) out |= term;
  }
  return out;
}
inline u32 prmt(u32 a, u32 b, u32 selector) {
  const u64 both = (u64{b} << 32) | a;
  u32 out = 0;
  for (u32 i = 0; i < 4; ++i) {
    const u32 s = selector >> (4 * i) & 15;
    u32 byte = static_cast<u32>(both >> (8 * (s & 7))) & 255;
    if ((s & 8) != 0) byte = (byte & 128) != 0 ? 255 : 0;
    out |= byte << (8 * i);
  }
  return out;
}
template <class T>
T bfe(T a, u32 position, u32 length) {
  constexpr u32 kBits = 8 * sizeof(T);
  position &= 255;
  length &= 255;
  if (length == 0) return T{0};
  const auto bits = static_cast<Unsigned<T>>(a);
  const u32 top = std::min(position + length - 1, kBits - 1);
  const bool fill = std::is_signed_v<T> && (bits >> top & 1) != 0;
  Unsigned<T> out = 0;
  for (u32 i = 0; i < kBits; ++i) {
    const bool bit = i < length && position + i < kBits ? (bits >> (position + i) & 1) != 0 : fill;
    out |= static_cast<Unsigned<T>>(bit) << i;
  }
  return static_cast<T>(out);
}
template <class T>
T bfi(T a, T b, u32 position, u32 length) {
  position &= 255;
  length &= 255;
  for (u32 i = 0; i < length && position + i < 8 * sizeof(T); ++i)
    b = static_cast<T>((b & ~(T{1} << (position + i))) | ((a >> i & 1) << (position + i)));
  return b;
}
template <class T>
u32 popc(T a) {
  return static_cast<u32>(std::popcount(a));
}
template <class T>
u32 clz(T a) {
  return static_cast<u32>(std::countl_zero(a));
}
// How far left the highest 1 would have to go to be on top; without one all bits.
inline u32 bfind_shiftamt(u32 a) {
  return a == 0 ? ~0U : static_cast<u32>(std::countl_zero(a));
}
template <class T>
T brev(T a) {
  T out = 0;
  for (u32 i = 0; i < 8 * sizeof(T); ++i)
    out |= (a >> i & 1) << (8 * sizeof(T) - 1 - i);
  return out;
}
template <class A, class B>  // s32 or u32: how the bytes of a and b are read
u32 dp4a(u32 a, u32 b, u32 c) {
  const auto byte = [](u32 word, int i, bool is_signed) {
    const u32 value = word >> (8 * i) & 255;
    return is_signed ? static_cast<s32>(static_cast<s8>(value)) : static_cast<s32>(value);
  };
  for (int i = 0; i < 4; ++i)
    c += static_cast<u32>(byte(a, i, std::is_signed_v<A>) * byte(b, i, std::is_signed_v<B>));
  return c;
}

// Comparisons; the forms ending in u hold as well when an operand is NaN.
template <class T>
bool unordered(T a, T b) {
  return a != a || b != b;
}

// `rounding`: n z m p for a float that becomes an integer (which saturates, NaN giving 0).
template <class D, class S>
D cvt(S a, char rounding, bool saturate) {
  using Limits = std::numeric_limits<D>;
  if constexpr (std::is_floating_point_v<S> && !std::is_floating_point_v<D>) {
    if (a != a) return sizeof(D) == 8 ? static_cast<D>(u64{1} << 63) : D{0};
    const S r = rounding == 'n'   ? std::nearbyint(a)
                : rounding == 'z' ? std::trunc(a)
                : rounding == 'm' ? std::floor(a)
                                  : std::ceil(a);
    if (r >= std::ldexp(S{1}, Limits::digits)) return Limits::max();
    if (r < static_cast<S>(Limits::min())) return Limits::min();
    return static_cast<D>(r);
  } else if constexpr (std::is_integral_v<S> && std::is_integral_v<D>) {
    if (saturate)
      return static_cast<D>(std::clamp(Int128{a}, Int128{Limits::min()}, Int128{Limits::max()}));
    return static_cast<D>(a);
  } else {
    return static_cast<D>(a);  // the host rounds to nearest even
  }
}

}  // namespace gemmine::ptx
