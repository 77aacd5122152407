// GEMMINE_CHECK: a bug in our own code stops the process, in every build. Never for outside input.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace gemmine {

[[noreturn]] inline void check_failed(const char* file, int line, const char* text) {
  std::fprintf(stderr, "%s:%d: bug: check failed: %s\n", file, line, text);
  std::abort();
}

}  // namespace gemmine

#define GEMMINE_CHECK(condition) \
  ((condition) ? (void)0 : ::gemmine::check_failed(__FILE__, __LINE__, #condition))
