// What kernels and those who launch them agree on: the sizes of blocks and tiles, and the structs
// that are arguments. kernel_list.h says which kernels there are.
#pragma once

#include <cstdint>

namespace gemmine::kernels::cuda {

inline constexpr uint32_t kGemmTile = 128;  // rows and columns of sums a block computes
inline constexpr uint32_t kGemmDepth = 64;  // bytes of k in a stage, and what `ld` is a multiple of
inline constexpr uint32_t kGemmStages = 3;  // copies in flight while one stage is multiplied
inline constexpr uint32_t kGemmThreads = 256;
inline constexpr uint32_t kGemmShared = kGemmStages * 2 * kGemmTile * kGemmDepth;
inline constexpr uint32_t kRowThreads = 128;       // per block, where a block has one row
inline constexpr uint32_t kFlatThreads = 256;      // per block, where a thread has one element
inline constexpr uint32_t kTransposeTile = 64;     // rows and columns
inline constexpr uint32_t kHashChunk = 1024;       // bytes of a chunk, or of a tile of 16 × 64
inline constexpr uint32_t kPanelRow = 256;         // bytes of a row of a panel of f32
inline constexpr uint32_t kHashGroup = 64;         // chunks, and threads, of a block of hash_groups
inline constexpr uint32_t kHashRootThreads = 128;  // per block of hash_roots, which has one tensor
inline constexpr uint32_t kLossRows = 4;           // of a block of loss_rows, a warp each
inline constexpr uint32_t kMeanThreads = 512;      // of the one block of mean_loss
inline constexpr uint32_t kProbeShared = 1024;     // bytes of layout_probe: 16 + 16 rows of 32
inline constexpr uint32_t kNormRows = 4;           // of a block of norm kernels, a warp each
inline constexpr uint32_t kColumnParts = 8;        // threads that share a column of a sequence
inline constexpr uint32_t kTokenRows = 1024;       // looked through at once by token_gradient
inline constexpr uint32_t kSumPieces = 8;          // of a block of sum_pieces, a warp each
inline constexpr uint32_t kUnitRows = 16;          // of a gradient whose squares are one sum
inline constexpr uint32_t kUnitCols = 64;
inline constexpr uint32_t kUnits = 8;            // of a block of square_units, a warp each
inline constexpr uint32_t kHeadTile = 64;        // queries, keys and features of a step
inline constexpr uint32_t kHeadThreads = 128;    // 4 warps of 16 rows
inline constexpr uint32_t kHeadBytes = 64 * 64;  // a tile of int8
inline constexpr uint32_t kHeadSumsLd = 64 + 8;  // of int32: rows 8 apart lie in other banks
inline constexpr uint32_t kHeadShared =          // four tiles, the sums, two words a row
    4 * kHeadBytes + 4 * kHeadTile * kHeadSumsLd + 8 * kHeadTile;

// A committed byte string on the device (PROTOCOL 4.1). In an int8 matrix of rows of `ld` bytes
// chunk i is the tile of panel i / tiles_down; in an f32 one of `panel_rows` rows of `ld` bytes it
// is four rows of panels, with zeros where a row ends before its panel. ld = 0: the bytes are one
// after another.
struct HashJob {
  const unsigned char* data;
  uint64_t bytes;
  uint32_t ld;
  uint32_t tiles_down;
  uint32_t panel_rows;  // 0 of an int8 matrix
  uint32_t chunks;
  uint32_t first_group;  // of kHashGroup chunks, in the array of all tensors' groups
};

// One block's heads. A matrix of T rows has head a in columns a·d … a·d + d − 1.
struct HeadShape {
  uint32_t context;        // C
  uint32_t heads;          // A
  uint32_t head_width;     // d
  uint32_t ld;             // of Q, K, V and HO
  uint32_t transposed_ld;  // of their transposes and GO's
};
// PROTOCOL 10.4, 10.6; what a kernel does not read may be null.
struct HeadOperands {
  const int8_t *q, *k, *v, *ho;
  const int8_t *q_transposed, *k_transposed, *v_transposed, *go_transposed;
  const float *sq, *sk, *sv, *sh, *sg;
  float *row_max, *row_sum;  // m, l
  const float* delta;
};

// Part of a vector whose rowsum is one element of longsum's next level (PROTOCOL 2.8).
struct SumPiece {
  uint64_t first;
  uint32_t count;
};

// A parameter, and where its units (PROTOCOL 10.7) are among those of all: what square_units sums.
struct UnitJob {
  uint64_t first;       // of the parameter's gradient
  uint32_t first_unit;  // of all parameters' units
  uint32_t units;
  uint32_t rows;  // a vector is one row
  uint32_t cols;
  uint32_t units_down;
};

}  // namespace gemmine::kernels::cuda
