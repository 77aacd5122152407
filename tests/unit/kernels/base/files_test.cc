#include "kernels/base/files.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "kernels/base/folder_lock.h"
#include "kernels/base/random.h"
#include "kernels/base/try_resize.h"

namespace gemmine {
namespace {

std::string scratch(const std::string& name) {
  const auto folder = std::filesystem::path(testing::TempDir()) / ("files_test_" + name);
  std::filesystem::remove_all(folder);
  EXPECT_TRUE(make_folder(folder.string()));
  return folder.string();
}

unsigned mode_of(const std::string& path) {
  struct stat info {};
  EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
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

TEST(Files, LeavesModesToTheUmaskButForSecrets) {
  const std::string folder = scratch("modes");
  const mode_t before = ::umask(022);
  ASSERT_TRUE(write_durable(folder + "/open", Bytes{1}));
  ASSERT_TRUE(write_secret(folder + "/closed", Bytes{1}));
  ::umask(before);
  EXPECT_EQ(mode_of(folder + "/open"), 0644u);
  EXPECT_EQ(mode_of(folder + "/closed"), 0600u);
}

TEST(Files, RefusesAFileLongerThanItsBound) {
  const std::string path = scratch("bound") + "/a";
  ASSERT_TRUE(write_durable(path, Bytes(11, 0)));
  EXPECT_EQ(read_file(path, 10).error().code, Errc::invalid);
  EXPECT_EQ(read_file(path + "x", 10).error().code, Errc::io);
}

TEST(Files, RefusesWhatIsNoFileByName) {
  const std::string folder = scratch("kinds");
  EXPECT_EQ(read_file(folder, 10).error().detail, folder + " is a folder, not a file");
  ASSERT_EQ(::mkfifo((folder + "/fifo").c_str(), 0600), 0);
  EXPECT_NE(read_file(folder + "/fifo", 10).error().detail.find("/fifo is not a regular file"),
            std::string::npos);
}

TEST(Files, ALinkPlantedAtTheTemporaryNameIsNotFollowed) {
  const std::string folder = scratch("planted");
  std::ofstream(folder + "/victim") << "mine";
  std::filesystem::create_symlink(folder + "/victim", folder + "/a.tmp");
  ASSERT_TRUE(write_secret(folder + "/a", Bytes{1}));
  EXPECT_EQ(read_file(folder + "/victim", 10).value().size(), 4u);
  EXPECT_FALSE(std::filesystem::is_symlink(folder + "/a"));
}

// In a process of its own, which may write four bytes a file. Exits 0 when all is as it should be.
int write_beyond_the_limit(const std::string& path) {
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit limit = {4, 4};
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
  const Status written = write_durable(path, Bytes(5, 7));
  if (written || written.error().code != Errc::io) return 2;
  return written.error().detail.find(path) == std::string::npos ? 3 : 0;
}

TEST(Files, AFileThatCannotBeWrittenLeavesTheOldOne) {
  const std::string path = scratch("limit") + "/a";
  ASSERT_TRUE(write_durable(path, Bytes{1}));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(write_beyond_the_limit(path));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(path, 10).value(), Bytes{1});
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
}

TEST(InputFile, ReadsTheHeaderBeforeTheRest) {
  const std::string path = scratch("header") + "/a";
  ASSERT_TRUE(write_durable(path, Bytes{1, 2, 3, 4, 5}));
  auto file = InputFile::open(path);
  ASSERT_TRUE(file);
  EXPECT_EQ(file.value().size(), 5u);
  std::array<uint8_t, 2> header{};
  ASSERT_TRUE(file.value().read(std::span<uint8_t>(header)));
  EXPECT_EQ(header[1], 2);
  EXPECT_EQ(file.value().rest(), 3u);
  std::filesystem::resize_file(path, 4);
  const auto cut = file.value().read(3);
  EXPECT_EQ(cut.error().detail, path + " ends at byte 4");
}

TEST(TryResize, MemoryThatIsNotThereIsAnErrorWithTheFilesName) {
  Bytes bytes = {1};
  for (const size_t size : {SIZE_MAX, SIZE_MAX / 2, size_t{1} << 60}) {
    const Status sized = try_resize(bytes, size, "big.idx");
    ASSERT_FALSE(sized) << size;
    EXPECT_EQ(sized.error().code, Errc::out_of_memory);
    EXPECT_NE(sized.error().detail.find("big.idx"), std::string::npos);
  }
  EXPECT_EQ(bytes, Bytes{1});
  EXPECT_TRUE(try_resize(bytes, 3, "small"));
}

TEST(Folders, OnlyTheOnesMadeHereAreClosedToOthers) {
  const std::string folder = scratch("folders");
  const mode_t before = ::umask(022);
  ASSERT_TRUE(make_folder(folder + "/above/made/"));
  ::umask(before);
  EXPECT_EQ(mode_of(folder + "/above/made"), 0700u);
  EXPECT_EQ(mode_of(folder + "/above"), 0755u);
  EXPECT_EQ(wide_mode_warning(folder + "/above/made"), "");

  const std::string shared = folder + "/shared";
  std::filesystem::create_directory(shared);
  ASSERT_EQ(::chmod(shared.c_str(), 01777), 0);
  ASSERT_TRUE(make_folder(shared));
  EXPECT_EQ(mode_of(shared), 01777u);
  EXPECT_EQ(wide_mode_warning(shared),
            shared + " is open to others (mode 0777); to close it: chmod 700 " + shared);
}

TEST(Folders, ALinkToAFolderIsAFolderAndAFileIsNone) {
  const std::string folder = scratch("links");
  std::filesystem::create_directory(folder + "/real");
  std::filesystem::create_directory_symlink(folder + "/real", folder + "/link");
  EXPECT_TRUE(make_folder(folder + "/link"));
  std::ofstream(folder + "/file") << "x";
  EXPECT_EQ(make_folder(folder + "/file").error().detail, folder + "/file is a file, not a folder");
  EXPECT_EQ(make_folder(folder + "/file/below").error().code, Errc::io);
}

TEST(Secrets, AreMadeOnceAndKeptPrivate) {
  const std::string path = scratch("secret") + "/key";
  EXPECT_EQ(load_secret(path).error().code, Errc::io);
  const Digest made = load_or_make_secret(path).value();
  EXPECT_EQ(mode_of(path), 0600u);
  EXPECT_EQ(load_or_make_secret(path).value(), made);
  EXPECT_EQ(load_secret(path).value(), made);
  EXPECT_EQ(make_secret(path).error().code, Errc::invalid);
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  EXPECT_NE(load_secret(path).error().detail.find("chmod 600"), std::string::npos);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  std::ofstream(path, std::ios::trunc) << "short";
  EXPECT_EQ(load_secret(path).error().code, Errc::invalid);
}

TEST(Random, IsNotTheSameTwice) {
  EXPECT_NE(random_digest(), random_digest());
}

TEST(FolderLock, OneAtATimeAndFreeAfterwards) {
  const std::string folder = scratch("lock");
  {
    const auto first = FolderLock::take(folder, "gemmine");
    ASSERT_TRUE(first);
    const auto second = FolderLock::take(folder, "gemmine");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::busy);
    EXPECT_EQ(second.error().detail,
              folder + " is in use by process " + std::to_string(::getpid()) + ", another gemmine");
  }
  EXPECT_TRUE(FolderLock::take(folder, "gemmine"));
  EXPECT_EQ(FolderLock::take(folder + "/none", "gemmine").error().code, Errc::io);
}

}  // namespace
}  // namespace gemmine
