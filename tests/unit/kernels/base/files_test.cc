#include "kernels/base/files.h"

#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include <gtest/gtest.h>

namespace gemmine {
namespace {

std::string scratch(const std::string& name) {
  const auto folder = std::filesystem::path(testing::TempDir()) / ("files_test_" + name);
  std::filesystem::remove_all(folder);
  EXPECT_TRUE(make_folder(folder.string()));
  return folder.string();
}

TEST(Files, WritesWholeFilesAndReadsThemBack) {
  const std::string path = scratch("whole") + "/a";
  const Bytes first = {1, 2, 3};
  const Bytes second = {4};
  ASSERT_TRUE(write_durable(path, first));
  ASSERT_TRUE(write_durable(path, second));
  EXPECT_EQ(read_file(path, 10).value(), second);
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
}

TEST(Files, RefusesAFileLongerThanItsBound) {
  const std::string path = scratch("bound") + "/a";
  ASSERT_TRUE(write_durable(path, Bytes(11, 0)));
  EXPECT_EQ(read_file(path, 10).error().code, Errc::invalid);
  EXPECT_EQ(read_file(path + "x", 10).error().code, Errc::io);
}

TEST(Files, AFullDiskIsAnErrorThatNamesTheFile) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const std::string folder = scratch("full");
  std::filesystem::create_symlink("/dev/full", folder + "/a.tmp");
  const auto written = write_durable(folder + "/a", Bytes(5000, 7));
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().detail.find(folder + "/a"), std::string::npos);
  EXPECT_NE(written.error().detail.find("No space"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder + "/a"));
}

TEST(Files, SecretsAreMadeOnceAndKeptPrivate) {
  const std::string path = scratch("secret") + "/key";
  const Digest made = load_or_make_secret(path).value();
  EXPECT_EQ(load_or_make_secret(path).value(), made);
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_NE(load_or_make_secret(path).error().detail.find("chmod 600"), std::string::npos);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  std::ofstream(path, std::ios::trunc) << "short";
  EXPECT_EQ(load_or_make_secret(path).error().code, Errc::invalid);
}

}  // namespace
}  // namespace gemmine
