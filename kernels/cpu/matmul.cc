#include "kernels/cpu/matmul.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "kernels/check.h"
#include "kernels/cpu/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace gemmine::kernels {
namespace {

constexpr std::align_val_t kAlignment{64};

// Part of b kept in the second-level cache while rows of a pass over it.
constexpr size_t kCachedBytes = 640 << 10;
// Quads of one pass over k: long enough that reading and writing c in between costs little.
constexpr size_t kQuadsMax = 1024;
constexpr size_t kRowsMax = 512;
constexpr size_t kColumnStep = 48;  // what the widest inner loop takes at once
static_assert(kTileColumnsMax % kColumnStep == 0 && kColumnStep % kPackedLanes == 0);

size_t round_up(size_t value, size_t step) {
  return (value + step - 1) / step * step;
}
size_t pieces(size_t value, size_t piece) {
  return (value + piece - 1) / piece;
}

// How one product is cut: tasks of rows x columns, each walking k in passes of `quads`.
struct Cut {
  size_t quads;
  size_t rows;
  size_t columns;
  size_t row_tasks;
  size_t column_tasks;
};

// The left side as the kernels read it: packed, or rows as they lie.
struct Left {
  const int8_t* data;
  size_t outer;
  size_t k;
  size_t panel_bytes;  // from 16 lanes to the next 16
  size_t row_bytes;
  size_t quad_bytes;
  const int32_t* sums;
  uint8_t flip;

  size_t panels() const { return pieces(outer, kPackedLanes); }
  size_t quads() const { return pieces(k, kPackedQuad); }
};

Left left_of(const Packed& a) {
  return {a.panel(0),  a.outer(),        a.k(),           a.panel_bytes(),
          kPackedQuad, kPackedQuadBytes, a.sums().data(), a.flip()};
}

Cut cut_product(const Left& a, const Packed& b, int threads) {
  Cut cut{};
  const size_t passes = std::max<size_t>(1, pieces(a.quads(), kQuadsMax));
  cut.quads = std::max<size_t>(1, pieces(a.quads(), passes));
  const size_t wanted = kCachedBytes / (cut.quads * kPackedQuad) / kColumnStep * kColumnStep;
  const size_t columns_max = std::clamp(wanted, kColumnStep, kTileColumnsMax);
  cut.column_tasks = pieces(b.outer(), columns_max);
  cut.columns = round_up(pieces(b.outer(), cut.column_tasks), kColumnStep);
  cut.column_tasks = pieces(b.outer(), cut.columns);
  cut.rows = std::min(kRowsMax, round_up(a.outer, kPackedLanes));
  const size_t tasks_wanted = threads == 1 ? 1 : 8 * static_cast<size_t>(threads);
  while (cut.rows > 2 * kPackedLanes &&
         pieces(a.outer, cut.rows) * cut.column_tasks < tasks_wanted) {
    cut.rows = round_up(cut.rows / 2, kPackedLanes);
  }
  cut.row_tasks = pieces(a.outer, cut.rows);
  return cut;
}

class Product {
 public:
  Product(const Left& a, const Packed& b, int32_t* c, size_t ldc, const MatmulEpilogue* epilogue,
          int threads)
      : kernels_(matmul_kernels()),
        a_(a),
        b_(b),
        c_(c),
        ldc_(ldc),
        epilogue_(epilogue),
        cut_(cut_product(a, b, threads)) {}

  size_t tasks() const { return cut_.row_tasks * cut_.column_tasks; }

  // Neighbouring tasks share their columns, hence their part of b.
  void run(size_t task) const {
    const size_t row0 = task % cut_.row_tasks * cut_.rows;
    const size_t col0 = task / cut_.row_tasks * cut_.columns;
    run_piece({row0, std::min(cut_.rows, a_.outer - row0), col0,
               std::min(cut_.columns, b_.outer() - col0)});
  }

 private:
  // Kernels write whole panels: straight into c where it has room for them, else into a tile.
  void run_piece(const MatmulBlock& at) const {
    const size_t width = round_up(at.cols, kPackedLanes);
    const bool direct =
        epilogue_ == nullptr && at.rows % kPackedLanes == 0 && at.cols % kPackedLanes == 0;
    const bool one_pass = cut_.quads >= a_.quads();
    const size_t tile_rows = one_pass ? kPackedLanes : round_up(at.rows, kPackedLanes);
    int32_t* tile = direct ? nullptr : thread_tile(tile_rows * width);
    for (size_t quad = 0; quad < a_.quads() || quad == 0; quad += cut_.quads) {
      const bool last = quad + cut_.quads >= a_.quads();
      for (size_t r = 0; r < at.rows; r += kPackedLanes) {
        int32_t* out =
            direct ? c_ + (at.row0 + r) * ldc_ + at.col0 : tile + (one_pass ? 0 : r * width);
        const size_t ld = direct ? ldc_ : width;
        const MatmulBlock strip{at.row0 + r, std::min(kPackedLanes, at.rows - r), at.col0, at.cols};
        run_strip(strip, quad, out, ld);
        if (last && !direct) deliver(strip, out, ld);
      }
    }
  }

  void run_strip(const MatmulBlock& strip, size_t quad, int32_t* out, size_t ld) const {
    const size_t panel = strip.row0 / kPackedLanes;
    const size_t next_panel = panel + 1 < a_.panels() ? panel + 1 : panel;
    kernels_.tile({
        .a = a_.data + panel * a_.panel_bytes + quad * a_.quad_bytes,
        .a_next = a_.data + next_panel * a_.panel_bytes + quad * a_.quad_bytes,
        .a_row_bytes = a_.row_bytes,
        .a_quad_bytes = a_.quad_bytes,
        .a_sums = a_.sums + strip.row0,
        .b = b_.panel(strip.col0 / kPackedLanes) + quad * kPackedQuadBytes,
        .b_sums = b_.sums().data() + strip.col0,
        .b_panel_bytes = b_.panel_bytes(),
        .b_panels = pieces(strip.cols, kPackedLanes),
        .quads = std::min(cut_.quads, a_.quads() - quad),
        .rows = strip.rows,
        .c = out,
        .ldc = ld,
        .accumulate = quad > 0,
    });
  }

  void deliver(const MatmulBlock& strip, const int32_t* tile, size_t ld) const {
    if (epilogue_ != nullptr) {
      epilogue_->call(epilogue_->context, strip.row0, strip.rows, strip.col0, strip.cols, tile, ld);
      return;
    }
    for (size_t r = 0; r < strip.rows; ++r) {
      std::memcpy(c_ + (strip.row0 + r) * ldc_ + strip.col0, tile + r * ld,
                  strip.cols * sizeof(int32_t));
    }
  }

  // At most kRowsMax x kTileColumnsMax, kept by the thread: fresh pages cost more than a product.
  static int32_t* thread_tile(size_t count) {
    struct alignas(64) Line {
      int32_t values[16];
    };
    thread_local std::unique_ptr<Line[]> lines;
    thread_local size_t lines_count = 0;
    if (pieces(count, 16) > lines_count) {
      lines_count = pieces(count, 16);
      lines = std::make_unique_for_overwrite<Line[]>(lines_count);
    }
    // The analyzer takes a thread_local's second call for a use of what the first one freed.
    return lines[0].values;  // NOLINT(clang-analyzer-cplusplus.NewDelete)
  }

  const MatmulKernels& kernels_;
  const Left a_;
  const Packed& b_;
  int32_t* c_;
  size_t ldc_;
  const MatmulEpilogue* epilogue_;
  Cut cut_;
};

void run_product(const Left& a, const Packed& b, int32_t* c, size_t ldc,
                 const MatmulEpilogue* epilogue, ThreadPool& pool) {
  GEMMINE_CHECK(a.k == b.k() && a.flip == 0 && b.flip() == matmul_kernels().right_flip);
  if (a.outer == 0 || b.outer() == 0) return;
  const Product product(a, b, c, ldc, epilogue, pool.threads());
  pool.run(product.tasks(), [&](size_t task) { product.run(task); });
}

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

std::atomic<const MatmulKernels*> kernels_for_test{nullptr};

}  // namespace

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
  run_product(left_of(a), b, c, ldc, nullptr, pool);
}

void matmul(const Packed& a, const Packed& b, MatmulEpilogue epilogue, ThreadPool& pool) {
  run_product(left_of(a), b, nullptr, 0, &epilogue, pool);
}

namespace {

// Whether the kernels can read this left side where it lies.
bool reads_in_place(Int8View a, size_t m, size_t k) {
  return matmul_kernels().row_sums != nullptr && a.k_stride == 1 && m % kPackedLanes == 0 &&
         k % kPackedQuad == 0 && k > 0;
}

// Packs b, and a as far as it has to be, in one job for the pool.
Left prepare(Int8View a, Int8View b, size_t m, size_t n, size_t k, Packed& packed_a,
             Packed& packed_b, ThreadPool& pool) {
  packed_b.resize(n, k, flip_of(Side::right));
  const bool in_place = reads_in_place(a, m, k);
  packed_a.resize(m, in_place ? 0 : k);
  const size_t a_strips = pieces(m, kPackStrip);
  pool.run(a_strips + pieces(n, kPackStrip), [&](size_t strip) {
    if (strip >= a_strips) {
      pack_strip(b, packed_b, strip - a_strips);
    } else if (in_place) {
      const size_t first = strip * kPackStrip;
      matmul_kernels().row_sums(a.from(first).data, a.outer_stride, std::min(kPackStrip, m - first),
                                k, packed_a.sums().data() + first);
    } else {
      pack_strip(a, packed_a, strip);
    }
  });
  if (!in_place) return left_of(packed_a);
  return {a.data,
          m,
          k,
          kPackedLanes * a.outer_stride,
          a.outer_stride,
          kPackedQuad,
          packed_a.sums().data(),
          0};
}

}  // namespace

void matmul(Int8View a, Int8View b, size_t m, size_t n, size_t k, int32_t* c, size_t ldc,
            ThreadPool& pool) {
  thread_local PackedPair packed;
  const Left left = prepare(a, b, m, n, k, packed.a, packed.b, pool);
  run_product(left, packed.b, c, ldc, nullptr, pool);
}

void matmul(Int8View a, Int8View b, size_t m, size_t n, size_t k, PackedPair& packed,
            MatmulEpilogue epilogue, ThreadPool& pool) {
  const Left left = prepare(a, b, m, n, k, packed.a, packed.b, pool);
  run_product(left, packed.b, nullptr, 0, &epilogue, pool);
}

void matmul_block(Int8View a, Int8View b, const MatmulBlock& block, size_t k, int32_t* out) {
  for (size_t r = 0; r < block.rows; ++r) {
    const int8_t* a_row = a.from(block.row0 + r).data;
    for (size_t s = 0; s < block.cols; ++s) {
      const int8_t* b_row = b.from(block.col0 + s).data;
      uint32_t sum = 0;  // Unsigned: at the far end of kMatmulKMax the sum is modulo 2^32.
      for (size_t p = 0; p < k; ++p) {
        sum += static_cast<uint32_t>(a_row[p * a.k_stride] * b_row[p * b.k_stride]);
      }
      out[r * block.cols + s] = static_cast<int32_t>(sum);
    }
  }
}

bool cpu_has_avx_vnni() {
#if defined(__x86_64__)
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  return cpu_has(CpuPath::avx2) && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 &&
         (eax >> 4 & 1) != 0;
#else
  return false;
#endif
}

const MatmulKernels& matmul_kernels() {
  const MatmulKernels* forced = kernels_for_test.load(std::memory_order_relaxed);
  if (forced != nullptr) return *forced;
#if defined(__x86_64__)
  static const bool has_avx_vnni = cpu_has_avx_vnni();
  switch (cpu_path()) {
    case CpuPath::avx512:
      return kMatmulAvx512;
    case CpuPath::avx2:
      return has_avx_vnni ? kMatmulAvxVnni : kMatmulAvx2;
    case CpuPath::portable:
      break;
  }
#endif
  return kMatmulPortable;
}

void set_matmul_kernels_for_test(const MatmulKernels* kernels) {
  kernels_for_test.store(kernels);
}

}  // namespace gemmine::kernels
