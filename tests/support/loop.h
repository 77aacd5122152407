// A loop for tests, which have all the file descriptors and threads that one needs.
#pragma once

#include <utility>

#include "pool/net/loop.h"

namespace gemmine::test {

inline pool::Loop make_loop() {
  return std::move(pool::Loop::make().value());
}

}  // namespace gemmine::test
