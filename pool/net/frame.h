// Frames: what bytes between a pool and a miner are cut into (PROTOCOL 5.1); knows no message.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine::pool {

// Header, little-endian: length u32 (payload bytes), type u8, flags u8, reserved u16 = 0, seq u32.
inline constexpr size_t kFrameHeaderBytes = 12;
inline constexpr size_t kFramePayloadMax = size_t{2} << 20;    // no frame is ever larger
inline constexpr size_t kFramePayloadMaxBeforeAuth = 4 << 10;  // what a stranger may send

struct Frame {
  uint8_t type = 0;
  uint8_t flags = 0;
  uint32_t seq = 0;
  ByteView payload;  // valid until the splitter is called again
};

std::array<uint8_t, kFrameHeaderBytes> encode_frame_header(uint8_t type, uint8_t flags,
                                                           uint32_t seq, size_t payload_bytes);
// Header and payload in one piece. payload.size() <= kFramePayloadMax.
Bytes encode_frame(uint8_t type, uint8_t flags, uint32_t seq, ByteView payload);

// Cuts one direction of a connection into frames, whatever the chunks it arrives in.
// Memory: at most payload_max, and never more than twice what really arrived of a frame.
class FrameSplitter {
 public:
  // Takes bytes off the front of *input until a frame is complete, and returns it; returns nothing
  // when *input is used up. Call again until it returns nothing.
  // Errors: malformed when a length is over payload_max, reserved is not 0, or seq is not the
  // previous + 1 (the first is 1). An error is final: every later call returns it again.
  Result<std::optional<Frame>> next(ByteView* input);

  // Holds from the next header on. payload_max <= kFramePayloadMax.
  void set_payload_max(size_t payload_max);
  size_t payload_max() const { return payload_max_; }
  // True when bytes of an unfinished frame are held: a peer that ends here cut a frame.
  bool mid_frame() const { return header_size_ > 0; }

 private:
  Status read_header();
  Error fail(std::string detail);

  std::array<uint8_t, kFrameHeaderBytes> header_{};
  size_t header_size_ = 0;
  bool header_read_ = false;
  size_t length_ = 0;
  Frame frame_;
  Bytes payload_;
  uint32_t seq_ = 0;
  size_t payload_max_ = kFramePayloadMaxBeforeAuth;
  std::optional<Error> failed_;
};

}  // namespace gemmine::pool
