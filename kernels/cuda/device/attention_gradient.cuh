// The gradient of causal attention, once by queries (dq) and once by keys (dk, dv); PROTOCOL 10.6.
#pragma once

#include "kernels/cuda/device/attention.cuh"
#include "kernels/cuda/device/function.cuh"

namespace gemmine::kernels::cuda {

// What all pairs of a query need; of a query that does not exist zeros.
struct QueryScalars {
  float sq, inv_l, delta, sh;
  __device__ __forceinline__ QueryScalars(const HeadScalars& scalars, const HeadOperands& operands,
                                          uint32_t position, bool real)
      : sq(0), inv_l(0), delta(0), sh(0) {
    if (!real) return;
    const size_t at = scalars.at(position);
    sq = operands.sq[at];
    inv_l = 1.0F / operands.row_sum[at];
    delta = operands.delta[at];
    sh = operands.sh[at];
  }
};

// dS of a pair by the other's scale: sk for U1, sq for U2. Its Π lies in memory.weights, the
// product that dΠ is made of in memory.sums.
template <bool kKeysOwned>
__device__ __forceinline__ float pair_gradient(const HeadMemory& memory,
                                               const PairItem<kKeysOwned>& item, uint32_t pair,
                                               const QueryScalars& query, float sk, float alpha) {
  const float d_weight = static_cast<float>(item.sum(memory, pair)) * query.sh;
  const float d_score =
      score_gradient(item.weight(memory, pair), query.inv_l, d_weight, query.delta, alpha);
  return d_score * (kKeysOwned ? query.sq : sk);
}

// memory.most: the greatest magnitude of each owned row.
template <bool kKeysOwned>
__device__ __forceinline__ void find_gradient_maxima(const HeadMemory& memory,
                                                     const HeadScalars& scalars,
                                                     const HeadOperands& operands,
                                                     const PairTiles& tiles) {
  const float alpha = attention_rate(scalars.shape.head_width);
#pragma unroll 1
  for (uint32_t n = threadIdx.x; n < kPairItems; n += kHeadThreads) {
    const PairItem<kKeysOwned> item(n);
    const uint32_t i = tiles.query + item.query;
    if (item.query >= tiles.queries) continue;
    const QueryScalars query(scalars, operands, i, true);
    uint32_t most = 0;
#pragma unroll
    for (uint32_t pair = 0; pair < kPairs; ++pair) {
      const uint32_t j = tiles.key + item.key(pair);
      if (j > i) continue;
      const uint32_t bits =
          magnitude(pair_gradient(memory, item, pair, query, operands.sk[scalars.at(j)], alpha));
      if (kKeysOwned) atomicMax(&memory.most[item.own(pair)], bits);
      most = bits > most ? bits : most;
    }
    if (!kKeysOwned && most != 0) atomicMax(&memory.most[item.query], most);
  }
}

// U1 or U2 in the place of Π: SR by the owned row's scale, whose inverse is in memory.total. An
// item is one Philox counter: its words are for keys 16 apart, its halves for tiles (2.5).
template <bool kKeysOwned>
__device__ __forceinline__ void round_pairs(const HeadMemory& memory, const HeadScalars& scalars,
                                            const HeadOperands& operands, const PairTiles& tiles,
                                            const StochasticKey& key) {
  const float alpha = attention_rate(scalars.shape.head_width);
  const uint32_t groups = (scalars.shape.context + kStochasticGroup - 1) / kStochasticGroup;
  const uint32_t group = tiles.key / kStochasticGroup;
  const uint32_t half = tiles.key % kStochasticGroup / kHeadTile;
#pragma unroll 1
  for (uint32_t n = threadIdx.x; n < kPairItems; n += kHeadThreads) {
    const PairItem<kKeysOwned> item(n);
    const uint32_t i = tiles.query + item.query;
    if (item.query >= tiles.queries) continue;  // their Π is 0
    const QueryScalars query(scalars, operands, i, true);
    const auto row = static_cast<uint32_t>(scalars.at(i));
    const PhiloxWords words =
        philox(key.seed, (row * groups + group) * kStochasticLanes + item.lane, key.tensor_id,
               key.step_id, kPurposeStochastic);
#pragma unroll
    for (uint32_t pair = 0; pair < kPairs; ++pair) {
      const uint32_t j = tiles.key + item.key(pair);
      if (j > i) continue;
      const float value =
          pair_gradient(memory, item, pair, query, operands.sk[scalars.at(j)], alpha);
      const float inv = float_of(memory.total[item.own(pair)]);
      item.weight(memory, pair) = round_stochastic(value, inv, half_of(words.w[pair], half));
    }
  }
}

template <bool kKeysOwned>
struct HeadGradient {
  const HeadMemory& memory;
  const HeadScalars& scalars;
  const HeadOperands& operands;
  uint32_t rows;  // owned

  __device__ __forceinline__ PairTiles tiles_with(uint32_t other) const {
    const uint32_t own = scalars.place.tile;
    return kKeysOwned ? pair_tiles(scalars.shape, other, own)
                      : pair_tiles(scalars.shape, own, other);
  }
  // Products of queries' rows and keys' rows, whichever is owned.
  __device__ __forceinline__ void multiply(const int8_t* of_queries, const int8_t* of_keys,
                                           const PairTiles& tiles) const {
    const int8_t* const queries = scalars.rows(of_queries, tiles.query);
    const int8_t* const keys = scalars.rows(of_keys, tiles.key);
    multiply_heads(memory, kKeysOwned ? keys : queries, rows, kKeysOwned ? queries : keys,
                   kKeysOwned ? tiles.queries : tiles.keys, scalars.shape);
  }
  __device__ __forceinline__ void weigh(const PairTiles& tiles) const {
    multiply(operands.q, operands.k, tiles);
    weigh_pairs<kKeysOwned>(
        memory, scalars, operands, tiles,
        [&](uint32_t query) { return operands.row_max[scalars.at(tiles.query + query)]; },
        [](uint32_t, uint32_t) {});
  }
  __device__ __forceinline__ void add(const int8_t* transposed, const PairTiles& tiles,
                                      int32_t (&out)[8][4]) const {
    add_weighted(memory, scalars.transposed(transposed, kKeysOwned ? tiles.query : tiles.key),
                 scalars.shape.transposed_ld, scalars.place.features,
                 kKeysOwned ? tiles.queries : tiles.keys, out);
  }
};

template <bool kKeysOwned>
__device__ __forceinline__ void attention_gradient(const HeadShape& shape,
                                                   const HeadOperands& operands,
                                                   const StochasticKey& key, float* d_qkv,
                                                   uint32_t* flag, uint32_t code) {
  const HeadMemory memory = head_memory();
  const HeadPlace place = head_place(shape);
  const HeadScalars scalars{shape, place};
  const uint32_t rows = rows_of_tile(shape, place.tile);
  const HeadGradient<kKeysOwned> gradient{memory, scalars, operands, rows};
  const uint32_t begin = kKeysOwned ? place.tile : 0;
  const uint32_t end = kKeysOwned ? place.tiles : place.tile + 1;
  if (threadIdx.x < kHeadTile) memory.most[threadIdx.x] = 0;
  int32_t out[8][4] = {};
  int32_t out_v[8][4] = {};
  // Once for the scales, once for what they round; a loop, so that the code is there once.
#pragma unroll 1
  for (uint32_t pass = 0; pass < 2; ++pass) {
#pragma unroll 1
    for (uint32_t tile = begin; tile < end; ++tile) {
      const PairTiles tiles = gradient.tiles_with(tile);
      gradient.weigh(tiles);
      if (kKeysOwned && pass == 1) gradient.add(operands.go_transposed, tiles, out_v);
      gradient.multiply(operands.ho, operands.v, tiles);
      if (pass == 0) {
        find_gradient_maxima<kKeysOwned>(memory, scalars, operands, tiles);
      } else {
        round_pairs<kKeysOwned>(memory, scalars, operands, tiles, key);
        gradient.add(kKeysOwned ? operands.q_transposed : operands.k_transposed, tiles, out);
      }
    }
    if (pass == 1) break;
    __syncthreads();
    if (threadIdx.x < rows) {
      const uint32_t most = memory.most[threadIdx.x];
      memory.total[threadIdx.x] = bits_of(scale_of(most).inv);
      if (most >= kNotFinite) atomicMax(flag, code);
    }
  }
  const uint32_t width = shape.heads * shape.head_width;
  const uint32_t first = place.row + place.tile * kHeadTile;
  const auto at = [&](uint32_t row, uint32_t part, uint32_t feature) {
    return size_t{first + row} * 3 * width + part * width + place.column + feature;
  };
  store_head(place, rows, out, [&](uint32_t row, uint32_t feature, int32_t sum) {
    d_qkv[at(row, kKeysOwned ? 1 : 0, feature)] =
        static_cast<float>(sum) * scale_of(memory.most[row]).s;
  });
  if (!kKeysOwned) return;
  const float* const sg = operands.sg + size_t{place.row / shape.context} * width;
  store_head(place, rows, out_v, [&](uint32_t row, uint32_t feature, int32_t sum) {
    d_qkv[at(row, 2, feature)] = static_cast<float>(sum) * sg[place.column + feature];
  });
}

// dq. grid: as attention_forward's.
__global__ void __launch_bounds__(kHeadThreads)
    attention_by_query(HeadShape shape, HeadOperands operands, StochasticKey of_u1, float* d_qkv,
                       uint32_t* flag, uint32_t code) {
  attention_gradient<false>(shape, operands, of_u1, d_qkv, flag, code);
}
template <>
inline constexpr kernel::AttentionByQuery::Call* kFunction<kernel::AttentionByQuery> =
    attention_by_query;
// Blocks a multiprocessor: on Turing shared memory allows one, so that its registers are free.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
inline constexpr uint32_t kKeyBlocks = 1;
#else
inline constexpr uint32_t kKeyBlocks = 3;
#endif
// dk and dv. grid: the same, of keys.
__global__ void __launch_bounds__(kHeadThreads, kKeyBlocks)
    attention_by_key(HeadShape shape, HeadOperands operands, StochasticKey of_u2, float* d_qkv,
                     uint32_t* flag, uint32_t code) {
  attention_gradient<true>(shape, operands, of_u2, d_qkv, flag, code);
}
template <>
inline constexpr kernel::AttentionByKey::Call* kFunction<kernel::AttentionByKey> = attention_by_key;

}  // namespace gemmine::kernels::cuda
