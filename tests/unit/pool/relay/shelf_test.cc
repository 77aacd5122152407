#include "pool/relay/shelf.h"

#include <chrono>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "pool/blobs/part_writer.h"
#include "pool/blobs/tree_file.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

using testing::HasSubstr;

constexpr uint64_t kEach = 1'000;  // a blob of it has a tree of one digest, as it is counted
constexpr uint64_t kTaken = kEach + sizeof(Digest);

class OnTheShelf : public testing::Test {
 protected:
  static Digest name(uint8_t number) {
    Digest out;
    out.bytes.fill(number);
    return out;
  }
  std::string path(uint8_t number) const { return Shelf::path(folder_.path(), name(number)); }
  // Blob `number`, last asked for `minutes` ago, with a tree.
  void put(uint8_t number, int minutes) const {
    for (const std::string& file : {path(number), tree_path(path(number))}) {
      ASSERT_TRUE(write_durable(file, Bytes(file == path(number) ? kEach : sizeof(Digest), 1)));
      std::filesystem::last_write_time(
          file, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(minutes));
    }
  }
  bool has(uint8_t number) const { return std::filesystem::exists(path(number)); }
  Shelf shelf(uint64_t blobs) const { return {folder_.path(), blobs * kTaken}; }

  TempDirectory folder_;
};

TEST_F(OnTheShelf, TheOldestMakeRoom) {
  put(1, 30);
  put(2, 50);
  put(3, 10);
  Shelf three = shelf(3);
  ASSERT_TRUE(three.make_room(name(9), kEach));
  EXPECT_TRUE(has(1) && !has(2) && has(3));
  EXPECT_FALSE(std::filesystem::exists(tree_path(path(2))));
  ASSERT_TRUE(three.make_room(name(8), kEach));
  EXPECT_TRUE(!has(1) && has(3)) << "room is kept for what is on its way";
}

TEST_F(OnTheShelf, WhatWasAskedForStays) {
  put(1, 30);
  put(2, 50);
  Shelf::touch(folder_.path(), name(2));
  ASSERT_TRUE(shelf(2).make_room(name(9), kEach));
  EXPECT_TRUE(!has(1) && has(2));
}

TEST_F(OnTheShelf, WhatDoesNotFitIsRefused) {
  put(1, 30);
  const Status much = shelf(2).make_room(name(9), 2 * kEach + kGroupBytes);
  ASSERT_FALSE(much);
  EXPECT_EQ(much.error().code, Errc::io);
  EXPECT_THAT(much.error().detail, HasSubstr("does not fit"));
  Shelf two = shelf(2);
  ASSERT_TRUE(two.make_room(name(7), kEach));
  ASSERT_TRUE(two.make_room(name(8), kEach));
  EXPECT_FALSE(two.make_room(name(9), kEach)) << "nothing on its way goes for another";
  two.done(name(7));
  EXPECT_TRUE(two.make_room(name(9), kEach));
}

TEST_F(OnTheShelf, AHalfOfItsOwnIsNotInTheWay) {
  ASSERT_TRUE(write_durable(part_path(path(9)), Bytes(900, 1)));
  ASSERT_TRUE(write_durable(part_path(path(5)), Bytes(900, 1)));
  ASSERT_TRUE(shelf(1).make_room(name(9), kEach));
  EXPECT_TRUE(std::filesystem::exists(part_path(path(9))));
  EXPECT_FALSE(std::filesystem::exists(part_path(path(5)))) << "an old half goes as others do";
}

TEST_F(OnTheShelf, OtherFilesAreLeftAlone) {
  ASSERT_TRUE(write_durable(folder_.path() + "/notes.txt", Bytes(100'000, 1)));
  EXPECT_TRUE(shelf(1).make_room(name(9), kEach));
  EXPECT_TRUE(std::filesystem::exists(folder_.path() + "/notes.txt"));
}

}  // namespace
}  // namespace gemmine::pool
