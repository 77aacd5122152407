#include "kernels/base/files.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/base/random.h"

namespace gemmine {

namespace {

// A file descriptor that closes itself.
class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

Error io_error(const std::string& doing, const std::string& path) {
  const int code = errno;
  std::string detail = doing + " " + path + ": " + std::strerror(code);
  if (code == ENOSPC) detail += " (free some space; nothing was lost, the old file is untouched)";
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

}  // namespace

Status write_durable(const std::string& path, ByteView bytes) {
  const std::string temporary = path + ".tmp";
  {
    const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd.ok()) return io_error("cannot create", temporary);
    if (auto written = write_all(fd.get(), bytes, temporary); !written) {
      ::unlink(temporary.c_str());
      return written;
    }
    if (::fsync(fd.get()) != 0) return io_error("cannot sync", temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return io_error("cannot rename to", path);
  const auto folder = std::filesystem::path(path).parent_path();
  const Fd fd(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.ok() || ::fsync(fd.get()) != 0) return io_error("cannot sync the folder of", path);
  return Ok{};
}

Result<Bytes> read_file(const std::string& path, uint64_t bytes_max) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok()) return io_error("cannot open", path);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return io_error("cannot look at", path);
  if (!S_ISREG(info.st_mode)) return Error{Errc::io, path + " is not a file"};
  if (static_cast<uint64_t>(info.st_size) > bytes_max) {
    return Error{Errc::invalid, path + " has " + std::to_string(info.st_size) + " bytes, at most " +
                                    std::to_string(bytes_max) + " are allowed"};
  }
  Bytes out(static_cast<size_t>(info.st_size));
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = ::read(fd.get(), out.data() + done, out.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return io_error("cannot read", path);
    if (count == 0) return Error{Errc::io, path + " became shorter while it was read"};
    done += static_cast<size_t>(count);
  }
  return out;
}

Status make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return Error{Errc::io, "cannot make folder " + path + ": " + error.message()};
  if (::chmod(path.c_str(), 0700) != 0) return io_error("cannot protect folder", path);
  return Ok{};
}

Result<Digest> load_or_make_secret(const std::string& path) {
  Digest secret;
  if (::access(path.c_str(), F_OK) != 0) {
    secret = random_digest();
    if (auto written = write_durable(path, secret.bytes); !written) return written.error();
    return secret;
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & 077) != 0) {
    return Error{Errc::invalid, path + " can be read by others; run: chmod 600 " + path};
  }
  const auto bytes = read_file(path, secret.bytes.size());
  if (!bytes) return bytes.error();
  if (bytes.value().size() != secret.bytes.size()) {
    return Error{Errc::invalid, path + " holds " + std::to_string(bytes.value().size()) +
                                    " bytes, a secret has 32; restore it from your copy"};
  }
  std::memcpy(secret.bytes.data(), bytes.value().data(), secret.bytes.size());
  return secret;
}

}  // namespace gemmine
