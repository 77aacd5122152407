#include "kernels/base/printable.h"

#include <array>
#include <cstdint>

namespace gemmine {

namespace {

// The length of the UTF-8 character at the front of `text`; 0 where there is none.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(text[at]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (text.size() < length) return 0;
  // Overlong forms, surrogates and what lies above U+10FFFF are told by the second byte.
  const uint8_t second_min = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const uint8_t second_max = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < second_min || byte(1) > second_max) return 0;
  for (size_t at = 2; at < length; ++at)
    if ((byte(at) & 0xc0) != 0x80) return 0;
  return length;
}

// Whether the character is one that a terminal acts on, or hides.
bool is_control(std::string_view character) {
  const auto first = static_cast<uint8_t>(character[0]);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  if (character == "\xef\xbb\xbf") return true;  // a byte order mark, which nobody sees
  return first == 0xc2 && static_cast<uint8_t>(character[1]) < 0xa0;
}

void append_escaped(std::string& out, char c) {
  constexpr std::array<char, 16> kDigits = {'0', '1', '2', '3', '4', '5', '6', '7',
                                            '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
  const auto byte = static_cast<uint8_t>(c);
  out += '\\';
  if (c == '\n' || c == '\r' || c == '\t') {
    out += c == '\n' ? 'n' : c == '\r' ? 'r' : 't';
    return;
  }
  out += 'x';
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const std::string_view character = text.substr(0, length == 0 ? 1 : length);
    if (length > 0 && !is_control(character)) {
      out += character;
    } else {
      for (const char c : character)
        append_escaped(out, c);
    }
    text.remove_prefix(character.size());
  }
  return out;
}

std::string printable_lines(std::string_view text) {
  std::string out;
  for (;;) {
    const size_t end = text.find_first_of("\n\t");
    out += printable(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    out += text[end];
    text.remove_prefix(end + 1);
  }
}

}  // namespace gemmine
