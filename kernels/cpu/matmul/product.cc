#include "kernels/cpu/matmul/product.h"

#include <algorithm>
#include <cstring>
#include <memory>

namespace gemmine::kernels {
namespace {

// How one product is cut: tasks of rows x columns, each walking k in passes of `quads`.
struct Cut {
  size_t quads;
  size_t rows;
  size_t columns;
  size_t row_tasks;
  size_t column_tasks;
};

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
  const size_t tasks_wanted = threads == 1 ? 1 : kTasksPerThread * static_cast<size_t>(threads);
  while (cut.rows > 2 * kPackedLanes &&
         pieces(a.outer, cut.rows) * cut.column_tasks < tasks_wanted) {
    cut.rows = round_up(cut.rows / 2, kPackedLanes);
  }
  cut.row_tasks = pieces(a.outer, cut.rows);
  return cut;
}

// At most kRowsMax x kTileColumnsMax, kept by the thread: fresh pages cost more than a product.
int32_t* thread_tile(size_t count) {
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

}  // namespace

// Kernels write whole panels: straight into c where it has room for them, else into a tile.
void Product::run(const MatmulBlock& at, const Right& b, int32_t* sums_to) const {
  const size_t width = round_up(at.cols, kPackedLanes);
  const bool direct =
      output_.epilogue == nullptr && at.rows % kPackedLanes == 0 && at.cols % kPackedLanes == 0;
  const bool one_pass = quads_ >= a_.quads();
  const size_t tile_rows = one_pass ? kPackedLanes : round_up(at.rows, kPackedLanes);
  int32_t* tile = direct ? nullptr : thread_tile(tile_rows * width);
  for (size_t quad = 0; quad < a_.quads() || quad == 0; quad += quads_) {
    const bool last = quad + quads_ >= a_.quads();
    for (size_t r = 0; r < at.rows; r += kPackedLanes) {
      int32_t* out = direct ? output_.c + (at.row0 + r) * output_.ldc + at.col0
                            : tile + (one_pass ? 0 : r * width);
      const size_t ld = direct ? output_.ldc : width;
      const MatmulBlock strip{at.row0 + r, std::min(kPackedLanes, at.rows - r), at.col0, at.cols};
      if (sums_to != nullptr && quad == 0) {
        const size_t row = strip.row0 - a_.row0;
        kernels_.row_sums(a_.data + row * a_.row_bytes, a_.row_bytes, strip.rows, a_.k,
                          sums_to + row);
      }
      run_strip(strip, b, quad, out, ld);
      if (last && !direct) deliver(strip, out, ld);
    }
  }
}

void Product::run_strip(const MatmulBlock& strip, const Right& b, size_t quad, int32_t* out,
                        size_t ld) const {
  const size_t panel = (strip.row0 - a_.row0) / kPackedLanes;
  const size_t next_panel = panel + 1 < a_.panels() ? panel + 1 : panel;
  kernels_.tile({
      .a = a_.data + panel * a_.panel_bytes + quad * a_.quad_bytes,
      .a_next = a_.data + next_panel * a_.panel_bytes + quad * a_.quad_bytes,
      .a_row_bytes = a_.row_bytes,
      .a_quad_bytes = a_.quad_bytes,
      .a_sums = a_.sums + (strip.row0 - a_.row0),
      .b = b.data + (strip.col0 - b.col0) / kPackedLanes * b.panel_bytes + quad * kPackedQuadBytes,
      .b_sums = b.sums + (strip.col0 - b.col0),
      .b_panel_bytes = b.panel_bytes,
      .b_panels = pieces(strip.cols, kPackedLanes),
      .quads = std::min(quads_, a_.quads() - quad),
      .rows = strip.rows,
      .c = out,
      .ldc = ld,
      .accumulate = quad > 0,
  });
}

void Product::deliver(const MatmulBlock& strip, const int32_t* tile, size_t ld) const {
  if (const MatmulEpilogue* epilogue = output_.epilogue; epilogue != nullptr) {
    epilogue->call(epilogue->context, strip.row0, strip.rows, strip.col0, strip.cols, tile, ld);
    return;
  }
  for (size_t r = 0; r < strip.rows; ++r) {
    std::memcpy(output_.c + (strip.row0 + r) * output_.ldc + strip.col0, tile + r * ld,
                strip.cols * sizeof(int32_t));
  }
}

void run_product(const Left& a, const Packed& b, const Output& output, ThreadPool& pool) {
  GEMMINE_CHECK(a.k == b.k() && b.flip() == matmul_kernels().right_flip);
  if (a.outer == 0 || b.outer() == 0) return;
  const Cut cut = cut_product(a, b, pool.threads());
  const Product product(a, output, cut.quads);
  const Right right = right_of(b);
  // Neighbouring tasks share their columns, hence their part of b.
  pool.run(cut.row_tasks * cut.column_tasks, [&](size_t task) {
    const size_t row0 = task % cut.row_tasks * cut.rows;
    const size_t col0 = task / cut.row_tasks * cut.columns;
    product.run(
        {row0, std::min(cut.rows, a.outer - row0), col0, std::min(cut.columns, b.outer() - col0)},
        right);
  });
}

}  // namespace gemmine::kernels
