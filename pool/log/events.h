// What a program tells its owner while it runs, as values: whoever decides makes events, and the
// program's console shows them. Nothing in here writes anything.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/bytes.h"

namespace gemmine::pool {

enum class Level : unsigned char { debug, info, warning, error };

// key=value pairs of a log line, in the order in which they are shown.
using Fields = std::vector<std::pair<std::string, std::string>>;

// One line for people: a word of ours that says what happened, and to what.
struct Event {
  Level level = Level::info;
  std::string name;  // lower case with underscores, so that a line can be searched for
  Fields fields;
};

// Whoever shows events. The callers are on one thread.
class Events {
 public:
  virtual ~Events() = default;
  virtual void write(const Event& event) = 0;
  // Long work under way: `done` of `total` units, total 0 when nobody knows it yet.
  virtual void progress(const std::string& what, uint64_t done, uint64_t total) = 0;

  void event(Level level, std::string name, Fields fields) {
    write({level, std::move(name), std::move(fields)});
  }
};

// Enough of an id for a person to tell leases apart: its first 12 hex digits.
inline std::string short_hex(const Digest& digest) {
  return to_hex(digest.view().first(6));
}

}  // namespace gemmine::pool
