// Lines of a text, whatever system wrote it.
#pragma once

#include <optional>

#include "pool/data/byte_stream.h"

namespace gemmine::pool {

class LineReader {
 public:
  LineReader(ByteStream stream, size_t line_bytes_max)
      : stream_(std::move(stream)), line_bytes_max_(line_bytes_max) {}

  // The next line without its end, valid until the next call; none at the end. Lines end with \n,
  // \r\n, \r or \r\r\n; a byte order mark before the first is passed over.
  // Errors: those of the stream; malformed (a line of more than line_bytes_max bytes; UTF-16).
  Result<std::optional<std::string_view>> next();

  uint64_t number() const { return number_; }  // of the last line, from 1
  const ByteStream& stream() const { return stream_; }

 private:
  Result<bool> fill();  // piece_; false at the end
  Status pass_byte_order_mark();
  Status append_run();      // up to a line's end, or of the piece
  Result<bool> end_line();  // past a line's end; false where there is none yet

  ByteStream stream_;
  size_t line_bytes_max_;
  ByteView piece_;
  std::string text_;
  uint64_t number_ = 0;
  bool ended_by_cr_ = false;  // the line before, by \r alone
};

}  // namespace gemmine::pool
