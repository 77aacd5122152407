// The text of an event: `name key=value key="a value"`, always one line.
#pragma once

#include <string>
#include <string_view>

#include "pool/log/events.h"

namespace gemmine::pool {

// A value as it stands in a log line: itself, or in quotes with \" and \\ where it is empty or has
// a space, quote, backslash or equals sign. Control characters are escaped either way.
std::string log_value(std::string_view value);

std::string log_line(const Event& event);

}  // namespace gemmine::pool
