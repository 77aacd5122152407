#include "pool/store/intake.h"

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "kernels/hash/blake3.h"
#include "pool/blobs/part_reader.h"
#include "pool/blobs/part_writer.h"
#include "tests/unit/pool/temp_directory.h"
#include "verifier/merge/delta.h"

namespace gemmine::pool {
namespace {

constexpr uint64_t kParameters = 5 * kGroupBytes;

Digest filled(uint8_t byte) {
  Digest out;
  out.bytes.fill(byte);
  return out;
}

class Intakes : public testing::Test {
 protected:
  Intakes() : intake_(Intake::open(folder_.path())) {
    root_ = kernels::blake3(delta_);
    GEMMINE_CHECK(write_durable(from_, delta_).ok() && make_tree(from_, root_).ok());
  }
  PartStored store(GroupRange range) {
    const auto reader = PartReader::open(from_, root_);
    StorePart task{{}, lease_, root_, reader.value().part(range).value()};
    return std::get<PartStored>(intake_.value().run(task));
  }
  DeltaFinished finish() {
    FinishDelta task{lease_, root_, kParameters, verifier::kDeltaMaxMax};
    return std::get<DeltaFinished>(intake_.value().run(task));
  }
  void store_all() {
    for (uint64_t at = 0; at < groups_of(delta_.size()); at += kPartGroups)
      ASSERT_EQ(store(next_part(at, delta_.size())).stored, Stored::yes);
  }

  TempDirectory folder_;
  TempDirectory other_;
  const std::string from_ = other_.path() + "/delta";
  Result<Intake> intake_;
  Bytes delta_ = Bytes(verifier::delta_bytes(kParameters), 0);
  Digest root_;
  const Digest lease_ = filled(1);
};

TEST_F(Intakes, MakeADeltaOfItsPartsABlob) {
  store_all();
  EXPECT_EQ(finish().stored, Stored::yes);
  EXPECT_EQ(read_file(folder_.path() + "/" + to_hex(root_.bytes), delta_.size()).value(), delta_);
  EXPECT_TRUE(intake_.value().half_deltas().empty());
}

TEST_F(Intakes, KeepHalfOfOneForTheNextProcess) {
  ASSERT_EQ(store({0, 2}).had, 2U);
  intake_ = Intake::open(folder_.path());
  const auto half = intake_.value().half_deltas();
  ASSERT_EQ(half.size(), 1U);
  EXPECT_EQ(half.at(lease_), 2 * kGroupBytes);
  EXPECT_EQ(store({4, 1}).stored, Stored::later) << "a gap";
  EXPECT_EQ(store({2, 2}).had, 4U);
  EXPECT_EQ(finish().stored, Stored::later) << "not whole";
  DropUpload drop{lease_};
  intake_.value().run(drop);
  EXPECT_TRUE(intake_.value().half_deltas().empty());
}

TEST_F(Intakes, RefuseOtherBytes) {
  const auto reader = PartReader::open(from_, root_);
  StorePart task{{}, lease_, root_, reader.value().part({0, 1}).value()};
  task.part.bytes[9] ^= 1;
  EXPECT_EQ(std::get<PartStored>(intake_.value().run(task)).stored, Stored::refused);
}

TEST_F(Intakes, RefuseADeltaOutOfRange) {
  delta_.back() = 0x80;  // q of -128
  root_ = kernels::blake3(delta_);
  ASSERT_TRUE(write_durable(from_, delta_) && make_tree(from_, root_));
  store_all();
  EXPECT_EQ(finish().stored, Stored::refused);
  EXPECT_TRUE(intake_.value().half_deltas().empty());
}

TEST_F(Intakes, AskAgainForWhatTheDiskDamaged) {
  store_all();
  auto file = PieceFile::open_or_make(intake_.value().delta_path(lease_));
  ASSERT_TRUE(file.value().write(100'000, Bytes(3, 1)));
  EXPECT_EQ(finish().stored, Stored::later);
  EXPECT_TRUE(intake_.value().half_deltas().empty());
}

TEST_F(Intakes, SayWhenTheDiskFails) {
  std::filesystem::remove_all(folder_.path() + "/incoming");
  EXPECT_EQ(store({0, 1}).stored, Stored::failed);
}

}  // namespace
}  // namespace gemmine::pool
