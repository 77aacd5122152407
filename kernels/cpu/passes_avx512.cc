#if defined(__x86_64__)
#define GEMMINE_PASSES avx512_passes
#include "kernels/cpu/passes_body.h"

namespace gemmine::kernels {

constexpr Passes kPassesAvx512 = avx512_passes::kAll;

}  // namespace gemmine::kernels
#endif
