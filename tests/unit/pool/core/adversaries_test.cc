// Cheats that are messages: each with the refusal it gets, or the verdict and what that costs.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/hash/opening.h"
#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

using verifier::CloseReason;
using verifier::Outcome;
using verifier::RecordKind;
using verifier::Share;

constexpr ConnId kOther{7};

const verifier::Identity& other() {
  static const auto identity = verifier::Identity::from_seed(filled(4));
  return identity;
}

// What the pool says to a share, signed anew, and that nothing was logged.
std::optional<WireError> refusal(Scene& s, Share share, ConnId id = kMiner,
                                 const verifier::Identity& signer = miner()) {
  verifier::sign(share, signer);
  const size_t records = s.fake.durable.size();
  s.fake.inbox.clear();
  s.fake.send_share(id, share);
  EXPECT_EQ(s.fake.durable.size(), records);
  return s.fake.error();
}

Scene& with_other(Scene& s) {
  EXPECT_EQ(s.fake.join(kOther, other(), Role::miner, "mallory"), std::nullopt);
  return s;
}

TEST(CheatingShares, ReplayedAreAcknowledgedAndPaidOnce) {
  Scene s(setup(false));
  const auto acknowledged = [&](uint32_t index) {
    const auto payload = s.fake.receive(MessageType::share_ok);
    EXPECT_TRUE(payload);
    if (!payload) return verifier::Receipt{};
    const auto ok = decode<ShareOk>(*payload).value();
    const auto head =
        verifier::head_of(ok.receipt, static_cast<uint8_t>(verifier::RecordKind::share),
                          verifier::signed_body(encode(s.work.shares[index])));
    EXPECT_TRUE(verifier::signed_by(head, s.fake.identity().public_key()));
    return ok.receipt;
  };
  const verifier::Receipt first = acknowledged(0);
  s.fake.send_share(kMiner, s.work.shares[0]);
  EXPECT_EQ(acknowledged(0), first);
  EXPECT_EQ(s.fake.lease_state(s.lease).shares.size(), 1U);
  s.fake.start(s.fake.durable);  // the receipt is found again after a restart
  EXPECT_EQ(s.fake.join(kMiner, miner()), std::nullopt);
  s.fake.send_share(kMiner, s.work.shares[0]);
  EXPECT_EQ(acknowledged(0), first);
  s.second_share();
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  const auto accounts = s.fake.pool->ledger().accounts();
  const size_t records = s.fake.durable.size();
  for (const Share& share : s.work.shares) {
    s.fake.inbox.clear();
    s.fake.send_share(kMiner, share);
    EXPECT_EQ(s.fake.error(), WireError::lease_closed);
  }
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  EXPECT_EQ(s.fake.error(), WireError::lease_closed);
  EXPECT_EQ(s.fake.durable.size(), records);
  EXPECT_EQ(s.fake.pool->ledger().accounts(), accounts);
}

TEST(CheatingShares, CopiedFromAnotherMinerAreRefused) {
  Scene s(setup(false));
  with_other(s);
  const auto lease = *s.fake.get_lease(kOther);
  Share copy = s.work.shares[0];
  EXPECT_EQ(refusal(s, copy, kOther, other()), WireError::unknown_lease);
  // Under its own lease the start is right and the trace's key is not: a replay sees it.
  copy.lease_id = lease.id;
  verifier::sign(copy, other());
  s.fake.send_share(kOther, copy);
  EXPECT_EQ(s.fake.lease_state(lease).closed, CloseReason::rejected);
  EXPECT_TRUE(s.fake.pool->ledger().members().at(other().public_key()).banned);
  EXPECT_FALSE(s.banned());
}

TEST(CheatingShares, OfAnotherKeysLeaseAreRefused) {
  Scene s(setup(false));
  with_other(s);
  EXPECT_EQ(refusal(s, s.work.shares[1], kOther), WireError::unknown_lease);
  Share share = s.work.shares[1];
  EXPECT_EQ(refusal(s, share, kMiner, other()), WireError::bad_signature);
  s.fake.frame(kOther, MessageType::abandon, encode(Abandon{s.lease.id}));
  EXPECT_EQ(s.fake.error(), WireError::unknown_lease);
  s.fake.send_delta(kOther, s.lease, s.work.delta);
  EXPECT_EQ(s.fake.error(), WireError::unknown_lease);
}

TEST(CheatingShares, ThatLieInAFieldAreRefused) {
  const struct {
    const char* what;
    void (*change)(Share&);
    WireError expected;
  } cases[] = {
      {"a later index", [](Share& s) { s.index = 2; }, WireError::out_of_order},
      {"an index already taken", [](Share& s) { s.index = 0; }, WireError::conflict},
      {"another first step", [](Share& s) { s.first_step = 0; }, WireError::out_of_order},
      {"more steps", [](Share& s) { s.steps = 3; }, WireError::bad_steps},
      {"no steps", [](Share& s) { s.steps = 0; }, WireError::bad_steps},
      {"another start", [](Share& s) { s.state_before.bytes[0] ^= 1; }, WireError::out_of_order},
      {"more work", [](Share& s) { ++s.macs; }, WireError::bad_price},
      {"NaN", [](Share& s) { s.loss = std::nanf(""); }, WireError::bad_value},
      {"infinity", [](Share& s) { s.loss = std::numeric_limits<float>::infinity(); },
       WireError::bad_value},
      {"no delta", [](Share& s) { s.delta_root = {}; }, WireError::bad_delta},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(each.what);
    Scene s(setup(false));
    Share share = s.work.shares[1];
    each.change(share);
    const auto got = refusal(s, share);
    EXPECT_EQ(got, each.expected);
    EXPECT_FALSE(s.banned());  // refused work is not a crime: nothing was committed to
    s.fake.send_share(kMiner, s.work.shares[1]);
    EXPECT_EQ(s.state().shares.size(), 2U);
  }
}

TEST(CheatingShares, AfterTheCloseAreRefused) {
  Scene s(setup(false));
  s.fake.frame(kMiner, MessageType::abandon, encode(Abandon{s.lease.id}));
  EXPECT_EQ(s.state().closed, CloseReason::abandoned);
  EXPECT_EQ(refusal(s, s.work.shares[1]), WireError::lease_closed);
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  EXPECT_EQ(s.fake.error(), WireError::lease_closed);
}

TEST(CheatingShares, ThatWereSentAndAbandonedAreStillJudged) {
  Scene s(setup(false));
  with_other(s);
  const auto lease = *s.fake.get_lease(kOther);
  Share wrong = s.fake.work(lease, other()).shares[0];
  wrong.trace_root.bytes[0] ^= 1;
  verifier::sign(wrong, other());
  s.fake.run_tasks = false;
  s.fake.send_share(kOther, wrong);
  s.fake.frame(kOther, MessageType::abandon, encode(Abandon{wrong.lease_id}));
  s.fake.run_held();
  EXPECT_TRUE(s.fake.pool->ledger().members().at(other().public_key()).banned);
}

TEST(CheatingOpenings, ForgedAreFoundWrong) {
  const struct {
    const char* what;
    void (*change)(std::vector<Bytes>&);
  } cases[] = {
      {"one bit", [](std::vector<Bytes>& blocks) { blocks[1][blocks[1].size() / 2] ^= 4; }},
      {"the last byte", [](std::vector<Bytes>& blocks) { blocks[0].back() ^= 0x80; }},
      {"cut short", [](std::vector<Bytes>& blocks) { blocks[2].resize(blocks[2].size() - 1); }},
      {"one byte only", [](std::vector<Bytes>& blocks) { blocks[2].resize(1); }},
      {"a byte too many", [](std::vector<Bytes>& blocks) { blocks[0].push_back(0); }},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(each.what);
    Scene s(setup(true));
    const auto challenge = *s.second_share();
    auto blocks = s.fake.open(s.lease, s.work, 1, challenge.seed);
    each.change(blocks);
    for (uint32_t i = 0; i < blocks.size(); ++i)
      s.fake.send_opening(kMiner, challenge.lease_id, 1, i, blocks[i]);
    EXPECT_TRUE(s.state().shares[1].found_wrong());
    EXPECT_EQ(s.state().closed, CloseReason::rejected);
    EXPECT_TRUE(s.banned());
  }
}

TEST(CheatingOpenings, OfBlocksNobodyDrewAreFoundWrong) {
  Scene s(setup(true));
  const auto challenge = *s.second_share();
  Digest wish = challenge.seed;  // a seed that the cheater would rather have had
  auto drawn = s.fake.open(s.lease, s.work, 1, challenge.seed);
  auto wished = drawn;
  while (wished[0] == drawn[0] || wished[1] == drawn[1] || wished[2] == drawn[2]) {
    ++wish.bytes[0];
    wished = s.fake.open(s.lease, s.work, 1, wish);
  }
  for (uint32_t i = 0; i < wished.size(); ++i)
    s.fake.send_opening(kMiner, challenge.lease_id, 1, i, wished[i]);
  EXPECT_TRUE(s.banned());
}

TEST(CheatingOpenings, NobodyAskedForAreRefused) {
  Scene s(setup(true));
  const Digest id = s.lease.id;
  const auto code = [&](uint32_t index, uint32_t block, const Bytes& bytes, ConnId from = kMiner) {
    s.fake.inbox.clear();
    s.fake.send_opening(from, id, index, block, bytes);
    return s.fake.error();
  };
  EXPECT_EQ(code(0, 0, {1}), WireError::not_challenged);  // that share was replayed
  EXPECT_EQ(code(1, 0, {1}), WireError::not_challenged);  // not logged yet
  const auto challenge = *s.second_share();
  const auto blocks = s.fake.open(s.lease, s.work, 1, challenge.seed);
  EXPECT_EQ(code(1, 3, blocks[0]), WireError::not_challenged);
  EXPECT_EQ(code(1, 0, {}), WireError::not_challenged);
  with_other(s);
  EXPECT_EQ(code(1, 0, blocks[0], kOther), WireError::unknown_lease);
  EXPECT_EQ(code(1, 0, blocks[0]), std::nullopt);
  EXPECT_EQ(code(1, 2, blocks[2]), WireError::out_of_order);
  EXPECT_EQ(code(1, 0, {1}), std::nullopt);  // passed over: the first answer counts
  EXPECT_EQ(code(1, 1, blocks[1]), std::nullopt);
  EXPECT_EQ(code(1, 2, blocks[2]), std::nullopt);
  EXPECT_TRUE(s.state().shares[1].spotted);
  EXPECT_EQ(code(1, 2, blocks[2]), WireError::not_challenged);
}

TEST(CheatingDeltas, OfAnotherLengthOrPlaceAreRefused) {
  Scene s(setup(false));
  s.second_share();
  const Digest id = s.lease.id;
  const auto code = [&](const DeltaPart& part) {
    s.fake.inbox.clear();
    s.fake.frame(kMiner, MessageType::delta, encode(part));
    return s.fake.error();
  };
  const Bytes& delta = s.work.delta;
  Bytes longer = delta;
  longer.push_back(0);
  const Bytes shorter(delta.begin(), delta.end() - 1);
  EXPECT_EQ(code({id, {longer.size(), 0, 1, {}, longer}}), WireError::bad_delta);
  EXPECT_EQ(code({id, {shorter.size(), 0, 1, {}, shorter}}), WireError::bad_delta);
  EXPECT_EQ(code({id, {delta.size(), 0, 1, {}, shorter}}), WireError::bad_delta);
  EXPECT_EQ(code({id, {delta.size(), 1, 1, {}, delta}}), WireError::bad_delta);
  EXPECT_EQ(code({id, {delta.size(), 0, 2, {}, delta}}), WireError::bad_delta);
  EXPECT_EQ(code({id, {delta.size(), ~uint64_t{0}, 1, {}, delta}}), WireError::bad_delta);
  EXPECT_EQ(code({id, {delta.size(), 0, 1, {filled(1)}, delta}}), WireError::bad_delta);
  EXPECT_FALSE(s.state().delta_root);
  EXPECT_EQ(code({id, {delta.size(), 0, 1, {}, delta}}), std::nullopt);
  EXPECT_EQ(s.state().closed, CloseReason::complete);
}

TEST(CheatingDeltas, ThatMatchTheirRootButNotTheWorkAreFoundWrong) {
  auto replays = setup(false);
  replays.change = [](verifier::Job&) {};  // every share is replayed
  Scene s(replays);
  Bytes delta = s.work.delta;
  delta.back() ^= 1;
  s.work.shares[1].delta_root = kernels::blake3(delta);
  verifier::sign(s.work.shares[1], miner());
  s.second_share();
  EXPECT_TRUE(s.banned());
  EXPECT_EQ(s.state().closed, CloseReason::rejected);
}

TEST(CheatingMembers, HoardNoLeases) {
  Scene s(setup(false));
  EXPECT_TRUE(s.fake.get_lease(kMiner));
  // A second connection and another account are the same key.
  ASSERT_EQ(s.fake.join(kOther, miner(), Role::miner, "bob"), std::nullopt);
  EXPECT_FALSE(s.fake.get_lease(kOther));
  EXPECT_EQ(s.fake.error(), WireError::too_many);
  EXPECT_EQ(s.fake.pool->ledger().open_leases(miner().public_key()), 2U);
}

TEST(CheatingMembers, OpenOnlySoManySessions) {
  Scene s(setup(false));
  for (uint64_t i = 1; i < kSessionsPerKeyMax; ++i)
    ASSERT_EQ(s.fake.join(ConnId{100 + i}, miner()), std::nullopt);
  EXPECT_EQ(s.fake.join(kOther, miner()), WireError::too_many);
  EXPECT_TRUE(s.hung_up(kOther));
}

TEST(CheatingMembers, StayBannedUnderAnyAccount) {
  Scene s(setup(false));
  Share wrong = s.work.shares[1];
  wrong.trace_root.bytes[0] ^= 1;
  verifier::sign(wrong, miner());
  s.fake.send_share(kMiner, wrong);
  EXPECT_EQ(s.say(s.verdict(0, Outcome::valid)), std::nullopt);
  auto accusation = s.verdict(1, Outcome::invalid);
  accusation.share_id = verifier::share_id(wrong);
  EXPECT_EQ(s.say(accusation), WireError::banned);  // told to the miner
  EXPECT_TRUE(s.hung_up(kMiner));
  const size_t records = s.fake.durable.size();
  uint64_t next = 50;
  for (const char* account : {"alice", "bob"})
    EXPECT_EQ(s.fake.join(ConnId{next++}, miner(), Role::miner, account), WireError::banned);
  // The old connection, not closed yet, is worth nothing either.
  EXPECT_FALSE(s.fake.get_lease(kMiner));
  EXPECT_EQ(s.fake.durable.size(), records);
}

TEST(CheatingFrames, OfEveryTypeWithoutAPayloadNeitherCrashNorLog) {
  Scene s(setup(false));
  const size_t records = s.fake.durable.size();
  for (int type = 0; type < 256; ++type) {
    for (const ConnId id : {kMiner, kAuditor}) {
      s.fake.pool->on_frame(id, static_cast<uint8_t>(type), 0, 9, {}, s.fake.now);
      s.fake.settle();
    }
  }
  EXPECT_EQ(s.fake.durable.size(), records);
}

}  // namespace
}  // namespace gemmine::pool
