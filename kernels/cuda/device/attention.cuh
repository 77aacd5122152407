// Causal attention of one sequence and head: six int8 products around an integer softmax
// (PROTOCOL 10.4, 10.6).
//
// A block owns 64 queries (or keys) and goes through the keys (queries) they meet, 64 at a time.
// All six products are one shape, 64 × 64 sums of 64 bytes: scores and dΠ of a head's features,
// then int8 weights by a transposed operand. Between them the sums lie in shared memory, so that
// the arithmetic of single pairs is free to go along the Philox counters. Whoever owns more than
// 64 features of output is computed by a block for each 64 of them.
#pragma once

#include "kernels/cuda/device/function.cuh"
#include "kernels/cuda/device/gemm.cuh"
#include "kernels/cuda/device/gradients.cuh"
#include "kernels/cuda/launch.h"
#include "kernels/numbers/rows.h"

namespace gemmine::kernels::cuda {

static_assert(kHeadTile == 64 && kGemmDepth == 64 && kHeadThreads == 128);
static_assert(kHeadBytes / 16 == 2 * kHeadThreads, "each thread copies two pieces");
static_assert(kHeadShared <= 48 * 1024, "what a launch gets without asking for more");
inline constexpr uint32_t kPairs = 4;  // of one item: keys 16 apart, the words of a counter

struct HeadMemory {
  unsigned char* own;    // 64 owned rows, 64 bytes of their features; swizzled, as the next three
  unsigned char* other;  // 64 others
  unsigned char* weights;
  unsigned char* values;  // the transposed operand: 64 features of 64 others
  int32_t* sums;          // [owned][other], rows of kHeadSumsLd
  uint32_t* most;         // of an owned row
  uint32_t* total;        // of an owned row
};
__device__ __forceinline__ HeadMemory head_memory() {
  unsigned char* const at = ptx::dynamic_shared();
  auto* const sums = reinterpret_cast<int32_t*>(at + 4 * kHeadBytes);
  auto* const most = reinterpret_cast<uint32_t*>(sums + kHeadTile * kHeadSumsLd);
  return {at,   at + kHeadBytes, at + 2 * kHeadBytes, at + 3 * kHeadBytes, sums,
          most, most + kHeadTile};
}

// What this block owns, from its number: features fastest, then tiles, heads, sequences.
struct HeadPlace {
  uint32_t feature;  // first of the 64 it computes, within the head
  uint32_t features;
  uint32_t tile;
  uint32_t tiles;
  uint32_t head;
  uint32_t row;     // of the sequence's first token
  uint32_t column;  // of the head's first feature
};
__device__ __forceinline__ HeadPlace head_place(const HeadShape& shape) {
  const uint32_t parts = (shape.head_width + kHeadTile - 1) / kHeadTile;
  HeadPlace place;
  uint32_t rest = blockIdx.x;
  place.feature = rest % parts * kHeadTile;
  place.features = shape.head_width < kHeadTile ? shape.head_width : kHeadTile;
  rest /= parts;
  place.tiles = (shape.context + kHeadTile - 1) / kHeadTile;
  place.tile = rest % place.tiles;
  rest /= place.tiles;
  place.head = rest % shape.heads;
  place.row = rest / shape.heads * shape.context;
  place.column = place.head * shape.head_width;
  return place;
}

// Rows and 16-byte pieces from `rows` and `pieces` on become zeros; `from` itself exists.
__device__ __forceinline__ void load_head_tile(unsigned char* to, const int8_t* from, uint32_t ld,
                                               uint32_t rows, uint32_t pieces) {
#pragma unroll
  for (uint32_t i = 0; i < 2; ++i) {
    const uint32_t at = threadIdx.x + i * kHeadThreads;
    const uint32_t row = at >> 2;
    const uint32_t piece = at & 3;
    const bool real = row < rows && piece < pieces;
    ptx::cp_async16(to + swizzled(row, piece), real ? from + size_t{row} * ld + piece * 16 : from,
                    real ? 16 : 0);
  }
}

// A warp's 16 rows of a · bᵀ, 64 bytes of k.
__device__ __forceinline__ void multiply_head_tile(const unsigned char* a, const unsigned char* b,
                                                   int32_t (&sums)[8][4]) {
  const uint32_t lane = threadIdx.x & 31;
  const uint32_t warp_row = threadIdx.x >> 5 << 4;
#pragma unroll
  for (uint32_t step = 0; step < 2; ++step) {
    ptx::FragmentA left;
    ptx::ldmatrix_x4(left.r, a + swizzled(warp_row + (lane & 15), step * 2 + (lane >> 4)));
#pragma unroll
    for (uint32_t j = 0; j < 4; ++j) {
      uint32_t r[4];
      ptx::ldmatrix_x4(
          r, b + swizzled(j * 16 + (lane & 7) + (lane >> 4 << 3), step * 2 + (lane >> 3 & 1)));
      ptx::mma_s8(sums[j * 2], left, {{r[0], r[1]}});
      ptx::mma_s8(sums[j * 2 + 1], left, {{r[2], r[3]}});
    }
  }
}

// memory.sums = own · otherᵀ over all features of the head. Both point at the first row and
// feature. All threads are done with the tiles and sums before, and see the sums after.
__device__ __forceinline__ void multiply_heads(const HeadMemory& memory, const int8_t* own,
                                               uint32_t own_rows, const int8_t* other,
                                               uint32_t other_rows, const HeadShape& shape) {
  int32_t sums[8][4] = {};
#pragma unroll 1
  for (uint32_t c = 0; c < shape.head_width; c += kHeadTile) {
    const uint32_t pieces = (shape.head_width - c) / 16;
    __syncthreads();
    load_head_tile(memory.own, own + c, shape.ld, own_rows, pieces);
    load_head_tile(memory.other, other + c, shape.ld, other_rows, pieces);
    ptx::cp_async_commit();
    ptx::cp_async_wait<0>();
    __syncthreads();
    multiply_head_tile(memory.own, memory.other, sums);
  }
  const uint32_t lane = threadIdx.x & 31;
  int32_t* const to = memory.sums + ((threadIdx.x >> 5 << 4) + (lane >> 2)) * kHeadSumsLd;
#pragma unroll
  for (uint32_t j = 0; j < 8; ++j) {
#pragma unroll
    for (uint32_t e = 0; e < 4; ++e)
      to[(e >> 1) * 8 * kHeadSumsLd + j * 8 + (lane & 3) * 2 + (e & 1)] = sums[j][e];
  }
  __syncthreads();
}

// out += memory.weights · valuesᵀ; `values` points at the first feature and other. All have
// written their weights and copy nothing.
__device__ __forceinline__ void add_weighted(const HeadMemory& memory, const int8_t* values,
                                             uint32_t ld, uint32_t features, uint32_t other_rows,
                                             int32_t (&out)[8][4]) {
  load_head_tile(memory.values, values, ld, features, other_rows / 16);
  ptx::cp_async_commit();
  ptx::cp_async_wait<0>();
  __syncthreads();
  multiply_head_tile(memory.weights, memory.values, out);
}

// A block's 64 × 64 pairs of queries and keys as 1024 items of four pairs: one query, and keys
// lane, lane + 16, … of the tile; kKeysOwned says which of the two the block owns.
template <bool kKeysOwned>
struct PairItem {
  uint32_t query;  // in its tile
  uint32_t lane;
  __device__ __forceinline__ explicit PairItem(uint32_t item)
      : query(item / kStochasticLanes), lane(item % kStochasticLanes) {}
  __device__ __forceinline__ uint32_t key(uint32_t pair) const {
    return lane + pair * kStochasticLanes;
  }
  __device__ __forceinline__ uint32_t own(uint32_t pair) const {
    return kKeysOwned ? key(pair) : query;
  }
  __device__ __forceinline__ uint32_t other(uint32_t pair) const {
    return kKeysOwned ? query : key(pair);
  }
  __device__ __forceinline__ int32_t sum(const HeadMemory& memory, uint32_t pair) const {
    return memory.sums[own(pair) * kHeadSumsLd + other(pair)];
  }
  __device__ __forceinline__ int8_t& weight(const HeadMemory& memory, uint32_t pair) const {
    const uint32_t column = other(pair);
    return *reinterpret_cast<int8_t*>(memory.weights + swizzled(own(pair), column >> 4) +
                                      (column & 15));
  }
};
inline constexpr uint32_t kPairItems = kHeadTile * kHeadTile / kPairs;

// Finite floats as unsigned integers in the same order.
__device__ __forceinline__ uint32_t ordered(float x) {
  const uint32_t bits = bits_of(x);
  return bits >> 31 != 0 ? ~bits : bits | 0x80000000U;
}
__device__ __forceinline__ float from_ordered(uint32_t key) {
  return float_of(key >> 31 != 0 ? key & 0x7fffffffU : ~key);
}

// One tile of queries and one of keys: where they are, and how many are real.
struct PairTiles {
  uint32_t query;  // first position in the sequence
  uint32_t queries;
  uint32_t key;
  uint32_t keys;
};
__device__ __forceinline__ uint32_t rows_of_tile(const HeadShape& shape, uint32_t tile) {
  const uint32_t left = shape.context - tile * kHeadTile;
  return left < kHeadTile ? left : kHeadTile;
}
__device__ __forceinline__ PairTiles pair_tiles(const HeadShape& shape, uint32_t query_tile,
                                                uint32_t key_tile) {
  return {query_tile * kHeadTile, rows_of_tile(shape, query_tile), key_tile * kHeadTile,
          rows_of_tile(shape, key_tile)};
}

// Scalars of a token and head.
struct HeadScalars {
  const HeadShape& shape;
  const HeadPlace& place;
  __device__ __forceinline__ size_t at(uint32_t position) const {
    return size_t{place.row + position} * shape.heads + place.head;
  }
  const __device__ __forceinline__ int8_t* rows(const int8_t* matrix, uint32_t position) const {
    return matrix + size_t{place.row + position} * shape.ld + place.column;
  }
  // Feature place.feature of the head, from `position` on.
  const __device__ __forceinline__ int8_t* transposed(const int8_t* matrix,
                                                      uint32_t position) const {
    return matrix + size_t{place.column + place.feature} * shape.transposed_ld + place.row +
           position;
  }
};

// S of a pair whose sum lies in memory.
template <bool kKeysOwned>
__device__ __forceinline__ float score_of(const HeadMemory& memory,
                                          const PairItem<kKeysOwned>& item, uint32_t pair, float sq,
                                          float sk) {
  return static_cast<float>(item.sum(memory, pair)) * (sq * sk);
}

// Π of a tile into memory.weights, 0 for what a query does not see. max_of(query) is its m;
// counted(query, Σ Π of four pairs) is told of each item.
template <bool kKeysOwned, class Max, class Counted>
__device__ __forceinline__ void weigh_pairs(const HeadMemory& memory, const HeadScalars& scalars,
                                            const HeadOperands& operands, const PairTiles& tiles,
                                            const Max& max_of, const Counted& counted) {
  const float alpha = attention_rate(scalars.shape.head_width);
#pragma unroll 1
  for (uint32_t n = threadIdx.x; n < kPairItems; n += kHeadThreads) {
    const PairItem<kKeysOwned> item(n);
    const uint32_t i = tiles.query + item.query;
    const bool real = item.query < tiles.queries;
    const float sq = real ? operands.sq[scalars.at(i)] : 0.0F;
    const float max = real ? max_of(item.query) : 0.0F;
    uint32_t count = 0;
#pragma unroll
    for (uint32_t pair = 0; pair < kPairs; ++pair) {
      const uint32_t j = tiles.key + item.key(pair);
      int32_t weight = 0;
      if (real && j <= i)
        weight = attention_weight(score_of(memory, item, pair, sq, operands.sk[scalars.at(j)]), max,
                                  alpha);
      item.weight(memory, pair) = static_cast<int8_t>(weight);
      count += static_cast<uint32_t>(weight);
    }
    counted(item.query, count);
  }
}

// store(owned row, feature of the head, sum) for what is real of a block's output.
template <class Store>
__device__ __forceinline__ void store_head(const HeadPlace& place, uint32_t rows,
                                           const int32_t (&out)[8][4], const Store& store) {
  const uint32_t lane = threadIdx.x & 31;
#pragma unroll
  for (uint32_t j = 0; j < 8; ++j) {
#pragma unroll
    for (uint32_t e = 0; e < 4; ++e) {
      const uint32_t row = (threadIdx.x >> 5 << 4) + (lane >> 2) + (e >> 1) * 8;
      const uint32_t feature = j * 8 + (lane & 3) * 2 + (e & 1);
      if (row < rows && feature < place.features) store(row, place.feature + feature, out[j][e]);
    }
  }
}

// memory.most: the greatest S of each query, ordered(). Every S is looked at (PROTOCOL 10.8).
__device__ __forceinline__ void find_maxima(const HeadMemory& memory, const HeadScalars& scalars,
                                            const HeadOperands& operands, const PairTiles& tiles,
                                            uint32_t* flag, uint32_t code) {
#pragma unroll 1
  for (uint32_t n = threadIdx.x; n < kPairItems; n += kHeadThreads) {
    const PairItem<false> item(n);
    const uint32_t i = tiles.query + item.query;
    if (item.query >= tiles.queries) continue;
    const float sq = operands.sq[scalars.at(i)];
    uint32_t most = 0;
#pragma unroll
    for (uint32_t pair = 0; pair < kPairs; ++pair) {
      const uint32_t j = tiles.key + item.key(pair);
      if (j > i) continue;
      const float score = score_of(memory, item, pair, sq, operands.sk[scalars.at(j)]);
      if (magnitude(score) >= kNotFinite) atomicMax(flag, code);
      const uint32_t key = ordered(score);
      most = key > most ? key : most;
    }
    if (most != 0) atomicMax(&memory.most[item.query], most);
  }
}

// m, l and O. grid: B · A · tiles of 64 queries · 64s of features.
__global__ void __launch_bounds__(kHeadThreads)
    attention_forward(HeadShape shape, HeadOperands operands, float* mixed, uint32_t* flag,
                      uint32_t code) {
  const HeadMemory memory = head_memory();
  const HeadPlace place = head_place(shape);
  const HeadScalars scalars{shape, place};
  const uint32_t rows = rows_of_tile(shape, place.tile);
  const uint32_t first = place.tile * kHeadTile;
  const int8_t* const q = scalars.rows(operands.q, first);
  if (threadIdx.x < kHeadTile) {
    memory.most[threadIdx.x] = 0;
    memory.total[threadIdx.x] = 0;
  }
  int32_t out[8][4] = {};
  // Once for m, once for what it weighs; a loop, so that the code is there once.
#pragma unroll 1
  for (uint32_t pass = 0; pass < 2; ++pass) {
#pragma unroll 1
    for (uint32_t tile = 0; tile <= place.tile; ++tile) {
      const PairTiles tiles = pair_tiles(shape, place.tile, tile);
      multiply_heads(memory, q, rows, scalars.rows(operands.k, tiles.key), tiles.keys, shape);
      if (pass == 0) {
        find_maxima(memory, scalars, operands, tiles, flag, code);
        continue;
      }
      weigh_pairs<false>(
          memory, scalars, operands, tiles,
          [&](uint32_t query) { return float_of(memory.most[query]); },
          [&](uint32_t query, uint32_t count) {
            if (count != 0) atomicAdd(&memory.total[query], count);
          });
      add_weighted(memory, scalars.transposed(operands.v_transposed, tiles.key),
                   shape.transposed_ld, place.features, tiles.keys, out);
    }
    if (pass == 1) break;
    __syncthreads();
    if (threadIdx.x < rows) {
      const float max = from_ordered(memory.most[threadIdx.x]) + 0.0F;
      memory.most[threadIdx.x] = bits_of(max);
      if (place.feature == 0) operands.row_max[scalars.at(first + threadIdx.x)] = max;
    }
  }
  if (threadIdx.x < rows && place.feature == 0)
    operands.row_sum[scalars.at(first + threadIdx.x)] =
        static_cast<float>(memory.total[threadIdx.x]);
  const uint32_t width = shape.heads * shape.head_width;
  const float* const sv = operands.sv + size_t{place.row / shape.context} * width;
  store_head(place, rows, out, [&](uint32_t row, uint32_t feature, int32_t sum) {
    const uint32_t column = place.column + feature;
    const auto l = static_cast<float>(memory.total[row]);
    mixed[size_t{place.row + first + row} * width + column] =
        (static_cast<float>(sum) * sv[column]) * (1.0F / l);
  });
}
template <>
inline constexpr kernel::AttentionForward::Call* kFunction<kernel::AttentionForward> =
    attention_forward;

}  // namespace gemmine::kernels::cuda
