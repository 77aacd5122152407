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
  w.refuses(fund, fund_body(w.id, 1), "genesis is the first");
  w.begin();
  w.refuses(genesis, genesis_body(filled(1), "house"), "genesis is the first");
}

TEST(Ledger, RefusesSeqGapsAndTimeGoingBackwards) {
  World w;
  w.begin();
  const Bytes body = w.member_word(identity(9), "carol");
  EXPECT_FALSE(w.state.apply({w.state.next_seq() + 1, w.time_ms, member, body}).ok());
  EXPECT_FALSE(w.state.apply({w.state.next_seq() - 1, w.time_ms, member, body}).ok());
  const Status back = w.state.apply({w.state.next_seq(), w.time_ms - 1, member, body});
  ASSERT_FALSE(back.ok());
  EXPECT_NE(back.error().detail.find("time goes back"), std::string::npos);
  EXPECT_TRUE(w.state.apply({w.state.next_seq(), w.time_ms, member, body}).ok());
}

TEST(Ledger, RefusesBodiesThatDoNotDecode) {
  World w;
  w.begin();
  for (int kind = 2; kind <= 13; ++kind) {
    w.refuses(static_cast<RecordKind>(kind), Bytes(3), "", Errc::malformed);
    w.refuses(static_cast<RecordKind>(kind), Bytes(400), "", Errc::malformed);
  }
  w.refuses(static_cast<RecordKind>(15), {}, "unknown kind", Errc::malformed);
  w.refuses(fund, Bytes(kRecordBytesMax + 1), "exceeds", Errc::malformed);
}

TEST(Ledger, RefusesBadAccountsAndASecondJobOfOneId) {
  World w;
  w.refuses(genesis, genesis_body(filled(1), "not ok"), "no account");
  w.begin();
  w.refuses(member, w.member_word(identity(9), ""), "no account");
  w.refuses(member, w.member_word(identity(9), "a:b"), "no account");
  w.refuses(job, job_body(encode_job(w.job), World::theta(0)), "already");
}

TEST(Ledger, RefusesAnAccountThatTheKeyDidNotSignOrHasLeft) {
  World w;
  w.begin();
  MemberBody word = sign_member(w.pool.public_key(), w.miner, "carol", 5);
  word.account = "mallory";
  w.refuses(member, gemmine::encode(word), "did not sign");
  w.refuses(member, gemmine::encode(sign_member(filled(7), w.miner, "carol", 5)), "did not sign");
  w.must(member, w.member_word(w.miner, "carol", 5));
  w.refuses(member, w.member_word(w.miner, "alice", 1), "counters ascend");
  w.refuses(member, w.member_word(w.miner, "carol", 5), "counters ascend");
  w.must(member, w.member_word(w.miner, "alice", 6));
  EXPECT_EQ(w.state.members().at(w.miner.public_key()).account, "alice");
}

TEST(Ledger, RefusesAJobWhoseLeaseOverflowsAnAccount) {
  Job huge = small_job();
  huge.spec.widths = {16384, 16384, 16384, 16384, 256};
  huge.spec.batch = 65536;
  huge.spec.steps_per_lease = 65536;
  huge.steps_per_share = 65536;
  huge.price_per_tmac = kPricePerTmacMax;
  World w(huge);
  w.must(genesis, genesis_body(w.pool.public_key(), "house"));
  w.refuses(job, job_body(encode_job(huge), World::theta(0)), "more than an account");
}

TEST(Ledger, RefusesFundsThatOverflow) {
  World w;
  w.begin(0);
  w.refuses(fund, fund_body(filled(1), 5), "no such job");
  w.refuses(fund, fund_body(w.id, uint64_t{1} << 63), "overflows");
  w.must(fund, fund_body(w.id, uint64_t{INT64_MAX}));
  w.refuses(fund, fund_body(w.id, 1), "overflows");
  w.must(fund, fund_body(w.id, 0));
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
  const Lease bad = w.complete(0, w.miner);
  w.condemn(bad);
  w.must(ban, ban_body(w.miner.public_key(), bad.id));
  w.refuses(lease, World::wrap(w.make_lease(1, w.miner)), "banned");
  w.refuses(ban, ban_body(w.miner.public_key(), bad.id), "already banned");
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
  const auto gross = static_cast<int64_t>(w.job_state().gross_per_lease);
  ASSERT_GT(gross, 0);
  w.refuses(lease, World::wrap(w.make_lease(0, w.miner)), "escrow");
  w.must(fund, fund_body(w.id, static_cast<uint64_t>(2 * gross - 1)));
  w.lease(0, w.miner);
  EXPECT_EQ(w.state.escrow_free(w.id), gross - 1);
  w.refuses(lease, World::wrap(w.make_lease(1, w.other)), "escrow");
  w.must(fund, fund_body(w.id, 1));
  w.lease(1, w.other);
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
  w.must(close, w.close(lease, CloseReason::expired));
  w.refuses(share, World::wrap(w.make_share(lease, 0, w.miner)), "closed");
  w.refuses(delta, delta_body(lease.id, filled(0x44)), "closed");
  w.refuses(close, w.close(lease, CloseReason::expired), "already closed");
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
  EXPECT_EQ(w.lease_state(terms.id).shares.back().share.steps, 2U);
  w.refuses(share, World::wrap(w.make_share(lie, 2, w.miner)), "");
  for (uint32_t i = 0; i < 2; ++i)
    w.audit(terms, i);
  w.must(delta, delta_body(terms.id, filled(0x44)));
  w.must(close, w.close(terms, CloseReason::complete));
  EXPECT_EQ(w.lease_state(terms.id).gross, w.job_state().gross_per_lease)
      << "pay is for steps, not for shares";
}

TEST(Ledger, RefusesVerdictsOnUnknownSharesAndForgedOnes) {
  World w;
  w.begin();
  const Lease lease = w.lease(0, w.miner);
  w.share(lease, 0, w.miner);
  Verdict good = w.make_verdict(lease, 0, AuditKind::replay, Outcome::valid);
  const auto refuse = [&](auto change, std::string_view words) {
    Verdict verdict = good;
    change(verdict);
    sign(verdict, w.pool);
    w.refuses(RecordKind::verdict, World::wrap(verdict), words);
  };
  refuse([](Verdict& v) { v.index = 1; }, "not in the ledger");
  refuse([](Verdict& v) { v.lease_id = filled(1); }, "not in the ledger");
  refuse([](Verdict& v) { v.share_id = filled(1); }, "another share");
  good.signature[0] ^= 1;
  w.refuses(verdict, World::wrap(good), "not signed");
}

TEST(Ledger, RefusesADeltaThatIsNotTheLastShares) {
  World w;
  w.begin();
  const Lease lease = w.lease(0, w.miner);
  w.refuses(delta, delta_body(lease.id, filled(0x44)), "last share");
  for (uint32_t i = 0; i < 3; ++i)
    w.share(lease, i, w.miner);
  w.refuses(delta, delta_body(filled(1), filled(0x44)), "no such lease");
  w.refuses(delta, delta_body(lease.id, filled(0x45)), "differs");
  w.must(delta, delta_body(lease.id, filled(0x44)));
  w.refuses(delta, delta_body(lease.id, filled(0x44)), "already");
}

}  // namespace
}  // namespace gemmine::verifier
