#include "pool/data/csv.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/base/printable.h"

namespace gemmine::pool {
namespace {

constexpr std::string_view kBlanks = " \t";
constexpr size_t kShownBytes = 20;
constexpr size_t kSepBytes = 5;  // of a first line `sep=;`
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// Whether a field opens with a character outside ASCII that is no digit, sign or quotation mark of
// some script: a row of those is data that we cannot read, and must not pass for a header.
bool opens_foreign_name(std::string_view field) {
  if (static_cast<uint8_t>(field.front()) < 0x80) return false;
  constexpr std::pair<std::string_view, std::string_view> kNumbersAndMarks[] = {
      {"\u00a0", "\u00bf"},  // no-break space, superscripts, fractions
      {"\u0660", "\u0669"}, {"\u06f0", "\u06f9"}, {"\u0966", "\u096f"},  // digits
      {"\u2000", "\u206f"},                         // spaces, dashes, quotation marks
      {"\u2070", "\u209f"}, {"\u2150", "\u218f"},   // numbers above, below, in one sign
      {"\u2200", "\u22ff"},                         // minus
      {"\u3000", "\u303f"}, {"\uff01", "\uff20"}};  // full width
  return std::ranges::none_of(kNumbersAndMarks, [&](const auto& range) {
    const std::string_view c = field.substr(0, range.first.size());
    return c >= range.first && c <= range.second;
  });
}

bool is_name(std::string_view field) {
  constexpr std::array<std::string_view, 8> kMissing = {"nan", "na",  "n/a",      "null",
                                                        "nil", "inf", "infinity", "none"};
  if (field.empty()) return false;
  const char c = field.front();
  const bool opens =
      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || opens_foreign_name(field);
  return opens && std::ranges::find(kMissing, lower(field)) == kMissing.end();
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
  out.append(printable(field.substr(0, kShownBytes)));
  return out.append(field.size() > kShownBytes ? "...'" : "'");
}

void trim(std::string& text) {
  text.erase(text.find_last_not_of(kBlanks) + 1);
  text.erase(0, text.find_first_not_of(kBlanks));
}

bool only_separators(std::string_view text) {
  return text.find_first_not_of(",\" \t") == std::string_view::npos;
}

// What stands between the columns of a line: ';' or a tab where there are at least as many of them
// outside quotes as commas, else ','.
char separator_of(std::string_view text) {
  size_t commas = 0;
  size_t semicolons = 0;
  size_t tabs = 0;
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    commas += c == ',' ? 1 : 0;
    semicolons += c == ';' ? 1 : 0;
    tabs += c == '\t' ? 1 : 0;
  }
  if (semicolons > 0 && semicolons >= std::max(commas, tabs)) return ';';
  return tabs > 0 && tabs >= commas ? '\t' : ',';
}

bool has_open_quote(std::string_view text) {
  return std::ranges::count(text, '"') % 2 != 0;
}

}  // namespace

Error CsvReader::wrong(uint64_t line, size_t column, const std::string& why) const {
  std::string where = stream().name() + ":" + std::to_string(line);
  if (column > 0) where.append(":").append(std::to_string(column));
  return {Errc::malformed, where.append(": ").append(why)};
}

Error CsvReader::other_separator(char separator) const {
  const std::string name = separator == '\t' ? "tabs" : shown(std::string_view(&separator, 1));
  return wrong(line_, 0,
               "columns are separated by " + name +
                   ": save it with commas, or replace each of them by a comma");
}

Error CsvReader::or_separator(Error error) const {
  const char separator = separator_of(text_);
  return separator == ',' ? std::move(error) : other_separator(separator);
}

Error CsvReader::wrong_number(size_t index) const {
  const Field& field = fields_[index];
  std::string why = shown(field.text);
  if (index == (label_ == LabelColumn::first ? 0 : columns_ - 1)) {
    why.append(" is no label: labels in CSV files are whole numbers from 0 to 255 ")
        .append("(more of them: kind = \"npy\")");
  } else {
    why.append(" is no whole number from 0 to 255; nothing is scaled here, so scale and round the ")
        .append("features first");
  }
  return or_separator(wrong(line_, field.column_byte, why));
}

Result<bool> CsvReader::next_text() {
  while (true) {
    const auto line = lines_.next();
    if (!line) return line.error();
    if (!line.value()) return false;
    line_ = lines_.number();
    text_ = *line.value();
    while (has_open_quote(text_)) {  // a quoted field goes on in the next line
      const auto more = lines_.next();
      if (!more && more.error().code != Errc::malformed) return more.error();
      const size_t room = kCsvLineBytesMax - std::min(text_.size(), kCsvLineBytesMax);
      if (!more || !more.value() || more.value()->size() >= room)
        return wrong(line_, text_.find_last_of('"') + 1, "a quote that is not closed");
      text_.append(1, '\n').append(*more.value());
    }
    if (line_ == 1 && lower(text_) == "sep=,") continue;
    if (line_ == 1 && lower(text_).starts_with("sep=") && text_.size() == kSepBytes)
      return other_separator(text_.back());
    // One that was before the text when the line `sep=,` was put there.
    if (columns_ == 0 && text_.starts_with(kByteOrderMark)) text_.erase(0, kByteOrderMark.size());
    if (!only_separators(text_)) break;
    if (blank_line_ == 0) blank_line_ = line_;
  }
  // At the end of a file it is left out; between rows it may be one that got lost.
  if (blank_line_ > 0) return wrong(blank_line_, 0, "an empty line; remove it");
  if (const size_t nul = text_.find('\0'); nul != std::string::npos)
    return wrong(line_, nul + 1, "a zero byte; if it is UTF-16, save it as UTF-8");
  return true;
}

// From an opening quote to the comma or the end behind it.
Status CsvReader::quoted_field(size_t& at, Field& out) const {
  for (++at; at < text_.size(); ++at) {
    if (text_[at] == '"' && at + 1 < text_.size() && text_[at + 1] == '"') {
      ++at;  // two stand for one
    } else if (text_[at] == '"') {
      at = std::min(text_.find_first_not_of(kBlanks, at + 1), text_.size());
      if (at < text_.size() && text_[at] != ',')
        return or_separator(wrong(line_, at + 1, "text behind a closing quote"));
      return Ok{};
    }
    out.text.push_back(text_[at]);
  }
  return wrong(line_, out.column_byte, "a quote that is not closed");
}

Status CsvReader::split() {
  fields_.clear();
  for (size_t at = 0; at <= text_.size(); ++at) {
    at = std::min(text_.find_first_not_of(kBlanks, at), text_.size());
    Field& field = fields_.emplace_back(Field{{}, at + 1});
    if (at < text_.size() && text_[at] == '"') {
      if (auto taken = quoted_field(at, field); !taken) return taken;
    } else {
      const size_t end = std::min(text_.find(',', at), text_.size());
      field.text = text_.substr(at, end - at);
      at = end;
    }
    trim(field.text);
  }
  return Ok{};
}

// Empty columns at the end are none: spreadsheets write them where a column once was.
Status CsvReader::fit_columns() {
  while (fields_.size() > std::max<size_t>(columns_, 1) && fields_.back().text.empty())
    fields_.pop_back();
  if (columns_ == 0) columns_ = fields_.size();
  if (fields_.size() == columns_) return Ok{};
  return or_separator(
      wrong(line_, 0,
            std::to_string(fields_.size()) + " columns, line 1 has " + std::to_string(columns_)));
}

Result<std::span<const uint8_t>> CsvReader::next() {
  while (true) {
    const auto there = next_text();
    if (!there) return there.error();
    if (!there.value()) return std::span<const uint8_t>{};
    const bool first = columns_ == 0;
    if (auto good = split(); !good) return good.error();
    if (auto good = fit_columns(); !good) return good.error();
    const auto is_named = [](const Field& field) { return is_name(field.text); };
    if (!first || std::ranges::none_of(fields_, is_named)) break;  // else a header
  }
  GEMMINE_CHECK(columns_ > 0 && fields_.size() == columns_);
  row_.clear();
  for (size_t i = 0; i < fields_.size(); ++i) {
    const int value = byte_of(fields_[i].text);
    if (value < 0) return wrong_number(i);
    row_.push_back(static_cast<uint8_t>(value));
  }
  return std::span<const uint8_t>(row_);
}

}  // namespace gemmine::pool
