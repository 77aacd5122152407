// "Did you mean": the word of a list that is the fewest edits away.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace gemmine {

// How many single-character edits apart two words are.
size_t edit_distance(std::string_view a, std::string_view b);

// The first of the nearest words, or the empty text where none is less than distance_max + 1 away.
std::string nearest(std::string_view word, std::span<const std::string> words,
                    size_t distance_max = SIZE_MAX);

}  // namespace gemmine
