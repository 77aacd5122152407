#include "kernels/base/output.h"

#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "kernels/base/fd.h"
#include "kernels/base/random.h"
#include "kernels/base/shell_word.h"

namespace gemmine {
namespace {

constexpr int kLinksMax = 40;  // as the kernel has it
constexpr mode_t kNewFile = 0666;

// What a path names, links followed.
struct Target {
  enum class Kind : uint8_t { descriptor, in_place, file } kind = Kind::file;
  int descriptor = -1;  // of Kind::descriptor
  std::string path;
  bool exists = false;  // always, but of a descriptor and of a new file
  struct stat info {};  // of what exists
};

// The shell's names of a process's own descriptors. Opened anew, a regular file behind one would
// be cut, and another's rights asked for: they are written to as they are.
std::optional<int> descriptor_of(std::string_view path) {
  if (path == "-" || path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(folder)) continue;
    int number = -1;
    const char* end = path.data() + path.size();
    const auto [at, error] = std::from_chars(path.data() + folder.size(), end, number);
    if (error == std::errc{} && at == end && number >= 0) return number;
  }
  return std::nullopt;
}

Result<std::string> link_target(const std::string& path) {
  char text[PATH_MAX];
  const ssize_t count = ::readlink(path.c_str(), text, sizeof text);
  if (count < 0) return io_error("cannot follow", path);
  const std::filesystem::path target(std::string(text, static_cast<size_t>(count)));
  if (target.is_absolute()) return target.string();
  return (std::filesystem::path(path).parent_path() / target).string();
}

Result<Target> resolve(const std::string& path) {
  if (path.empty()) return Error{Errc::io, "cannot write: the file has no name"};
  Target out;
  out.path = path;
  for (int links = 0; links <= kLinksMax; ++links) {
    if (const auto descriptor = descriptor_of(out.path)) {
      out.kind = Target::Kind::descriptor;
      out.descriptor = *descriptor;
      return out;
    }
    if (::lstat(out.path.c_str(), &out.info) != 0) {
      if (errno == ENOENT) return out;
      return io_error("cannot write", path);
    }
    if (!S_ISLNK(out.info.st_mode)) {
      if (S_ISDIR(out.info.st_mode)) return Error{Errc::io, path + " is a folder, not a file"};
      out.exists = true;
      if (!S_ISREG(out.info.st_mode)) out.kind = Target::Kind::in_place;
      return out;
    }
    auto next = link_target(out.path);
    if (!next) return next.error();
    out.path = std::move(next.value());
  }
  errno = ELOOP;
  return io_error("cannot write", path);
}

bool may_write(const std::string& path) {
  return ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0;
}

// A new file beside the target, under a name that nobody has.
struct Temporary {
  Fd fd;
  std::string path;
};
Temporary make_temporary(const Target& target) {
  std::string path =
      folder_of(target.path) + "/.gemmine-" + to_hex(random_digest().view().first(8)) + ".tmp";
  const mode_t mode = target.exists ? 0600 : kNewFile;
  Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  return {std::move(fd), std::move(path)};
}

Error no_temporary(const Target& target) {
  const int code = errno;
  const std::string folder = folder_of(target.path);
  if (code == ENOENT && ::access(folder.c_str(), F_OK) == 0)
    return Error{Errc::io, "cannot write " + target.path + ": " + folder + " takes no new files"};
  errno = code;
  if (code == ENOENT)
    return Error{Errc::io, "cannot write " + target.path + ": there is no folder " + folder +
                               "; make it first (mkdir -p " + shell_word(folder) + ")"};
  return io_error("cannot write " + target.path + ": in folder", folder);
}

// Not every file system can, and none of it is worth failing for.
void keep_owner_and_mode(int fd, const struct stat& old) {
  [[maybe_unused]] const int owner = ::fchown(fd, old.st_uid, old.st_gid);
  [[maybe_unused]] const int mode = ::fchmod(fd, old.st_mode & 07777);
}

Status write_in_place(const std::string& path, ByteView bytes, Sync sync) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOCTTY));
  if (!fd.ok()) return io_error("cannot write", path);
  if (auto written = write_all(fd.get(), bytes, path); !written) return written;
  // A device or FIFO has nothing to sync.
  if (sync == Sync::yes && ::fsync(fd.get()) != 0 && errno != EINVAL && errno != EROFS)
    return io_error("cannot sync", path);
  return Ok{};
}

Status replace(const Target& target, ByteView bytes, Sync sync) {
  if (target.exists && !may_write(target.path)) return io_error("cannot write", target.path);
  Temporary temporary = make_temporary(target);
  if (!temporary.fd.ok()) {
    const Error error = no_temporary(target);
    return target.exists ? write_in_place(target.path, bytes, sync) : error;
  }
  const int fd = temporary.fd.get();
  if (target.exists) keep_owner_and_mode(fd, target.info);
  Status written = write_all(fd, bytes, target.path);
  if (written && sync == Sync::yes && ::fsync(fd) != 0)
    written = io_error("cannot sync", target.path);
  if (written && ::rename(temporary.path.c_str(), target.path.c_str()) != 0) {
    const bool mounted = errno == EBUSY || errno == EXDEV;  // a file that a container was given
    written = io_error("cannot replace", target.path);
    if (target.exists && mounted) {
      ::unlink(temporary.path.c_str());
      return write_in_place(target.path, bytes, sync);
    }
  }
  if (!written) {
    ::unlink(temporary.path.c_str());
    return written;
  }
  if (sync == Sync::yes) {  // The bytes are there; a folder that cannot be synced is no failure.
    const Fd folder(::open(folder_of(target.path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.ok()) ::fsync(folder.get());
  }
  return Ok{};
}

}  // namespace

Status write_output(const std::string& path, ByteView bytes, Sync sync) {
  const auto target = resolve(path);
  if (!target) return target.error();
  switch (target.value().kind) {
    case Target::Kind::descriptor:
      return write_all(target.value().descriptor, bytes, path);
    case Target::Kind::in_place:
      return write_in_place(target.value().path, bytes, sync);
    case Target::Kind::file:
      break;
  }
  return replace(target.value(), bytes, sync);
}

bool is_standard_output(const std::string& path) {
  if (path.empty()) return false;
  const auto target = resolve(path);
  return target && target.value().descriptor == STDOUT_FILENO;
}

bool same_output(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return false;
  const auto first = resolve(a);
  const auto second = resolve(b);
  if (!first || !second) return false;
  if (first.value().kind == Target::Kind::descriptor ||
      second.value().kind == Target::Kind::descriptor)
    return first.value().descriptor == second.value().descriptor;
  std::error_code ignored;  // a path that cannot be looked at is refused when it is written
  const auto place = [&](const Target& target) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(target.path, ignored),
                                             ignored);
  };
  return place(first.value()) == place(second.value());
}

Status check_output_path(const std::string& path) {
  const auto resolved = resolve(path);
  if (!resolved) return resolved.error();
  const Target& target = resolved.value();
  if (target.kind == Target::Kind::descriptor) {
    const int flags = ::fcntl(target.descriptor, F_GETFL);
    if (flags < 0) return io_error("cannot write", path);
    if ((flags & O_ACCMODE) == O_RDONLY)
      return Error{Errc::io, "cannot write " + path + ": it is open for reading only"};
    return Ok{};
  }
  if (target.exists && !may_write(target.path)) return io_error("cannot write", path);
  if (target.kind == Target::Kind::file) {
    const Temporary temporary = make_temporary(target);
    if (temporary.fd.ok()) {
      ::unlink(temporary.path.c_str());
      return Ok{};
    }
    if (!target.exists) return no_temporary(target);
  }
  return Ok{};
}

}  // namespace gemmine
