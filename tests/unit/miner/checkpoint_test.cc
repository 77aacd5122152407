#include "miner/checkpoint.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/unit/pool/temp_directory.h"

namespace gemmine::miner {
namespace {

namespace fs = std::filesystem;

Digest digest(uint8_t first) {
  Digest out;
  out.bytes[0] = first;
  return out;
}

class Kept : public ::testing::Test {
 protected:
  verifier::Lease lease(uint8_t pool, uint64_t serial) {
    verifier::Lease out;
    out.pool_key = digest(pool);
    out.serial = serial;
    out.theta_root = digest(static_cast<uint8_t>(serial));
    out.steps = 1;
    out.id = verifier::lease_id(out);
    return out;
  }
  Digest save(const verifier::Lease& lease) {
    EXPECT_TRUE(checkpoint_.save_lease(lease));
    return lease.id;
  }
  verifier::Share share(const Digest& lease_id, uint32_t index) {
    verifier::Share out;
    out.lease_id = lease_id;
    out.index = index;
    return out;
  }

  pool::TempDirectory folder_;
  Checkpoint checkpoint_ = Checkpoint::open(folder_.path() + "/leases").value();
};

TEST_F(Kept, GivesBackWhatWasSaved) {
  const Digest id = save(lease(1, 1));
  const std::vector<float> state = {1.0F, -2.5F, 0.0F};
  ASSERT_TRUE(checkpoint_.save_state(id, 1, state));
  const std::vector<Digest> steps = {digest(5), digest(6)};
  ASSERT_TRUE(checkpoint_.save_share(share(id, 0), steps));
  ASSERT_TRUE(checkpoint_.save_delta(id, Bytes{7, 8}));
  EXPECT_EQ(checkpoint_.load_state(id, 1, 3).value(), state);
  EXPECT_EQ(checkpoint_.load_share(id, 0).value().lease_id, id);
  EXPECT_EQ(checkpoint_.load_steps(id, 0).value(), steps);
  EXPECT_EQ(checkpoint_.load_steps(id, 1).error().code, Errc::io);
  EXPECT_EQ(checkpoint_.load_delta(id).value(), (Bytes{7, 8}));
  EXPECT_EQ(checkpoint_.load_state(id, 1, 2).error().code, Errc::invalid);
  EXPECT_EQ(checkpoint_.load_state(id, 1, 4).error().code, Errc::malformed);
  checkpoint_.drop_state(id, 1);
  EXPECT_EQ(checkpoint_.load_state(id, 1, 3).error().code, Errc::io);
  checkpoint_.forget(id);
  EXPECT_EQ(checkpoint_.load_share(id, 0).error().code, Errc::io);
}

TEST_F(Kept, CountsSharesUpToTheFirstThatIsMissing) {
  const Digest id = save(lease(1, 1));
  EXPECT_EQ(checkpoint_.shares(id), 0U);
  for (const uint32_t index : {0, 1, 3})
    ASSERT_TRUE(checkpoint_.save_share(share(id, index), {}));
  EXPECT_EQ(checkpoint_.shares(id), 2U);
}

TEST_F(Kept, TellsPoolsApart) {
  const Digest ours = save(lease(1, 1));
  const Digest theirs = save(lease(2, 2));
  EXPECT_EQ(checkpoint_.leases(digest(1)), std::vector<Digest>{ours});
  EXPECT_EQ(checkpoint_.leases(digest(2)), std::vector<Digest>{theirs});
  EXPECT_TRUE(checkpoint_.leases(digest(3)).empty());
  EXPECT_EQ(checkpoint_.thetas().size(), 2U);
}

TEST_F(Kept, RemovesWhatWasNeverWrittenToItsEndAndNothingElse) {
  const Digest id = save(lease(1, 1));
  const std::string empty = folder_.path() + "/leases/" + to_hex(digest(9).bytes);
  fs::create_directories(empty);
  const std::string foreign = folder_.path() + "/leases/notes";
  fs::create_directories(foreign);
  EXPECT_EQ(checkpoint_.leases(digest(1)), std::vector<Digest>{id});
  EXPECT_FALSE(fs::exists(empty));
  EXPECT_TRUE(fs::exists(foreign));
}

TEST_F(Kept, KeepsABoundedNumberOfLeases) {
  for (uint64_t serial = 0; serial < kLeasesKeptMax + 3; ++serial)
    save(lease(1, serial));
  EXPECT_EQ(checkpoint_.leases(digest(1)).size(), kLeasesKeptMax);
}

TEST_F(Kept, KnowsWhetherThereIsRoom) {
  EXPECT_TRUE(checkpoint_.room(1 << 16));
  EXPECT_FALSE(checkpoint_.room(uint64_t{1} << 60));
  EXPECT_TRUE(fs::is_empty(folder_.path() + "/leases"));
}

}  // namespace
}  // namespace gemmine::miner
