#include "pool/data/lines.h"

#include <algorithm>

namespace gemmine::pool {
namespace {

bool ends_a_line(uint8_t byte) {
  return byte == '\n' || byte == '\r';
}

}  // namespace

Result<bool> LineReader::fill() {
  if (!piece_.empty()) return true;
  auto piece = stream_.next();
  if (!piece) return piece.error();
  piece_ = piece.value();
  return !piece_.empty();
}

Status LineReader::pass_byte_order_mark() {
  const auto there = fill();
  if (!there) return there.error();
  constexpr std::string_view kUtf8 = "\xef\xbb\xbf";
  const auto opens = [&](std::string_view mark) {
    return piece_.size() >= mark.size() &&
           std::ranges::equal(piece_.first(mark.size()), as_bytes(mark));
  };
  if (opens("\xff\xfe") || opens("\xfe\xff"))
    return Error{Errc::malformed, stream_.name() + ": is UTF-16; save it as UTF-8"};
  if (opens(kUtf8)) piece_ = piece_.subspan(kUtf8.size());
  return Ok{};
}

Status LineReader::append_run() {
  const auto end = std::ranges::find_if(piece_, ends_a_line);
  const auto count = static_cast<size_t>(end - piece_.begin());
  if (text_.size() + count > line_bytes_max_)
    return Error{Errc::malformed, stream_.name() + ":" + std::to_string(number_ + 1) +
                                      ": a line of more than " + std::to_string(line_bytes_max_) +
                                      " bytes"};
  text_.append(piece_.begin(), end);
  piece_ = piece_.subspan(count);
  return Ok{};
}

Result<bool> LineReader::end_line() {
  GEMMINE_CHECK(!piece_.empty() && ends_a_line(piece_.front()));
  const bool by_cr = piece_.front() == '\r';
  piece_ = piece_.subspan(1);
  const bool after_cr = std::exchange(ended_by_cr_, by_cr);
  if (!by_cr) return true;
  const auto more = fill();
  if (!more) return more.error();
  if (!more.value() || piece_.front() != '\n') return true;
  piece_ = piece_.subspan(1);
  ended_by_cr_ = false;
  return !(after_cr && text_.empty());  // the second half of \r\r\n
}

Result<std::optional<std::string_view>> LineReader::next() {
  if (number_ == 0)
    if (auto passed = pass_byte_order_mark(); !passed) return passed.error();
  text_.clear();
  while (true) {
    const auto more = fill();
    if (!more) return more.error();
    if (!more.value()) {
      if (text_.empty()) return std::optional<std::string_view>();
      break;  // the last line may lack its end
    }
    if (auto appended = append_run(); !appended) return appended.error();
    if (piece_.empty()) continue;
    const auto ended = end_line();
    if (!ended) return ended.error();
    if (ended.value()) break;
  }
  ++number_;
  return std::optional<std::string_view>(text_);
}

}  // namespace gemmine::pool
