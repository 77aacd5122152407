#include "pool/config/fraction.h"

#include <charconv>
#include <string>

#include "kernels/base/check.h"

namespace gemmine::pool {
namespace {

__extension__ using Wide = unsigned __int128;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

uint64_t Fraction::of(uint64_t count) const {
  GEMMINE_CHECK(places <= kFractionPlacesMax);
  uint64_t whole = 1;
  for (uint32_t i = 0; i < places; ++i)
    whole *= 10;
  GEMMINE_CHECK(digits < whole || digits == 0);
  return static_cast<uint64_t>(Wide{count} * digits / whole);
}

std::optional<Fraction> Fraction::parse(std::string_view text) {
  std::string written;
  for (const char c : text)
    if (c != '_') written.push_back(c);
  if (written.starts_with('+')) written.erase(0, 1);
  const size_t mark = std::min(written.find_first_of("eE"), written.size());
  int exponent = 0;
  if (mark < written.size()) {
    const char* at = written.data() + mark + 1;
    const char* const end = written.data() + written.size();
    if (at != end && *at == '+') ++at;
    const auto [stop, code] = std::from_chars(at, end, exponent);
    if (code != std::errc{} || stop != end || exponent < -1000 || exponent > 1000) return {};
  }
  const std::string mantissa = written.substr(0, mark);
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  std::string digits = mantissa.substr(0, point);
  if (point < mantissa.size()) digits += mantissa.substr(point + 1);
  for (const char c : digits)
    if (!is_digit(c)) return {};
  int places = static_cast<int>(digits.size() - point) - exponent;
  while (digits.ends_with('0')) {
    digits.pop_back();
    --places;
  }
  digits.erase(0, digits.find_first_not_of('0'));
  // Nothing, one or more, or too fine.
  if (digits.empty() || places < static_cast<int>(digits.size())) return {};
  if (places > static_cast<int>(kFractionPlacesMax)) return {};
  Fraction out;
  out.places = static_cast<uint32_t>(places);
  for (const char c : digits)
    out.digits = out.digits * 10 + static_cast<uint64_t>(c - '0');
  return out;
}

}  // namespace gemmine::pool
