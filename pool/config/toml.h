// Strict TOML: every key is asked for once, with its type and range; what is left over is an error.
//
// A message reads `file:line:column: error: key: what (expected ...)`, then the line, a caret and a
// hint. Keys are dotted ("train.batch"); arrays hold one type.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"
#include "pool/config/fraction.h"
#include "pool/config/toml_tree.h"

namespace gemmine::pool {

inline constexpr size_t kTomlBytesMax = 64 << 10;
inline constexpr size_t kTomlErrorsMax = 8;  // that one message lists

class Toml {
 public:
  // A UTF-8 byte order mark is passed over. Errors: malformed with the place.
  static Result<Toml> parse(std::string path, std::string_view text);
  // Errors: io and invalid too, those of read_file.
  static Result<Toml> load(const std::string& path);

  struct Range {
    uint64_t min;
    uint64_t max;
  };
  // A word of the file and what it stands for.
  template <class T>
  struct Word {
    std::string_view text;
    T value;
  };
  // Without a fallback the key is required. What fails returns something harmless; finish() says
  // what was wrong.
  uint64_t integer(const std::string& key, Range range, std::optional<uint64_t> fallback = {});
  // Decimal text to the nearest float, rounded once.
  float decimal(const std::string& key, std::optional<float> fallback = {});
  // More than 0 and less than 1, exactly as it is written. The key is required.
  Fraction fraction(const std::string& key);
  std::string text(const std::string& key, size_t bytes_max,
                   const std::optional<std::string>& fallback = {});
  bool boolean(const std::string& key, std::optional<bool> fallback = {});
  // One of `words`, of which there is one at least.
  template <class T>
  T choice(const std::string& key, std::span<const Word<T>> words, std::optional<T> fallback = {}) {
    GEMMINE_CHECK(!words.empty());
    std::vector<std::string_view> texts;
    for (const Word<T>& word : words)
      texts.push_back(word.text);
    const auto index = word_index(key, texts, !fallback);
    return index ? words[*index].value : fallback.value_or(words.front().value);
  }
  std::vector<uint64_t> integers(const std::string& key, Range range, size_t count_max);
  // No key: an empty list. A text alone is a list of one.
  std::vector<std::string> texts(const std::string& key, size_t count_max);

  bool has(const std::string& key) const { return values_.contains(key); }
  bool good(const std::string& key) const { return !failed_.contains(key); }  // nothing wrong yet
  // An error at this key's place; later checks of a caller use it too.
  void fail(const std::string& key, const std::string& what, const std::string& expected,
            const std::string& hint = {});
  // The key is not there and must be.
  void miss(const std::string& key, const std::string& hint);

  // Whatever nobody asked for, all of it; else the first error; else the first missing key. For the
  // end, when every key was asked for.
  Status finish();
  // The first error, or the first missing key: for a file of which the rest cannot be read.
  // Something must have failed.
  Error first_error() const;

  const std::string& path() const { return source_.path(); }
  // Names in a file are relative to the file, so that a configuration can be moved as a whole.
  std::string beside(const std::string& name) const;

 private:
  explicit Toml(TomlSource source) : source_(std::move(source)) {}
  const TomlValue* take(const std::string& key, bool required);
  std::optional<size_t> word_index(const std::string& key, std::span<const std::string_view> words,
                                   bool required);
  Error unknown(const std::string& key) const;
  std::optional<std::string> alike(const std::string& unknown) const;

  TomlSource source_;
  std::map<std::string, TomlValue> values_;
  std::set<std::string> known_;   // asked for
  std::set<std::string> failed_;  // keys with an error, or missing
  std::optional<Error> error_;
  std::optional<std::pair<std::string, std::string>> missing_;  // the first: key, hint
};

// `name` seen from `folder`: itself when it is absolute.
std::string seen_from(const std::string& folder, const std::string& name);

// Whether somebody who wrote `written` may have meant `key`, of the same table or another: a typing
// error, its initials (learning_rate: lr), or a word of it (batch_size: batch). 0 is surest.
std::optional<size_t> likeness(std::string_view written, std::string_view key);

}  // namespace gemmine::pool
