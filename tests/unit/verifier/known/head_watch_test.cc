// A pool is held to what it has signed, from run to run and from program to program.
#include "verifier/known/head_watch.h"

#include <filesystem>

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "tests/unit/pool/temp_directory.h"
#include "verifier/proof/proof.h"

namespace gemmine::verifier {
namespace {

Digest filled(uint8_t byte) {
  Digest out;
  out.bytes.fill(byte);
  return out;
}

class Watch : public testing::Test {
 protected:
  SignedHead head(uint64_t seq, uint64_t time_ms, uint8_t byte) const {
    SignedHead out{.seq = seq, .time_ms = time_ms, .head = filled(byte)};
    sign(out, pool_);
    return out;
  }
  // Another run, or another program of this user.
  HeadWatch run(PoolWords words = {}) const { return {KnownPools(known_), std::move(words)}; }
  void remember(const SignedHead& head) const {
    HeadWatch watch = run();
    EXPECT_TRUE(watch.meet(key_, ""));
    EXPECT_FALSE(watch.saw(head));
    EXPECT_TRUE(watch.save());
  }

  pool::TempDirectory folder_;
  const std::string known_ = folder_.path() + "/state/pools";
  const Identity pool_ = Identity::from_seed(filled(1));
  const Digest key_ = pool_.public_key();
};

TEST_F(Watch, LetsALedgerGrow) {
  remember(head(5, 100, 1));
  HeadWatch watch = run();
  ASSERT_TRUE(watch.meet(key_, ""));
  ASSERT_TRUE(watch.known());
  for (uint64_t seq = 0; seq < 5; ++seq)
    EXPECT_FALSE(watch.saw(head(seq, 20 * seq, 9)));
  EXPECT_NE(watch.cut(), "");
  EXPECT_FALSE(watch.saw(head(5, 100, 1)));
  EXPECT_EQ(watch.cut(), "");
  EXPECT_FALSE(watch.saw(head(6, 100, 2)));
  ASSERT_TRUE(watch.save());
  EXPECT_EQ(KnownPools(known_).head(key_).value()->seq, 6U);
}

TEST_F(Watch, RemembersTheNewestWhoeverWritesLast) {
  remember(head(9, 100, 1));
  remember(head(5, 50, 2));
  EXPECT_EQ(KnownPools(known_).head(key_).value()->seq, 9U);
}

TEST_F(Watch, TellsARewriteAForkAndARollbackWithAProof) {
  remember(head(5, 100, 1));
  const auto say = [&](const SignedHead& now) {
    HeadWatch watch = run();
    EXPECT_TRUE(watch.meet(key_, ""));
    const auto conflict = watch.saw(now);
    EXPECT_TRUE(conflict);
    if (!conflict) return HeadsSay::nothing;
    const auto proof = read_file(conflict->evidence, 1024);
    EXPECT_TRUE(proof.ok());
    const auto decided = decide_proof(proof.value(), key_);
    EXPECT_TRUE(decided.ok() && decided.value().proven && decided.value().against_pool);
    const auto elsewhere = decide_proof(proof.value(), filled(9));
    EXPECT_FALSE(elsewhere.ok() && elsewhere.value().proven) << "of another pool";
    std::filesystem::remove(conflict->evidence);
    return conflict->say;
  };
  EXPECT_EQ(say(head(5, 100, 2)), HeadsSay::rewrite);
  EXPECT_EQ(say(head(5, 90, 2)), HeadsSay::fork);
  EXPECT_EQ(say(head(5, 110, 2)), HeadsSay::rollback);
  EXPECT_EQ(say(head(3, 110, 2)), HeadsSay::rollback);
}

TEST_F(Watch, ComparesWithinARunToo) {
  HeadWatch watch = run();
  ASSERT_TRUE(watch.meet(key_, ""));
  EXPECT_FALSE(watch.saw(head(5, 100, 1)));
  EXPECT_TRUE(watch.saw(head(4, 101, 1)));
  ASSERT_TRUE(watch.meet(key_, "")) << "after a reconnect";
  EXPECT_TRUE(watch.saw(head(5, 100, 2)));
}

TEST_F(Watch, DistrustsInLaterRunsUntilItsOwnerRemovesWhatIsRemembered) {
  remember(head(5, 100, 1));
  {
    HeadWatch watch = run();
    ASSERT_TRUE(watch.meet(key_, ""));
    EXPECT_EQ(watch.distrust(), "");
    const auto conflict = watch.saw(head(5, 110, 2));
    ASSERT_TRUE(conflict);
    EXPECT_NE(conflict->words.find(known_ + "/" + to_hex(key_.view()) + ".head"), std::string::npos)
        << "what to do next: " << conflict->words;
    EXPECT_NE(watch.distrust(), "");
  }
  HeadWatch later = run();
  ASSERT_TRUE(later.meet(key_, ""));
  EXPECT_NE(later.distrust(), "");
  ASSERT_TRUE(later.meet(filled(9), ""));
  EXPECT_EQ(later.distrust(), "") << "another pool";
  std::filesystem::remove_all(known_);
  HeadWatch anew = run();
  ASSERT_TRUE(anew.meet(key_, ""));
  EXPECT_EQ(anew.distrust(), "");
}

TEST_F(Watch, HoldsThePoolToAHeadThatItsOwnerWasGiven) {
  HeadWatch watch = run({.keys = {}, .heads = {head(5, 100, 1)}});
  ASSERT_TRUE(watch.meet(key_, ""));
  EXPECT_TRUE(watch.saw(head(5, 100, 2)));
  SignedHead unsigned_head = head(5, 100, 1);
  unsigned_head.signature[0] ^= 1;
  HeadWatch other = run({.keys = {}, .heads = {unsigned_head}});
  EXPECT_FALSE(other.meet(key_, "")) << "a head that nobody signed binds nobody";
}

TEST_F(Watch, KnowsAPoolByItsKey) {
  EXPECT_TRUE(run({.keys = {key_}, .heads = {}}).meet(key_, ""));
  EXPECT_FALSE(run({.keys = {filled(3)}, .heads = {}}).meet(key_, ""));
  ASSERT_TRUE(run().meet(key_, "pool.example:4400"));
  EXPECT_TRUE(run().meet(key_, "pool.example:4400"));
  const Digest other = filled(4);
  EXPECT_TRUE(run().meet(other, "pool.example:4401"));
  EXPECT_FALSE(run().meet(other, "pool.example:4400"));
  EXPECT_TRUE(run({.keys = {other}, .heads = {}}).meet(other, "pool.example:4400"));
  EXPECT_TRUE(run().meet(other, "pool.example:4400")) << "its owner has said so";
}

TEST_F(Watch, RefusesADamagedMemory) {
  remember(head(5, 100, 1));
  const std::string path = KnownPools(known_).head_path(key_);
  Bytes bytes = read_file(path, 1024).value();
  bytes[3] ^= 1;
  ASSERT_TRUE(write_durable(path, bytes));
  EXPECT_EQ(run().meet(key_, "").error().code, Errc::invalid);
}

TEST_F(Watch, WithoutAFolderRemembersNothing) {
  HeadWatch watch{KnownPools(""), {}};
  ASSERT_TRUE(watch.meet(key_, "pool.example:4400"));
  EXPECT_FALSE(watch.saw(head(5, 100, 1)));
  EXPECT_TRUE(watch.save());
  EXPECT_FALSE(watch.known());
}

}  // namespace
}  // namespace gemmine::verifier
