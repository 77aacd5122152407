#include "pool/config/toml_tree.h"

#include <algorithm>
#include <optional>

#include "kernels/base/printable.h"

// The packaged library is built with exceptions; this one file compiles its own copy without.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
// Some broken texts reach its assertions; a debug build must refuse them, too.
#define TOML_ASSERT(condition) static_assert(true)
#include <toml++/toml.h>

namespace gemmine::pool {
namespace {

constexpr std::string_view kSyntaxHint = "this is TOML: `key = value` lines, texts in \"quotes\"";
constexpr size_t kShownBytes = 100;  // of a line, on each side of the caret
constexpr std::string_view kEncodingHint = "save the file as UTF-8";

// Bytes of the UTF-8 character that starts with `lead`; 1 for bytes that start none.
size_t bytes_from(char lead) {
  const auto byte = static_cast<uint8_t>(lead);
  return byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
}

bool continues(char byte) {
  return (static_cast<uint8_t>(byte) & 0xc0) == 0x80;
}

// Where a column begins.
size_t byte_at(std::string_view line, uint32_t column) {
  size_t at = 0;
  for (uint32_t i = 1; i < column && at < line.size(); ++i)
    at += bytes_from(line[at]);
  return std::min(at, line.size());
}

// Columns of a terminal that a character of so many bytes takes. Nearly all of three bytes and
// beyond U+2E80 (the lead e2 ba) are East Asian, those of four are emoji: two columns.
size_t width_of(std::string_view c) {
  const bool combines = c.size() == 2 && (c[0] == '\xcc' || (c[0] == '\xcd' && c[1] < '\xb0'));
  if (combines) return 0;
  return c.size() == 4 || (c.size() == 3 && c.substr(0, 2) >= "\xe2\xba") ? 2 : 1;
}

std::string blanks_for(std::string_view shown) {
  std::string out;
  for (size_t at = 0; at < shown.size();) {
    const size_t bytes = std::min(bytes_from(shown[at]), shown.size() - at);
    out.append(width_of(shown.substr(at, bytes)), ' ');
    at += bytes;
  }
  return out;
}

TomlPlace place_of(const toml::source_position& position) {
  return {static_cast<uint32_t>(position.line), static_cast<uint32_t>(position.column)};
}

struct Stray {
  TomlPlace place;
  std::string what;
};

// The first character outside ASCII that is in no text and no comment, which TOML has no use for,
// or the first text of several lines, which no file of ours has. toml++ 3.3 must see neither: it
// takes such a character for unreachable where it looks for blanks.
std::optional<Stray> find_stray(std::string_view text) {
  TomlPlace place{1, 1};
  char quote = 0;
  bool comment = false;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') {
      place = {place.line + 1, 1};
      quote = 0;
      comment = false;
      continue;
    }
    if (quote == '"' && c == '\\' && at + 1 < text.size() && text[at + 1] != '\n') {
      ++at;
      ++place.column;
    } else if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (!comment) {
      const std::string_view rest = text.substr(at);
      if (rest.starts_with("\"\"\"") || rest.starts_with("'''"))
        return Stray{place, "a text of several lines"};
      if (static_cast<uint8_t>(c) >= 0x80)
        return Stray{place, "a character outside ASCII that is not in \"quotes\""};
      comment = c == '#';
      quote = c == '"' || c == '\'' ? c : '\0';
    }
    if (!continues(text[at])) ++place.column;
  }
  return {};
}

class Flatten {
 public:
  explicit Flatten(const TomlSource& source) : source_(source) {}

  void table(const toml::table& from, const std::string& prefix,
             std::map<std::string, TomlValue>& out) const {
    for (const auto& [key, node] : from) {
      const std::string name = prefix + std::string(key.str());
      if (const auto* inner = node.as_table()) {
        table(*inner, name + ".", out);
        continue;
      }
      TomlValue made = value(node);
      made.key_place = place_of(key.source().begin);
      out[name] = std::move(made);
    }
  }

 private:
  TomlValue value(const toml::node& node) const {
    TomlValue made;
    made.place = place_of(node.source().begin);
    made.text = source_.between(made.place, place_of(node.source().end));
    if (const auto* integer = node.as_integer()) {
      made.type = TomlValue::Type::integer;
      made.integer = integer->get();
    } else if (const auto* boolean = node.as_boolean()) {
      made.type = TomlValue::Type::boolean;
      made.integer = boolean->get() ? 1 : 0;
    } else if (node.is_floating_point()) {
      made.type = TomlValue::Type::decimal;
    } else if (const auto* text = node.as_string()) {
      made.type = TomlValue::Type::text;
      made.text = text->get();
    } else if (const auto* array = node.as_array()) {
      made.type = TomlValue::Type::array;
      for (const toml::node& item : *array)
        made.items.push_back(value(item));
    }
    return made;
  }

  const TomlSource& source_;
};

}  // namespace

TomlSource::TomlSource(std::string path, std::string_view text) : path_(std::move(path)) {
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines_.emplace_back(line);
    at = end + 1;
  }
}

std::string TomlSource::show(TomlPlace place, const std::string& message,
                             const std::string& hint) const {
  std::string out = printable(path_) + ":" + std::to_string(place.line) + ":" +
                    std::to_string(place.column) + ": error: " + printable(message);
  if (place.line > 0 && place.line <= lines_.size() && !lines_[place.line - 1].empty()) {
    std::string line = lines_[place.line - 1];
    std::ranges::replace(line, '\t', ' ');
    const size_t caret = byte_at(line, place.column);
    const size_t begin = caret > kShownBytes ? caret - kShownBytes : 0;
    const std::string before =
        (begin > 0 ? "..." : "") + printable(line.substr(begin, caret - begin));
    const std::string after = printable(line.substr(caret, kShownBytes));
    out += "\n  " + before + after + (line.size() - caret > kShownBytes ? "..." : "") + "\n  " +
           blanks_for(before) + "^";
  }
  if (!hint.empty()) out += "\nhint: " + printable(hint);
  return out;
}

std::string TomlSource::between(TomlPlace begin, TomlPlace end) const {
  if (begin.line == 0 || begin.line > lines_.size() || begin.line != end.line) return {};
  const std::string& line = lines_[begin.line - 1];
  const size_t first = byte_at(line, begin.column);
  return line.substr(first, std::max(first, byte_at(line, end.column)) - first);
}

Result<std::map<std::string, TomlValue>> parse_toml(const TomlSource& source,
                                                    std::string_view text) {
  const auto wrong = [&](TomlPlace place, const std::string& what, std::string_view hint) {
    return Error{Errc::malformed, source.show(place, what, std::string(hint))};
  };
  const bool utf16 = text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff") ||
                     text.find('\0') != std::string_view::npos;
  if (utf16)
    return Error{Errc::malformed,
                 TomlSource(source.path(), "")
                     .show({1, 1}, "this is UTF-16, or no text", std::string(kEncodingHint))};
  if (const auto stray = find_stray(text)) return wrong(stray->place, stray->what, kSyntaxHint);
  const toml::parse_result parsed = toml::parse(text, source.path());
  if (!parsed) {
    const std::string what(parsed.error().description());
    const bool encoding = what.find("utf-8") != std::string::npos;
    return wrong(place_of(parsed.error().source().begin), what,
                 encoding ? kEncodingHint : kSyntaxHint);
  }
  std::map<std::string, TomlValue> out;
  Flatten(source).table(parsed.table(), "", out);
  return out;
}

}  // namespace gemmine::pool
