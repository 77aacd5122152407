// One greppable line an event: time, level, name, key=value.
#pragma once

#include <string>

#include "pool/core/actions.h"

namespace gemmine::pool {

void print_note(const Note& note);            // stderr; coloured on a terminal without NO_COLOR
int fail(int code, const std::string& text);  // prints `error: text`, returns code

}  // namespace gemmine::pool
