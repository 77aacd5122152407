#include "pool/store/blob_reader.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "pool/blobs/tree_file.h"
#include "pool/store/blobs.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

class BlobReaders : public testing::Test {
 protected:
  Digest put(uint8_t byte, size_t bytes = 3 * kGroupBytes) {
    return put_blob(folder_.path(), Bytes(bytes, byte)).value();
  }
  TempDirectory folder_;
  BlobReader reader_{folder_.path()};
};

TEST_F(BlobReaders, ReadPartsThatCheck) {
  const Digest address = put(1);
  const auto part = reader_.read({address, 1, 2});
  ASSERT_TRUE(part);
  EXPECT_EQ(part.value().bytes, Bytes(2 * kGroupBytes, 1));
  EXPECT_TRUE(check_part(part.value(), address, 3 * kGroupBytes));
  EXPECT_EQ(reader_.read({address, 3, 1}).error().code, Errc::invalid_argument);
}

TEST_F(BlobReaders, SayThatThereIsNone) {
  const auto none = reader_.read({Digest{}, 0, 1});
  EXPECT_EQ(none.error().code, Errc::io);
  EXPECT_EQ(none.error().detail, "no such blob");
}

TEST_F(BlobReaders, AskForATree) {
  const Digest address = put(1);
  const std::string path = reader_.path(address);
  remove_file(tree_path(path));
  EXPECT_EQ(reader_.read({address, 0, 1}).error().code, Errc::undecided);
  ASSERT_TRUE(make_tree(path, address));
  EXPECT_TRUE(reader_.read({address, 0, 1}));
}

TEST_F(BlobReaders, SeeWhatTheDiskDamaged) {
  const Digest address = put(1);
  ASSERT_TRUE(PieceFile::open_or_make(reader_.path(address)).value().write(70'000, Bytes(1, 9)));
  EXPECT_TRUE(reader_.read({address, 0, 1}));
  const auto damaged = reader_.read({address, 1, 1});
  EXPECT_EQ(damaged.error().code, Errc::invalid);
  EXPECT_EQ(damaged.error().detail, "blob " + to_hex(address.bytes) + " is damaged on disk");
}

TEST_F(BlobReaders, ReadMoreBlobsThanTreesAreAtHand) {
  std::vector<Digest> all;
  for (size_t i = 0; i < kOpenTreesMax + 10; ++i)
    all.push_back(put(static_cast<uint8_t>(i), kGroupBytes + 1 + i));
  for (int round = 0; round < 2; ++round)
    for (const Digest& address : all)
      EXPECT_TRUE(reader_.read({address, 0, 2}));
}

TEST_F(BlobReaders, HoldNoFileOpen) {
  const auto open_files = [] {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return std::distance(begin(all), end(all));
  };
  const auto before = open_files();
  std::vector<Digest> all;
  for (size_t i = 0; i < kOpenTreesMax; ++i)
    all.push_back(put(static_cast<uint8_t>(i)));
  for (const Digest& address : all)
    EXPECT_TRUE(reader_.read({address, 0, 1}));
  EXPECT_EQ(open_files(), before);
  remove_file(reader_.path(all.back()));
  EXPECT_EQ(reader_.read({all.back(), 0, 1}).error().code, Errc::io) << "it was dropped";
}

TEST_F(BlobReaders, AndFloatsAreCheckedAsTheyAreRead) {
  const std::vector<float> floats(40'000, 1.5F);
  const Digest address = put_blob(folder_.path(), as_bytes(std::span<const float>(floats))).value();
  EXPECT_EQ(read_floats(folder_.path(), address, floats.size()).value(), floats);
  EXPECT_EQ(read_floats(folder_.path(), address, 39'999).error().code, Errc::invalid);
  ASSERT_TRUE(PieceFile::open_or_make(reader_.path(address)).value().write(5, Bytes(1, 9)));
  EXPECT_EQ(read_floats(folder_.path(), address, floats.size()).error().code, Errc::invalid);
}

}  // namespace
}  // namespace gemmine::pool
