#include "pool/data/idx.h"

#include <algorithm>

namespace gemmine::pool {
namespace {

constexpr uint8_t kUnsignedBytes = 0x08;
constexpr size_t kSidesMax = 4;

uint32_t big_endian(ByteView four) {
  GEMMINE_CHECK(four.size() == 4);
  return uint32_t{four[0]} << 24 | uint32_t{four[1]} << 16 | uint32_t{four[2]} << 8 | four[3];
}

}  // namespace

Result<IdxReader> IdxReader::open(ByteStream stream, uint64_t bytes_max) {
  IdxReader out(std::move(stream));
  const auto magic = out.stream_.read(4);
  if (!magic) return magic.error();
  const Bytes& bytes = magic.value();
  if (bytes.size() < 4 || bytes[0] != 0 || bytes[1] != 0)
    return out.wrong(Errc::malformed, "no IDX file (it starts with 00 00)");
  if (bytes[2] != kUnsignedBytes)
    return out.wrong(Errc::malformed, "elements of IDX type " + std::to_string(bytes[2]) +
                                          ", not unsigned bytes (8)");
  const size_t sides = bytes[3];
  if (sides < 1 || sides > kSidesMax)
    return out.wrong(Errc::malformed, std::to_string(sides) + " dimensions");
  const auto header = out.stream_.read(4 * sides);
  if (!header) return header.error();
  if (header.value().size() < 4 * sides)
    return out.wrong(Errc::malformed, "the header is cut short");
  for (size_t i = 0; i < sides; ++i) {
    const uint32_t side = big_endian(ByteView(header.value()).subspan(4 * i, 4));
    // Checked one by one, so that the product of four u32 never wraps.
    if (side == 0 || out.count_ > bytes_max / side)
      return out.wrong(Errc::invalid, "its dimensions give 0 or more than " +
                                          std::to_string(bytes_max) + " bytes");
    out.count_ *= side;
    out.shape_.push_back(side);
  }
  const uint64_t there = out.stream_.size_max();
  if (out.count_ > there - std::min(there, out.stream_.offset()))
    return out.wrong(Errc::malformed, "its header says " + std::to_string(out.count_) +
                                          " bytes, the file has fewer");
  return out;
}

Result<ByteView> IdxReader::next() {
  const auto piece = stream_.next();
  if (!piece) return piece.error();
  if (piece.value().size() > count_ - done_)
    return wrong(Errc::malformed,
                 "its header says " + std::to_string(count_) + " bytes, the file has more");
  if (piece.value().empty() && done_ < count_)
    return wrong(Errc::malformed, "its header says " + std::to_string(count_) +
                                      " bytes, the file has " + std::to_string(done_));
  done_ += piece.value().size();
  GEMMINE_CHECK(done_ <= count_);
  return piece;
}

}  // namespace gemmine::pool
