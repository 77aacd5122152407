#include "kernels/base/user_folder.h"

#include <cstdlib>
#include <optional>

#include <gtest/gtest.h>

namespace gemmine {
namespace {

// Sets or unsets a variable until it goes.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* const old = std::getenv(name)) old_ = old;
    if (value == nullptr) {
      ::unsetenv(name);
    } else {
      ::setenv(name, value, 1);
    }
  }
  ~Variable() {
    if (old_) {
      ::setenv(name_, old_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* const name_;
  std::optional<std::string> old_;
};

std::string folder_with(const char* xdg, const char* home) {
  const Variable a("XDG_DATA_HOME", xdg);
  const Variable b("HOME", home);
  return user_data_folder("gemmine");
}

TEST(UserFolder, IsXdgsThenHomesThenThePasswordEntrys) {
  EXPECT_EQ(folder_with("/data", "/people/a"), "/data/gemmine");
  EXPECT_EQ(folder_with("/data/", "/people/a"), "/data/gemmine");
  EXPECT_EQ(folder_with(nullptr, "/people/a"), "/people/a/.local/share/gemmine");
  EXPECT_EQ(folder_with("", "/people/a"), "/people/a/.local/share/gemmine");
  EXPECT_EQ(folder_with("relative", "/people/a"), "/people/a/.local/share/gemmine");
  const std::string entry = folder_with(nullptr, nullptr);
  EXPECT_EQ(folder_with("", ""), entry);
  EXPECT_NE(entry, "/.local/share/gemmine");
  EXPECT_NE(entry, "./.local/share/gemmine");
}

}  // namespace
}  // namespace gemmine
