// The bytes of a .npy file, for tests.
#pragma once

#include <string>

#include "pool/data/npy.h"

namespace gemmine::pool {

inline std::string npy(const std::string& descr, const std::string& shape, std::string_view data,
                       const std::string& order = "False") {
  std::string header =
      "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
  const auto size = static_cast<char>(header.size());
  return std::string(kNpyMagic) + std::string("\x01\x00", 2) + size + '\0' + header +
         std::string(data);
}

}  // namespace gemmine::pool
