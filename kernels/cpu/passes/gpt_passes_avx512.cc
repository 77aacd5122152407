#if defined(__x86_64__)
#define GEMMINE_PASSES avx512_gpt_passes
#include "kernels/cpu/passes/gpt_passes_body.h"

namespace gemmine::kernels {

constexpr GptPasses kGptPassesAvx512 = avx512_gpt_passes::kAll;

}  // namespace gemmine::kernels
#endif
