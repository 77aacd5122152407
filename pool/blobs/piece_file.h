// A file that is read and written in pieces at places, never whole.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/fd.h"
#include "kernels/base/result.h"

namespace gemmine::pool {

// All errors: io, naming the path and the reason.
class PieceFile {
 public:
  static Result<PieceFile> open(const std::string& path);          // to read
  static Result<PieceFile> open_or_make(const std::string& path);  // to read and write

  const std::string& path() const { return path_; }
  Result<uint64_t> size() const;
  // Exactly out.size() bytes from `at`.
  Status read(uint64_t at, std::span<uint8_t> out) const;
  Status write(uint64_t at, ByteView bytes);
  Status resize(uint64_t bytes);
  Status sync();

 private:
  PieceFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  static Result<PieceFile> open(const std::string& path, int flags);
  Fd fd_;
  std::string path_;
};

// Gives a synced file its name and syncs the folder, so that the name survives a crash.
Status rename_durable(const std::string& from, const std::string& to);
// Removes it if it is there. What cannot be removed stays.
void remove_file(const std::string& path);

}  // namespace gemmine::pool
