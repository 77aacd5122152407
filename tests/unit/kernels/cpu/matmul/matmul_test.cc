#include "kernels/cpu/matmul/matmul.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/base/cpu.h"

namespace gemmine::kernels {
namespace {

std::vector<const MatmulKernels*> all_kernels() {
  std::vector<const MatmulKernels*> all = {&kMatmulPortable};
#if defined(__x86_64__)
  if (cpu_has(CpuPath::avx2)) all.push_back(&kMatmulAvx2);
  if (cpu_has_avx_vnni()) all.push_back(&kMatmulAvxVnni);
  if (cpu_has(CpuPath::avx512)) all.push_back(&kMatmulAvx512);
#endif
  return all;
}

struct Shape {
  size_t m, n, k;
};

// An operand of exactly the bytes it needs, so that a sanitizer sees a read beyond it.
struct Operand {
  enum class Layout { rows, columns, padded_rows, padded_columns, every_other };
  std::vector<int8_t> bytes;
  size_t outer_stride, k_stride;

  Operand(size_t outer, size_t k, Layout layout, int limit, uint32_t seed) {
    const size_t pad = layout == Layout::padded_rows || layout == Layout::padded_columns ? 5 : 0;
    const size_t step = layout == Layout::every_other ? 2 : 1;
    const bool rows = layout != Layout::columns && layout != Layout::padded_columns;
    outer_stride = rows ? k * step + pad : 1;
    k_stride = rows ? step : outer + pad;
    if (outer > 0 && k > 0) bytes.resize((outer - 1) * outer_stride + (k - 1) * k_stride + 1);
    std::mt19937 random(seed);
    for (int8_t& byte : bytes) {
      byte = static_cast<int8_t>(static_cast<int>(random() % (2 * limit + 1)) - limit);
    }
    if (limit == 127) {
      for (size_t i = 0; i < bytes.size(); i += 7)
        bytes[i] = -128;
    }
  }
  Int8View view() const { return {bytes.data(), outer_stride, k_stride}; }
};

using Layout = Operand::Layout;

std::vector<int32_t> naive(const Operand& a, const Operand& b, const Shape& shape) {
  std::vector<int32_t> c(shape.m * shape.n);
  for (size_t i = 0; i < shape.m; ++i) {
    for (size_t j = 0; j < shape.n; ++j) {
      int64_t sum = 0;
      for (size_t p = 0; p < shape.k; ++p) {
        sum += int64_t{a.bytes[i * a.outer_stride + p * a.k_stride]} *
               b.bytes[j * b.outer_stride + p * b.k_stride];
      }
      c[i * shape.n + j] = static_cast<int32_t>(static_cast<uint32_t>(sum));
    }
  }
  return c;
}

class Matmul : public testing::TestWithParam<const MatmulKernels*> {
 protected:
  void SetUp() override { set_matmul_kernels_for_test(GetParam()); }
  void TearDown() override { set_matmul_kernels_for_test(nullptr); }

  static std::vector<int32_t> product(const Operand& a, const Operand& b, const Shape& shape,
                                      int threads) {
    ThreadPool pool(threads);
    std::vector<int32_t> c(shape.m * shape.n, -1);
    matmul(a.view(), b.view(), shape.m, shape.n, shape.k, c.data(), shape.n, pool);
    return c;
  }
  static void expect_naive(const Shape& shape, Layout la, Layout lb, int limit) {
    const Operand a(shape.m, shape.k, la, limit, 1);
    const Operand b(shape.n, shape.k, lb, limit, 2);
    const std::vector<int32_t> want = naive(a, b, shape);
    for (const int threads : {1, 2, 5}) {
      EXPECT_EQ(product(a, b, shape, threads), want)
          << shape.m << 'x' << shape.n << 'x' << shape.k << " layouts " << static_cast<int>(la)
          << ',' << static_cast<int>(lb) << " limit " << limit << " threads " << threads;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(EveryPath, Matmul, testing::ValuesIn(all_kernels()),
                         [](const auto& path) { return std::string(path.param->name); });

TEST_P(Matmul, EqualsThePlainLoopsAtOddSizes) {
  for (const size_t m : {1, 7, 9, 16, 33}) {
    for (const size_t n : {1, 10, 16, 31, 50, 97}) {
      for (const size_t k : {1, 3, 4, 63, 64, 65, 130}) {
        expect_naive({m, n, k}, Layout::rows, Layout::rows, 127);
      }
    }
  }
}

TEST_P(Matmul, EqualsThePlainLoopsInEveryLayout) {
  for (const Layout a : {Layout::rows, Layout::columns, Layout::padded_rows, Layout::padded_columns,
                         Layout::every_other}) {
    for (const Layout b : {Layout::rows, Layout::columns, Layout::padded_rows,
                           Layout::padded_columns, Layout::every_other}) {
      for (const int limit : {63, 127}) {
        expect_naive({37, 67, 75}, a, b, limit);
        expect_naive({96, 64, 64}, a, b, limit);
      }
    }
  }
}

TEST_P(Matmul, EqualsThePlainLoopsOverSeveralTasksAndPassesOverK) {
  expect_naive({300, 900, 40}, Layout::rows, Layout::columns, 63);
  expect_naive({19, 130, 9000}, Layout::columns, Layout::rows, 63);
  expect_naive({32, 96, 8200}, Layout::rows, Layout::rows, 127);
}

// Who packs what depends on the threads: each its own columns, each all of b, or all together.
TEST_P(Matmul, EqualsThePlainLoopsHoweverThePackingIsShared) {
  for (const Layout a : {Layout::rows, Layout::columns}) {
    for (const Layout b : {Layout::rows, Layout::columns}) {
      expect_naive({48, 1600, 36}, a, b, 127);  // by columns, in place
      expect_naive({41, 1555, 37}, a, b, 127);  // by columns, at odd sizes
      expect_naive({640, 80, 36}, a, b, 127);   // by rows, b packed by every thread
      expect_naive({333, 50, 33}, a, b, 127);   // by rows, at odd sizes
      expect_naive({48, 800, 36}, a, b, 127);   // columns that leave threads idle
    }
  }
}

// What a thread keeps from one task to the next must not outlive the product.
TEST_P(Matmul, ForgetsTheLastProduct) {
  ThreadPool pool(2);
  for (const Shape& shape : {Shape{256, 64, 64}, Shape{32, 1600, 64}}) {
    for (const uint32_t seed : {1, 2, 3}) {
      const Operand a(shape.m, shape.k, Layout::rows, 127, seed);
      const Operand b(shape.n, shape.k, Layout::rows, 127, seed + 10);
      std::vector<int32_t> c(shape.m * shape.n);
      matmul(a.view(), b.view(), shape.m, shape.n, shape.k, c.data(), shape.n, pool);
      EXPECT_EQ(c, naive(a, b, shape)) << seed;
    }
  }
}

TEST_P(Matmul, IsExactForTheGreatestValuesAtTheGreatestK) {
  const Shape shape{3, 5, kMatmulKMax};
  for (const int va : {127, -127, -128}) {
    for (const int vb : {127, -127, -128}) {
      Operand a(shape.m, shape.k, Layout::rows, 1, 1);
      Operand b(shape.n, shape.k, Layout::columns, 1, 1);
      std::fill(a.bytes.begin(), a.bytes.end(), static_cast<int8_t>(va));
      std::fill(b.bytes.begin(), b.bytes.end(), static_cast<int8_t>(vb));
      const int64_t sum = int64_t{va} * vb * static_cast<int64_t>(shape.k);
      const auto want = static_cast<int32_t>(static_cast<uint32_t>(sum));
      EXPECT_EQ(product(a, b, shape, 2), std::vector<int32_t>(15, want)) << va << ' ' << vb;
    }
  }
}

TEST_P(Matmul, TakesEmptySides) {
  for (const Shape& shape : {Shape{0, 5, 7}, Shape{5, 0, 7}, Shape{0, 0, 0}}) {
    expect_naive(shape, Layout::rows, Layout::rows, 63);
  }
  expect_naive({20, 21, 0}, Layout::rows, Layout::rows, 63);  // Nothing summed is zero.
}

TEST_P(Matmul, WritesOnlyItsRowsAndColumns) {
  const Shape shape{33, 48, 20};
  const size_t ldc = 51;
  const Operand a(shape.m, shape.k, Layout::rows, 63, 1);
  const Operand b(shape.n, shape.k, Layout::rows, 63, 2);
  const std::vector<int32_t> want = naive(a, b, shape);
  std::vector<int32_t> c(shape.m * ldc, 77);
  ThreadPool pool(2);
  matmul(a.view(), b.view(), shape.m, shape.n, shape.k, c.data(), ldc, pool);
  for (size_t i = 0; i < shape.m; ++i) {
    for (size_t j = 0; j < ldc; ++j) {
      EXPECT_EQ(c[i * ldc + j], j < shape.n ? want[i * shape.n + j] : 77);
    }
  }
}

void expect_layout(size_t outer, size_t k, Layout layout, Side side) {
  const Operand source(outer, k, layout, 127, 3);
  ThreadPool pool(2);
  Packed packed;
  packed.resize(outer + 100, k + 100);  // Old contents must not show through.
  std::memset(packed.panel(0), 99, packed.panels() * packed.panel_bytes());
  pack(source.view(), outer, k, side, packed, pool);
  ASSERT_EQ(packed.panels(), 5u);
  ASSERT_EQ(packed.quads(), 34u);
  for (size_t i = 0; i < packed.panels() * kPackedLanes; ++i) {
    int32_t sum = 0;
    for (size_t p = 0; p < packed.quads() * kPackedQuad; ++p) {
      const bool inside = i < outer && p < k;
      const int8_t want =
          inside ? source.bytes[i * source.outer_stride + p * source.k_stride] : int8_t{0};
      ASSERT_EQ(packed.panel(i / 16)[p / 4 * 64 + i % 16 * 4 + p % 4],
                static_cast<int8_t>(static_cast<uint8_t>(want) ^ packed.flip()))
          << i << ' ' << p;
      sum += want;
    }
    EXPECT_EQ(packed.sums()[i], sum);
  }
}

TEST_P(Matmul, PacksTheDocumentedLayout) {
  const size_t outer = 70;
  const size_t k = 133;
  for (const Layout layout : {Layout::rows, Layout::padded_columns, Layout::every_other}) {
    for (const Side side : {Side::left, Side::right})
      expect_layout(outer, k, layout, side);
  }
}

struct Collected {
  std::mutex mutex;
  size_t n;
  std::vector<int32_t> c;
  std::vector<int> writes;
};

void collect(void* context, size_t row0, size_t rows, size_t col0, size_t cols, const int32_t* tile,
             size_t ld) {
  auto& out = *static_cast<Collected*>(context);
  const std::lock_guard lock(out.mutex);
  EXPECT_EQ(row0 % kPackedLanes, 0u);
  EXPECT_EQ(col0 % kPackedLanes, 0u);
  EXPECT_LE(rows, kPackedLanes);
  EXPECT_LE(cols, kTileColumnsMax);
  EXPECT_EQ(ld % 16, 0u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tile) % 64, 0u);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t s = 0; s < cols; ++s) {
      out.c[(row0 + r) * out.n + col0 + s] = tile[r * ld + s];
      ++out.writes[(row0 + r) * out.n + col0 + s];
    }
  }
}

TEST_P(Matmul, HandsEveryResultToTheEpilogueOnce) {
  for (const Shape& shape : {Shape{77, 1000, 50}, Shape{64, 96, 6000}, Shape{3, 10, 0}}) {
    const Operand a(shape.m, shape.k, Layout::rows, 63, 1);
    const Operand b(shape.n, shape.k, Layout::rows, 63, 2);
    ThreadPool pool(2);
    Packed packed_a;
    Packed packed_b;
    pack(a.view(), shape.m, shape.k, Side::left, packed_a, pool);
    pack(b.view(), shape.n, shape.k, Side::right, packed_b, pool);
    Collected out;
    out.n = shape.n;
    out.c.assign(shape.m * shape.n, -1);
    out.writes.assign(shape.m * shape.n, 0);
    matmul(packed_a, packed_b, {collect, &out}, pool);
    EXPECT_EQ(out.c, naive(a, b, shape));
    EXPECT_EQ(out.writes, std::vector<int>(shape.m * shape.n, 1));
  }
}

TEST_P(Matmul, RefusesALeftSidePackedAsTheRightOneWhereTheyDiffer) {
  if (matmul_kernels().right_flip == 0) return;
  const Operand a(16, 64, Layout::rows, 63, 1);
  ThreadPool pool(1);
  Packed left;
  Packed right;
  pack(a.view(), 16, 64, Side::left, left, pool);
  pack(a.view(), 16, 64, Side::right, right, pool);
  int32_t c[256];
  EXPECT_DEATH(matmul(left, left, c, 16, pool), "check failed");
  EXPECT_DEATH(matmul(right, right, c, 16, pool), "check failed");
  matmul(left, right, c, 16, pool);
}

TEST(MatmulDeathTest, RefusesSidesThatDoNotMatch) {
  ThreadPool pool(1);
  Packed a;
  Packed b;
  a.resize(4, 5);
  b.resize(4, 6);
  int32_t c[16];
  EXPECT_DEATH(matmul(a, b, c, 4, pool), "check failed");
  EXPECT_DEATH(a.resize(1, kMatmulKMax + 1), "check failed");
}

TEST(MatmulKernels, FollowTheCpuPath) {
  const CpuPath before = cpu_path();
  set_cpu_path_for_test(CpuPath::portable);
  EXPECT_STREQ(matmul_kernels().name, "portable");
#if defined(__x86_64__)
  if (cpu_has(CpuPath::avx2)) {
    set_cpu_path_for_test(CpuPath::avx2);
    EXPECT_STREQ(matmul_kernels().name, cpu_has_avx_vnni() ? "avxvnni" : "avx2");
  }
  if (cpu_has(CpuPath::avx512)) {
    set_cpu_path_for_test(CpuPath::avx512);
    EXPECT_STREQ(matmul_kernels().name, "avx512");
  }
#endif
  set_cpu_path_for_test(before);
}

}  // namespace
}  // namespace gemmine::kernels
