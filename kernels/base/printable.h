// What strangers wrote, as text that a terminal or a log line can show without obeying it.
#pragma once

#include <string>
#include <string_view>

namespace gemmine {

// Printable text stays as it is, UTF-8 included. Control characters (C0, DEL, C1), byte order marks
// and bytes that are no UTF-8 become \n, \r, \t or \xNN, so the result is one line and steers
// nothing.
std::string printable(std::string_view text);

// The same for a text of several lines: line breaks and tabs stay.
std::string printable_lines(std::string_view text);

}  // namespace gemmine
