#include "pool/data/file_names.h"

#include <filesystem>
#include <unistd.h>

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

class FileNames : public testing::Test {
 protected:
  void write(const std::string& name) const {
    const std::string path = directory_.path() + "/" + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    EXPECT_TRUE(write_durable(path, as_bytes(std::string_view(name))));
  }
  // The files' names, a | after each, or what is wrong; both without the folder.
  std::string found(const std::string& folder, const std::vector<std::string>& names) const {
    DataFiles data;
    data.folder = directory_.path() + (folder.empty() ? "" : "/" + folder);
    const auto files = find_files(data, names);
    std::string out;
    if (!files) out = files.error().detail;
    if (files)
      for (const std::string& path : files.value())
        out.append(path).append("|");
    const std::string top = directory_.path() + "/";
    for (size_t at = out.find(top); at != std::string::npos; at = out.find(top))
      out.erase(at, top.size());
    return out;
  }
  TempDirectory directory_;
};

TEST_F(FileNames, StandForFilesInTheOrderOfTheirBytes) {
  for (const char* name : {"b.txt", "a.txt", "B.txt", "c.md", ".hidden.txt", "\u00e9.txt"})
    write(name);
  EXPECT_EQ(found("", {"*.txt"}), "B.txt|a.txt|b.txt|\u00e9.txt|");
  EXPECT_EQ(found("", {"c.md", "?.txt"}), "c.md|B.txt|a.txt|b.txt|");
  EXPECT_EQ(found("", {"[ab].txt"}), "a.txt|b.txt|");
  EXPECT_EQ(found("", {"absent.txt"}), "absent.txt|");  // opening it says why not
}

TEST_F(FileNames, TakeFoldersAsTheyAre) {
  for (const char* folder : {"text [1998]", "a*b", "what?", "back\\slash", "text 1"}) {
    write(std::string(folder) + "/x.txt");
    write(std::string(folder) + "/y.txt");
    EXPECT_EQ(found(folder, {"x.txt"}), std::string(folder) + "/x.txt|");
    EXPECT_EQ(found(folder, {"*.txt"}), std::string(folder) + "/x.txt|" + folder + "/y.txt|");
    EXPECT_EQ(found("", {std::string(folder) + "/*.txt"}),
              std::string(folder) + "/x.txt|" + folder + "/y.txt|");
    EXPECT_EQ(found("text 1", {directory_.path() + "/" + folder + "/x*"}),
              std::string(folder) + "/x.txt|");
  }
  // A folder of the job file is no pattern even when it is not there.
  EXPECT_NE(found("text [19]", {"*.txt"}).find("no file has this name"), std::string::npos);
}

TEST_F(FileNames, TakeANameThatExistsAsThatFile) {
  write("chapter [1].txt");
  write("chapter 1.txt");
  write("what?.txt");
  write("whats.txt");
  EXPECT_EQ(found("", {"chapter [1].txt"}), "chapter [1].txt|");
  EXPECT_EQ(found("", {"chapter [12].txt"}), "chapter 1.txt|");
  EXPECT_EQ(found("", {"what?.txt"}), "what?.txt|");
  EXPECT_EQ(found("", {"wha*.txt"}), "what?.txt|whats.txt|");
}

TEST_F(FileNames, SayWhenAPatternMatchesNothing) {
  EXPECT_EQ(found("", {"*.txt"}), "*.txt: no file has this name or matches it as a pattern");
  EXPECT_EQ(found("", {"no/*.txt"}), "no/*.txt: no file has this name or matches it as a pattern");
}

TEST_F(FileNames, KnowAFileByAnyName) {
  write("a");
  write("b");
  const std::string a = directory_.path() + "/a";
  ASSERT_EQ(::symlink("a", (directory_.path() + "/link").c_str()), 0);
  EXPECT_EQ(shared_file({a}, {directory_.path() + "/link"}), a);
  EXPECT_EQ(shared_file({a}, {directory_.path() + "/./a"}), a);
  EXPECT_EQ(shared_file({a}, {directory_.path() + "/b", directory_.path() + "/absent"}), "");
}

}  // namespace
}  // namespace gemmine::pool
