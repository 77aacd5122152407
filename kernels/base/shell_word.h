// Texts as words of a command line that a person may copy.
#pragma once

#include <string>
#include <string_view>

namespace gemmine {

// The text, in single quotes where a POSIX shell would not take it as one word that means itself.
std::string shell_word(std::string_view text);

}  // namespace gemmine
