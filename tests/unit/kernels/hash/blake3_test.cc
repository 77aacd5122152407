#include "kernels/hash/blake3.h"

#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/base/cpu.h"
#include "kernels/hash/tree.h"
#include "tests/support/paths.h"

namespace gemmine::kernels {
namespace {

constexpr std::string_view kKey = "whats the Elvish word for friend";
constexpr std::string_view kContext = "BLAKE3 2019-12-27 16:29:52 test vectors context";

Bytes pattern(size_t size) {
  Bytes out(size);
  for (size_t i = 0; i < size; ++i)
    out[i] = static_cast<uint8_t>(i % 251);
  return out;
}

Digest key_of(std::string_view text) {
  Digest key;
  std::copy(text.begin(), text.end(), key.bytes.begin());
  return key;
}

Bytes xof(const Blake3Mode& mode, ByteView bytes, size_t size, uint64_t seek = 0) {
  Bytes out(size);
  Blake3(mode).update(bytes).finish_xof(out, seek);
  return out;
}

// Every test runs on every path this machine has.
class Blake3Paths : public testing::TestWithParam<CpuPath> {
 protected:
  void SetUp() override { set_cpu_path_for_test(GetParam()); }
  void TearDown() override { set_cpu_path_for_test(before_); }

 private:
  CpuPath before_ = cpu_path();
};

TEST_P(Blake3Paths, MatchTheOfficialVectors) {
  std::ifstream file(test::source_dir() + "/tests/vectors/blake3.txt");
  std::string line;
  std::vector<std::string> lines;
  while (std::getline(file, line)) {
    if (!line.empty() && line[0] != '#') lines.push_back(line);
  }
  ASSERT_EQ(lines.size(), 35U * 4);
  const Digest key = key_of(kKey);
  const Blake3Mode modes[] = {Blake3Mode::plain(), Blake3Mode::keyed(key),
                              Blake3Mode::derive_key(kContext)};
  for (size_t i = 0; i < lines.size(); i += 4) {
    const Bytes input = pattern(std::stoul(lines[i]));
    for (size_t m = 0; m < 3; ++m) {
      const std::string& want = lines[i + 1 + m];
      EXPECT_EQ(to_hex(xof(modes[m], input, want.size() / 2)), want) << input.size();
      const Digest digest = blake3_source(modes[m], ChunkSource::of_bytes(input));
      EXPECT_EQ(to_hex(digest.view()), want.substr(0, 64)) << input.size();
    }
    EXPECT_EQ(to_hex(blake3(input).view()), lines[i + 1].substr(0, 64));
    EXPECT_EQ(to_hex(blake3_keyed(key, input).view()), lines[i + 2].substr(0, 64));
    EXPECT_EQ(to_hex(blake3_derive_key(kContext, input).view()), lines[i + 3].substr(0, 64));
  }
}

TEST_P(Blake3Paths, AgreeWithPortableAtOddSizesAndOffsets) {
  const Bytes input = pattern(1 << 20);
  std::mt19937_64 random(1);
  for (int i = 0; i < 150; ++i) {
    const size_t offset = random() % 67;
    const size_t size = i < 50 ? i * 1024 + random() % 3 : random() % (600 * 1024);
    const ByteView view = ByteView(input).subspan(offset, size);
    const Digest fast = blake3(view);
    set_cpu_path_for_test(CpuPath::portable);
    EXPECT_EQ(fast, blake3(view)) << offset << " " << size;
    set_cpu_path_for_test(GetParam());
  }
}

TEST_P(Blake3Paths, UpdatesOfAnySizesMakeNoDifference) {
  std::mt19937_64 random(2);
  const Bytes input = pattern(900 * 1024 + 77);
  for (const size_t piece_max : {1U, 70U, 1025U, 5000U, 70'000U, 700'000U}) {
    const size_t size = piece_max == 1 ? 5000 : input.size();
    Blake3 hasher(Blake3Mode::keyed(key_of(kKey)));
    for (ByteView rest = ByteView(input).first(size); !rest.empty();) {
      const size_t piece = std::min<size_t>(rest.size(), random() % piece_max + 1);
      hasher.update(rest.first(piece));
      rest = rest.subspan(piece);
    }
    EXPECT_EQ(hasher.finish(), blake3_keyed(key_of(kKey), ByteView(input).first(size)));
  }
}

TEST_P(Blake3Paths, UpdatesMayFollowFinish) {
  const Bytes input = pattern(10'000);
  Blake3 hasher;
  for (size_t size = 0; size < input.size(); size += 500) {
    EXPECT_EQ(hasher.finish(), blake3(ByteView(input).first(size)));
    hasher.update(ByteView(input).subspan(size, 500));
  }
}

TEST_P(Blake3Paths, ExtendedOutputSeeks) {
  const Bytes input = pattern(3000);
  const Bytes whole = xof(Blake3Mode::plain(), input, 1000);
  for (const size_t seek : {0U, 1U, 63U, 64U, 65U, 500U, 999U}) {
    const Bytes part = xof(Blake3Mode::plain(), input, 1000 - seek, seek);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + seek)) << seek;
  }
}

TEST_P(Blake3Paths, ThreadsMakeNoDifference) {
  for (const size_t size : {0UL, 1024UL, 262'144UL, 262'145UL, 3'000'001UL}) {
    const Bytes input = pattern(size);
    for (const int threads : {-1, 1, 2, 3, 64}) {
      EXPECT_EQ(blake3_source(Blake3Mode::plain(), ChunkSource::of_bytes(input), threads),
                blake3(input));
    }
  }
}

TEST_P(Blake3Paths, TreePartsMakeTheWhole) {
  const Bytes input = pattern(1'300'000);
  const ChunkSource source = ChunkSource::of_bytes(input);
  const Blake3Mode mode = Blake3Mode::plain();
  std::vector<Digest> leaves(source.chunks());
  const uint64_t half = source.chunks() / 2;
  chunk_cvs(mode, source, {0, half}, std::span(leaves).first(half));
  chunk_cvs(mode, source, {half, source.chunks()}, std::span(leaves).subspan(half));
  EXPECT_EQ(root_from_cvs(mode, leaves), blake3(input));
  EXPECT_EQ(parent_root(mode, node_cv(mode, source, {0, 1024}),
                        node_cv(mode, source, {1024, source.chunks()})),
            blake3(input));
}

// Tile order once more, as the definition says it, a byte at a time.
Bytes slow_tile_order(const Bytes& matrix, size_t rows, size_t cols, size_t ld) {
  Bytes out;
  for (size_t panel = 0; panel * 64 < cols; ++panel) {
    for (size_t r = 0; r < (rows + 15) / 16 * 16; ++r) {
      for (size_t c = panel * 64; c < panel * 64 + 64; ++c) {
        out.push_back(r < rows && c < cols ? matrix[r * ld + c] : 0);
      }
    }
  }
  return out;
}

TEST_P(Blake3Paths, TilesHashAsTheirExplicitCopy) {
  std::mt19937_64 random(3);
  const Digest key = key_of(kKey);
  for (int i = 0; i < 120; ++i) {
    const size_t rows = i < 40 ? random() % 40 : random() % 300;
    const size_t cols = i < 40 ? random() % 140 : random() % 1200;
    const size_t ld = cols + (i % 2) * (random() % 80);
    // No byte after the last element, so that a sanitizer sees any read past it.
    Bytes matrix(rows == 0 ? 0 : (rows - 1) * ld + cols);
    for (uint8_t& byte : matrix)
      byte = static_cast<uint8_t>(random());
    const auto* data = reinterpret_cast<const int8_t*>(matrix.data());
    const Bytes tiles = slow_tile_order(matrix, rows, cols, ld);
    EXPECT_EQ(tile_order_bytes(rows, cols), tiles.size());
    EXPECT_EQ(to_tile_order(data, rows, cols, ld), tiles);
    const ChunkSource source = ChunkSource::of_tiles(data, rows, cols, ld);
    for (const int threads : {1, 2})
      EXPECT_EQ(blake3_source(Blake3Mode::keyed(key), source, threads), blake3_keyed(key, tiles))
          << rows << " x " << cols;
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, Blake3Paths, testing::ValuesIn(cpu_paths()),
                         [](const auto& param) { return std::string(to_text(param.param)); });

}  // namespace
}  // namespace gemmine::kernels
