// Cheats that are messages: each with the refusal it gets, or the verdict and what that costs.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/hash/opening.h"
#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

using verifier::CloseReason;
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
  const uint32_t index = std::min<uint32_t>(share.index, 1);
  s.fake.send_share(id, share, s.work.runs[index].step_digests);
  EXPECT_EQ(s.fake.durable.size(), records);
  return s.fake.error();
}

Scene& with_other(Scene& s) {
  EXPECT_EQ(s.fake.join(kOther, other(), Role::miner, "mallory"), std::nullopt);
  return s;
}

TEST(CheatingShares, ReplayedAreAcknowledgedAndPaidOnce) {
  Scene s(batches(1));
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
  s.fake.send_share(kMiner, s.work, 0);
  EXPECT_EQ(acknowledged(0), first);
  EXPECT_EQ(s.fake.lease_state(s.lease).shares.size(), 1U);
  s.fake.start(s.fake.durable);  // the receipt is found again after a restart
  EXPECT_EQ(s.fake.join(kMiner, miner()), std::nullopt);
  s.fake.send_share(kMiner, s.work, 0);
  EXPECT_EQ(acknowledged(0), first);
  s.second_share();
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  const auto accounts = s.fake.pool->ledger().accounts();
  const size_t records = s.fake.durable.size();
  for (uint32_t i = 0; i < s.work.shares.size(); ++i) {
    s.fake.inbox.clear();
    s.fake.send_share(kMiner, s.work, i);
    EXPECT_EQ(s.fake.error(), WireError::lease_closed);
  }
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  EXPECT_EQ(s.fake.error(), WireError::lease_closed);
  EXPECT_EQ(s.fake.durable.size(), records);
  EXPECT_EQ(s.fake.pool->ledger().accounts(), accounts);
}

TEST(CheatingShares, CopiedFromAnotherMinerAreFoundWrong) {
  Scene s(batches(1));
  with_other(s);
  const auto lease = *s.fake.get_lease(kOther);
  EXPECT_EQ(refusal(s, s.work.shares[0], kOther, other()), WireError::unknown_lease);
  // Under its own lease the start is right and the steps' keys are not: a replay sees it.
  auto copy = s.work;
  for (uint32_t i = 0; i < copy.shares.size(); ++i) {
    Share& share = copy.shares[i];
    share.lease_id = lease.id;
    share.trace_root = verifier::trace_root(lease.id, share.first_step, copy.runs[i].step_digests);
    verifier::sign(share, other());
  }
  s.fake.deliver(kOther, lease, copy);
  ASSERT_TRUE(s.fake.lease_state(lease).wrong);
  EXPECT_EQ(s.fake.lease_state(lease).wrong->step, 0U);
  EXPECT_FALSE(s.fake.lease_state(lease).paid);
}

TEST(CheatingShares, OfAnotherKeysLeaseAreRefused) {
  Scene s(batches(1));
  with_other(s);
  EXPECT_EQ(refusal(s, s.work.shares[1], kOther), WireError::unknown_lease);
  Share share = s.work.shares[1];
  EXPECT_EQ(refusal(s, share, kMiner, other()), WireError::bad_signature);
  s.fake.abandon(kOther, s.lease, other());
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
    Scene s(batches(1));
    Share share = s.work.shares[1];
    each.change(share);
    const auto got = refusal(s, share);
    EXPECT_EQ(got, each.expected);
    EXPECT_FALSE(s.banned());  // refused work is not a crime: nothing was committed to
    s.second_share();
    EXPECT_EQ(s.state().shares.size(), 2U);
  }
}

TEST(CheatingShares, AfterTheCloseAreRefused) {
  Scene s(batches(1));
  s.fake.abandon(kMiner, s.lease, miner());
  EXPECT_EQ(s.state().closed, CloseReason::abandoned);
  EXPECT_EQ(refusal(s, s.work.shares[1]), WireError::lease_closed);
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  EXPECT_EQ(s.fake.error(), WireError::lease_closed);
}

TEST(CheatingDeltas, OfAnotherLengthOrPlaceAreRefused) {
  Scene s(batches(1));
  s.second_share();
  const Digest id = s.lease.id;
  const auto code = [&](const Part& part) {
    s.fake.inbox.clear();
    s.fake.frame(kMiner, MessageType::upload, encode(Upload{id, kDelta, part}));
    return s.fake.error();
  };
  const Bytes& delta = s.work.delta;
  Bytes longer = delta;
  longer.push_back(0);
  const Bytes shorter(delta.begin(), delta.end() - 1);
  EXPECT_EQ(code({longer.size(), 0, 1, {}, longer}), WireError::bad_delta);
  EXPECT_EQ(code({shorter.size(), 0, 1, {}, shorter}), WireError::bad_delta);
  EXPECT_EQ(code({delta.size(), 0, 1, {}, shorter}), WireError::bad_delta);
  EXPECT_EQ(code({delta.size(), 1, 1, {}, delta}), WireError::bad_delta);
  EXPECT_EQ(code({delta.size(), 0, 2, {}, delta}), WireError::bad_delta);
  EXPECT_EQ(code({delta.size(), ~uint64_t{0}, 1, {}, delta}), WireError::bad_delta);
  EXPECT_EQ(code({delta.size(), 0, 1, {filled(1)}, delta}), WireError::bad_delta);
  EXPECT_FALSE(s.state().delta_root);
  EXPECT_EQ(code({delta.size(), 0, 1, {}, delta}), std::nullopt);
  EXPECT_EQ(s.state().closed, CloseReason::complete);
}

TEST(CheatingDeltas, ThatMatchTheirRootButNotTheWorkAreFoundWrong) {
  Scene s(batches(1));
  s.work.delta.back() ^= 1;
  s.work.shares[1].delta_root = kernels::blake3(s.work.delta);
  verifier::sign(s.work.shares[1], miner());
  s.finish();
  ASSERT_TRUE(s.state().wrong);
  EXPECT_EQ(s.state().wrong->step, verifier::kNoStep);
  EXPECT_FALSE(s.state().paid);
}

TEST(CheatingMembers, HoardNoLeases) {
  FakeSetup wide = batches(1);
  wide.change = [change = wide.change](verifier::Job& job) {
    change(job);
    job.spec.slots = 4;
  };
  Scene s(wide);
  s.finish();
  EXPECT_TRUE(s.fake.get_lease(kMiner));
  EXPECT_TRUE(s.fake.get_lease(kMiner));
  // A second connection and another account are the same key.
  ASSERT_EQ(s.fake.join(kOther, miner(), Role::miner, "bob"), std::nullopt);
  EXPECT_FALSE(s.fake.get_lease(kOther));
  EXPECT_EQ(s.fake.error(), WireError::too_many);
  EXPECT_EQ(s.fake.pool->ledger().open_leases(miner().public_key()), 2U);
}

TEST(CheatingMembers, OpenOnlySoManySessions) {
  Scene s(batches(1));
  for (uint64_t i = 1; i < kSessionsPerKeyMax; ++i)
    ASSERT_EQ(s.fake.join(ConnId{100 + i}, miner()), std::nullopt);
  EXPECT_EQ(s.fake.join(kOther, miner()), WireError::too_many);
  EXPECT_TRUE(s.hung_up(kOther));
}

TEST(CheatingFrames, OfEveryTypeWithoutAPayloadNeitherCrashNorLog) {
  Scene s(batches(1));
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
