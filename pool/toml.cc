#include "pool/toml.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "pool/files.h"

// The packaged library is built with exceptions; this one file compiles its own copy without.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace gemmine::pool {

// Turns the tree into dotted keys. A friend, so that no toml++ type is in our header.
struct TomlFlatten {
  Toml& out;

  std::string source(const toml::source_region& region) const {
    const auto line = region.begin.line;
    if (line == 0 || line > out.lines_.size() || region.end.line != line) return {};
    const std::string& text = out.lines_[line - 1];
    const size_t first = std::min<size_t>(region.begin.column - 1, text.size());
    const size_t last = std::min<size_t>(region.end.column - 1, text.size());
    return text.substr(first, std::max(first, last) - first);
  }

  Toml::Value value(const toml::node& node) const {
    Toml::Value made;
    made.line = static_cast<uint32_t>(node.source().begin.line);
    made.column = static_cast<uint32_t>(node.source().begin.column);
    made.text = source(node.source());
    if (const auto* integer = node.as_integer()) {
      made.type = Toml::Type::integer;
      made.integer = integer->get();
    } else if (const auto* boolean = node.as_boolean()) {
      made.type = Toml::Type::boolean;
      made.integer = boolean->get() ? 1 : 0;
    } else if (node.is_floating_point()) {
      made.type = Toml::Type::decimal;
    } else if (const auto* text = node.as_string()) {
      made.type = Toml::Type::text;
      made.text = text->get();
    } else if (const auto* array = node.as_array()) {
      made.type = Toml::Type::array;
      for (const toml::node& item : *array)
        made.items.push_back(value(item));
    }
    return made;
  }

  void table(const toml::table& from, const std::string& prefix) const {
    for (const auto& [key, node] : from) {
      const std::string name = prefix + std::string(key.str());
      if (const auto* inner = node.as_table()) {
        table(*inner, name + ".");
        continue;
      }
      Toml::Value made = value(node);
      made.line = static_cast<uint32_t>(node.source().begin.line);
      out.values_[name] = std::move(made);
    }
  }
};

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row[b.size()];
}

Result<Toml> Toml::parse(std::string path, const std::string& text) {
  Toml out;
  out.path_ = std::move(path);
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    out.lines_.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  const toml::parse_result parsed = toml::parse(text, out.path_);
  if (!parsed) {
    Value where;
    where.line = static_cast<uint32_t>(parsed.error().source().begin.line);
    where.column = static_cast<uint32_t>(parsed.error().source().begin.column);
    return Error{Errc::malformed,
                 out.place(where, std::string(parsed.error().description()),
                           "this is TOML: `key = value` lines, texts in \"quotes\"")};
  }
  TomlFlatten{out}.table(parsed.table(), "");
  return out;
}

Result<Toml> Toml::load(const std::string& path) {
  const auto bytes = read_file(path, kTomlBytesMax);
  if (!bytes) return bytes.error();
  return parse(path, std::string(bytes.value().begin(), bytes.value().end()));
}

std::string Toml::place(const Value& value, const std::string& message,
                        const std::string& hint) const {
  std::string out = path_ + ":" + std::to_string(value.line) + ":" + std::to_string(value.column) +
                    ": error: " + message;
  if (value.line > 0 && value.line <= lines_.size()) {
    out += "\n  " + lines_[value.line - 1] + "\n  " +
           std::string(value.column > 0 ? value.column - 1 : 0, ' ') + "^";
  }
  if (!hint.empty()) out += "\nhint: " + hint;
  return out;
}

void Toml::fail(const std::string& key, const std::string& what, const std::string& expected,
                const std::string& hint) {
  if (error_) return;
  const auto found = values_.find(key);
  Value where;
  where.line = where.column = 1;
  if (found != values_.end()) where = found->second;
  std::string message = key + ": " + what;
  if (!expected.empty()) message += " (expected " + expected + ")";
  error_ = Error{Errc::invalid_argument, place(where, message, hint)};
}

const Toml::Value* Toml::take(const std::string& key, bool required) {
  known_.insert(key);
  const auto found = values_.find(key);
  if (found != values_.end()) return &found->second;
  if (required && !error_) {
    // A key that is nearly this one explains more than "missing" does: finish() names it.
    const bool misspelt = std::ranges::any_of(values_, [&](const auto& entry) {
      return !known_.contains(entry.first) && edit_distance(entry.first, key) <= 2;
    });
    if (!misspelt) fail(key, "is missing", "this key", "add `" + key + "` to the file");
  }
  return nullptr;
}

uint64_t Toml::integer(const std::string& key, Range range, std::optional<uint64_t> fallback) {
  const std::string expected =
      "a whole number from " + std::to_string(range.min) + " to " + std::to_string(range.max);
  const Value* value = take(key, !fallback);
  if (value == nullptr) return fallback.value_or(range.min);
  if (value->type != Type::integer) {
    fail(key, "is not a whole number", expected);
  } else if (value->integer < 0 || static_cast<uint64_t>(value->integer) < range.min ||
             static_cast<uint64_t>(value->integer) > range.max) {
    fail(key, std::to_string(value->integer) + " is out of range", expected);
  } else {
    return static_cast<uint64_t>(value->integer);
  }
  return range.min;
}

float Toml::decimal(const std::string& key, std::optional<float> fallback) {
  const Value* value = take(key, !fallback);
  if (value == nullptr) return fallback.value_or(0.0F);
  float out = 0;
  if (value->type == Type::decimal || value->type == Type::integer) {
    std::string digits = value->text;
    std::erase(digits, '_');
    const char* const end = digits.data() + digits.size();
    const char* const begin = digits.starts_with('+') ? digits.data() + 1 : digits.data();
    const auto [stop, code] = std::from_chars(begin, end, out);
    if (code == std::errc{} && stop == end && std::isfinite(out)) return out;
  }
  fail(key, "is not a decimal number that a float can hold", "for example 0.05");
  return 0;
}

std::string Toml::text(const std::string& key, size_t bytes_max,
                       const std::optional<std::string>& fallback) {
  const Value* value = take(key, !fallback);
  if (value == nullptr) return fallback.value_or("");
  const std::string expected = "a text of at most " + std::to_string(bytes_max) + " characters";
  if (value->type != Type::text) {
    fail(key, "is not a text", expected, "put it in \"quotes\"");
  } else if (value->text.size() > bytes_max) {
    fail(key, "is too long", expected);
  } else {
    return value->text;
  }
  return {};
}

bool Toml::boolean(const std::string& key, std::optional<bool> fallback) {
  const Value* value = take(key, !fallback);
  if (value == nullptr) return fallback.value_or(false);
  if (value->type != Type::boolean) fail(key, "is neither true nor false", "", "without quotes");
  return value->integer != 0;
}

size_t Toml::choice(const std::string& key, std::span<const std::string_view> words,
                    std::optional<size_t> fallback) {
  const Value* value = take(key, !fallback);
  if (value == nullptr) return fallback.value_or(0);
  std::string expected;
  for (size_t i = 0; i < words.size(); ++i) {
    if (value->type == Type::text && value->text == words[i]) return i;
    const char* const comma = i + 1 == words.size() ? " or " : ", ";
    expected.append(i == 0 ? "" : comma).append("\"").append(words[i]).append("\"");
  }
  const std::string what =
      value->type == Type::text ? "'" + value->text + "' is unknown" : "is not a text";
  fail(key, what, expected);
  return 0;
}

std::vector<uint64_t> Toml::integers(const std::string& key, Range range, size_t count_max) {
  const std::string expected = "a list of 1 to " + std::to_string(count_max) +
                               " whole numbers from " + std::to_string(range.min) + " to " +
                               std::to_string(range.max);
  std::vector<uint64_t> out;
  const Value* value = take(key, true);
  if (value == nullptr) return out;
  if (value->type != Type::array || value->items.empty() || value->items.size() > count_max) {
    fail(key, "is not such a list", expected);
    return out;
  }
  for (const Value& item : value->items) {
    const bool good = item.type == Type::integer && item.integer >= 0 &&
                      static_cast<uint64_t>(item.integer) >= range.min &&
                      static_cast<uint64_t>(item.integer) <= range.max;
    if (!good) {
      fail(key, "has an item that does not fit", expected);
      return {};
    }
    out.push_back(static_cast<uint64_t>(item.integer));
  }
  return out;
}

std::vector<std::string> Toml::texts(const std::string& key, size_t count_max) {
  std::vector<std::string> out;
  const Value* value = take(key, false);
  if (value == nullptr) return out;
  if (value->type == Type::text) return {value->text};
  const bool good =
      value->type == Type::array && value->items.size() <= count_max &&
      std::ranges::all_of(value->items, [](const Value& item) { return item.type == Type::text; });
  if (!good) {
    fail(key, "is not a list of texts", "at most " + std::to_string(count_max) + " of them");
    return out;
  }
  for (const Value& item : value->items)
    out.push_back(item.text);
  return out;
}

std::string Toml::beside(const std::string& path) const {
  if (path.empty() || path.front() == '/') return path;
  return (std::filesystem::path(path_).parent_path() / path).lexically_normal().string();
}

Status Toml::finish() {
  if (error_) return *error_;
  for (const auto& [key, value] : values_) {
    if (known_.contains(key)) continue;
    std::string best;
    size_t best_distance = 4;
    for (const std::string& word : known_) {
      const size_t distance = edit_distance(key, word);
      if (distance < best_distance) best = word, best_distance = distance;
    }
    const std::string hint =
        best.empty() ? "remove it, or look it up in configs/" : "did you mean `" + best + "`?";
    fail(key, "is not a key of this file", "", hint);
    return *error_;
  }
  return Ok{};
}

}  // namespace gemmine::pool
