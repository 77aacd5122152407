// What a miner tells its owner. One call an event; the program decides how it looks.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/bytes.h"

namespace gemmine::miner {

// key=value pairs of a log line.
using Fields = std::vector<std::pair<std::string, std::string>>;

// Enough of an id for a person to tell leases apart in a log.
inline std::string short_hex(const Digest& digest) {
  return to_hex(digest.bytes).substr(0, 12);
}

enum class Level { debug, info, warning, error };

class Events {
 public:
  virtual ~Events() = default;
  virtual void event(Level level, const std::string& name, const Fields& fields) = 0;
  // Long work under way; total 0 when it is not known yet.
  virtual void progress(const std::string& what, uint64_t done, uint64_t total) = 0;
};

}  // namespace gemmine::miner
