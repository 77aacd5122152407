#include "pool/data/csv.h"

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/base/printable.h"

namespace gemmine::pool {
namespace {

constexpr std::string_view kBlanks = " \t";
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

}  // namespace

bool is_column_name(std::string_view field) {
  constexpr std::array<std::string_view, 8> kMissing = {"nan", "na",  "n/a",      "null",
                                                        "nil", "inf", "infinity", "none"};
  if (field.empty()) return false;
  const char c = field.front();
  const bool opens =
      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || opens_foreign_name(field);
  return opens && std::ranges::find(kMissing, lower(field)) == kMissing.end();
}

namespace {

void trim(std::string& text) {
  text.erase(text.find_last_not_of(kBlanks) + 1);
  text.erase(0, text.find_first_not_of(kBlanks));
}

// Nothing but separators, blanks and quotes.
bool is_bare(std::string_view text) {
  return text.find_first_not_of(",;\" \t") == std::string_view::npos;
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

Error CsvReader::wrong(size_t column_byte, const std::string& why) const {
  std::string where = stream().name() + ":" + std::to_string(line_);
  if (column_byte > 0) where.append(":").append(std::to_string(column_byte));
  return {Errc::malformed, where.append(": ").append(why)};
}

Result<bool> CsvReader::next_line() {
  while (true) {
    const auto line = lines_.next();
    if (!line) return line.error();
    if (!line.value()) return false;
    line_ = lines_.number();
    text_ = *line.value();
    if (text_.find_first_not_of(kBlanks) != std::string::npos) break;
  }
  while (has_open_quote(text_)) {  // a quoted field goes on in the next line
    const auto more = lines_.next();
    if (!more && more.error().code != Errc::malformed) return more.error();
    const size_t room = kCsvLineBytesMax - std::min(text_.size(), kCsvLineBytesMax);
    if (!more || !more.value() || more.value()->size() >= room)
      return wrong(text_.find_last_of('"') + 1, "a quote that is not closed");
    text_.append(1, '\n').append(*more.value());
  }
  return true;
}

Result<bool> CsvReader::next_text() {
  while (true) {
    const auto there = next_line();
    if (!there || !there.value()) return there;
    if (line_ == 1 && text_.size() == kSepBytes && lower(text_).starts_with("sep=")) {
      separator_ = text_.back();
      continue;
    }
    // One that was before the text when the line `sep=,` was put there.
    if (columns_ == 0 && text_.starts_with(kByteOrderMark)) text_.erase(0, kByteOrderMark.size());
    if (!is_bare(text_)) break;
    if (bare_line_ == 0) bare_line_ = line_;
  }
  if (bare_line_ > 0) {  // at the end of a file it is left out; here a row may have been lost
    line_ = bare_line_;
    return wrong(0, "a row without any value; remove it");
  }
  if (const size_t nul = text_.find('\0'); nul != std::string::npos)
    return wrong(nul + 1, "a zero byte; if it is UTF-16, save it as UTF-8");
  return true;
}

// From an opening quote to the separator or the end behind it.
Status CsvReader::quoted_field(size_t& at, Field& out) const {
  for (++at; at < text_.size(); ++at) {
    if (text_[at] == '"' && at + 1 < text_.size() && text_[at + 1] == '"') {
      ++at;  // two stand for one
    } else if (text_[at] == '"') {
      ++at;
      while (at < text_.size() && text_[at] != separator_ &&
             kBlanks.find(text_[at]) != std::string_view::npos)
        ++at;
      if (at < text_.size() && text_[at] != separator_)
        return wrong(at + 1, "text behind a closing quote");
      return Ok{};
    }
    out.text.push_back(text_[at]);
  }
  return wrong(out.column_byte, "a quote that is not closed");
}

Status CsvReader::split() {
  fields_.clear();
  const auto is_blank = [&](size_t at) {
    return text_[at] != separator_ && kBlanks.find(text_[at]) != std::string_view::npos;
  };
  for (size_t at = 0; at <= text_.size(); ++at) {
    while (at < text_.size() && is_blank(at))
      ++at;
    Field& field = fields_.emplace_back(Field{{}, at + 1});
    if (at < text_.size() && text_[at] == '"') {
      if (auto taken = quoted_field(at, field); !taken) return taken;
    } else {
      const size_t end = std::min(text_.find(separator_, at), text_.size());
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
  return wrong(0, std::to_string(fields_.size()) + " columns, the first row has " +
                      std::to_string(columns_) +
                      "; is a field with a separator in it without quotes?");
}

Result<std::span<const CsvReader::Field>> CsvReader::next() {
  const auto there = next_text();
  if (!there) return there.error();
  if (!there.value()) return std::span<const Field>{};
  if (separator_ == 0) separator_ = separator_of(text_);
  if (auto good = split(); !good) return good.error();
  if (auto good = fit_columns(); !good) return good.error();
  GEMMINE_CHECK(columns_ > 0 && fields_.size() == columns_);
  return std::span<const Field>(fields_);
}

}  // namespace gemmine::pool
