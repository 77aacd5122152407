#include "pool/wire/parts.h"

#include <gtest/gtest.h>

#include "kernels/hash/opening.h"

namespace gemmine::pool {
namespace {

TEST(Groups, AreCountedUpAndNeverNone) {
  EXPECT_EQ(groups_of(0), 1U);
  EXPECT_EQ(groups_of(1), 1U);
  EXPECT_EQ(groups_of(kGroupBytes), 1U);
  EXPECT_EQ(groups_of(kGroupBytes + 1), 2U);
}

TEST(Groups, OfARangeHaveTheirBytesAndChunks) {
  const uint64_t total = 5 * kGroupBytes + 17;
  const GroupRange last{4, 2};
  ASSERT_TRUE(last.is_in(total));
  EXPECT_EQ(last.offset(), 4 * kGroupBytes);
  EXPECT_EQ(last.bytes(total), kGroupBytes + 17);
  EXPECT_EQ(last.chunks(total).first, 4 * kGroupChunks);
  EXPECT_EQ(last.chunks(total).last, 5 * kGroupChunks + 1);
  const GroupRange empty{0, 1};
  EXPECT_EQ(empty.bytes(0), 0U);
  EXPECT_EQ(empty.chunks(0).last, 1U);  // the empty string is one empty chunk
}

TEST(Groups, OutsideTheStringAreSeen) {
  const uint64_t total = 5 * kGroupBytes;
  EXPECT_TRUE((GroupRange{4, 1}).is_in(total));
  EXPECT_FALSE((GroupRange{4, 2}).is_in(total));
  EXPECT_FALSE((GroupRange{5, 1}).is_in(total));
  EXPECT_FALSE((GroupRange{0, 0}).is_in(total));
  EXPECT_FALSE((GroupRange{~uint64_t{0}, 2}).is_in(total));
}

TEST(Groups, GoByAFewUntilTheEnd) {
  const uint64_t total = (kPartGroups + 1) * kGroupBytes;
  EXPECT_EQ(next_part(0, total).count, kPartGroups);
  EXPECT_EQ(next_part(kPartGroups, total).count, 1U);
}

TEST(Parts, AreOfTheirStringOnly) {
  Bytes bytes(2 * kGroupBytes + 5);
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<uint8_t>(i * i >> 7);
  const auto source = kernels::ChunkSource::of_bytes(bytes);
  const auto tree = kernels::ChunkTree::build(kernels::Blake3Mode::plain(), source);
  const GroupRange range{1, 2};
  const kernels::ChunkRange chunks = range.chunks(bytes.size());
  Part part{bytes.size(), 1, 2, tree.open(std::span(&chunks, 1), &source).value(),
            Bytes(bytes.begin() + kGroupBytes, bytes.end())};
  EXPECT_TRUE(check_part(part, tree.root(), bytes.size()));
  EXPECT_FALSE(check_part(part, Digest{}, bytes.size()));
  EXPECT_FALSE(check_part(part, tree.root(), bytes.size() + 1));
  part.bytes[7] ^= 1;
  EXPECT_EQ(check_part(part, tree.root(), bytes.size()).error().code, Errc::invalid);
  part.bytes[7] ^= 1;
  part.first_group = 0;
  EXPECT_FALSE(check_part(part, tree.root(), bytes.size()));
  part.first_group = 2;
  EXPECT_EQ(check_part(part, tree.root(), bytes.size()).error().code, Errc::malformed);
}

}  // namespace
}  // namespace gemmine::pool
