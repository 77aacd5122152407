#include "kernels/base/output.h"

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <future>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "kernels/base/files.h"

namespace gemmine {
namespace {

namespace fs = std::filesystem;

class Output : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("output_test_" +
               std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    umask_ = ::umask(022);
  }
  void TearDown() override { ::umask(umask_); }

  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  static std::string text(const std::string& path) {
    const Bytes bytes = read_file(path, 1 << 20).value();
    return {bytes.begin(), bytes.end()};
  }
  static void put(const std::string& path, const std::string& content, unsigned mode) {
    std::ofstream(path) << content;
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }
  static struct stat info(const std::string& path) {
    struct stat out {};
    EXPECT_EQ(::lstat(path.c_str(), &out), 0) << path;
    return out;
  }
  // Both ask before and write, as programs do.
  static Status write(const std::string& path, const std::string& content) {
    if (auto checked = check_output_path(path); !checked) return checked;
    return write_output(path, as_bytes(std::string_view(content)));
  }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }

  fs::path folder_;
  mode_t umask_ = 0;
};

TEST_F(Output, ANewFileHasTheModeOfTheUmask) {
  ASSERT_TRUE(check_output_path(at("new")));
  EXPECT_EQ(entries(), 0u) << "asking leaves nothing behind";
  ASSERT_TRUE(write(at("new"), "text"));
  EXPECT_EQ(text(at("new")), "text");
  EXPECT_EQ(info(at("new")).st_mode & 07777, 0644u);
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Output, AnOldFileIsReplacedAndKeepsItsMode) {
  put(at("old"), "long old text", 0664);
  const auto before = info(at("old")).st_ino;
  ASSERT_TRUE(check_output_path(at("old")));
  EXPECT_EQ(text(at("old")), "long old text");
  ASSERT_TRUE(write(at("old"), "new"));
  EXPECT_EQ(text(at("old")), "new");
  EXPECT_EQ(info(at("old")).st_mode & 07777, 0664u);
  EXPECT_NE(info(at("old")).st_ino, before) << "in one step, not in place";
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Output, ALinkIsFollowedAndStays) {
  fs::create_directory(folder_ / "far");
  put(at("far/target"), "old", 0640);
  fs::create_symlink("far/target", at("one"));
  fs::create_symlink(at("one"), at("two"));
  ASSERT_TRUE(write(at("two"), "new"));
  EXPECT_TRUE(fs::is_symlink(at("two")));
  EXPECT_TRUE(fs::is_symlink(at("one")));
  EXPECT_EQ(text(at("far/target")), "new");
  EXPECT_EQ(info(at("far/target")).st_mode & 07777, 0640u);
}

TEST_F(Output, ALinkToNothingYetMakesItsTarget) {
  fs::create_symlink("later", at("link"));
  ASSERT_TRUE(write(at("link"), "new"));
  EXPECT_TRUE(fs::is_symlink(at("link")));
  EXPECT_EQ(text(at("later")), "new");
  fs::create_symlink("ring", at("ring"));
  EXPECT_EQ(write(at("ring"), "new").error().code, Errc::io);
}

TEST_F(Output, AFifoIsWrittenToInPlace) {
  ASSERT_EQ(::mkfifo(at("fifo").c_str(), 0600), 0);
  auto reader = std::async(std::launch::async, [this] {
    std::ifstream in(at("fifo"));
    return std::string(std::istreambuf_iterator<char>(in), {});
  });
  ASSERT_TRUE(write(at("fifo"), "through"));
  EXPECT_EQ(reader.get(), "through");
  EXPECT_TRUE(S_ISFIFO(info(at("fifo")).st_mode));
}

TEST_F(Output, ADeviceStaysADevice) {
  ASSERT_TRUE(check_output_path("/dev/null"));
  fs::create_symlink("/dev/full", at("full"));
  const auto written = write(at("full"), "text");
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().detail.find("No space"), std::string::npos);
  if (::mknod(at("null").c_str(), S_IFCHR | 0600, 1 << 8 | 3) != 0) GTEST_SKIP() << "not root";
  if (!write(at("null"), "text")) GTEST_SKIP() << "devices of this folder cannot be opened";
  EXPECT_TRUE(S_ISCHR(info(at("null")).st_mode));
}

TEST_F(Output, OwnDescriptorsAreWrittenToAsTheyAre) {
  put(at("log"), "before ", 0644);
  const Fd fd(::open(at("log").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  ASSERT_TRUE(write("/dev/fd/" + std::to_string(fd.get()), "after"));
  fs::create_symlink("/proc/self/fd/" + std::to_string(fd.get()), at("link"));
  ASSERT_TRUE(write(at("link"), " all"));
  EXPECT_EQ(text(at("log")), "before after all");
  const Fd in(::open(at("log").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(check_output_path("/dev/fd/" + std::to_string(in.get())));
  EXPECT_FALSE(check_output_path("/dev/fd/987"));
}

TEST_F(Output, ADashIsStandardOutput) {
  testing::internal::CaptureStdout();
  EXPECT_TRUE(write("-", "one "));
  EXPECT_TRUE(write("/dev/stdout", "two"));
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "one two");
  EXPECT_FALSE(fs::exists("-"));
}

TEST_F(Output, WhatCannotBeWrittenIsSaidBefore) {
  const auto missing = check_output_path(at("no/such/model"));
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().detail.find("there is no folder " + at("no/such")), std::string::npos);
  EXPECT_EQ(check_output_path(folder_.string()).error().detail,
            folder_.string() + " is a folder, not a file");
  put(at("file"), "x", 0644);
  EXPECT_EQ(check_output_path(at("file/below")).error().code, Errc::io);
  EXPECT_EQ(check_output_path("").error().code, Errc::io);
}

TEST_F(Output, RightsAreRespectedAndAClosedFolderStillTakesItsFile) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may do anything";
  put(at("closed"), "old", 0444);
  EXPECT_FALSE(check_output_path(at("closed")));
  put(at("open"), "old", 0644);
  ASSERT_EQ(::chmod(folder_.c_str(), 0555), 0);
  EXPECT_TRUE(write(at("open"), "new"));
  EXPECT_FALSE(write(at("other"), "new"));
  EXPECT_EQ(text(at("open")), "new");
  ASSERT_EQ(::chmod(folder_.c_str(), 0755), 0);
}

}  // namespace
}  // namespace gemmine
