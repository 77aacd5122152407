#include "kernels/base/shell_word.h"

#include <algorithm>

namespace gemmine {

std::string shell_word(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:,+@%=").find(c) != std::string_view::npos;
  };
  if (!text.empty() && std::ranges::all_of(text, plain)) return std::string(text);
  std::string out = "'";
  for (const char c : text)
    out.append(c == '\'' ? "'\\''" : std::string(1, c));
  return out + "'";
}

}  // namespace gemmine
