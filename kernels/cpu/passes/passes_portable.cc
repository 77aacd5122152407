#define GEMMINE_PASSES portable_passes
#include "kernels/cpu/passes/passes_body.h"

namespace gemmine::kernels {

constexpr Passes kPassesPortable = portable_passes::kAll;

}  // namespace gemmine::kernels
