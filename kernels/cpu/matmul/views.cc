// Products of operands as they lie in memory: who packs what, when, and for whom.
//
// What a thread has just packed is in its own cache; what another one has packed has to be fetched
// from there, and what is packed long before its use from further away. So each thread packs for
// itself what it alone reads, right before it does.
#include <algorithm>
#include <atomic>
#include <vector>

#include "kernels/cpu/matmul/product.h"

namespace gemmine::kernels {
namespace {

// Of a packed right side that one task walks along; a second-level cache is 1 MiB at least where
// the kernels are quick enough for it to matter.
constexpr size_t kOwnBytes = 1100 << 10;
// What beginning a task costs, in columns of a product.
constexpr size_t kTaskColumns = 8;
// Rows of a for each thread that make it worth while that every thread packs all of b.
constexpr size_t kOwnRowsMin = 128;

struct Sides {
  Int8View a, b;
  size_t m, n, k;
  bool in_place;  // the kernels read a's rows where they lie

  Sides(Int8View left, Int8View right, size_t rows, size_t columns, size_t depth)
      : a(left),
        b(right),
        m(rows),
        n(columns),
        k(depth),
        in_place(matmul_kernels().row_sums != nullptr && a.k_stride == 1 && m % kPackedLanes == 0 &&
                 k % kPackedQuad == 0 && k > 0) {}

  size_t quads() const { return pieces(k, kPackedQuad); }
  bool one_pass() const { return k > 0 && quads() <= kQuadsMax; }
  Left rows_in_place(size_t row0, size_t rows, const int32_t* sums) const {
    return {a.from(row0).data, row0,        rows, k, kPackedLanes * a.outer_stride,
            a.outer_stride,    kPackedQuad, sums};
  }
};

// A number that no other product has: what a thread keeps for the next task is marked with it.
uint64_t next_product() {
  static std::atomic<uint64_t> products{0};
  return products.fetch_add(1, std::memory_order_relaxed) + 1;
}

// Packs b, and a as far as it has to be, in one job for the pool, then multiplies in another.
void run_packed(const Sides& sides, PackedPair& packed, const Output& output, ThreadPool& pool) {
  const size_t m = sides.m;
  packed.b.resize(sides.n, sides.k, flip_of(Side::right));
  packed.a.resize(m, sides.in_place ? 0 : sides.k);
  int32_t* const sums = packed.a.sums().data();
  const size_t a_strips = pieces(m, kPackStrip);
  pool.run(a_strips + pieces(sides.n, kPackStrip), [&](size_t strip) {
    const size_t first = strip * kPackStrip;
    if (strip >= a_strips) {
      pack_strip(sides.b, packed.b, strip - a_strips);
    } else if (sides.in_place) {
      matmul_kernels().row_sums(sides.a.from(first).data, sides.a.outer_stride,
                                std::min(kPackStrip, m - first), sides.k, sums + first);
    } else {
      pack_strip(sides.a, packed.a, strip);
    }
  });
  const Left left = sides.in_place ? sides.rows_in_place(0, m, sums) : left_of(packed.a);
  run_product(left, packed.b, output, pool);
}

// The columns of one task when each task packs its own part of b; 0 where the threads would wait
// for the last of them too long.
size_t own_columns(const Sides& sides, int threads) {
  if (!sides.one_pass()) return 0;
  const size_t n = sides.n;
  const size_t columns_max =
      std::clamp(kOwnBytes / (sides.quads() * kPackedQuad), kColumnStep, kTileColumnsMax);
  if (threads == 1) {
    const size_t most = columns_max / kColumnStep * kColumnStep;
    return round_up(pieces(n, pieces(n, most)), kColumnStep);
  }
  const auto workers = static_cast<size_t>(threads);
  size_t best = 0;
  size_t best_cost = (n + n / 16) / workers;
  for (size_t columns = 2 * kColumnStep; columns <= columns_max; columns += kPackedLanes) {
    const size_t cost = pieces(pieces(n, columns), workers) * (columns + kTaskColumns);
    if (cost >= best_cost) continue;
    best = columns;
    best_cost = cost;
  }
  return best;
}

void run_by_columns(const Sides& sides, size_t columns, PackedPair& packed, const Output& output,
                    ThreadPool& pool) {
  struct OwnSums {
    uint64_t product = 0;
    std::vector<int32_t> sums;
  };
  const uint64_t number = next_product();
  if (!sides.in_place) pack(sides.a, sides.m, sides.k, Side::left, packed.a, pool);
  pool.run(pieces(sides.n, columns), [&](size_t task) {
    thread_local Packed own;
    thread_local OwnSums own_sums;
    const size_t col0 = task * columns;
    const size_t cols = std::min(columns, sides.n - col0);
    pack(sides.b.from(col0), cols, sides.k, own);
    const bool first = sides.in_place && own_sums.product != number;
    if (first) {
      own_sums.product = number;
      own_sums.sums.resize(std::max(own_sums.sums.size(), sides.m));
    }
    int32_t* const sums = own_sums.sums.data();
    const Left left = sides.in_place ? sides.rows_in_place(0, sides.m, sums) : left_of(packed.a);
    const Product product(left, output, sides.quads());
    product.run({0, sides.m, col0, cols}, right_of(own, col0), first ? sums : nullptr);
  });
}

// Whether b is small enough that a task takes all of its columns.
bool is_narrow(const Sides& sides) {
  return sides.one_pass() && sides.n <= kTileColumnsMax &&
         round_up(sides.n, kColumnStep) * sides.quads() * kPackedQuad <= kOwnBytes;
}

void run_by_rows(const Sides& sides, PackedPair& packed, const Output& output, ThreadPool& pool) {
  struct OwnRight {
    uint64_t product = 0;
    Packed b;
  };
  const auto workers = static_cast<size_t>(pool.threads());
  const size_t step = sides.in_place ? 2 * kPackedLanes : kPackStrip;
  const size_t rows_max = sides.in_place ? kRowsMax : 2 * kPackStrip;
  const size_t rows =
      std::min(rows_max, round_up(pieces(sides.m, kTasksPerThread * workers), step));
  const bool own_b = sides.m >= kOwnRowsMin * workers;
  const uint64_t number = next_product();
  if (!own_b) pack(sides.b, sides.n, sides.k, Side::right, packed.b, pool);
  pool.run(pieces(sides.m, rows), [&](size_t task) {
    thread_local Packed own;
    thread_local OwnRight right;
    if (own_b && right.product != number) {
      right.product = number;
      pack(sides.b, sides.n, sides.k, right.b);
    }
    const MatmulBlock at{task * rows, std::min(rows, sides.m - task * rows), 0, sides.n};
    own.resize(at.rows, sides.in_place ? 0 : sides.k);
    for (size_t i = 0; !sides.in_place && i < pieces(at.rows, kPackStrip); ++i)
      pack_strip(sides.a.from(at.row0), own, i);
    int32_t* const sums = sides.in_place ? own.sums().data() : nullptr;
    const Left left =
        sides.in_place ? sides.rows_in_place(at.row0, at.rows, sums) : left_of(own, at.row0);
    const Product product(left, output, sides.quads());
    product.run(at, right_of(own_b ? right.b : packed.b), sums);
  });
}

void run(const Sides& sides, PackedPair& packed, const Output& output, ThreadPool& pool) {
  if (sides.m == 0 || sides.n == 0) return;
  if (is_narrow(sides)) {
    run_by_rows(sides, packed, output, pool);
  } else if (const size_t columns = own_columns(sides, pool.threads()); columns > 0) {
    run_by_columns(sides, columns, packed, output, pool);
  } else {
    run_packed(sides, packed, output, pool);
  }
}

}  // namespace

void matmul(Int8View a, Int8View b, size_t m, size_t n, size_t k, int32_t* c, size_t ldc,
            ThreadPool& pool) {
  thread_local PackedPair packed;
  run({a, b, m, n, k}, packed, {c, ldc, nullptr}, pool);
}

void matmul(Int8View a, Int8View b, size_t m, size_t n, size_t k, PackedPair& packed,
            MatmulEpilogue epilogue, ThreadPool& pool) {
  run({a, b, m, n, k}, packed, {nullptr, 0, &epilogue}, pool);
}

}  // namespace gemmine::kernels
