#if defined(__x86_64__)
#define GEMMINE_PASSES avx2_gpt_passes
#include "kernels/cpu/passes/gpt_passes_body.h"

namespace gemmine::kernels {

constexpr GptPasses kGptPassesAvx2 = avx2_gpt_passes::kAll;

}  // namespace gemmine::kernels
#endif
