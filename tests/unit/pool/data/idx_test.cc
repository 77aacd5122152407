#include "pool/data/idx.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/data/idx_file.h"

namespace gemmine::pool {
namespace {

// What is wrong with a file, or nothing.
std::string refusal(const Bytes& file, uint64_t bytes_max = 1 << 20) {
  auto reader = IdxReader::open(ByteStream::over(file, "f", 1 << 20), bytes_max);
  if (!reader) return reader.error().detail;
  while (true) {
    const auto run = reader.value().next();
    if (!run) return run.error().detail;
    if (run.value().empty()) return "";
  }
}

TEST(Idx, TakesAnyNumberOfSidesUpToFour) {
  EXPECT_EQ(refusal(idx({6}, 6)), "");
  EXPECT_EQ(refusal(idx({1, 2, 3, 1}, 6)), "");
  EXPECT_EQ(refusal(idx({1, 2, 3, 1, 1}, 6)), "f: 5 dimensions");
  EXPECT_EQ(refusal(idx({}, 0)), "f: 0 dimensions");
}

TEST(Idx, RefusesProductsThatWouldWrap) {
  EXPECT_NE(refusal(idx({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 4)).find("or more than"),
            std::string::npos);
  EXPECT_NE(refusal(idx({3}, 3), 2).find("more than 2 bytes"), std::string::npos);
}

TEST(Idx, RefusesOtherElementTypesAndTrailingBytes) {
  Bytes floats = idx({2}, 2);
  floats[2] = 0x0d;
  EXPECT_EQ(refusal(floats), "f: elements of IDX type 13, not unsigned bytes (8)");
  EXPECT_EQ(refusal(idx({2}, 3)), "f: its header says 2 bytes, the file has more");
  EXPECT_EQ(refusal(idx({3}, 2)), "f: its header says 3 bytes, the file has fewer");
  EXPECT_NE(refusal(idx({0}, 0)).find("give 0"), std::string::npos);
}

}  // namespace
}  // namespace gemmine::pool
