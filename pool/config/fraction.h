// A part of a whole, as exact as the decimal that a person wrote.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace gemmine::pool {

inline constexpr uint32_t kFractionPlacesMax = 18;

// digits / 10^places, between 0 and 1. Binary fractions lose a row: 0.7 of 100 as a double is 69.
struct Fraction {
  uint64_t digits = 0;
  uint32_t places = 0;  // ≤ kFractionPlacesMax

  // ⌊this × count⌋, exactly.
  uint64_t of(uint64_t count) const;

  // Of a decimal as TOML writes it ("0.01", "1e-2", "0.000_1"). None for what is not more than 0
  // and less than 1, has more than kFractionPlacesMax decimals, or is no decimal.
  static std::optional<Fraction> parse(std::string_view text);
};

}  // namespace gemmine::pool
