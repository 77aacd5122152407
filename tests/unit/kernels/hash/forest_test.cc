#include "kernels/hash/forest.h"

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

#include "kernels/base/cpu.h"

namespace gemmine::kernels {
namespace {

// Matrices of one tile and of many, strings around every boundary of chunks and blocks.
struct Sources {
  Bytes bytes = Bytes(1 << 20);
  std::vector<ChunkSource> list;

  Sources() {
    uint32_t x = 1;
    for (uint8_t& byte : bytes)
      byte = static_cast<uint8_t>((x = x * 1664525 + 1013904223) >> 24);
    const auto* data = reinterpret_cast<const int8_t*>(bytes.data());
    for (const size_t rows : {1, 16, 17, 130, 512}) {
      for (const size_t cols : {1, 64, 65, 784})
        list.push_back(ChunkSource::of_tiles(data + list.size(), rows, cols, cols + 3));
    }
    for (const size_t size :
         {0, 1, 40, 64, 65, 512, 512, 1023, 1024, 1025, 2048, 2088, 3072, 40000})
      list.push_back(ChunkSource::of_bytes(ByteView(bytes).subspan(list.size(), size)));
  }
};

// The tiles by strips, then all roots.
std::vector<Digest> finish(Blake3Forest& forest, const Sources& sources, size_t strip) {
  for (size_t tree = 0; tree < sources.list.size(); ++tree) {
    const size_t down = sources.list[tree].tiled() ? sources.list[tree].tiles_down() : 0;
    for (size_t first = 0; first < down; first += strip)
      forest.hash_strip(tree, first, std::min(first + strip, down));
  }
  std::vector<Digest> roots(sources.list.size());
  forest.roots(roots);
  return roots;
}

std::vector<Digest> roots_of(Blake3Forest& forest, const Sources& sources, const Blake3Mode& mode,
                             size_t strip) {
  forest.begin(mode);
  return finish(forest, sources, strip);
}

TEST(Blake3Forest, GivesTheHashOfEverySourceOnEveryPath) {
  const Sources sources;
  for (const CpuPath path : cpu_paths()) {
    set_cpu_path_for_test(path);
    Blake3Forest forest(sources.list);
    for (const size_t strip : {1, 3, 100}) {
      Digest key;
      key.bytes[0] = static_cast<uint8_t>(strip);
      const Blake3Mode mode = Blake3Mode::keyed(key);
      const std::vector<Digest> roots = roots_of(forest, sources, mode, strip);
      for (size_t tree = 0; tree < roots.size(); ++tree) {
        // As bytes, so that the twin knows nothing of tiles.
        const ChunkSource& source = sources.list[tree];
        Bytes copy(source.total_bytes());
        source.copy({0, source.chunks()}, copy);
        EXPECT_EQ(roots[tree], Blake3(mode).update(copy).finish())
            << to_text(path) << ", tree " << tree << ", strips of " << strip;
      }
    }
  }
  set_cpu_path_for_test(cpu_paths().back());
}

// Strings of whole chunks among others, their chunks in any order and in runs of any length, some
// of them by another thread.
TEST(Blake3Forest, HashesStringsInPartsOnEveryPath) {
  Sources sources;
  std::vector<bool> in_parts(sources.list.size());
  for (const size_t chunks : {2, 3, 16, 17, 33, 64, 100}) {
    sources.list.push_back(
        ChunkSource::of_bytes(ByteView(sources.bytes).subspan(7 * chunks, chunks * kChunkBytes)));
    in_parts.push_back(true);
  }
  for (const CpuPath path : cpu_paths()) {
    set_cpu_path_for_test(path);
    Blake3Forest forest(sources.list, in_parts);
    for (const uint64_t run : {1, 5, 16, 1000}) {
      Digest key;
      key.bytes[1] = static_cast<uint8_t>(run);
      const Blake3Mode mode = Blake3Mode::keyed(key);
      const auto hash_runs = [&](uint64_t parity) {
        for (size_t tree = in_parts.size(); tree-- > 0;) {
          const uint64_t chunks = in_parts[tree] ? sources.list[tree].chunks() : 0;
          for (uint64_t i = (chunks + run - 1) / run; i-- > 0;) {
            if (i % 2 == parity)
              forest.hash_chunks(tree, {i * run, std::min((i + 1) * run, chunks)});
          }
        }
      };
      forest.begin(mode);
      std::jthread(hash_runs, 1).join();
      hash_runs(0);
      const std::vector<Digest> roots = finish(forest, sources, 100);
      for (size_t tree = 0; tree < roots.size(); ++tree) {
        const ChunkSource& source = sources.list[tree];
        Bytes copy(source.total_bytes());
        source.copy({0, source.chunks()}, copy);
        EXPECT_EQ(roots[tree], Blake3(mode).update(copy).finish())
            << to_text(path) << ", tree " << tree << ", runs of " << run;
      }
    }
  }
  set_cpu_path_for_test(cpu_paths().back());
}

TEST(Blake3Forest, ForgetsTheBytesAndTheKeyOfTheLastTime) {
  Sources sources;
  Blake3Forest forest(sources.list);
  const Blake3Mode mode = Blake3Mode::keyed(Digest{});
  const std::vector<Digest> before = roots_of(forest, sources, mode, 2);
  Digest other;
  other.bytes[31] = 1;
  EXPECT_NE(roots_of(forest, sources, Blake3Mode::keyed(other), 2), before);
  EXPECT_EQ(roots_of(forest, sources, mode, 2), before);
  for (uint8_t& byte : sources.bytes)
    byte ^= 1;
  EXPECT_NE(roots_of(forest, sources, mode, 2).back(), before.back());
}

TEST(Blake3Forest, OfNothingHasNoRoots) {
  Blake3Forest forest;
  EXPECT_TRUE(forest.empty());
  forest.begin(Blake3Mode::plain());
  forest.roots({});
}

}  // namespace
}  // namespace gemmine::kernels
