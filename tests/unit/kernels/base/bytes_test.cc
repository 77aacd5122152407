#include "kernels/base/bytes.h"

#include <gtest/gtest.h>

namespace gemmine {
namespace {

TEST(Reader, StaysFailedAfterTheFirstOverrun) {
  const Bytes bytes = {1, 2, 3};
  Reader reader(bytes);
  EXPECT_EQ(reader.get<uint16_t>(), 0x0201);
  EXPECT_EQ(reader.get<uint32_t>(), 0u);
  EXPECT_EQ(reader.get<uint8_t>(), 0u);
  EXPECT_FALSE(reader.ok());
}

TEST(Reader, TrailingBytesAreNotDone) {
  const Bytes bytes = {1, 2, 3};
  Reader reader(bytes);
  reader.get<uint8_t>();
  EXPECT_TRUE(reader.ok());
  EXPECT_FALSE(reader.done());
}

TEST(Reader, RefusesTextThatIsTooLongOrUnprintable) {
  const Bytes text = Writer().put_text("hello").take();
  EXPECT_EQ(Reader(text).get_text(5), "hello");
  Reader longer(text);
  EXPECT_EQ(longer.get_text(4), "");
  EXPECT_FALSE(longer.ok());
  const Bytes control = Writer().put_text("a\nb").take();
  Reader unprintable(control);
  unprintable.get_text(9);
  EXPECT_FALSE(unprintable.ok());
}

TEST(Hex, RoundTripsAndNamesTheBadCharacter) {
  const Bytes bytes = {0x00, 0xab, 0xff};
  EXPECT_EQ(to_hex(bytes), "00abff");
  EXPECT_EQ(from_hex("00ABff").value(), bytes);
  EXPECT_NE(from_hex("0g").error().detail.find("character 2"), std::string::npos);
  EXPECT_FALSE(from_hex("abc"));
  EXPECT_FALSE(digest_from_hex("00ff"));
}

}  // namespace
}  // namespace gemmine
