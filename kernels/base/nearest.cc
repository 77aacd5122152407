#include "kernels/base/nearest.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace gemmine {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row[b.size()];
}

std::string nearest(std::string_view word, std::span<const std::string> words,
                    size_t distance_max) {
  const std::string* best = nullptr;
  size_t best_distance = 0;
  for (const std::string& each : words) {
    const size_t distance = edit_distance(word, each);
    if (distance > distance_max || (best != nullptr && distance >= best_distance)) continue;
    best = &each;
    best_distance = distance;
  }
  return best == nullptr ? "" : *best;
}

}  // namespace gemmine
