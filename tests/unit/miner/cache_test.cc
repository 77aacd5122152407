#include "miner/cache.h"

#include <chrono>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/unit/pool/temp_directory.h"

namespace gemmine::miner {
namespace {

namespace fs = std::filesystem;

TEST(Cache, DropsWhatIsOutdatedOrOldAndNotNeeded) {
  const pool::TempDirectory folder;
  const auto blob = [&](uint8_t first, int hours) {
    Digest address;
    address.bytes[0] = first;
    const fs::path path = folder.path() + "/" + to_hex(address.bytes);
    std::ofstream(path) << "x";
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(hours));
    return address;
  };
  const auto here = [&](const Digest& address) {
    return fs::exists(folder.path() + "/" + to_hex(address.bytes));
  };
  const Digest needed = blob(1, 1000);
  const Digest both = blob(2, 0);
  const Digest outdated = blob(3, 0);
  const Digest spare = blob(4, kSpareHours - 1);
  const Digest old = blob(5, kSpareHours + 1);
  std::ofstream(folder.path() + "/of somebody else") << "x";
  prune_blobs(folder.path(), std::vector{needed, both}, std::vector{both, outdated});
  EXPECT_TRUE(here(needed));
  EXPECT_TRUE(here(both));
  EXPECT_FALSE(here(outdated));
  EXPECT_TRUE(here(spare));
  EXPECT_FALSE(here(old));
  EXPECT_TRUE(fs::exists(folder.path() + "/of somebody else"));
}

}  // namespace
}  // namespace gemmine::miner
