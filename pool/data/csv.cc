#include "pool/data/csv.h"

#include <algorithm>

namespace gemmine::pool {
namespace {

bool opens_a_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '"';
}

// A field's number; -1 for anything else.
int byte_of(std::string_view field) {
  if (field.empty() || field.size() > 3) return -1;
  int value = 0;
  for (const char c : field) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value > 255 ? -1 : value;
}

std::string shown(std::string_view field) {
  std::string out(1, '\'');
  out.append(field.substr(0, 20)).push_back('\'');
  for (char& c : out)
    if (c < 0x20 || c > 0x7e) c = '?';
  return out;
}

}  // namespace

Error CsvReader::wrong(size_t column, const std::string& why) const {
  std::string where = name() + ":" + std::to_string(line_);
  if (column > 0) where.append(":").append(std::to_string(column));
  return {Errc::malformed, where.append(": ").append(why)};
}

Result<bool> CsvReader::next_line() {
  text_.clear();
  ++line_;
  for (bool ended = false; !ended;) {
    if (piece_.empty()) {
      auto piece = stream_.next();
      if (!piece) return piece.error();
      piece_ = piece.value();
      if (piece_.empty()) return !text_.empty();  // the last line may lack its end
    }
    const auto end = std::ranges::find(piece_, uint8_t{'\n'});
    ended = end != piece_.end();
    const auto count = static_cast<size_t>(end - piece_.begin());
    if (text_.size() + count > kCsvLineBytesMax)
      return wrong(0, "a line of more than " + std::to_string(kCsvLineBytesMax) + " bytes");
    text_.append(piece_.begin(), end);
    piece_ = piece_.subspan(ended ? count + 1 : count);
  }
  if (text_.ends_with('\r')) text_.pop_back();
  return true;
}

bool CsvReader::is_header() const {
  bool opens = true;
  for (const char c : text_) {
    if (opens && opens_a_word(c)) return true;
    opens = c == ',';
  }
  return false;
}

Result<std::span<const uint8_t>> CsvReader::next() {
  while (true) {
    const auto there = next_line();
    if (!there) return there.error();
    if (!there.value()) return std::span<const uint8_t>{};
    if (text_.empty()) return wrong(0, "an empty line; remove it");
    const auto columns = 1 + static_cast<size_t>(std::ranges::count(text_, ','));
    if (line_ == 1) columns_ = columns;
    if (columns != columns_)
      return wrong(0, std::to_string(columns) + " columns, line 1 has " + std::to_string(columns_));
    if (line_ > 1 || !is_header()) break;
  }
  row_.clear();
  for (size_t at = 0; at <= text_.size();) {
    const size_t end = std::min(text_.find(',', at), text_.size());
    const std::string_view field = std::string_view(text_).substr(at, end - at);
    const int value = byte_of(field);
    if (value < 0) {
      std::string why = shown(field);
      why.append(" is no whole number from 0 to 255; nothing is scaled here, so scale and round ")
          .append("the features first");
      return wrong(at + 1, why);
    }
    row_.push_back(static_cast<uint8_t>(value));
    at = end + 1;
  }
  return std::span<const uint8_t>(row_);
}

}  // namespace gemmine::pool
