// Options that are numbers, read strictly: a whole decimal number within bounds, or a refusal that
// says what was expected. Not nan, inf, 1e999, 0x10, -1 for a count, 7x, true, or an empty text.
#pragma once

#include <charconv>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>

#include "kernels/base/check.h"

namespace CLI {
class App;
}

namespace gemmine::cli {

// Both ends belong to it.
template <class T>
struct NumberRange {
  T min = 0;
  T max = std::numeric_limits<T>::max();
};

template <class T>
std::string number_text(T value) {
  char text[64];
  const auto [end, code] = std::to_chars(text, text + sizeof text, value);
  GEMMINE_CHECK(code == std::errc{});
  return {text, end};
}

// "from 0 to 100", or "from 0" where the type alone is the bound.
template <class T>
std::string range_text(NumberRange<T> range) {
  if (range.max == std::numeric_limits<T>::max()) return "from " + number_text(range.min);
  return "from " + number_text(range.min) + " to " + number_text(range.max);
}

// Why the text is no number of the range; empty when it is one, which `value` then holds.
template <class T>
std::string read_number(const std::string& text, NumberRange<T> range, T& value) {
  constexpr bool kWhole = std::is_integral_v<T>;
  T read{};
  const char* const end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, read);
  bool good = code == std::errc{} && stop == end && read >= range.min && read <= range.max;
  if constexpr (!kWhole) good = good && std::isfinite(read);
  if (good) value = read;
  const std::string expected = kWhole ? "' is no whole number " : "' is no number ";
  return good ? "" : "'" + text + expected + range_text(range);
}

// An option whose text `take` reads; what `take` returns is why it refuses, or empty.
void add_text_option(CLI::App& command, const std::string& flag, const std::string& help,
                     const std::string& range, const std::string& shown_default,
                     std::function<std::string(const std::string&)> take);

// `flag` takes a number from `range`; `value` stays as it is where the flag is not given.
template <class T>
void add_number(CLI::App& command, const std::string& flag, T& value,
                std::type_identity_t<NumberRange<T>> range, const std::string& help) {
  GEMMINE_CHECK(range.min <= range.max && value >= range.min && value <= range.max);
  add_text_option(
      command, flag, help, range_text(range), number_text(value),
      [&value, range](const std::string& text) { return read_number(text, range, value); });
}

// The same; empty where the flag is not given.
template <class T>
void add_number(CLI::App& command, const std::string& flag, std::optional<T>& value,
                std::type_identity_t<NumberRange<T>> range, const std::string& help) {
  GEMMINE_CHECK(range.min <= range.max);
  add_text_option(command, flag, help, range_text(range), "",
                  [&value, range](const std::string& text) {
                    T read{};
                    const std::string wrong = read_number(text, range, read);
                    if (wrong.empty()) value = read;
                    return wrong;
                  });
}

}  // namespace gemmine::cli
