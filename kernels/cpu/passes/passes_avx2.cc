#if defined(__x86_64__)
#define GEMMINE_PASSES avx2_passes
#include "kernels/cpu/passes/passes_body.h"

namespace gemmine::kernels {

constexpr Passes kPassesAvx2 = avx2_passes::kAll;

}  // namespace gemmine::kernels
#endif
