// Does this engine, on this machine, compute what the protocol says? Asked before it earns.
#pragma once

#include <string_view>

#include "kernels/base/result.h"

namespace gemmine::kernels {

// Runs a fixed small job for a few steps of SGD and of AdamW, and compares every root, loss and
// state bit with a constant. Milliseconds. Errors: those of make_engine; invalid when bits differ.
Status self_test(std::string_view engine, int threads = 1);

}  // namespace gemmine::kernels
