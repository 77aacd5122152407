#include "kernels/base/fd.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace gemmine {

Error io_error(const std::string& doing, const std::string& path) {
  const int code = errno;
  std::string detail = doing + " " + path + ": " + std::strerror(code);
  if (code == ENOSPC || code == EDQUOT) detail += " (free some space)";
  return Error{Errc::io, detail};
}

Status write_all(int fd, ByteView bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return io_error("cannot write", path);
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return Ok{};
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace gemmine
