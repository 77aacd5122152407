// Every rule of PROTOCOL 8.5 in a test where it fires.
#include "verifier/ledger/ledger.h"

#include <limits>

#include "tests/unit/verifier/ledger/ledger_world.h"

namespace gemmine::verifier {
namespace {

using test::filled;
using test::identity;
using test::small_job;
using test::World;
using enum RecordKind;

TEST(Ledger, RefusesAnythingBeforeGenesisAndASecondGenesis) {
  World w;
  w.refuses(fund, encode(FundBody{w.id, 1}), "genesis is the first");
  w.begin();
  w.refuses(genesis, encode(GenesisBody{filled(1), "house"}), "genesis is the first");
}

TEST(Ledger, RefusesSeqGapsAndTimeGoingBackwards) {
  World w;
  w.begin();
  const Bytes body = encode(w.member(identity(9), "carol", 1));
  const uint64_t last = w.time_ms - 1;
  EXPECT_FALSE(w.state.apply({w.state.next_seq() + 1, last, member, body}).ok());
  EXPECT_FALSE(w.state.apply({w.state.next_seq() - 1, last, member, body}).ok());
  const Status back = w.state.apply({w.state.next_seq(), last - 1, member, body});
  ASSERT_FALSE(back.ok());
  EXPECT_NE(back.error().detail.find("time goes back"), std::string::npos);
  const Status far = w.state.apply({w.state.next_seq(), kTimeMsMax + 1, member, body});
  ASSERT_FALSE(far.ok());
  EXPECT_NE(far.error().detail.find("time_ms_max"), std::string::npos);
  EXPECT_TRUE(w.state.apply({w.state.next_seq(), last, member, body}).ok());
}

TEST(Ledger, RefusesBodiesThatDoNotDecode) {
  World w;
  w.begin();
  for (int kind = 2; kind <= 20; ++kind) {
    if (kind == 14) continue;  // a post is compared, not read
    w.refuses(static_cast<RecordKind>(kind), Bytes(3), "", Errc::malformed);
    w.refuses(static_cast<RecordKind>(kind), Bytes(500), "", Errc::malformed);
  }
  w.refuses(static_cast<RecordKind>(0), {}, "unknown kind", Errc::malformed);
  w.refuses(static_cast<RecordKind>(21), {}, "unknown kind", Errc::malformed);
  w.refuses(fund, Bytes(kRecordBytesMax + 1), "exceeds", Errc::malformed);
}

TEST(Ledger, RefusesAnotherVersion) {
  World w;
  Bytes body = encode(GenesisBody{w.pool.public_key(), "house"});
  ASSERT_EQ(body[0], kVersion);
  body[0] = 1;
  w.refuses(genesis, body, "out of bounds", Errc::malformed);
}

TEST(Ledger, RefusesBadAccountsAndASecondJobOfOneId) {
  World w;
  w.refuses(genesis, encode(GenesisBody{filled(1), "not ok"}), "no account");
  w.begin();
  w.refuses(member, encode(w.member(identity(9), "", 1)), "no account");
  w.refuses(member, encode(w.member(identity(9), "a:b", 1)), "no account");
  w.refuses(job, encode(JobBody{encode_job(w.job), World::theta(0)}), "already");
}

TEST(Ledger, CreditsOnlyTheAccountThatItsKeySigned) {
  World w;
  w.begin();
  MemberBody forged = w.member(w.miner, "alice", 2);
  forged.account = "pool-owner";
  w.refuses(member, encode(forged), "did not sign");
  MemberBody stranger{w.miner.public_key(), "bob", 2, {}};
  stranger.signature = w.other.sign(member_message(w.pool.public_key(), stranger));
  w.refuses(member, encode(stranger), "did not sign");
  MemberBody elsewhere{w.miner.public_key(), "bob", 2, {}};
  elsewhere.signature = w.miner.sign(member_message(w.other.public_key(), elsewhere));
  w.refuses(member, encode(elsewhere), "did not sign");
  // Words are said once, in order.
  const Bytes first = encode(w.member(w.miner, "alice", 1));
  w.must(member, encode(w.member(w.miner, "carol", 2)));
  w.refuses(member, first, "counters ascend");
  w.refuses(member, encode(w.member(w.miner, "alice", 2)), "counters ascend");
  EXPECT_EQ(w.state.members().at(w.miner.public_key()).account, "carol");
}

TEST(Ledger, RefusesAJobWhoseLeaseOverflowsAnAccount) {
  Job huge = small_job();
  huge.spec.widths = {16384, 16384, 16384, 16384, 256};
  huge.spec.batch = 65536;
  huge.spec.steps_per_lease = 65536;
  huge.steps_per_share = 65536;
  huge.audit.thread_blocks = 0;
  huge.price_per_tmac = kPricePerTmacMax;
  World w(huge);
  w.must(genesis, encode(GenesisBody{w.pool.public_key(), "house"}));
  w.refuses(job, encode(JobBody{encode_job(huge), World::theta(0)}), "more than an account");
}

TEST(Ledger, RefusesFundsThatOverflow) {
  World w;
  w.begin(0);
  w.refuses(fund, encode(FundBody{filled(1), 5}), "no such job");
  w.refuses(fund, encode(FundBody{w.id, uint64_t{1} << 63}), "overflows");
  w.must(fund, encode(FundBody{w.id, uint64_t{INT64_MAX}}));
  w.refuses(fund, encode(FundBody{w.id, 1}), "overflows");
  w.must(fund, encode(FundBody{w.id, 0}));
  EXPECT_EQ(w.records.back().kind, fund) << "nothing moves, so nothing is posted";
}

TEST(Ledger, RefusesALeaseThatDoesNotFitTheJob) {
  World w;
  w.begin();
  const auto refuse = [&](auto change, std::string_view words) {
    Lease lease = w.make_lease(0, w.miner);
    change(lease);
    sign(lease, w.pool);
    w.refuses(RecordKind::lease, World::wrap(lease), words);
  };
  refuse([](Lease& l) { l.job_id = filled(1); }, "no such job");
  refuse([](Lease& l) { l.round = 1; }, "current round");
  refuse([](Lease& l) { l.slot = 2; }, "no such slot");
  refuse([](Lease& l) { l.theta_root = filled(1); }, "theta_root");
  refuse([](Lease& l) { l.steps = 4; }, "steps");
  const auto malform = [&](uint32_t steps_per_share) {
    Lease lease = w.make_lease(0, w.miner);
    lease.steps_per_share = steps_per_share;
    sign(lease, w.pool);
    w.refuses(RecordKind::lease, World::wrap(lease), "steps_per_share", Errc::malformed);
  };
  malform(0);
  malform(6);
  refuse([](Lease& l) { l.miner_key = filled(1); }, "no member");
  Lease stranger = w.make_lease(0, w.miner);
  sign(stranger, w.other);
  w.refuses(lease, World::wrap(stranger), "not signed by the pool");
  Lease forged = w.make_lease(0, w.miner);
  forged.signature[5] ^= 1;
  w.refuses(lease, World::wrap(forged), "not signed by the pool");
  const Lease good = w.lease(0, w.miner);
  w.refuses(lease, World::wrap(good), "already");
  w.refuses(lease, World::wrap(w.make_lease(0, w.other)), "open or complete");
}

TEST(Ledger, RefusesAStaleLeaseOfAnOldRound) {
  World w;
  w.begin();
  const Lease stale = w.make_lease(0, w.miner);
  w.round(w.miner, w.other);
  w.refuses(lease, World::wrap(stale), "current round");
}

TEST(Ledger, RefusesALeaseToABannedKey) {
  World w;
  w.begin();
  const Lease first = w.complete(0, w.miner);
  const Lease second = w.complete(1, w.miner);
  w.convict(first);
  const Digest proof = w.convict(second);
  w.must(ban, encode(BanBody{w.miner.public_key(), second.id, proof}));
  w.refuses(lease, World::wrap(w.make_lease(1, w.miner)), "banned");
  w.refuses(ban, encode(BanBody{w.miner.public_key(), second.id, proof}), "already banned");
}

TEST(Ledger, RefusesASecretThatMayBeOut) {
  World w;
  w.begin();
  const Lease first = w.lease(0, w.miner);
  const auto refuse = [&](auto change, std::string_view words) {
    Lease lease = w.make_lease(1, w.other);
    change(lease);
    sign(lease, w.pool);
    w.refuses(RecordKind::lease, World::wrap(lease), words);
  };
  refuse([&](Lease& l) { l.serial = first.serial; }, "serials ascend");
  refuse([](Lease& l) { l.serial = UINT64_MAX; }, "serials ascend");
  refuse([&](Lease& l) { l.coin_commit = first.coin_commit; }, "coin_commit was used");
  refuse([&](Lease& l) { l.coin_commit = first.batch_commit; }, "coin_commit was used");
  refuse([](Lease& l) { l.coin_commit = l.batch_commit; }, "coin_commit was used");
  refuse([&](Lease& l) { l.batch_commit = first.coin_commit; }, "batch_commit was used");
  refuse([&](Lease& l) { l.batch_commit = first.batch_commit; }, "another batch's");
}

TEST(Ledger, RefusesALeaseWithoutTheTimeThatTheJobPromises) {
  World w;
  w.begin();
  const auto refuse = [&](auto change, std::string_view words) {
    Lease lease = w.make_lease(0, w.miner);
    change(lease);
    sign(lease, w.pool);
    w.refuses(RecordKind::lease, World::wrap(lease), words);
  };
  refuse([](Lease& l) { --l.issued_ms; }, "issued_ms");
  refuse([](Lease& l) { ++l.issued_ms; }, "issued_ms");
  refuse([](Lease& l) { --l.deadline_ms; }, "less than lease_ms");
  refuse([](Lease& l) { l.deadline_ms = 0; }, "less than lease_ms");
  refuse([](Lease& l) { l.deadline_ms = UINT64_MAX; }, "too far");
}

TEST(Ledger, RefusesMoreOpenLeasesThanAKeyMayHave) {
  Job wide = small_job();
  wide.spec.slots = 6;
  World w(wide);
  w.begin();
  for (uint32_t slot = 0; slot < kOpenLeasesMax; ++slot)
    w.lease(slot, w.miner);
  w.refuses(lease, World::wrap(w.make_lease(4, w.miner)), "open_leases_max");
  w.lease(4, w.other);
  EXPECT_EQ(w.state.open_leases(w.miner.public_key()), 4U);
}

TEST(Ledger, RefusesALeaseThatTheEscrowDoesNotCover) {
  World w;
  w.begin(0);
  const int64_t gross = w.gross();
  ASSERT_GT(gross, 0);
  w.refuses(lease, World::wrap(w.make_lease(0, w.miner)), "escrow");
  w.must(fund, encode(FundBody{w.id, static_cast<uint64_t>(2 * gross - 1)}));
  w.complete(0, w.miner);
  EXPECT_EQ(w.state.escrow_free(w.id), gross - 1) << "what is complete is still to be paid";
  w.refuses(lease, World::wrap(w.make_lease(1, w.other)), "escrow");
  w.must(fund, encode(FundBody{w.id, 1}));
  w.lease(1, w.other);
  EXPECT_EQ(w.state.escrow_free(w.id), 0);
}

TEST(Ledger, RefusesSharesThatDoNotContinueTheLease) {
  World w;
  w.begin();
  const Lease lease = w.lease(0, w.miner);
  const auto refuse = [&](uint32_t index, auto change, std::string_view words) {
    Share share = w.make_share(lease, index, w.miner);
    change(share);
    sign(share, w.miner);
    w.refuses(RecordKind::share, World::wrap(share), words);
  };
  const auto same = [](Share&) {};
  refuse(1, same, "index 0");
  refuse(
      0, [](Share& s) { s.lease_id = filled(1); }, "no such lease");
  refuse(
      0, [](Share& s) { s.macs += 1; }, "macs");
  refuse(
      0, [](Share& s) { s.steps = 1; }, "steps");
  refuse(
      0, [](Share& s) { s.first_step = 1; }, "starts at step 0");
  refuse(
      0, [](Share& s) { s.loss = std::numeric_limits<float>::quiet_NaN(); }, "not finite");
  refuse(
      0, [](Share& s) { s.delta_root = filled(1); }, "delta_root");
  w.share(lease, 0, w.miner);
  refuse(0, same, "index 1");
  refuse(
      1, [](Share& s) { s.state_before = filled(0x55); }, "last one ended");
  w.refuses(share, World::wrap(w.make_share(lease, 1, w.other)), "not signed");
  w.share(lease, 1, w.miner);
  refuse(
      2, [](Share& s) { s.delta_root = Digest{}; }, "delta_root");
  w.share(lease, 2, w.miner);
  refuse(3, same, "every share");
}

TEST(Ledger, RefusesAShareAfterTheLeaseIsClosed) {
  World w;
  w.begin();
  const Lease lease = w.lease(0, w.miner);
  w.must(close, World::abandon(lease, w.miner));
  w.refuses(share, World::wrap(w.make_share(lease, 0, w.miner)), "closed");
  w.refuses(delta, encode(DeltaBody{lease.id, filled(0x44)}), "closed");
  w.refuses(close, World::abandon(lease, w.miner), "already closed");
  EXPECT_FALSE(w.job_state().slots[0]) << "the slot is free again";
  w.lease(0, w.other);
}

TEST(Ledger, TakesTheSharesOfTheLeaseWhateverTheJobSays) {
  World w;
  w.begin();
  Lease terms = w.make_lease(0, w.miner);
  terms.steps_per_share = 3;
  sign(terms, w.pool);
  w.must(lease, World::wrap(terms));
  Lease lie = terms;  // shares of the job's size, as in every other lease
  lie.steps_per_share = w.job.steps_per_share;
  Share small = w.make_share(lie, 0, w.miner);
  small.lease_id = terms.id;
  sign(small, w.miner);
  w.refuses(share, World::wrap(small), "this share has 3 steps");
  w.share(terms, 0, w.miner);
  small = w.make_share(lie, 1, w.miner);
  small.lease_id = terms.id;
  sign(small, w.miner);
  w.refuses(share, World::wrap(small), "starts at step 3");
  w.share(terms, 1, w.miner);
  EXPECT_EQ(w.lease_state(terms).shares.back().share.steps, 2U);
  w.refuses(share, World::wrap(w.make_share(lie, 2, w.miner)), "");
  w.must(delta, encode(DeltaBody{terms.id, filled(0x44)}));
  w.replay(terms);
  w.must(close, World::close(terms, CloseReason::complete));
}

TEST(Ledger, RefusesASharePastTheDeadlineUnlessChallengesTookTheTime) {
  World w;
  w.begin();
  const Lease first = w.complete(0, w.miner);
  const Lease open = w.lease(1, w.miner);
  EXPECT_EQ(w.state.shares_until_ms(open.id), open.deadline_ms);
  const uint64_t end = open.deadline_ms;
  const LedgerState before(w.state);
  w.time_ms = end + 1;
  w.refuses(share, World::wrap(w.make_share(open, 0, w.miner)), "time has run out");
  w.time_ms = end;
  w.share(open, 0, w.miner);
  // What the pool asked the key in the meantime, about any lease, is added.
  w.state = LedgerState(before);
  w.time_ms = before.last_time_ms();
  w.must(challenge,
         encode(ChallengeBody{first.id, ChallengeWhy::descent, Asked::roots, filled(5), 20'000}));
  EXPECT_EQ(w.state.shares_until_ms(open.id), end + 20'000);
  w.must(challenge,
         encode(ChallengeBody{first.id, ChallengeWhy::descent, Asked::nodes, filled(6), 90'000}));
  EXPECT_EQ(w.state.shares_until_ms(open.id), end + w.job.audit.lease_ms) << "within bounds";
  w.time_ms = end + w.job.audit.lease_ms + 1;
  w.refuses(share, World::wrap(w.make_share(open, 0, w.miner)), "time has run out");
  w.time_ms = end + w.job.audit.lease_ms;
  w.share(open, 0, w.miner);
}

TEST(Ledger, RefusesADeltaThatIsNotTheLastShares) {
  World w;
  w.begin();
  const Lease lease = w.lease(0, w.miner);
  w.refuses(delta, encode(DeltaBody{lease.id, filled(0x44)}), "last share");
  for (uint32_t i = 0; i < 3; ++i)
    w.share(lease, i, w.miner);
  w.refuses(delta, encode(DeltaBody{filled(1), filled(0x44)}), "no such lease");
  w.refuses(delta, encode(DeltaBody{lease.id, filled(0x45)}), "differs");
  w.must(delta, encode(DeltaBody{lease.id, filled(0x44)}));
  w.refuses(delta, encode(DeltaBody{lease.id, filled(0x44)}), "already");
}

}  // namespace
}  // namespace gemmine::verifier
