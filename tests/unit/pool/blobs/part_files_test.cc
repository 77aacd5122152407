// A file out in parts and in again: what arrives is what was sent, wherever it was cut.
#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "kernels/hash/blake3.h"
#include "pool/blobs/part_reader.h"
#include "pool/blobs/part_writer.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

class PartFiles : public testing::TestWithParam<size_t> {
 protected:
  PartFiles() : bytes_(GetParam()) {
    for (size_t i = 0; i < bytes_.size(); ++i)
      bytes_[i] = static_cast<uint8_t>(i * i >> 7);
    root_ = kernels::blake3(bytes_);
    GEMMINE_CHECK(write_durable(from_, bytes_).ok());
  }
  PartReader reader() {
    GEMMINE_CHECK(make_tree(from_, root_).ok());
    return std::move(PartReader::open(from_, root_).value());
  }
  PartWriter writer() {
    return std::move(PartWriter::open(part_path(to_), root_, bytes_.size()).value());
  }

  TempDirectory folder_;
  const std::string from_ = folder_.path() + "/from";
  const std::string to_ = folder_.path() + "/to";
  Bytes bytes_;
  Digest root_;
};

TEST_P(PartFiles, ArriveWhole) {
  const PartReader out = reader();
  EXPECT_EQ(out.total_bytes(), bytes_.size());
  for (uint64_t at = 0; !writer().whole();) {  // a new process for each part
    const GroupRange range = next_part(at, bytes_.size());
    PartWriter in = writer();
    EXPECT_EQ(in.groups(), at);
    const auto part = out.part(range);
    ASSERT_TRUE(part);
    ASSERT_TRUE(in.take(part.value()));
    at += range.count;
    if (bytes_.empty()) break;  // whole without a byte
  }
  PartWriter in = writer();
  ASSERT_TRUE(!bytes_.empty() || in.take(out.part({0, 1}).value()));
  uint64_t seen = 0;
  ASSERT_TRUE(in.finish(to_, [&](uint64_t at, ByteView piece) {
    EXPECT_EQ(at, seen);
    seen += piece.size();
    return Status(Ok{});
  }));
  EXPECT_EQ(seen, bytes_.size());
  EXPECT_EQ(read_file(to_, bytes_.size()).value(), bytes_);
  EXPECT_TRUE(PartReader::open(to_, root_)) << "with its tree";
  EXPECT_FALSE(PieceFile::open(part_path(to_)));
}

INSTANTIATE_TEST_SUITE_P(OfLengths, PartFiles,
                         testing::Values(0, 1, 1024, kGroupBytes, kGroupBytes + 1,
                                         5 * kGroupBytes + 17, 33 * kGroupBytes));

class BigPartFile : public PartFiles {};
INSTANTIATE_TEST_SUITE_P(Big, BigPartFile, testing::Values(9 * kGroupBytes + 100));

TEST_P(BigPartFile, RefuseOtherBytesGapsAndOtherLengths) {
  const PartReader out = reader();
  const Part first = out.part({0, 4}).value();
  PartWriter in = writer();
  Part wrong = first;
  wrong.bytes[5] ^= 1;
  EXPECT_EQ(in.take(wrong).error().code, Errc::invalid);
  wrong = first;
  wrong.total_bytes += 1;
  EXPECT_EQ(in.take(wrong).error().code, Errc::malformed);
  EXPECT_EQ(in.take(out.part({4, 4}).value()).error().code, Errc::undecided);
  EXPECT_EQ(in.groups(), 0U);
  EXPECT_TRUE(in.take(first));
  EXPECT_TRUE(in.take(first)) << "there already";
  EXPECT_EQ(in.groups(), 4U);
  EXPECT_FALSE(out.part({9, 2}));
}

// A kill in the middle of a write: the torn group is sent again.
TEST_P(BigPartFile, GoOnAfterTheLastWholeGroup) {
  const PartReader out = reader();
  ASSERT_TRUE(writer().take(out.part({0, 4}).value()));
  ASSERT_TRUE(PieceFile::open_or_make(part_path(to_)).value().resize(3 * kGroupBytes + 9));
  EXPECT_EQ(writer().groups(), 3U);
  EXPECT_TRUE(writer().take(out.part({3, 4}).value()));
  EXPECT_TRUE(writer().take(out.part({7, 3}).value()));
  EXPECT_TRUE(writer().finish(to_));
}

// A power cut that leaves other bytes: found when it is whole, and begun again.
TEST_P(BigPartFile, DamagedOnDiskBeginAgain) {
  const PartReader out = reader();
  ASSERT_TRUE(writer().take(out.part({0, 10}).value()));
  ASSERT_TRUE(PieceFile::open_or_make(part_path(to_)).value().write(70'000, Bytes(10, 0)));
  EXPECT_EQ(writer().finish(to_).error().code, Errc::invalid);
  EXPECT_EQ(writer().groups(), 0U);
  EXPECT_FALSE(PieceFile::open(to_));
}

TEST_P(BigPartFile, WithoutOrWithAnotherTreeAreNotServed) {
  EXPECT_EQ(PartReader::open(from_, root_).error().code, Errc::io);
  ASSERT_TRUE(make_tree(from_, root_));
  ASSERT_TRUE(PartReader::open(from_, root_));
  ASSERT_TRUE(PieceFile::open_or_make(tree_path(from_)).value().write(40, Bytes(1, 7)));
  EXPECT_EQ(PartReader::open(from_, root_).error().code, Errc::invalid);
  Digest other = root_;
  other.bytes[0] ^= 1;
  EXPECT_EQ(make_tree(from_, other).error().code, Errc::invalid);
}

}  // namespace
}  // namespace gemmine::pool
