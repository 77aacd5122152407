// How a command of the pool ends with a message.
#pragma once

#include <string>

namespace gemmine::pool {

int fail(int code, const std::string& text);  // prints `error: text`, returns code

}  // namespace gemmine::pool
