// A file descriptor that closes itself, and the errors of file operations.
#pragma once

#include <string>
#include <unistd.h>
#include <utility>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}  // negative: none
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

// `doing` + " " + path and what errno says, read at the call.
Error io_error(const std::string& doing, const std::string& path);

// All of the bytes, over short writes and interruptions. `path` is for the error only.
Status write_all(int fd, ByteView bytes, const std::string& path);

// Where files of `path` live: its parent, or "." for a bare name.
std::string folder_of(const std::string& path);

}  // namespace gemmine
