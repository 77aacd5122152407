#include "kernels/base/folder_lock.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace gemmine {

namespace {

constexpr size_t kPidDigitsMax = 20;

// The process that wrote itself down in the lock file; empty when it did not.
std::string holder_of(int fd) {
  char text[kPidDigitsMax];
  const ssize_t count = ::pread(fd, text, sizeof text, 0);
  std::string out(text, static_cast<size_t>(std::max<ssize_t>(count, 0)));
  const bool digits =
      std::all_of(out.begin(), out.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits ? out : "";
}

// For people only, so a full disk does not matter.
void name_holder(int fd) {
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd, 0) == 0 && ::pwrite(fd, pid.data(), pid.size(), 0) < 0) return;
}

}  // namespace

Result<FolderLock> FolderLock::take(const std::string& folder, std::string_view program) {
  const std::string path = folder + "/lock";
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.ok()) return io_error("cannot lock", path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return io_error("cannot lock", path);
    const std::string holder = holder_of(fd.get());
    return Error{Errc::busy, folder + " is in use by " +
                                 (holder.empty() ? "" : "process " + holder + ", ") + "another " +
                                 std::string(program)};
  }
  name_holder(fd.get());
  return FolderLock(std::move(fd));
}

}  // namespace gemmine
