#include "kernels/base/user_folder.h"

#include <cstdlib>
#include <filesystem>
#include <optional>

#include <gtest/gtest.h>

#include "kernels/base/files.h"

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

TEST(UserFolder, OfStateLiesBesideThatOfData) {
  const Variable home("HOME", "/people/a");
  {
    const Variable state("XDG_STATE_HOME", nullptr);
    EXPECT_EQ(user_state_folder("gemmine"), "/people/a/.local/state/gemmine");
  }
  const Variable state("XDG_STATE_HOME", "/state");
  EXPECT_EQ(user_state_folder("gemmine"), "/state/gemmine");
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

TEST(UserFolder, GetsNoNewKeyInPlaceOfALostOne) {
  const std::string folder = testing::TempDir() + "/user_folder_test_key";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(make_folder(folder + "/blobs"));
  ASSERT_TRUE(write_durable(folder + "/lock", Bytes{1}));
  const auto first = load_or_make_identity_key(folder);
  ASSERT_TRUE(first) << first.error().detail;
  ASSERT_TRUE(write_durable(folder + "/blobs/a", Bytes{1}));
  EXPECT_EQ(load_or_make_identity_key(folder).value(), first.value());

  std::filesystem::remove(folder + "/identity.key");
  const auto lost = load_or_make_identity_key(folder);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, Errc::invalid);
  for (const char* const text : {"identity.key is missing", "blobs", "put the key back", "--data"})
    EXPECT_NE(lost.error().detail.find(text), std::string::npos) << text;
  EXPECT_FALSE(std::filesystem::exists(folder + "/identity.key"));
}

}  // namespace
}  // namespace gemmine
