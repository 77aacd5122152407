// ProtocolFloats: while one lives, its thread computes with the floats of PROTOCOL 2.1.
#pragma once

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace gemmine {

// Round to nearest, all exceptions masked, denormals kept: the power-on value of MXCSR. A host
// program or a library linked with -ffast-math may have left something else.
class ProtocolFloats {
 public:
#if defined(__SSE2__)
  ProtocolFloats() : saved_(_mm_getcsr()) {
    _mm_setcsr(0x1F80);
  }
  ~ProtocolFloats() {
    _mm_setcsr(saved_);
  }
#else
  ProtocolFloats() {}
  ~ProtocolFloats() {}
#endif
  ProtocolFloats(const ProtocolFloats&) = delete;
  ProtocolFloats& operator=(const ProtocolFloats&) = delete;

#if defined(__SSE2__)
 private:
  unsigned saved_;
#endif
};

}  // namespace gemmine
