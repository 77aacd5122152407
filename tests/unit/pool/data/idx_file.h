// The bytes of an IDX file, for tests: 0 1 2 0 1 2 ...
#pragma once

#include "kernels/base/bytes.h"

namespace gemmine::pool {

inline Bytes idx(std::vector<uint32_t> dimensions, size_t bytes) {
  Bytes out = {0, 0, 8, static_cast<uint8_t>(dimensions.size())};
  for (const uint32_t size : dimensions)
    for (int shift = 24; shift >= 0; shift -= 8)
      out.push_back(static_cast<uint8_t>(size >> shift));
  for (size_t i = 0; i < bytes; ++i)
    out.push_back(static_cast<uint8_t>(i % 3));
  return out;
}

}  // namespace gemmine::pool
