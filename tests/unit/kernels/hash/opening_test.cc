// Openings of BLAKE3's chunk tree: all subsets of small trees, and what must be refused.
#include "kernels/hash/opening.h"

#include <cstdlib>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/hash/blake3.h"
#include "kernels/hash/tree.h"

namespace gemmine::kernels {
namespace {

Bytes random_bytes(size_t size) {
  std::mt19937_64 random(size);
  Bytes out(size);
  for (uint8_t& byte : out)
    byte = static_cast<uint8_t>(random());
  return out;
}

// Bit i of `subset` selects chunk i; runs become one range each.
std::vector<ChunkRange> ranges_of(uint32_t subset) {
  std::vector<ChunkRange> out;
  for (uint64_t i = 0; i < 32; ++i) {
    if ((subset >> i & 1) == 0) continue;
    if (!out.empty() && out.back().last == i) {
      out.back().last = i + 1;
    } else {
      out.push_back({i, i + 1});
    }
  }
  return out;
}

struct Opened {
  Blake3Mode mode;
  Digest root;
  uint64_t total_bytes;
  std::vector<ChunkRange> ranges;
  Bytes bytes;
  std::vector<Digest> siblings;

  Status verify() const { return verify_chunks(root, mode, total_bytes, ranges, bytes, siblings); }
};

Opened open(const Blake3Mode& mode, const Bytes& whole, std::vector<ChunkRange> ranges) {
  const ChunkSource source = ChunkSource::of_bytes(whole);
  Result<Bytes> bytes = opened_bytes(source, ranges);
  Result<std::vector<Digest>> siblings = open_chunks(mode, source, ranges);
  GEMMINE_CHECK(bytes.ok() && siblings.ok());
  return {mode, blake3_source(mode, source), whole.size(), ranges, bytes.value(), siblings.value()};
}

// The definition in PROTOCOL 4.5, literally: recursion over nodes, no cleverness.
void slow_siblings(const Blake3Mode& mode, const ChunkSource& source, ChunkRange node,
                   uint32_t subset, std::vector<Digest>& out) {
  uint32_t selected = 0;
  for (uint64_t i = node.first; i < node.last; ++i)
    selected += subset >> i & 1;
  if (selected == 0) return out.push_back(node_cv(mode, source, node));
  if (node.last - node.first == 1) return;
  uint64_t left = 1;
  while (left * 2 < node.last - node.first)
    left *= 2;
  slow_siblings(mode, source, {node.first, node.first + left}, subset, out);
  slow_siblings(mode, source, {node.first + left, node.last}, subset, out);
}

const std::vector<Blake3Mode>& modes() {
  static const std::vector<Blake3Mode> all = {Blake3Mode::plain(), Blake3Mode::keyed(blake3({})),
                                              Blake3Mode::derive_key("gemmine test")};
  return all;
}

TEST(Blake3Opening, EverySubsetOfSmallTreesVerifiesInEveryMode) {
  for (size_t chunks = 1; chunks <= 9; ++chunks) {
    for (const size_t size : {chunks * 1024, chunks * 1024 - 1, chunks * 1024 - 1023}) {
      const Bytes whole = random_bytes(size);
      const ChunkSource source = ChunkSource::of_bytes(whole);
      const Blake3Mode& mode = modes()[size % 3];
      const ChunkTree tree1 = ChunkTree::build(mode, source, 1);
      const ChunkTree tree4 = ChunkTree::build(mode, source, 4);
      for (uint32_t subset = 1; subset < 1U << chunks; ++subset) {
        const Opened opened = open(mode, whole, ranges_of(subset));
        EXPECT_TRUE(opened.verify().ok()) << size << " " << subset;
        std::vector<Digest> want;
        slow_siblings(mode, source, {0, chunks}, subset, want);
        EXPECT_EQ(opened.siblings, want);
        EXPECT_EQ(tree1.open(opened.ranges).value(), want);
        EXPECT_EQ(tree4.open(opened.ranges, &source).value(), want);
        const OpeningSize sizes = opening_size(size, opened.ranges).value();
        EXPECT_EQ(sizes.bytes, opened.bytes.size());
        EXPECT_EQ(sizes.siblings, want.size());
      }
    }
  }
}

TEST(Blake3Opening, EverySubsetRefusesOneSiblingMoreOrLessAndOtherSizes) {
  const Bytes whole = random_bytes(6 * 1024 + 5);
  for (uint32_t subset = 1; subset < 1U << 7; ++subset) {
    const Opened good = open(modes()[1], whole, ranges_of(subset));
    Opened bad = good;
    bad.siblings.push_back(good.root);
    EXPECT_EQ(bad.verify().error().code, Errc::malformed);
    if (!good.siblings.empty()) {
      bad.siblings.resize(good.siblings.size() - 1);
      EXPECT_EQ(bad.verify().error().code, Errc::malformed);
    }
    bad = good;
    bad.bytes.push_back(0);
    EXPECT_EQ(bad.verify().error().code, Errc::malformed);
    bad.bytes.resize(good.bytes.size() - 1);
    EXPECT_EQ(bad.verify().error().code, Errc::malformed);
    bad.bytes.clear();
    EXPECT_EQ(bad.verify().error().code, Errc::malformed);
  }
}

TEST(Blake3Opening, OnlyTheLastChunkProvesTheLength) {
  for (size_t chunks = 1; chunks <= 9; ++chunks) {
    const Bytes whole = random_bytes(chunks * 1024 - 500);
    for (uint32_t subset = 1; subset < 1U << chunks; ++subset) {
      Opened opened = open(modes()[1], whole, ranges_of(subset));
      const bool has_last = (subset >> (chunks - 1) & 1) != 0;
      for (const int change : {-2048, -1024, -1, 1, 1024, 2048}) {
        opened.total_bytes = whole.size() + change;
        if (has_last) {
          EXPECT_FALSE(opened.verify().ok()) << chunks << " " << subset;
        } else if (std::abs(change) == 1) {
          // The contract warns of this: the same proof fits another length of the same shape.
          EXPECT_TRUE(opened.verify().ok()) << chunks << " " << subset;
        }
      }
    }
  }
}

TEST(Blake3Opening, EveryBitFlipIsRefused) {
  const Bytes whole = random_bytes(2 * 1024 + 40);
  for (const uint32_t subset : {0b001U, 0b100U, 0b101U, 0b111U}) {
    const Opened good = open(modes()[0], whole, ranges_of(subset));
    Opened bad = good;
    for (size_t bit = 0; bit < bad.bytes.size() * 8; ++bit) {
      bad.bytes[bit / 8] ^= 1U << bit % 8;
      EXPECT_EQ(bad.verify().error().code, Errc::invalid);
      bad.bytes[bit / 8] ^= 1U << bit % 8;
    }
    for (size_t bit = 0; bit < bad.siblings.size() * 256; ++bit) {
      uint8_t& byte = bad.siblings[bit / 256].bytes[bit / 8 % 32];
      byte ^= 1U << bit % 8;
      EXPECT_EQ(bad.verify().error().code, Errc::invalid);
      byte ^= 1U << bit % 8;
    }
    for (size_t bit = 0; bit < 256; ++bit) {
      bad.root.bytes[bit / 8] ^= 1U << bit % 8;
      EXPECT_EQ(bad.verify().error().code, Errc::invalid);
      bad.root.bytes[bit / 8] ^= 1U << bit % 8;
    }
    EXPECT_TRUE(bad.verify().ok());
    bad.mode = modes()[1];
    EXPECT_EQ(bad.verify().error().code, Errc::invalid);
  }
}

TEST(Blake3Opening, EmptyStringIsOneEmptyChunk) {
  const Opened opened = open(modes()[0], {}, {{0, 1}});
  EXPECT_TRUE(opened.bytes.empty() && opened.siblings.empty());
  EXPECT_TRUE(opened.verify().ok());
  Opened bad = opened;
  bad.bytes.push_back(0);
  EXPECT_FALSE(bad.verify().ok());
  bad = opened;
  bad.ranges = {{1, 2}};
  EXPECT_FALSE(bad.verify().ok());
}

TEST(Blake3Opening, RefusesRangesThatAreNotSortedDisjointAndInside) {
  const Bytes whole = random_bytes(4096);
  const Opened good = open(modes()[0], whole, {{0, 4}});
  const std::vector<ChunkRange> bad_ranges[] = {
      {},
      {{0, 0}},
      {{2, 1}},
      {{0, 5}},
      {{4, 5}},
      {{0, UINT64_MAX}},
      {{UINT64_MAX - 1, UINT64_MAX}},
      {{1, 2}, {0, 1}},
      {{0, 2}, {1, 4}},
      {{0, 4}, {3, 4}},
      {{0, 4}, {4, 4}},
  };
  for (const std::vector<ChunkRange>& ranges : bad_ranges) {
    Opened bad = good;
    bad.ranges = ranges;
    EXPECT_EQ(bad.verify().error().code, Errc::invalid_argument);
    EXPECT_FALSE(open_chunks(modes()[0], ChunkSource::of_bytes(whole), ranges).ok());
    EXPECT_FALSE(opened_bytes(ChunkSource::of_bytes(whole), ranges).ok());
    const ChunkTree tree = ChunkTree::build(modes()[0], ChunkSource::of_bytes(whole));
    EXPECT_FALSE(tree.open(ranges).ok());
  }
  Opened huge = good;
  for (const uint64_t total : {kTreeBytesMax + 1, UINT64_MAX}) {
    huge.total_bytes = total;
    EXPECT_EQ(huge.verify().error().code, Errc::invalid_argument);
  }
}

TEST(Blake3Opening, TouchingRangesOpenAsOne) {
  const Bytes whole = random_bytes(700 * 1024);
  const Opened one = open(modes()[1], whole, {{3, 600}});
  const Opened many = open(modes()[1], whole, {{3, 5}, {5, 300}, {300, 301}, {301, 600}});
  EXPECT_EQ(one.siblings, many.siblings);
  EXPECT_EQ(one.bytes, many.bytes);
  EXPECT_TRUE(many.verify().ok());
}

TEST(Blake3Opening, TheLargestTreeIsDecidedInBoundedWork) {
  const uint64_t last = kTreeBytesMax / kChunkBytes - 1;
  const std::vector<ChunkRange> ranges = {{0, 1}, {last, last + 1}};
  EXPECT_EQ(opening_size(kTreeBytesMax, ranges).value().siblings, 62U);
  const std::vector<Digest> siblings(62);
  const Status status =
      verify_chunks({}, modes()[0], kTreeBytesMax, ranges, random_bytes(2048), siblings);
  EXPECT_EQ(status.error().code, Errc::invalid);
}

TEST(ChunkTree, OpensGroupsOfABigStringWithoutItsBytes) {
  const Bytes whole = random_bytes(5'000'003);
  const ChunkSource source = ChunkSource::of_bytes(whole);
  const ChunkTree tree = ChunkTree::build(modes()[0], source, 64, 2);
  EXPECT_EQ(tree.root(), blake3(whole));
  const uint64_t chunks = source.chunks();
  for (uint64_t first = 0; first < chunks; first += 64) {
    for (const uint64_t groups : {1, 3, 16}) {
      const std::vector<ChunkRange> ranges = {{first, std::min(chunks, first + 64 * groups)}};
      const Bytes bytes = opened_bytes(source, ranges).value();
      const std::vector<Digest> siblings = tree.open(ranges).value();
      EXPECT_TRUE(
          verify_chunks(tree.root(), modes()[0], whole.size(), ranges, bytes, siblings).ok());
    }
  }
}

TEST(ChunkTree, SaysWhenAGroupsBytesAreNeeded) {
  const Bytes whole = random_bytes(300'000);
  const ChunkSource source = ChunkSource::of_bytes(whole);
  const ChunkTree tree = ChunkTree::build(modes()[0], source);
  const std::vector<ChunkRange> ranges = {{70, 71}};
  EXPECT_EQ(tree.open(ranges).error().code, Errc::undecided);
  EXPECT_EQ(tree.open(ranges, &source).value(), open_chunks(modes()[0], source, ranges).value());
}

TEST(ChunkTree, OpensTilesOfAMatrix) {
  const size_t rows = 200, cols = 1000, ld = 1003;
  const Bytes matrix = random_bytes(rows * ld);
  const ChunkSource source =
      ChunkSource::of_tiles(reinterpret_cast<const int8_t*>(matrix.data()), rows, cols, ld);
  const ChunkTree tree = ChunkTree::build(modes()[1], source, 16);
  const std::vector<ChunkRange> ranges = {{5, 6}, {30, 33}, {207, 208}};
  EXPECT_TRUE(verify_chunks(tree.root(), modes()[1], source.total_bytes(), ranges,
                            opened_bytes(source, ranges).value(),
                            tree.open(ranges, &source).value())
                  .ok());
}

}  // namespace
}  // namespace gemmine::kernels
