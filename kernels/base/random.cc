#include "kernels/base/random.h"

#include <sys/random.h>

#include "kernels/base/check.h"

namespace gemmine {

Digest random_digest() {
  Digest out;
  GEMMINE_CHECK(::getrandom(out.bytes.data(), out.bytes.size(), 0) ==
                static_cast<ssize_t>(out.bytes.size()));
  return out;
}

}  // namespace gemmine
