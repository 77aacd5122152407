#include "pool/cli/fail.h"

#include <cstdio>

namespace gemmine::pool {

int fail(int code, const std::string& text) {
  // A message about a file carries its own "error:".
  const bool placed = text.find(": error: ") != std::string::npos;
  std::fprintf(stderr, "%s%s\n", placed ? "" : "error: ", text.c_str());
  return code;
}

}  // namespace gemmine::pool
