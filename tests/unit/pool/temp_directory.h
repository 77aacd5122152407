// A directory that is empty at first and gone at the end.
#pragma once

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

namespace gemmine::pool {

class TempDirectory {
 public:
  TempDirectory() {
    std::string name = ::testing::TempDir() + "gemmine-XXXXXX";
    path_ = ::mkdtemp(name.data());
  }
  ~TempDirectory() { std::filesystem::remove_all(path_); }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace gemmine::pool
