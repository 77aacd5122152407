// The system's randomness, for nonces, coins and secrets.
#pragma once

#include "kernels/base/bytes.h"

namespace gemmine {

// 32 fresh unpredictable bytes. Stops the process when the system has none to give.
Digest random_digest();

}  // namespace gemmine
