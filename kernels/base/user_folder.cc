#include "kernels/base/user_folder.h"

#include <cstdlib>
#include <pwd.h>
#include <unistd.h>

namespace gemmine {

namespace {

std::string absolute(const char* path) {
  return path != nullptr && path[0] == '/' ? path : "";
}

}  // namespace

std::string user_data_folder(std::string_view name) {
  std::string folder = absolute(std::getenv("XDG_DATA_HOME"));
  if (folder.empty()) {
    std::string home = absolute(std::getenv("HOME"));
    if (home.empty()) {
      const passwd* const entry = ::getpwuid(::getuid());
      if (entry != nullptr) home = absolute(entry->pw_dir);
    }
    if (!home.empty()) folder = home + (home.back() == '/' ? "" : "/") + ".local/share";
  }
  if (folder.empty()) return std::string(name);
  return folder + (folder.back() == '/' ? "" : "/") + std::string(name);
}

}  // namespace gemmine
