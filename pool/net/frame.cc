#include "pool/net/frame.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "kernels/base/check.h"

namespace gemmine::pool {
namespace {

// A buffer grown by one large frame is given back, so that idle connections stay small.
constexpr size_t kKeptBufferMax = size_t{64} << 10;

}  // namespace

std::array<uint8_t, kFrameHeaderBytes> encode_frame_header(uint8_t type, uint8_t flags,
                                                           uint32_t seq, size_t payload_bytes) {
  GEMMINE_CHECK(payload_bytes <= kFramePayloadMax);
  const auto length = static_cast<uint32_t>(payload_bytes);
  std::array<uint8_t, kFrameHeaderBytes> out{};
  std::memcpy(out.data(), &length, sizeof length);
  out[4] = type;
  out[5] = flags;
  std::memcpy(out.data() + 8, &seq, sizeof seq);
  return out;
}

Bytes encode_frame(uint8_t type, uint8_t flags, uint32_t seq, ByteView payload) {
  const auto header = encode_frame_header(type, flags, seq, payload.size());
  Bytes out;
  out.reserve(header.size() + payload.size());
  out.insert(out.end(), header.begin(), header.end());
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

void FrameSplitter::set_payload_max(size_t payload_max) {
  GEMMINE_CHECK(payload_max <= kFramePayloadMax);
  payload_max_ = payload_max;
}

Result<std::optional<Frame>> FrameSplitter::next(ByteView* input) {
  if (failed_) return *failed_;
  if (!mid_frame()) {
    payload_.clear();
    if (payload_.capacity() > kKeptBufferMax) payload_.shrink_to_fit();
  }
  if (header_size_ < kFrameHeaderBytes) {
    const size_t count = std::min(kFrameHeaderBytes - header_size_, input->size());
    std::copy_n(input->begin(), count, header_.begin() + static_cast<ptrdiff_t>(header_size_));
    header_size_ += count;
    *input = input->subspan(count);
    if (header_size_ < kFrameHeaderBytes) return std::optional<Frame>{};
  }
  if (!header_read_) {
    if (const Status read = read_header(); !read) return read.error();
  }
  if (payload_.empty() && input->size() >= length_) {
    frame_.payload = input->first(length_);  // whole in this chunk: no copy
    *input = input->subspan(length_);
  } else {
    const size_t count = std::min(length_ - payload_.size(), input->size());
    payload_.insert(payload_.end(), input->begin(), input->begin() + static_cast<ptrdiff_t>(count));
    *input = input->subspan(count);
    if (payload_.size() < length_) return std::optional<Frame>{};
    frame_.payload = payload_;
  }
  header_size_ = 0;
  header_read_ = false;
  return std::optional<Frame>{frame_};
}

Status FrameSplitter::read_header() {
  Reader reader(header_);
  length_ = reader.get<uint32_t>();
  frame_.type = reader.get<uint8_t>();
  frame_.flags = reader.get<uint8_t>();
  const auto reserved = reader.get<uint16_t>();
  frame_.seq = reader.get<uint32_t>();
  GEMMINE_CHECK(reader.done());
  if (length_ > payload_max_) {
    return fail("frame of " + std::to_string(length_) + " bytes, at most " +
                std::to_string(payload_max_) + " are allowed here");
  }
  if (reserved != 0) return fail("frame with reserved bytes " + std::to_string(reserved));
  if (frame_.seq != seq_ + 1 || frame_.seq == 0) {
    return fail("frame number " + std::to_string(frame_.seq) + " after number " +
                std::to_string(seq_));
  }
  seq_ = frame_.seq;
  header_read_ = true;
  return Ok{};
}

Error FrameSplitter::fail(std::string detail) {
  failed_ = Error{Errc::malformed, std::move(detail)};
  return *failed_;
}

}  // namespace gemmine::pool
