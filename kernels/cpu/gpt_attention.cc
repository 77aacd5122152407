#include "kernels/cpu/gpt_attention.h"

#include <algorithm>
#include <cstring>

#include "kernels/numbers/rows.h"

namespace gemmine::kernels {
namespace {

constexpr size_t kBlock = kPackedLanes;     // queries at once
constexpr size_t kKeys = kStochasticGroup;  // keys at once when columns are finished

}  // namespace

void AttentionScratch::Positions::reserve(const HeadView& shape) {
  packed.resize(shape.width, shape.context);
  prefix.resize((shape.context / kBlock + 1) * shape.width);
  of_part.resize(shape.width);
}

void AttentionScratch::Positions::take(const HeadView& shape, const int8_t* data) {
  pack(by_columns(data, shape.ld), shape.width, shape.context, packed);
  if (matmul_kernels().row_sums != nullptr) return;  // Those look at the sums of the left side.
  std::fill_n(prefix.begin(), shape.width, 0);
  for (size_t block = 0; block < shape.context / kBlock; ++block) {
    int32_t* const next = &prefix[(block + 1) * shape.width];
    std::copy_n(next - shape.width, shape.width, next);
    for (size_t r = 0; r < kBlock; ++r) {
      const int8_t* const row = data + (block * kBlock + r) * shape.ld;
      for (size_t c = 0; c < shape.width; ++c)
        next[c] += row[c];
    }
  }
}

const int32_t* AttentionScratch::Positions::sums(size_t width, size_t first, size_t last) {
  if (matmul_kernels().row_sums != nullptr) return of_part.data();
  for (size_t c = 0; c < width; ++c)
    of_part[c] = prefix[last * width + c] - prefix[first * width + c];
  return of_part.data();
}

void AttentionScratch::reserve(const HeadView& shape) {
  const size_t c = shape.context;
  k_rows_.resize(c, shape.width);
  v_rows_.resize(c, shape.width);
  for (Positions* positions : {&keys_, &values_, &queries_, &outputs_})
    positions->reserve(shape);
  left_.resize(kBlock * std::max(c, shape.width));
  left_sums_.resize(kPackStrip);
  acc_.resize(std::max(kBlock * std::max(c, kKeys), kPackStrip * shape.width));
  row_.resize(c);
  for (AlignedVector<float>* floats : {&sk_, &inv2_, &s2_})
    floats->resize(c);
  max2_.resize(c);
  u_.resize(std::max(kBlock, kKeys) * c);
  weights_.resize(c * c);
  strip_.resize(kPackStrip * c);
}

AttentionScratch::Left AttentionScratch::left_of(const int8_t* rows, size_t ld, size_t k) {
  if (kernels_->row_sums != nullptr) {
    kernels_->row_sums(rows, ld, kBlock, k, left_sums_.data());
    return {rows, ld, kPackedQuad, left_sums_.data()};
  }
  kernels_->pack({rows, ld, 1, kBlock, k}, left_.data(), k * kBlock, left_sums_.data());
  return {left_.data(), kPackedQuad, kPackedQuadBytes, left_sums_.data()};
}

namespace {

// acc[16][16·panels] = a · panels of b, over `quads` from `first_quad` of b on.
struct Product {
  size_t first_panel;
  size_t panels;
  size_t first_quad;
  size_t quads;
};
template <class Left>
void multiply(const MatmulKernels& kernels, const Left& a, const Packed& b, const Product& at,
              const int32_t* b_sums, int32_t* acc) {
  kernels.tile({
      .a = a.data,
      .a_next = a.data,
      .a_row_bytes = a.row_bytes,
      .a_quad_bytes = a.quad_bytes,
      .a_sums = a.sums,
      .b = b.panel(at.first_panel) + at.first_quad * kPackedQuadBytes,
      .b_sums = b_sums,
      .b_panel_bytes = b.panel_bytes(),
      .b_panels = at.panels,
      .quads = at.quads,
      .rows = kBlock,
      .c = acc,
      .ldc = at.panels * kPackedLanes,
      .accumulate = false,
  });
}

}  // namespace

uint32_t AttentionScratch::forward(const HeadView& shape, const HeadForward& head) {
  passes_ = &passes();
  gpt_ = &gpt_passes();
  kernels_ = &matmul_kernels();
  const size_t d = shape.width;
  pack(by_rows(head.k, shape.ld), shape.context, d, k_rows_);
  values_.take(shape, head.v);
  for (size_t j = 0; j < shape.context; ++j)
    sk_[j] = head.sk[j * shape.heads];
  uint32_t worst = 0;
  for (size_t first = 0; first < shape.context; first += kBlock) {
    const size_t width = first + kBlock;
    multiply(*kernels_, left_of(head.q + first * shape.ld, shape.ld, d), k_rows_,
             {0, width / kBlock, 0, d / kPackedQuad}, k_rows_.sums().data(), acc_.data());
    float inv_l[kBlock];
    for (size_t r = 0; r < kBlock; ++r) {
      const size_t at = (first + r) * shape.heads;
      const QueryRow row = query(shape, head.sq, first + r);
      const ScoreMax max =
          gpt_->scores(row, acc_.data() + r * width, sk_.data(), width, row_.data());
      worst = std::max(worst, max.all);
      const auto l = static_cast<float>(
          gpt_->weights(row, max.max, row_.data(), width, weights_.data() + r * shape.context));
      head.m[at] = max.max;
      head.l[at] = l;
      inv_l[r] = 1.0F / l;
    }
    multiply(*kernels_, left_of(weights_.data(), shape.context, width), values_.packed,
             {0, d / kPackedLanes, 0, width / kPackedQuad}, values_.sums(d, 0, width / kBlock),
             acc_.data());
    for (size_t r = 0; r < kBlock; ++r)
      gpt_->mix(acc_.data() + r * d, d, head.sv, inv_l[r], head.mixed + (first + r) * shape.ld);
  }
  return worst;
}

QueryRow AttentionScratch::query(const HeadView& shape, const float* sq, size_t i) {
  return {.allowed = i + 1,
          .sq = sq[i * shape.heads],
          .rate = attention_rate(static_cast<uint32_t>(shape.width))};
}

QueryGradient AttentionScratch::gradient(const HeadView& shape, const HeadBackward& head,
                                         size_t i) {
  const size_t at = i * shape.heads;
  return {.inv_l = 1.0F / head.l[at], .sh = head.sh[at], .delta = head.delta[at]};
}

uint32_t AttentionScratch::backward(const HeadView& shape, const HeadBackward& head) {
  passes_ = &passes();
  gpt_ = &gpt_passes();
  kernels_ = &matmul_kernels();
  pack(by_rows(head.k, shape.ld), shape.context, shape.width, k_rows_);
  pack(by_rows(head.v, shape.ld), shape.context, shape.width, v_rows_);
  keys_.take(shape, head.k);
  queries_.take(shape, head.q);
  outputs_.take(shape, head.go);
  for (size_t j = 0; j < shape.context; ++j)
    sk_[j] = head.sk[j * shape.heads];
  uint32_t worst = back_queries(shape, head);
  for (size_t j = 0; j < shape.context; ++j) {
    worst = std::max(worst, max2_[j]);
    const Scale scale = scale_of(max2_[j] < kNotFinite ? max2_[j] : 0);
    s2_[j] = scale.s;
    inv2_[j] = scale.inv;
  }
  if (worst >= kNotFinite) return worst;
  for (size_t first = 0; first < shape.context; first += kKeys)
    back_keys(shape, head, first);
  return worst;
}

// Row by row: Π, dS, U1 and dq; and the maxima of U2's columns.
uint32_t AttentionScratch::back_queries(const HeadView& shape, const HeadBackward& head) {
  const size_t d = shape.width;
  const size_t context = shape.context;
  std::fill(max2_.begin(), max2_.end(), 0);
  uint32_t worst = 0;
  for (size_t first = 0; first < context; first += kBlock) {
    const size_t width = first + kBlock;
    const size_t strip_end = std::min(context, (width + kKeys - 1) / kKeys * kKeys);
    const Product scores{0, width / kBlock, 0, d / kPackedQuad};
    multiply(*kernels_, left_of(head.q + first * shape.ld, shape.ld, d), k_rows_, scores,
             k_rows_.sums().data(), acc_.data());
    for (size_t r = 0; r < kBlock; ++r) {
      const QueryRow row = query(shape, head.sq, first + r);
      int8_t* const weights = weights_.data() + (first + r) * context;
      gpt_->scores(row, acc_.data() + r * width, sk_.data(), width, row_.data());
      gpt_->weights(row, head.m[(first + r) * shape.heads], row_.data(), width, weights);
      std::fill(weights + width, weights + strip_end, int8_t{0});
    }
    multiply(*kernels_, left_of(head.ho + first * shape.ld, shape.ld, d), v_rows_, scores,
             v_rows_.sums().data(), acc_.data());
    float s1[kBlock];
    for (size_t r = 0; r < kBlock; ++r) {
      const QueryRow row = query(shape, head.sq, first + r);
      gpt_->score_gradients(row, gradient(shape, head, first + r),
                            weights_.data() + (first + r) * context, acc_.data() + r * width, width,
                            row_.data());
      const uint32_t max = gpt_->score_maxima(row, row_.data(), sk_.data(), width, max2_.data());
      worst = std::max(worst, max);
      const Scale scale = scale_of(max < kNotFinite ? max : 0);
      s1[r] = scale.s;
      const size_t bits_row = head.first_row + (first + r) * shape.heads;
      passes_->quantise_g1(row_.data(), sk_.data(), scale.inv, head.key1,
                           stochastic_counter(bits_row, context), width, u_.data() + r * context);
    }
    multiply(*kernels_, left_of(u_.data(), context, width), keys_.packed,
             {0, d / kPackedLanes, 0, width / kPackedQuad}, keys_.sums(d, 0, width / kBlock),
             acc_.data());
    for (size_t r = 0; r < kBlock; ++r)
      gpt_->scale(acc_.data() + r * d, d, s1[r], head.dq + (first + r) * head.out_ld);
  }
  return worst;
}

// Keys [first_key, +128): dS again, for U2 by now known columns, then dk and dv.
void AttentionScratch::back_keys(const HeadView& shape, const HeadBackward& head,
                                 size_t first_key) {
  const size_t d = shape.width;
  const size_t context = shape.context;
  const size_t keys = std::min(kKeys, context - first_key);
  for (size_t first = first_key; first < context; first += kBlock) {
    const size_t width = std::min(keys, first + kBlock - first_key);
    const Product product{first_key / kPackedLanes, width / kPackedLanes, 0, d / kPackedQuad};
    multiply(*kernels_, left_of(head.ho + first * shape.ld, shape.ld, d), v_rows_, product,
             v_rows_.sums().data() + first_key, acc_.data());
    for (size_t r = 0; r < kBlock; ++r) {
      const size_t i = first + r;
      QueryRow row = query(shape, head.sq, i);
      row.allowed = std::min(width, i + 1 - first_key);
      gpt_->score_gradients(row, gradient(shape, head, i),
                            weights_.data() + i * context + first_key, acc_.data() + r * width,
                            width, row_.data());
      int8_t* const u2 = u_.data() + (i - first_key) * kKeys;
      const size_t bits_row = head.first_row + i * shape.heads;
      passes_->quantise_g2(row_.data(), row.sq, inv2_.data() + first_key, head.key2,
                           stochastic_counter(bits_row, context, first_key), width, u2);
      std::fill(u2 + width, u2 + keys, int8_t{0});
    }
  }
  for (size_t first = 0; first < keys; first += kPackStrip) {
    const size_t count = std::min(kPackStrip, keys - first);
    const size_t key = first_key + first;
    transposed_product(shape, queries_, u_.data() + first * kKeys + first, kKeys, key, count);
    for (size_t r = 0; r < count; ++r)
      gpt_->scale(acc_.data() + r * d, d, s2_[key + r], head.dk + (key + r) * head.out_ld);
    transposed_product(shape, outputs_, weights_.data() + key * context + key, context, key, count);
    for (size_t r = 0; r < count; ++r)
      gpt_->scale_columns(acc_.data() + r * d, d, head.sg, head.dv + (key + r) * head.out_ld);
  }
}

// acc[key][feature] = Σ over queries i >= first_key of data[i − first_key][key] · right[i]. Queries
// before a panel's keys have zeros there and are left out.
void AttentionScratch::transposed_product(const HeadView& shape, Positions& right,
                                          const int8_t* data, size_t data_ld, size_t first_key,
                                          size_t keys) {
  const size_t d = shape.width;
  const size_t queries = shape.context - first_key;
  const size_t panel_bytes = queries * kPackedLanes;
  kernels_->pack({data, 1, data_ld, keys, queries}, strip_.data(), panel_bytes, left_sums_.data());
  for (size_t panel = 0; panel < keys / kPackedLanes; ++panel) {
    const size_t skipped = panel * kPackedLanes / kPackedQuad;
    const Left left{strip_.data() + panel * panel_bytes + skipped * kPackedQuadBytes, kPackedQuad,
                    kPackedQuadBytes, left_sums_.data() + panel * kPackedLanes};
    const size_t first_block = first_key / kBlock + panel;
    multiply(
        *kernels_, left, right.packed,
        {0, d / kPackedLanes, first_block * kBlock / kPackedQuad, queries / kPackedQuad - skipped},
        right.sums(d, first_block, shape.context / kBlock), acc_.data() + panel * kPackedLanes * d);
  }
}

}  // namespace gemmine::kernels
