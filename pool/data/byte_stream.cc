#include "pool/data/byte_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sys/stat.h>
#include <zlib.h>

namespace gemmine::pool {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

struct FileEnd {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
// zlib keeps its address: it lives behind a pointer and never moves.
struct Inflater {
  z_stream zlib{};
  bool started = false;
  Inflater() = default;
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() {
    if (started) inflateEnd(&zlib);
  }
};

}  // namespace

struct ByteStream::Source {
  std::unique_ptr<std::FILE, FileEnd> file;
  ByteView memory;  // what is left of it, where there is no file
  std::unique_ptr<Inflater> gzip;
  Bytes packed;
  Bytes out;
  bool looked = false;  // for the magic
  bool ended = false;

  // Up to kPieceBytes of the file or memory, as they are.
  Result<ByteView> raw(const std::string& name) {
    if (!file) {
      const ByteView piece = memory.first(std::min(memory.size(), kPieceBytes));
      memory = memory.subspan(piece.size());
      return piece;
    }
    packed.resize(kPieceBytes);
    const size_t count = std::fread(packed.data(), 1, packed.size(), file.get());
    if (count == 0 && std::ferror(file.get()) != 0)
      return Error{Errc::io, "cannot read " + name + ": " + std::strerror(errno)};
    return ByteView(packed).first(count);
  }

  Status start_gzip(const std::string& name) {
    gzip = std::make_unique<Inflater>();
    gzip->started = inflateInit2(&gzip->zlib, 16 + MAX_WBITS) == Z_OK;
    if (!gzip->started) return Error{Errc::out_of_memory, name + ": zlib cannot start"};
    return Ok{};
  }

  Result<ByteView> unpack(const std::string& name) {
    z_stream& zlib = gzip->zlib;
    out.resize(kPieceBytes);
    zlib.next_out = out.data();
    zlib.avail_out = kPieceBytes;
    while (!ended && zlib.avail_out != 0) {
      const int code = inflate(&zlib, Z_NO_FLUSH);
      ended = code == Z_STREAM_END;
      if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return Error{Errc::malformed, name + ": damaged gzip file"};
      if (ended || zlib.avail_in != 0 || zlib.avail_out == 0) continue;
      auto piece = raw(name);
      if (!piece) return piece;
      if (piece.value().empty())
        return Error{Errc::malformed, name + ": the gzip file is cut short"};
      feed(piece.value());
    }
    if (ended) {
      bool more = zlib.avail_in != 0;
      if (!more) {
        auto rest = raw(name);
        if (!rest) return rest;
        more = !rest.value().empty();
      }
      if (more) return Error{Errc::malformed, name + ": trailing bytes after the gzip data"};
    }
    return ByteView(out).first(kPieceBytes - zlib.avail_out);
  }

  void feed(ByteView piece) {
    gzip->zlib.next_in = const_cast<Bytef*>(piece.data());
    gzip->zlib.avail_in = static_cast<uInt>(piece.size());
  }
};

ByteStream::ByteStream(std::string name)
    : name_(std::move(name)), source_(std::make_unique<Source>()) {}
ByteStream::ByteStream(ByteStream&&) noexcept = default;
ByteStream& ByteStream::operator=(ByteStream&&) noexcept = default;
ByteStream::~ByteStream() = default;

Result<ByteStream> ByteStream::open(const std::string& path, uint64_t bytes_max) {
  ByteStream out(path);
  out.bytes_left_ = bytes_max;
  out.source_->file.reset(std::fopen(path.c_str(), "rbe"));
  if (!out.source_->file)
    return Error{Errc::io, "cannot open " + path + ": " + std::strerror(errno)};
  struct stat info {};
  if (::fstat(fileno(out.source_->file.get()), &info) != 0 || !S_ISREG(info.st_mode))
    return Error{Errc::io, path + " is not a file"};
  return out;
}

ByteStream ByteStream::over(ByteView bytes, std::string name, uint64_t bytes_max) {
  ByteStream out(std::move(name));
  out.bytes_left_ = bytes_max;
  out.source_->memory = bytes;
  return out;
}

Result<ByteView> ByteStream::refill() {
  Source& source = *source_;
  if (!source.looked) {
    source.looked = true;
    auto first = source.raw(name_);
    if (!first) return first;
    const ByteView bytes = first.value();
    if (bytes.size() < 2 || bytes[0] != 0x1f || bytes[1] != 0x8b) return first;
    if (auto started = source.start_gzip(name_); !started) return started.error();
    source.feed(bytes);
  }
  if (!source.gzip) return source.raw(name_);
  return source.ended ? ByteView{} : source.unpack(name_);
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

Result<Bytes> read_maybe_gzip(const std::string& path, uint64_t bytes_max) {
  auto stream = ByteStream::open(path, bytes_max);
  if (!stream) return stream.error();
  Bytes out;
  while (true) {
    auto piece = stream.value().next();
    if (!piece) return piece.error();
    if (piece.value().empty()) return out;
    out.insert(out.end(), piece.value().begin(), piece.value().end());
  }
}

}  // namespace gemmine::pool
