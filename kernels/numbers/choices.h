// What a gpt job may choose (PROTOCOL 10.1): as small as device code wants its headers.
#pragma once

#include <cstdint>

namespace gemmine::kernels {

enum class Norm : uint8_t { rms = 1, layer = 2 };
enum class Activation : uint8_t { gelu = 1, silu = 2 };

inline constexpr uint32_t kVocabularyMax = 16384;  // PROTOCOL 10.14, from here to kLossGroup
inline constexpr uint32_t kModelWidthMax = 4096;
inline constexpr uint32_t kHeadsMax = 64;
inline constexpr uint32_t kBlocksMax = 64;
inline constexpr uint32_t kContextMax = 8192;
inline constexpr uint64_t kBlockOpeningMax = 1792 * 1024;  // bytes
inline constexpr uint32_t kLossGroup = 256;                // logits; PROTOCOL 10.5

}  // namespace gemmine::kernels
