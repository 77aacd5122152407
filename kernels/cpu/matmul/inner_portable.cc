// The int8 product in plain C++: what every other set of inner loops must equal.
#include <algorithm>

#include "kernels/cpu/matmul/kernels.h"

namespace gemmine::kernels {
namespace {

void pack_portable(const PackSource& source, int8_t* panels, size_t panel_bytes, int32_t* sums) {
  const size_t lanes = (source.outer + kPackedLanes - 1) / kPackedLanes * kPackedLanes;
  std::fill_n(sums, lanes, 0);
  for (size_t i = 0; i < lanes; ++i) {
    int8_t* out = panels + i / kPackedLanes * panel_bytes + i % kPackedLanes * kPackedQuad;
    for (size_t p = 0; p < panel_bytes / kPackedLanes; ++p) {
      const bool inside = i < source.outer && p < source.k;
      const int8_t value =
          inside ? source.data[i * source.outer_stride + p * source.k_stride] : int8_t{0};
      out[p / kPackedQuad * kPackedQuadBytes + p % kPackedQuad] =
          static_cast<int8_t>(static_cast<uint8_t>(value) ^ source.flip);
      sums[i] += value;
    }
  }
}

void tile_portable(const TileJob& job) {
  for (size_t r = 0; r < job.rows; ++r) {
    for (size_t panel = 0; panel < job.b_panels; ++panel) {
      const int8_t* a = job.a + r * kPackedQuad;
      const int8_t* b = job.b + panel * job.b_panel_bytes;
      int32_t* c = job.c + r * job.ldc + panel * kPackedLanes;
      uint32_t sums[kPackedLanes];
      for (size_t s = 0; s < kPackedLanes; ++s) {
        sums[s] = job.accumulate ? static_cast<uint32_t>(c[s]) : 0;
      }
      for (size_t q = 0; q < job.quads; ++q, a += kPackedQuadBytes, b += kPackedQuadBytes) {
        for (size_t s = 0; s < kPackedLanes; ++s) {
          const int8_t* bs = b + s * kPackedQuad;
          sums[s] +=
              static_cast<uint32_t>(a[0] * bs[0] + a[1] * bs[1] + a[2] * bs[2] + a[3] * bs[3]);
        }
      }
      for (size_t s = 0; s < kPackedLanes; ++s)
        c[s] = static_cast<int32_t>(sums[s]);
    }
  }
}

}  // namespace

const MatmulKernels kMatmulPortable = {"portable", pack_portable, tile_portable, nullptr, 0};

}  // namespace gemmine::kernels
