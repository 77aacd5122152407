#include "pool/server/status_file.h"

#include <filesystem>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

PoolView view(uint64_t time_ms) {
  PoolView out;
  out.time_ms = time_ms;
  return out;
}

std::string text_in(const std::string& path) {
  const auto bytes = read_file(path, 1 << 20);
  return bytes ? std::string(bytes.value().begin(), bytes.value().end()) : "";
}

TEST(StatusFile, IsWrittenByItsThreadAndWholeAtTheEnd) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/status.json";
  Loop loop = std::move(Loop::make().value());
  auto file = StatusFile::open(loop, path, [](const std::string&) { ADD_FAILURE(); });
  ASSERT_TRUE(file);
  EXPECT_TRUE(file.value()->post(view(1)));
  while (file.value()->busy()) {
  }
  EXPECT_NE(text_in(path).find("\"time_ms\": 1"), std::string::npos);
  EXPECT_TRUE(file.value()->post(view(2)));
  file.value().reset();
  EXPECT_NE(text_in(path).find("\"time_ms\": 2"), std::string::npos);
}

TEST(StatusFile, RefusesAPathThatCannotBe) {
  const TempDirectory folder;
  Loop loop = std::move(Loop::make().value());
  const auto none = StatusFile::open(loop, folder.path() + "/none/status.json", {});
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().detail.find("none"), std::string::npos);
}

// Nobody reads it: to open it would hold up the pool's end.
TEST(StatusFile, IsNoFifo) {
  const TempDirectory folder;
  const std::string path = folder.path() + "/status.json";
  Loop loop = std::move(Loop::make().value());
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto refused = StatusFile::open(loop, path, {});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("FIFO"), std::string::npos);
  std::filesystem::remove(path);
  auto file = StatusFile::open(loop, path, [](const std::string&) {});
  ASSERT_TRUE(file);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_TRUE(file.value()->post(view(1)));
  file.value().reset();
}

TEST(StatusFile, TellsOnceOfTroubleAndOnceOfItsEnd) {
  const TempDirectory folder;
  const std::string place = folder.path() + "/place";
  std::filesystem::create_directory(place);
  Loop loop = std::move(Loop::make().value());
  std::vector<std::string> told;
  auto file = StatusFile::open(loop, place + "/status.json", [&](const std::string& why) {
    told.push_back(why);
    loop.stop();
  });
  ASSERT_TRUE(file);
  const auto write = [&](uint64_t time_ms) {
    EXPECT_TRUE(file.value()->post(view(time_ms)));
    while (file.value()->busy()) {
    }
  };
  std::filesystem::remove(place);
  write(1);
  write(2);
  loop.run();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0], "");
  std::filesystem::create_directory(place);
  write(3);
  write(4);
  loop.run();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[1], "");
}

}  // namespace
}  // namespace gemmine::pool
