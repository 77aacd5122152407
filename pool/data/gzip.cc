#include "pool/data/gzip.h"

#include <algorithm>
#include <zlib.h>

namespace gemmine::pool {
namespace {

constexpr uint8_t kMagic0 = 0x1f;
constexpr uint8_t kMagic1 = 0x8b;

// Behind a member: the next one may open, or zeros come, behind which nothing else may.
enum class Place : uint8_t { member, between, padding };

}  // namespace

struct Gunzip::Stream {
  z_stream zlib{};
  bool started = false;
  Place place = Place::member;

  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() {
    if (started) inflateEnd(&zlib);
  }

  Status pass_padding() {
    for (; zlib.avail_in > 0; ++zlib.next_in, --zlib.avail_in) {
      if (*zlib.next_in == kMagic0 && place == Place::between) {
        place = Place::member;
        GEMMINE_CHECK(inflateReset(&zlib) == Z_OK);
        return Ok{};
      }
      if (*zlib.next_in != 0)
        return Error{Errc::malformed, "the bytes after the gzip data are no gzip member"};
      place = Place::padding;
    }
    return Ok{};
  }
};

bool opens_gzip(ByteView bytes) {
  constexpr uint8_t kDeflate = 8;
  constexpr uint8_t kReservedFlags = 0xe0;
  constexpr uint8_t kBest = 2;
  constexpr uint8_t kFastest = 4;
  constexpr uint8_t kSystemMax = 13;
  constexpr uint8_t kSystemUnknown = 255;
  return bytes.size() >= 10 && bytes[0] == kMagic0 && bytes[1] == kMagic1 && bytes[2] == kDeflate &&
         (bytes[3] & kReservedFlags) == 0 &&
         (bytes[8] == 0 || bytes[8] == kBest || bytes[8] == kFastest) &&
         (bytes[9] <= kSystemMax || bytes[9] == kSystemUnknown);
}

Gunzip::Gunzip(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}
Gunzip::Gunzip(Gunzip&&) noexcept = default;
Gunzip& Gunzip::operator=(Gunzip&&) noexcept = default;
Gunzip::~Gunzip() = default;

Result<Gunzip> Gunzip::start() {
  auto stream = std::make_unique<Stream>();
  stream->started = inflateInit2(&stream->zlib, 16 + MAX_WBITS) == Z_OK;
  if (!stream->started) return Error{Errc::out_of_memory, "zlib cannot start"};
  return Gunzip(std::move(stream));
}

void Gunzip::feed(ByteView packed) {
  GEMMINE_CHECK(wants_input() && packed.size() <= UINT32_MAX);
  stream_->zlib.next_in = const_cast<Bytef*>(packed.data());
  stream_->zlib.avail_in = static_cast<uInt>(packed.size());
}

bool Gunzip::wants_input() const {
  return stream_->zlib.avail_in == 0;
}

Result<size_t> Gunzip::unpack(std::span<uint8_t> out) {
  GEMMINE_CHECK(out.size() <= UINT32_MAX);
  Stream& stream = *stream_;
  size_t done = 0;
  while (done < out.size()) {
    if (stream.place != Place::member) {
      if (auto good = stream.pass_padding(); !good) return good.error();
      if (stream.place != Place::member) break;
    }
    stream.zlib.next_out = out.data() + done;
    stream.zlib.avail_out = static_cast<uInt>(out.size() - done);
    const int code = inflate(&stream.zlib, Z_NO_FLUSH);
    done = out.size() - stream.zlib.avail_out;
    if (code == Z_MEM_ERROR) return Error{Errc::out_of_memory, "not enough memory to unpack it"};
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
      return Error{Errc::malformed, "damaged gzip file"};
    if (code == Z_STREAM_END) {
      stream.place = Place::between;
    } else if (stream.zlib.avail_in == 0) {
      break;
    }
  }
  return done;
}

Status Gunzip::finish() const {
  if (stream_->place != Place::member) return Ok{};
  return Error{Errc::malformed, "the gzip file is cut short"};
}

}  // namespace gemmine::pool
