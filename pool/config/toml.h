// Strict TOML: every key is asked for once, with its type and range; what is left over is an error.
//
// A message reads `file:line:column: error: key: what (expected ...)`, then the line, a caret and a
// hint. Keys are dotted ("train.batch"); arrays hold one type.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine::pool {

inline constexpr size_t kTomlBytesMax = 64 << 10;

class Toml {
 public:
  // Errors: malformed with the place.
  static Result<Toml> parse(std::string path, const std::string& text);
  // Errors: io too.
  static Result<Toml> load(const std::string& path);

  struct Range {
    uint64_t min;
    uint64_t max;
  };
  // Without a fallback the key is required. After the first error they return something harmless;
  // finish() says what was wrong.
  uint64_t integer(const std::string& key, Range range, std::optional<uint64_t> fallback = {});
  // Decimal text to the nearest float, rounded once.
  float decimal(const std::string& key, std::optional<float> fallback = {});
  std::string text(const std::string& key, size_t bytes_max,
                   const std::optional<std::string>& fallback = {});
  bool boolean(const std::string& key, std::optional<bool> fallback = {});
  // One of `words`; `words` must not be empty. Returns its index.
  size_t choice(const std::string& key, std::span<const std::string_view> words,
                std::optional<size_t> fallback = {});
  std::vector<uint64_t> integers(const std::string& key, Range range, size_t count_max);
  // No key: an empty list. A text alone is a list of one.
  std::vector<std::string> texts(const std::string& key, size_t count_max);

  // An error at this key's place; later checks of a caller use it too.
  bool has(const std::string& key) const { return values_.contains(key); }
  void fail(const std::string& key, const std::string& what, const std::string& expected,
            const std::string& hint = {});
  // The first error, or the first key nobody asked for.
  Status finish();

  const std::string& path() const { return path_; }
  // Paths in a file are relative to the file, so that a configuration can be moved as a whole.
  std::string beside(const std::string& path) const;

 private:
  enum class Type { integer, decimal, text, boolean, array, other };
  struct Value {
    Type type = Type::other;
    int64_t integer = 0;  // of a boolean 0 or 1
    std::string text;     // a string's content, else the source text
    std::vector<Value> items;
    uint32_t line = 0;
    uint32_t column = 0;
  };
  friend struct TomlFlatten;

  const Value* take(const std::string& key, bool required);
  std::string place(const Value& value, const std::string& message, const std::string& hint) const;

  std::string path_;
  std::vector<std::string> lines_;
  std::map<std::string, Value> values_;
  std::set<std::string> known_;  // asked for
  std::optional<Error> error_;
};

}  // namespace gemmine::pool
