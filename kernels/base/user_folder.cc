#include "kernels/base/user_folder.h"

#include <cstdlib>
#include <filesystem>
#include <pwd.h>
#include <unistd.h>

#include "kernels/base/files.h"

namespace gemmine {

namespace {

std::string absolute(const char* path) {
  return path != nullptr && path[0] == '/' ? path : "";
}

// The name of something that only a program with a key leaves; empty when there is none.
std::string trace_of_work(const std::string& folder) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code unreadable;
    const bool left = at->is_directory(unreadable) &&
                      !std::filesystem::is_empty(at->path(), unreadable) && !unreadable;
    if (left) return at->path().filename().string();
  }
  return "";
}

// As the XDG specification has it: the variable, else `below` the home.
std::string user_folder(const char* variable, std::string_view below, std::string_view name) {
  std::string folder = absolute(std::getenv(variable));
  if (folder.empty()) {
    std::string home = absolute(std::getenv("HOME"));
    if (home.empty()) {
      const passwd* const entry = ::getpwuid(::getuid());
      if (entry != nullptr) home = absolute(entry->pw_dir);
    }
    if (!home.empty()) folder = home + (home.back() == '/' ? "" : "/") + std::string(below);
  }
  if (folder.empty()) return "";
  return folder + (folder.back() == '/' ? "" : "/") + std::string(name);
}

}  // namespace

std::string user_data_folder(std::string_view name) {
  return user_folder("XDG_DATA_HOME", ".local/share", name);
}

std::string user_state_folder(std::string_view name) {
  return user_folder("XDG_STATE_HOME", ".local/state", name);
}

Result<Digest> load_or_make_identity_key(const std::string& folder) {
  const std::string path = folder + "/identity.key";
  if (::access(path.c_str(), F_OK) == 0) return load_secret(path);
  const std::string left = trace_of_work(folder);
  if (left.empty()) return make_secret(path);
  return Error{Errc::invalid, path + " is missing, yet " + folder + "/" + left +
                                  " holds the work of a key: put the key back, or use another "
                                  "--data to begin with a new key"};
}

}  // namespace gemmine
