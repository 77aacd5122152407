#include "kernels/base/folder_lock.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>

namespace gemmine {

Result<FolderLock> FolderLock::take(const std::string& folder, std::string_view program) {
  const std::string path = folder + "/lock";
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.ok()) return io_error("cannot lock", path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return io_error("cannot lock", path);
    return Error{Errc::busy, folder + " is in use by another " + std::string(program)};
  }
  return FolderLock(std::move(fd));
}

}  // namespace gemmine
