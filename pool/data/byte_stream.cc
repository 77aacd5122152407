#include "pool/data/byte_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/base/printable.h"
#include "pool/data/gzip.h"

namespace gemmine::pool {
namespace {

constexpr size_t kPieceBytes = 1 << 20;
constexpr size_t kGzipTrailerBytes = 8;  // of a member: CRC and size modulo 2³²

bool ends_in_gz(std::string_view path) {
  if (path.size() < 3) return false;
  const std::string_view end = path.substr(path.size() - 3);
  return end[0] == '.' && (end[1] | 0x20) == 'g' && (end[2] | 0x20) == 'z';
}

uint64_t times(uint64_t a, uint64_t b) {
  return a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

}  // namespace

struct ByteStream::Source {
  int fd = -1;
  uint64_t stored_bytes = 0;  // of the file or the memory
  ByteView memory;            // what is left of it, where there is no file
  std::optional<Gunzip> gzip;
  Bytes piece;
  ByteView first;  // the piece that was looked at, and not given yet
  Bytes out;
  bool ended = false;

  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  ~Source() {
    if (fd >= 0) ::close(fd);
  }

  // Up to kPieceBytes of the file or memory, as they are stored.
  Result<ByteView> stored(const std::string& name) {
    if (!first.empty()) return std::exchange(first, {});
    if (fd < 0) {
      const ByteView head = memory.first(std::min(memory.size(), kPieceBytes));
      memory = memory.subspan(head.size());
      return head;
    }
    piece.resize(std::min<uint64_t>(kPieceBytes, stored_bytes + 1));
    size_t size = 0;
    while (size < piece.size()) {
      const ssize_t count = ::read(fd, piece.data() + size, piece.size() - size);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return Error{Errc::io, "cannot read " + name + ": " + std::strerror(errno)};
      if (count == 0) break;
      size += static_cast<size_t>(count);
    }
    return ByteView(piece).first(size);
  }

  // What gzip writes last: the size of its last member.
  uint64_t size_in_trailer() const {
    uint8_t size[4] = {};
    const auto end = static_cast<off_t>(stored_bytes);
    if (fd < 0 || stored_bytes < kGzipTrailerBytes || ::pread(fd, size, 4, end - 4) != 4) return 0;
    uint32_t last = 0;
    std::memcpy(&last, size, sizeof last);
    return last;
  }

  Result<ByteView> unpack(const std::string& name) {
    out.resize(kPieceBytes);
    while (!ended) {
      const auto size = gzip->unpack(out);
      if (!size) return Error{size.error().code, name + ": " + size.error().detail};
      if (size.value() > 0) return ByteView(out).first(size.value());
      const auto packed = stored(name);
      if (!packed) return packed;
      ended = packed.value().empty();
      if (!ended) gzip->feed(packed.value());
    }
    if (auto whole = gzip->finish(); !whole)
      return Error{whole.error().code, name + ": " + whole.error().detail};
    return ByteView{};
  }
};

ByteStream::ByteStream(std::string name, uint64_t bytes_max)
    : name_(std::move(name)), source_(std::make_unique<Source>()), bytes_left_(bytes_max) {}
ByteStream::ByteStream(ByteStream&&) noexcept = default;
ByteStream& ByteStream::operator=(ByteStream&&) noexcept = default;
ByteStream::~ByteStream() = default;

Result<ByteStream> ByteStream::open(const std::string& path, uint64_t bytes_max) {
  ByteStream out(printable(path), bytes_max);
  // A pipe without a writer would be waited for.
  out.source_->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (out.source_->fd < 0)
    return Error{Errc::io, "cannot open " + out.name_ + ": " + std::strerror(errno)};
  struct stat info {};
  if (::fstat(out.source_->fd, &info) != 0)
    return Error{Errc::io, "cannot look at " + out.name_ + ": " + std::strerror(errno)};
  if (S_ISDIR(info.st_mode)) return Error{Errc::io, out.name_ + " is a folder, not a file"};
  if (!S_ISREG(info.st_mode)) return Error{Errc::io, out.name_ + " is not a file of the disk"};
  out.source_->stored_bytes = static_cast<uint64_t>(info.st_size);
  if (auto looked = out.look(ends_in_gz(path)); !looked) return looked.error();
  return out;
}

ByteStream ByteStream::over(ByteView bytes, std::string name, uint64_t bytes_max) {
  GEMMINE_CHECK(name == printable(name));
  ByteStream out(std::move(name), bytes_max);
  out.source_->memory = bytes;
  out.source_->stored_bytes = bytes.size();
  if (opens_gzip(bytes)) {
    auto started = Gunzip::start();
    if (started) out.source_->gzip.emplace(std::move(started.value()));
  }
  out.size_max_ = out.source_->gzip ? times(bytes.size(), kDeflateRatioMax) : bytes.size();
  out.size_hint_ = bytes.size();
  return out;
}

Status ByteStream::look(bool named_gzip) {
  Source& source = *source_;
  const auto first = source.stored(name_);
  if (!first) return first.error();
  source.first = first.value();
  const bool magic = source.first.size() >= 2 && source.first[0] == 0x1f && source.first[1] == 0x8b;
  if (named_gzip && !magic)
    return Error{Errc::malformed, name_ + ": its name ends in .gz, and it is no gzip file"};
  if (!named_gzip && !opens_gzip(source.first)) {
    size_max_ = size_hint_ = source.stored_bytes;
    if (source.stored_bytes > bytes_left_)
      return Error{Errc::invalid, name_ + ": has " + std::to_string(source.stored_bytes) +
                                      " bytes, more than " + std::to_string(bytes_left_)};
    return Ok{};
  }
  auto started = Gunzip::start();
  if (!started) return Error{started.error().code, name_ + ": " + started.error().detail};
  source.gzip.emplace(std::move(started.value()));
  size_max_ = std::min(times(source.stored_bytes, kDeflateRatioMax), bytes_left_);
  size_hint_ = std::min(source.size_in_trailer(), size_max_);
  return Ok{};
}

Result<ByteView> ByteStream::refill() {
  return source_->gzip ? source_->unpack(name_) : source_->stored(name_);
}

Result<ByteView> ByteStream::next() {
  if (!held_.empty()) {
    offset_ += held_.size();
    return std::exchange(held_, {});
  }
  auto piece = refill();
  if (!piece) return piece;
  if (piece.value().size() > bytes_left_)
    return Error{Errc::invalid,
                 name_ + ": more than " + std::to_string(offset_ + bytes_left_) + " bytes"};
  bytes_left_ -= piece.value().size();
  offset_ += piece.value().size();
  return piece;
}

Result<Bytes> ByteStream::read(size_t count) {
  Bytes out;
  while (out.size() < count) {
    auto piece = next();
    if (!piece) return piece.error();
    if (piece.value().empty()) break;
    const size_t taken = std::min(piece.value().size(), count - out.size());
    out.insert(out.end(), piece.value().begin(),
               piece.value().begin() + static_cast<ptrdiff_t>(taken));
    held_ = piece.value().subspan(taken);
    offset_ -= held_.size();
  }
  return out;
}

}  // namespace gemmine::pool
