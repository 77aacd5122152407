// A TOML text as dotted keys with their values and places.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"

namespace gemmine::pool {

// Line and column count from 1, the column in characters, as editors do; 0 is unknown.
struct TomlPlace {
  uint32_t line = 0;
  uint32_t column = 0;
  auto operator<=>(const TomlPlace&) const = default;
};

struct TomlValue {
  enum class Type { integer, decimal, text, boolean, array, other };
  Type type = Type::other;
  int64_t integer = 0;  // of a boolean 0 or 1
  std::string text;     // a string's content; of a number, as it is written
  std::vector<TomlValue> items;
  TomlPlace place;
  TomlPlace key_place;
};

// The lines of a file, to point into them.
class TomlSource {
 public:
  TomlSource(std::string path, std::string_view text);

  const std::string& path() const { return path_; }
  // `path:line:column: error: message`, the line with a caret under the place, and the hint.
  // Printable: what a terminal would obey is not in it.
  std::string show(TomlPlace place, const std::string& message, const std::string& hint) const;
  // The text from `begin` to `end` where both are on one line; else empty.
  std::string between(TomlPlace begin, TomlPlace end) const;

 private:
  std::string path_;
  std::vector<std::string> lines_;
};

// Every key that has a value, dotted ("train.batch").
// Errors: malformed, the detail by TomlSource::show; also texts of several lines (""" and ''').
Result<std::map<std::string, TomlValue>> parse_toml(const TomlSource& source,
                                                    std::string_view text);

}  // namespace gemmine::pool
