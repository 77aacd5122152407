#include "pool/blobs/piece_file.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gemmine::pool {

Result<PieceFile> PieceFile::open(const std::string& path, int flags) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0600));
  if (!fd.ok()) return io_error("cannot open", path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return io_error("cannot look at", path);
  if (!S_ISREG(info.st_mode)) return Error{Errc::io, path + " is not a regular file"};
  return PieceFile(std::move(fd), path);
}

Result<PieceFile> PieceFile::open(const std::string& path) {
  return open(path, O_RDONLY);
}

Result<PieceFile> PieceFile::open_or_make(const std::string& path) {
  return open(path, O_RDWR | O_CREAT);
}

Result<uint64_t> PieceFile::size() const {
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) return io_error("cannot look at", path_);
  return static_cast<uint64_t>(info.st_size);
}

Status PieceFile::read(uint64_t at, std::span<uint8_t> out) const {
  while (!out.empty()) {
    const ssize_t count = ::pread(fd_.get(), out.data(), out.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return io_error("cannot read", path_);
    if (count == 0) return Error{Errc::io, path_ + " ends at byte " + std::to_string(at)};
    out = out.subspan(static_cast<size_t>(count));
    at += static_cast<uint64_t>(count);
  }
  return Ok{};
}

Status PieceFile::write(uint64_t at, ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return io_error("cannot write", path_);
    bytes = bytes.subspan(static_cast<size_t>(count));
    at += static_cast<uint64_t>(count);
  }
  return Ok{};
}

Status PieceFile::resize(uint64_t bytes) {
  if (::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0)
    return io_error("cannot resize", path_);
  return Ok{};
}

Status PieceFile::sync() {
  if (::fsync(fd_.get()) != 0) return io_error("cannot sync", path_);
  return Ok{};
}

Status rename_durable(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return io_error("cannot rename to", to);
  const Fd folder(::open(folder_of(to).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.ok() || ::fsync(folder.get()) != 0) return io_error("cannot sync the folder of", to);
  return Ok{};
}

void remove_file(const std::string& path) {
  ::unlink(path.c_str());
}

}  // namespace gemmine::pool
