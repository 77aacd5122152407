#include "pool/net/frame.h"

#include <random>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

struct Seen {
  uint8_t type;
  uint8_t flags;
  uint32_t seq;
  Bytes payload;
  bool operator==(const Seen&) const = default;
};

// Everything `splitter` finds in `bytes`, and its error if it has one.
std::string split(FrameSplitter* splitter, ByteView bytes, std::vector<Seen>* out) {
  while (true) {
    const auto frame = splitter->next(&bytes);
    if (!frame) return frame.error().detail;
    if (!frame.value()) {
      EXPECT_TRUE(bytes.empty());
      return "";
    }
    const ByteView payload = frame.value()->payload;
    out->push_back({frame.value()->type, frame.value()->flags, frame.value()->seq,
                    Bytes(payload.begin(), payload.end())});
  }
}

std::string split_whole(ByteView bytes, size_t payload_max = kFramePayloadMax) {
  FrameSplitter splitter;
  splitter.set_payload_max(payload_max);
  std::vector<Seen> seen;
  return split(&splitter, bytes, &seen);
}

TEST(Frame, HasTheProtocolsByteLayout) {
  EXPECT_EQ(to_hex(encode_frame(0x11, 0x01, 0x01020304, Bytes{0xaa, 0xbb})),
            "0200000011010000"
            "04030201"
            "aabb");
}

TEST(FrameSplitter, FindsTheSameFramesInAnyChunking) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    Bytes stream;
    std::vector<Seen> sent;
    for (uint32_t seq = 1; seq <= 1 + random() % 20; ++seq) {
      Bytes payload(random() % (random() % 8 == 0 ? 200'000 : 300));
      for (uint8_t& byte : payload)
        byte = static_cast<uint8_t>(random());
      sent.push_back(
          {static_cast<uint8_t>(random()), static_cast<uint8_t>(random()), seq, payload});
      const Bytes frame = encode_frame(sent.back().type, sent.back().flags, seq, payload);
      stream.insert(stream.end(), frame.begin(), frame.end());
    }
    FrameSplitter splitter;
    splitter.set_payload_max(kFramePayloadMax);
    std::vector<Seen> seen;
    const size_t chunk_max = round % 2 == 0 ? 13 : 100'000;
    for (ByteView rest = stream; !rest.empty();) {
      const size_t count = std::min<size_t>(rest.size(), random() % (chunk_max + 1));
      ASSERT_EQ(split(&splitter, rest.first(count), &seen), "");
      rest = rest.subspan(count);
    }
    ASSERT_EQ(seen, sent);
    EXPECT_FALSE(splitter.mid_frame());
  }
}

TEST(FrameSplitter, RefusesAnOversizedLengthFromTheHeaderAlone) {
  const Bytes frame = encode_frame(1, 0, 1, Bytes(kFramePayloadMaxBeforeAuth + 1));
  EXPECT_THAT(split_whole(ByteView(frame).first(kFrameHeaderBytes), kFramePayloadMaxBeforeAuth),
              testing::HasSubstr("frame of 4097 bytes, at most 4096"));
  Bytes huge = encode_frame(1, 0, 1, {});
  huge[0] = huge[1] = huge[2] = huge[3] = 0xff;
  EXPECT_THAT(split_whole(huge), testing::HasSubstr("4294967295 bytes, at most 2097152"));
}

TEST(FrameSplitter, TakesExactlyTheLargestPayload) {
  EXPECT_EQ(split_whole(encode_frame(1, 0, 1, Bytes(kFramePayloadMax))), "");
}

TEST(FrameSplitter, RefusesReservedBytes) {
  for (const size_t at : {6u, 7u}) {
    Bytes frame = encode_frame(1, 0, 1, {});
    frame[at] = 1;
    EXPECT_THAT(split_whole(frame), testing::HasSubstr("reserved"));
  }
}

TEST(FrameSplitter, RefusesAGapARepeatAndAWrongStart) {
  for (const uint32_t second : {0u, 1u, 3u, UINT32_MAX}) {
    Bytes stream = encode_frame(1, 0, 1, {});
    const Bytes next = encode_frame(1, 0, second, {});
    stream.insert(stream.end(), next.begin(), next.end());
    EXPECT_THAT(split_whole(stream), testing::HasSubstr("after number 1"));
  }
  EXPECT_NE(split_whole(encode_frame(1, 0, 0, {})), "");
  EXPECT_NE(split_whole(encode_frame(1, 0, 2, {})), "");
}

TEST(FrameSplitter, StaysFailedAfterAnError) {
  FrameSplitter splitter;
  std::vector<Seen> seen;
  const std::string error = split(&splitter, encode_frame(1, 0, 9, {}), &seen);
  EXPECT_NE(error, "");
  EXPECT_EQ(split(&splitter, encode_frame(1, 0, 1, {}), &seen), error);
  EXPECT_TRUE(seen.empty());
}

TEST(FrameSplitter, AppliesANewBoundFromTheNextHeaderOn) {
  Bytes stream = encode_frame(1, 0, 1, {});
  const Bytes large = encode_frame(2, 0, 2, Bytes(kFramePayloadMaxBeforeAuth + 1));
  stream.insert(stream.end(), large.begin(), large.end());
  FrameSplitter splitter;
  ByteView rest = stream;
  ASSERT_TRUE(splitter.next(&rest).value());
  splitter.set_payload_max(kFramePayloadMax);
  const auto second = splitter.next(&rest);
  ASSERT_TRUE(second);
  EXPECT_EQ(second.value()->payload.size(), kFramePayloadMaxBeforeAuth + 1);
}

TEST(FrameSplitter, KnowsThatAFrameWasCut) {
  const Bytes frame = encode_frame(1, 0, 1, Bytes(5));
  for (size_t size = 1; size < frame.size(); ++size) {
    FrameSplitter splitter;
    std::vector<Seen> seen;
    EXPECT_EQ(split(&splitter, ByteView(frame).first(size), &seen), "");
    EXPECT_TRUE(splitter.mid_frame());
  }
}

}  // namespace
}  // namespace gemmine::pool
