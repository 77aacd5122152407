// What tests of emulated kernels share: schedules, buffers of exact size, random int8 matrices.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/cuda/sim/emulated_device.h"

namespace gemmine::test {

inline const std::vector<cudasim::Schedule>& schedules() {
  static const std::vector<cudasim::Schedule> all = {
      {.order = cudasim::Order::in_order},
      {.order = cudasim::Order::random, .seed = 11},
      {.order = cudasim::Order::greedy, .seed = 21},
      {.order = cudasim::Order::greedy, .seed = 22},
  };
  return all;
}

// Every test starts and ends with the emulated device as new, and nothing planted.
class EmulatedTest : public ::testing::Test {
 protected:
  EmulatedTest() { reset(); }
  ~EmulatedTest() override { reset(); }
  static void reset() {
    emulated_device() = {};
    cudasim::plant = cudasim::Plant::none;
  }
};

// A matrix as the engine keeps it: rows of `ld` bytes, zeros after the columns and below the rows.
struct Int8Matrix {
  uint32_t rows;
  uint32_t cols;
  uint32_t ld;
  std::vector<int8_t> bytes;

  Int8Matrix(uint32_t r, uint32_t c)
      : rows(r),
        cols(c),
        ld((c + 63) / 64 * 64),
        bytes(size_t{(r + 15) / 16} * 16 * ((c + 63) / 64 * 64)) {}
  static Int8Matrix random(uint32_t rows, uint32_t cols, uint64_t seed) {
    Int8Matrix m(rows, cols);
    std::mt19937_64 bits(seed);
    for (uint32_t r = 0; r < rows; ++r) {
      for (uint32_t c = 0; c < cols; ++c)
        m.at(r, c) = static_cast<int8_t>(static_cast<int>(bits() % 127) - 63);
    }
    return m;
  }
  int8_t& at(uint32_t r, uint32_t c) { return bytes[size_t{r} * ld + c]; }
  int8_t at(uint32_t r, uint32_t c) const { return bytes[size_t{r} * ld + c]; }
};

// A · Bᵀ, the plain way.
inline std::vector<int32_t> product(const Int8Matrix& a, const Int8Matrix& b) {
  std::vector<int32_t> c(size_t{a.rows} * b.rows);
  for (uint32_t i = 0; i < a.rows; ++i) {
    for (uint32_t j = 0; j < b.rows; ++j) {
      int32_t sum = 0;
      for (uint32_t k = 0; k < a.cols; ++k)
        sum += a.at(i, k) * b.at(j, k);
      c[size_t{i} * b.rows + j] = sum;
    }
  }
  return c;
}
inline std::vector<int32_t> emulated_product(const Int8Matrix& a, const Int8Matrix& b) {
  namespace cuda = kernels::cuda;
  std::vector<int32_t> c(size_t{a.rows} * b.rows, -7);
  EXPECT_EQ(cuda::launch<cuda::kernel::GemmInt32>(
                emulated_api(), nullptr,
                {(b.rows + cuda::kGemmTile - 1) / cuda::kGemmTile,
                 (a.rows + cuda::kGemmTile - 1) / cuda::kGemmTile},
                a.bytes.data(), b.bytes.data(), a.rows, b.rows, a.ld, c.data()),
            cuda::DeviceStatus::ok);
  return c;
}

}  // namespace gemmine::test
