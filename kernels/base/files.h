// Our own files: written whole or not at all, read with a bound; their folders and secrets.
// What a person named to be written is in output.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/fd.h"
#include "kernels/base/result.h"

namespace gemmine {

// Writes PATH.tmp, syncs it, renames it to PATH and syncs the folder: a crash leaves the old file
// or the new one. The mode is what the umask leaves of 0666. For files of our own folders, where
// nobody else makes a PATH.tmp. Errors: io, naming the path and the reason (disk full, permission).
Status write_durable(const std::string& path, ByteView bytes);

// The same with mode 0600 from the first byte on, for what nobody else may read.
Status write_secret(const std::string& path, ByteView bytes);

// The whole of a regular file.
// Errors: io (missing, unreadable, a folder, no regular file), invalid (longer than bytes_max, by
// its size, before anything is read), out_of_memory. All name the path.
Result<Bytes> read_file(const std::string& path, uint64_t bytes_max);

// A regular file, read from its beginning: its header first, then what the header promises.
class InputFile {
 public:
  // Errors: io (missing, unreadable, a folder, no regular file).
  static Result<InputFile> open(const std::string& path);

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }        // bytes, when it was opened
  uint64_t rest() const { return size_ - at_; }  // not yet read

  // The next bytes, exactly out.size(). Errors: io, also when the file has no more of them.
  Status read(std::span<uint8_t> out);
  // The next `bytes`, in memory of their own. bytes <= rest(). Errors: io, out_of_memory.
  Result<Bytes> read(uint64_t bytes);

 private:
  InputFile(Fd fd, std::string path, uint64_t size)
      : fd_(std::move(fd)), path_(std::move(path)), size_(size) {}
  Fd fd_;
  std::string path_;
  uint64_t size_;
  uint64_t at_ = 0;
};

// Makes the folder with mode 0700, and those above it that are missing as the umask has it. A
// folder that is there keeps its mode. Errors: io (cannot be made, is no folder, not writable).
Status make_folder(const std::string& path);

// What to tell the owner of a folder or file of secrets that others may read or write; empty when
// nobody else may, or when it is not there.
std::string wide_mode_warning(const std::string& path);

// A 32-byte secret. load: the one in PATH. Errors: io (also when there is none), invalid (not 32
// bytes; others can read it, on a file system that could prevent that). make: fresh, mode 0600.
// Errors: io, invalid when there is a PATH already. load_or_make: whichever it takes.
Result<Digest> load_secret(const std::string& path);
Result<Digest> make_secret(const std::string& path);
Result<Digest> load_or_make_secret(const std::string& path);

}  // namespace gemmine
