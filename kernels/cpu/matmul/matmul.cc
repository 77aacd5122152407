#include "kernels/cpu/matmul/matmul.h"

#include <algorithm>
#include <new>

#include "kernels/base/check.h"
#include "kernels/cpu/matmul/product.h"

namespace gemmine::kernels {
namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

uint8_t flip_of(Side side) {
  return side == Side::right ? matmul_kernels().right_flip : 0;
}

void pack_strip(Int8View view, Packed& packed, size_t strip) {
  const size_t first = strip * kPackStrip;
  const size_t outer = std::min(kPackStrip, packed.outer() - first);
  int32_t* sums = packed.sums().data() + first;
  if (packed.k() == 0) {  // There may be no bytes to point to.
    std::fill_n(sums, round_up(outer, kPackedLanes), 0);
    return;
  }
  const PackSource source{
      view.from(first).data, view.outer_stride, view.k_stride, outer, packed.k(), packed.flip()};
  matmul_kernels().pack(source, packed.panel(first / kPackedLanes), packed.panel_bytes(), sums);
}

void Packed::Free::operator()(void* memory) const {
  ::operator delete(memory, kAlignment);
}

void Packed::resize(size_t outer, size_t k, uint8_t flip) {
  GEMMINE_CHECK(k <= kMatmulKMax);
  outer_ = outer;
  k_ = k;
  flip_ = flip;
  // Kernels step inside the first quad even when there is none to read.
  if (const size_t bytes = panels() * panel_bytes() + kPackedQuadBytes; bytes > bytes_capacity_) {
    bytes_.reset();
    bytes_.reset(static_cast<int8_t*>(::operator new(bytes, kAlignment)));
    bytes_capacity_ = bytes;
  }
  if (const size_t lanes = panels() * kPackedLanes; lanes > sums_capacity_) {
    sums_.reset();
    sums_.reset(static_cast<int32_t*>(::operator new(lanes * sizeof(int32_t), kAlignment)));
    sums_capacity_ = lanes;
  }
}

void pack(Int8View view, size_t outer, size_t k, Side side, Packed& packed, ThreadPool& pool) {
  packed.resize(outer, k, flip_of(side));
  pool.run(pieces(outer, kPackStrip), [&](size_t strip) { pack_strip(view, packed, strip); });
}

void pack(Int8View view, size_t outer, size_t k, Packed& packed) {
  packed.resize(outer, k, flip_of(Side::right));
  for (size_t strip = 0; strip < pieces(outer, kPackStrip); ++strip)
    pack_strip(view, packed, strip);
}

void matmul(const Packed& a, const Packed& b, int32_t* c, size_t ldc, ThreadPool& pool) {
  GEMMINE_CHECK(ldc >= b.outer());
  run_product(left_of(a), b, {c, ldc, nullptr}, pool);
}

void matmul(const Packed& a, const Packed& b, MatmulEpilogue epilogue, ThreadPool& pool) {
  run_product(left_of(a), b, {nullptr, 0, &epilogue}, pool);
}

}  // namespace gemmine::kernels
