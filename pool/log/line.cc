#include "pool/log/line.h"

#include "kernels/base/printable.h"

namespace gemmine::pool {

std::string log_value(std::string_view value) {
  const bool plain = !value.empty() && value.find_first_of(" \"\\=") == std::string_view::npos;
  if (plain) return printable(value);
  std::string quoted;
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return '"' + printable(quoted) + '"';
}

std::string log_line(const Event& event) {
  GEMMINE_CHECK(!event.name.empty());
  std::string out = event.name;
  for (const auto& [key, value] : event.fields)
    out.append(" ").append(key).append("=").append(log_value(value));
  return out;
}

}  // namespace gemmine::pool
