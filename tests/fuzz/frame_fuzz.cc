// FrameSplitter: any chunking gives the frames and the error of the whole, and frames encode back.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/check.h"
#include "pool/net/frame.h"

namespace {

using gemmine::Bytes;
using gemmine::ByteView;
using gemmine::pool::encode_frame;
using gemmine::pool::Frame;
using gemmine::pool::FrameSplitter;

struct Outcome {
  Bytes encoded;  // every frame found, encoded again
  std::string error;
  bool mid_frame = false;
  bool operator==(const Outcome&) const = default;
};

// The sizes of the chunks come from `chunks`, over and over; nothing means all at once.
Outcome split(ByteView input, ByteView chunks) {
  Outcome out;
  FrameSplitter splitter;
  for (size_t turn = 0; !input.empty() && out.error.empty(); ++turn) {
    const size_t wanted = chunks.empty() ? input.size() : chunks[turn % chunks.size()] % 32 + 1u;
    ByteView chunk = input.first(std::min(wanted, input.size()));
    input = input.subspan(chunk.size());
    while (true) {
      const auto frame = splitter.next(&chunk);
      if (!frame) out.error = frame.error().detail;
      if (!frame || !frame.value()) break;
      const Frame& found = *frame.value();
      GEMMINE_CHECK(found.payload.size() <= splitter.payload_max());
      const Bytes bytes = encode_frame(found.type, found.flags, found.seq, found.payload);
      out.encoded.insert(out.encoded.end(), bytes.begin(), bytes.end());
    }
    GEMMINE_CHECK(!out.error.empty() || chunk.empty());
  }
  out.mid_frame = splitter.mid_frame();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The first byte says how many bytes steer the chunks.
  const ByteView input(data, size);
  const size_t steering = size == 0 ? 0 : std::min<size_t>(data[0] % 8, size - 1);
  const ByteView chunks = size == 0 ? input : input.subspan(1, steering);
  const ByteView stream = size == 0 ? input : input.subspan(1 + steering);
  const Outcome whole = split(stream, {});
  GEMMINE_CHECK(split(stream, chunks) == whole);
  GEMMINE_CHECK(std::equal(whole.encoded.begin(), whole.encoded.end(), stream.begin()));
  GEMMINE_CHECK(!whole.error.empty() || whole.mid_frame || whole.encoded.size() == stream.size());
  return 0;
}
