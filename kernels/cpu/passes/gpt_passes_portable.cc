#define GEMMINE_PASSES portable_gpt_passes
#include "kernels/cpu/passes/gpt_passes_body.h"

namespace gemmine::kernels {

constexpr GptPasses kGptPassesPortable = portable_gpt_passes::kAll;

}  // namespace gemmine::kernels
