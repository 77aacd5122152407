#include "pool/config/toml.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "kernels/base/files.h"
#include "kernels/base/nearest.h"

namespace gemmine::pool {
namespace {

std::string_view table_of(std::string_view key) {
  const size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : key.substr(0, dot);
}

std::string_view name_of(std::string_view key) {
  return key.substr(key.rfind('.') + 1);  // npos + 1 is 0
}

std::vector<std::string_view> words_of(std::string_view name) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at < name.size();) {
    const size_t end = std::min(name.find_first_of("_-", at), name.size());
    if (end > at) out.push_back(name.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

bool has_initials(std::string_view name, std::string_view initials) {
  const auto words = words_of(name);
  return words.size() > 1 && std::ranges::equal(words, initials, {},
                                                [](std::string_view word) { return word.front(); });
}

// A word of one is a word of the other, or begins it.
bool shares_a_word(std::string_view a, std::string_view b) {
  constexpr size_t kLettersMin = 3;
  for (const std::string_view x : words_of(a))
    for (const std::string_view y : words_of(b))
      if (std::min(x.size(), y.size()) >= kLettersMin && (x.starts_with(y) || y.starts_with(x)))
        return true;
  return false;
}

}  // namespace

std::optional<size_t> likeness(std::string_view written, std::string_view key) {
  constexpr size_t kEditsMax = 3;
  const size_t edits = edit_distance(written, key);
  const std::string_view name = name_of(written);
  if (edits <= std::min(kEditsMax, name.size() / 2)) return edits;
  const size_t elsewhere = table_of(written) == table_of(key) ? 0 : 1;
  if (name == name_of(key)) return kEditsMax + 1;
  if (has_initials(name, name_of(key))) return kEditsMax + 2 + elsewhere;
  if (edit_distance(name, name_of(key)) <= 1 && name.size() > 3) return kEditsMax + 4;
  if (elsewhere == 0 && shares_a_word(name, name_of(key))) return kEditsMax + 5;
  return {};
}

std::string seen_from(const std::string& folder, const std::string& name) {
  if (name.starts_with('/') || folder.empty() || folder == ".") return name;
  std::string_view rest = name;
  while (rest.starts_with("./"))
    rest.remove_prefix(2);
  if (rest.empty() || rest == ".") return folder;
  return folder + (folder.ends_with('/') ? "" : "/") + std::string(rest);
}

Result<Toml> Toml::parse(std::string path, std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  std::string lines(text);
  for (size_t at = 0; at < lines.size(); ++at)  // line ends of old Macs
    if (lines[at] == '\r' && (at + 1 == lines.size() || lines[at + 1] != '\n')) lines[at] = '\n';
  Toml out(TomlSource(std::move(path), lines));
  auto values = parse_toml(out.source_, lines);
  if (!values) return values.error();
  out.values_ = std::move(values.value());
  return out;
}

Result<Toml> Toml::load(const std::string& path) {
  const auto bytes = read_file(path, kTomlBytesMax);
  if (!bytes) return bytes.error();
  return parse(path, {reinterpret_cast<const char*>(bytes.value().data()), bytes.value().size()});
}

void Toml::fail(const std::string& key, const std::string& what, const std::string& expected,
                const std::string& hint) {
  failed_.insert(key);
  if (error_) return;
  const auto found = values_.find(key);
  const TomlPlace place = found != values_.end() ? found->second.place : TomlPlace{1, 1};
  std::string message = key + ": " + what;
  if (!expected.empty()) message += " (expected " + expected + ")";
  error_ = Error{Errc::invalid_argument, source_.show(place, message, hint)};
}

void Toml::miss(const std::string& key, const std::string& hint) {
  GEMMINE_CHECK(!has(key));
  failed_.insert(key);
  if (!missing_) missing_.emplace(key, hint);
}

const TomlValue* Toml::take(const std::string& key, bool required) {
  known_.insert(key);
  const auto found = values_.find(key);
  if (found != values_.end()) return &found->second;
  if (required) miss(key, "add `" + key + "` to the file");
  return nullptr;
}

uint64_t Toml::integer(const std::string& key, Range range, std::optional<uint64_t> fallback) {
  GEMMINE_CHECK(range.min <= range.max);
  const std::string expected =
      "a whole number from " + std::to_string(range.min) + " to " + std::to_string(range.max);
  const TomlValue* value = take(key, !fallback);
  if (value == nullptr) return fallback.value_or(range.min);
  if (value->type != TomlValue::Type::integer) {
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
  const TomlValue* value = take(key, !fallback);
  if (value == nullptr) return fallback.value_or(0.0F);
  float out = 0;
  if (value->type == TomlValue::Type::decimal || value->type == TomlValue::Type::integer) {
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

Fraction Toml::fraction(const std::string& key) {
  const TomlValue* value = take(key, true);
  if (value == nullptr) return {};
  if (value->type == TomlValue::Type::decimal || value->type == TomlValue::Type::integer)
    if (const auto parsed = Fraction::parse(value->text)) return *parsed;
  fail(
      key, "is no such fraction",
      "more than 0, less than 1, with at most " + std::to_string(kFractionPlacesMax) + " decimals");
  return {};
}

std::string Toml::text(const std::string& key, size_t bytes_max,
                       const std::optional<std::string>& fallback) {
  const TomlValue* value = take(key, !fallback);
  if (value == nullptr) return fallback.value_or("");
  const std::string expected = "a text of at most " + std::to_string(bytes_max) + " bytes";
  if (value->type != TomlValue::Type::text) {
    fail(key, "is not a text", expected, "put it in \"quotes\"");
  } else if (value->text.size() > bytes_max) {
    fail(key, "is too long", expected);
  } else {
    return value->text;
  }
  return {};
}

bool Toml::boolean(const std::string& key, std::optional<bool> fallback) {
  const TomlValue* value = take(key, !fallback);
  if (value == nullptr) return fallback.value_or(false);
  if (value->type != TomlValue::Type::boolean)
    fail(key, "is neither true nor false", "", "without quotes");
  return value->integer != 0;
}

std::optional<size_t> Toml::word_index(const std::string& key,
                                       std::span<const std::string_view> words, bool required) {
  const TomlValue* value = take(key, required);
  if (value == nullptr) return {};
  std::string expected;
  for (size_t i = 0; i < words.size(); ++i) {
    if (value->type == TomlValue::Type::text && value->text == words[i]) return i;
    const char* const comma = i + 1 == words.size() ? " or " : ", ";
    expected.append(i == 0 ? "" : comma).append("\"").append(words[i]).append("\"");
  }
  const std::string what =
      value->type == TomlValue::Type::text ? "'" + value->text + "' is unknown" : "is not a text";
  fail(key, what, expected);
  return {};
}

std::vector<uint64_t> Toml::integers(const std::string& key, Range range, size_t count_max) {
  const std::string expected = "a list of 1 to " + std::to_string(count_max) +
                               " whole numbers from " + std::to_string(range.min) + " to " +
                               std::to_string(range.max);
  std::vector<uint64_t> out;
  const TomlValue* value = take(key, true);
  if (value == nullptr) return out;
  if (value->type != TomlValue::Type::array || value->items.empty() ||
      value->items.size() > count_max) {
    fail(key, "is not such a list", expected);
    return out;
  }
  for (const TomlValue& item : value->items) {
    const bool good = item.type == TomlValue::Type::integer && item.integer >= 0 &&
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
  const TomlValue* value = take(key, false);
  if (value == nullptr) return out;
  if (value->type == TomlValue::Type::text) return {value->text};
  const auto is_text = [](const TomlValue& item) { return item.type == TomlValue::Type::text; };
  const bool good = value->type == TomlValue::Type::array && value->items.size() <= count_max &&
                    std::ranges::all_of(value->items, is_text);
  if (!good) {
    fail(key, "is not a list of texts", "at most " + std::to_string(count_max) + " of them");
    return out;
  }
  for (const TomlValue& item : value->items)
    out.push_back(item.text);
  return out;
}

std::string Toml::beside(const std::string& name) const {
  return seen_from(std::filesystem::path(path()).parent_path().string(), name);
}

std::optional<std::string> Toml::alike(const std::string& unknown) const {
  std::optional<std::string> best;
  size_t least = SIZE_MAX;
  for (const std::string& key : known_) {
    if (has(key)) continue;  // it was written, too
    const auto distance = likeness(unknown, key);
    if (distance && *distance < least) best = key, least = *distance;
  }
  return best;
}

Error Toml::unknown(const std::string& key) const {
  const auto meant = alike(key);
  return {Errc::invalid_argument,
          source_.show(
              values_.at(key).key_place, key + ": is unknown, not a key of this file",
              meant ? "did you mean `" + *meant + "`?" : "remove it, or look it up in configs/")};
}

Error Toml::first_error() const {
  GEMMINE_CHECK(error_ || missing_);
  if (error_) return *error_;
  const auto& [key, hint] = *missing_;
  for (const auto& [written, value] : values_)
    if (!known_.contains(written) && likeness(written, key)) return unknown(written);
  return {Errc::invalid_argument, source_.show({1, 1}, key + ": is missing", hint)};
}

Status Toml::finish() {
  std::vector<std::pair<TomlPlace, std::string>> unknown_keys;
  for (const auto& [key, value] : values_)
    if (!known_.contains(key)) unknown_keys.emplace_back(value.key_place, key);
  std::ranges::sort(unknown_keys);
  Error all{Errc::invalid_argument, {}};
  for (size_t i = 0; i < std::min(unknown_keys.size(), kTomlErrorsMax); ++i)
    all.detail.append(i == 0 ? "" : "\n").append(unknown(unknown_keys[i].second).detail);
  if (unknown_keys.size() > kTomlErrorsMax)
    all.detail += "\nand " + std::to_string(unknown_keys.size() - kTomlErrorsMax) + " more";
  if (!unknown_keys.empty()) return all;
  if (error_ || missing_) return first_error();
  return Ok{};
}

}  // namespace gemmine::pool
