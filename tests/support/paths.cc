#include "tests/support/paths.h"

namespace gemmine::test {

std::string source_dir() {
  return GEMMINE_SOURCE_DIR;
}

std::string binary_dir() {
  return GEMMINE_BINARY_DIR;
}

}  // namespace gemmine::test
