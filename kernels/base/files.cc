#include "kernels/base/files.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/base/random.h"
#include "kernels/base/try_resize.h"

namespace gemmine {
namespace {

constexpr mode_t kOthers = 077;

Status write_whole(const std::string& path, ByteView bytes, mode_t mode) {
  const std::string temporary = path + ".tmp";
  ::unlink(temporary.c_str());  // What a crash left, or a link that somebody put there.
  {
    const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd.ok()) return io_error("cannot create", temporary);
    Status written = write_all(fd.get(), bytes, temporary);
    if (written && ::fsync(fd.get()) != 0) written = io_error("cannot sync", temporary);
    if (!written) {
      ::unlink(temporary.c_str());
      return written;
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return io_error("cannot rename to", path);
  const Fd folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.ok() || ::fsync(folder.get()) != 0)
    return io_error("cannot sync the folder of", path);
  return Ok{};
}

// vfat, CIFS and the like give every file one mode, whatever is asked for.
bool modes_are_kept(const std::string& folder) {
  const std::string probe = folder + "/.mode-" + to_hex(random_digest().view().first(8));
  const Fd fd(::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.ok()) return true;
  struct stat info {};
  const bool kept = ::fstat(fd.get(), &info) != 0 || (info.st_mode & kOthers) == 0;
  ::unlink(probe.c_str());
  return kept;
}

}  // namespace

Status write_durable(const std::string& path, ByteView bytes) {
  return write_whole(path, bytes, 0666);
}

Status write_secret(const std::string& path, ByteView bytes) {
  return write_whole(path, bytes, 0600);
}

Result<InputFile> InputFile::open(const std::string& path) {
  // Not to wait for the writer of a FIFO; regular files do not mind.
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.ok()) return io_error("cannot open", path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return io_error("cannot look at", path);
  if (S_ISDIR(info.st_mode)) return Error{Errc::io, path + " is a folder, not a file"};
  if (!S_ISREG(info.st_mode)) return Error{Errc::io, path + " is not a regular file"};
  return InputFile(std::move(fd), path, static_cast<uint64_t>(info.st_size));
}

Status InputFile::read(std::span<uint8_t> out) {
  while (!out.empty()) {
    const ssize_t count = ::read(fd_.get(), out.data(), out.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return io_error("cannot read", path_);
    if (count == 0) return Error{Errc::io, path_ + " ends at byte " + std::to_string(at_)};
    out = out.subspan(static_cast<size_t>(count));
    at_ += static_cast<uint64_t>(count);
  }
  return Ok{};
}

Result<Bytes> InputFile::read(uint64_t bytes) {
  GEMMINE_CHECK(bytes <= rest());
  Bytes out;
  if (auto sized = try_resize(out, static_cast<size_t>(bytes), path_); !sized) return sized.error();
  if (auto filled = read(std::span<uint8_t>(out)); !filled) return filled.error();
  return out;
}

Result<Bytes> read_file(const std::string& path, uint64_t bytes_max) {
  auto file = InputFile::open(path);
  if (!file) return file.error();
  const uint64_t size = file.value().size();
  if (size > bytes_max) {
    return Error{Errc::invalid, path + " has " + std::to_string(size) + " bytes, at most " +
                                    std::to_string(bytes_max) + " are allowed"};
  }
  return file.value().read(size);
}

Status make_folder(const std::string& path) {
  std::string folder = path;
  while (folder.size() > 1 && folder.back() == '/')
    folder.pop_back();
  struct stat info {};
  if (::stat(folder.c_str(), &info) != 0) {
    std::error_code error;
    std::filesystem::create_directories(folder_of(folder), error);
    // Another process may have made it meanwhile.
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
      return io_error("cannot make folder", path);
    if (::stat(folder.c_str(), &info) != 0) return io_error("cannot look at folder", path);
  }
  if (!S_ISDIR(info.st_mode)) return Error{Errc::io, path + " is a file, not a folder"};
  if (::faccessat(AT_FDCWD, folder.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0)
    return io_error("cannot write in folder", path);
  return Ok{};
}

std::string wide_mode_warning(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0 || (info.st_mode & kOthers) == 0) return {};
  const char* digits = "01234567";
  const std::string mode{'0', digits[info.st_mode >> 6 & 7], digits[info.st_mode >> 3 & 7],
                         digits[info.st_mode & 7]};
  return path + " is open to others (mode " + mode + "); to close it: chmod " +
         (S_ISDIR(info.st_mode) ? "700 " : "600 ") + path;
}

Result<Digest> load_secret(const std::string& path) {
  auto file = InputFile::open(path);
  if (!file) return file.error();
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & kOthers) != 0 &&
      modes_are_kept(folder_of(path))) {
    return Error{Errc::invalid, path + " can be read by others; run: chmod 600 " + path};
  }
  Digest secret;
  if (file.value().size() != secret.bytes.size()) {
    return Error{Errc::invalid, path + " holds " + std::to_string(file.value().size()) +
                                    " bytes, a secret has 32; restore it from your copy"};
  }
  if (auto filled = file.value().read(std::span<uint8_t>(secret.bytes)); !filled)
    return filled.error();
  return secret;
}

Result<Digest> make_secret(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0)
    return Error{Errc::invalid, path + " is there already, and holds a secret nobody else has"};
  const Digest secret = random_digest();
  if (auto written = write_secret(path, secret.bytes); !written) return written.error();
  return secret;
}

Result<Digest> load_or_make_secret(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0 ? load_secret(path) : make_secret(path);
}

}  // namespace gemmine
