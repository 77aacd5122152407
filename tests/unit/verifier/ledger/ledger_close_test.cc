// What ends leases, rounds and jobs, and what is posted then (PROTOCOL 8.4, 8.5).
#include "tests/unit/verifier/ledger/ledger_world.h"

namespace gemmine::verifier {
namespace {

using test::filled;
using test::small_job;
using test::World;
using enum RecordKind;

Bytes done(const Lease& lease, const World& w) {
  return w.close(lease, CloseReason::complete);
}

TEST(LedgerClose, RefusesCompleteWithoutAllSharesAuditsAndTheDelta) {
  World w;
  w.begin();
  const Lease lease = w.lease(0, w.miner);
  w.refuses(close, close_body(lease.id, CloseReason::complete, filled(9)), "secret");
  w.refuses(close, close_body(filled(1), CloseReason::complete, filled(9)), "no such lease");
  w.refuses(close, done(lease, w), "a share is missing");
  for (uint32_t i = 0; i < 3; ++i)
    w.share(lease, i, w.miner);
  w.refuses(close, done(lease, w), "share 0 lacks");
  for (uint32_t i = 0; i < 2; ++i)
    w.audit(lease, i);
  w.refuses(close, done(lease, w), "share 2 lacks");
  w.must(verdict, World::wrap(w.make_verdict(lease, 2, AuditKind::spot, Outcome::valid)));
  w.refuses(close, done(lease, w), "share 2 lacks the valid replay");
  Verdict stranger = w.make_verdict(lease, 2, AuditKind::replay, Outcome::valid);
  sign(stranger, w.other);
  w.must(verdict, World::wrap(stranger));
  w.refuses(close, done(lease, w), "share 2 lacks");
  w.must(verdict, World::wrap(w.make_verdict(lease, 2, AuditKind::replay, Outcome::undecided)));
  w.refuses(close, done(lease, w), "share 2 lacks");
  w.audit(lease, 2);
  w.refuses(close, done(lease, w), "delta");
  w.must(delta, delta_body(lease.id, filled(0x44)));
  w.must(close, done(lease, w));
  EXPECT_EQ(w.lease_state(lease.id).secret, w.secret_of(lease));
}

TEST(LedgerClose, RefusesCompleteWhenThePoolFoundAShareWrongAndOnlyThen) {
  World w;
  w.begin();
  const Lease lease = w.trained(0, w.miner);
  w.must(delta, delta_body(lease.id, filled(0x44)));
  LedgerState before(w.state);
  Verdict slander = w.make_verdict(lease, 1, AuditKind::replay, Outcome::invalid);
  sign(slander, w.other);
  w.must(verdict, World::wrap(slander));
  EXPECT_EQ(w.lease_state(lease.id).shares[1].invalid_verdicts, 1U);
  w.must(verdict, World::wrap(w.make_verdict(lease, 1, AuditKind::spot, Outcome::malformed)));
  w.refuses(close, done(lease, w), "share 1 was found wrong");
  w.must(verdict, World::wrap(w.make_verdict(lease, 1, AuditKind::replay, Outcome::valid)));
  w.refuses(close, done(lease, w), "share 1 was found wrong");
  w.must(close, w.close(lease, CloseReason::rejected));
  // A stranger's word alone changes nothing.
  const uint64_t seq = before.next_seq();
  ASSERT_TRUE(before.apply({seq, w.time_ms, verdict, World::wrap(slander)}).ok());
  EXPECT_TRUE(before.apply({seq + 1, w.time_ms, close, done(lease, w)}).ok());
}

TEST(LedgerClose, CountsProbationWhenTheShareWasLogged) {
  Job job = small_job();
  job.audit.replay_ppm = 0;
  job.audit.probation_shares = 2;
  World w(job);
  w.begin();
  const Lease first = w.lease(0, w.miner);
  for (uint32_t i = 0; i < 3; ++i)
    w.share(first, i, w.miner);
  for (uint32_t i = 0; i < 2; ++i)
    w.audit(first, i);
  EXPECT_EQ(w.state.valid_shares(w.miner.public_key(), w.id), 2U);
  w.must(delta, delta_body(first.id, filled(0x44)));
  w.refuses(close, done(first, w), "share 2 lacks");  // logged before any verdict
  w.audit(first, 2);
  w.must(close, done(first, w));
  const Lease second = w.lease(1, w.miner);
  for (uint32_t i = 0; i < 3; ++i)
    w.share(second, i, w.miner);
  w.must(delta, delta_body(second.id, filled(0x44)));
  w.must(close, done(second, w));  // past probation, and this job audits no more
}

TEST(LedgerClose, TakesAReplayForASpotAuditButNotTheReverse) {
  Job job = small_job();
  job.audit.replay_ppm = 0;
  job.audit.spot_ppm = 1'000'000;
  job.audit.probation_shares = 0;
  World w(job);
  w.begin();
  const Lease lease = w.lease(0, w.miner);
  for (uint32_t i = 0; i < 3; ++i)
    w.share(lease, i, w.miner);
  EXPECT_EQ(w.required_audit(lease, 0), AuditKind::spot);
  w.audit(lease, 0);
  w.audit(lease, 1);
  w.must(delta, delta_body(lease.id, filled(0x44)));
  w.refuses(close, done(lease, w), "valid spot");
  w.must(verdict, World::wrap(w.make_verdict(lease, 2, AuditKind::replay, Outcome::valid)));
  w.must(close, done(lease, w));
}

TEST(LedgerPost, MustFollowItsCauseAndEqualIt) {
  World w;
  w.begin();
  w.refuses(post, post_body(w.state.next_seq() - 1, {{"external", 0}}), "nothing is to be");
  ASSERT_TRUE(w.push(fund, fund_body(w.id, 10), false).ok());
  const uint64_t cause = w.state.next_seq() - 1;
  const std::string escrow = "escrow:" + to_hex(w.id.view());
  w.refuses(member, w.member_word(w.other, "carol"), "missing");
  w.refuses(post, post_body(cause, {{escrow, 11}, {"external", -11}}), "differs");
  w.refuses(post, post_body(cause, {{escrow, 10}, {"external", -9}}), "differs");
  w.refuses(post, post_body(cause, {{"external", -10}, {escrow, 10}}), "differs");
  w.refuses(post, post_body(cause - 1, {{escrow, 10}, {"external", -10}}), "differs");
  w.must(post, post_body(cause, {{escrow, 10}, {"external", -10}}));
}

TEST(LedgerMerge, TakesExactlyTheCompleteLeasesOfTheCurrentRound) {
  World w;
  w.begin();
  const Lease a = w.complete(0, w.miner);
  const Lease b = w.trained(1, w.other);
  w.refuses(merge, w.merge({a, b}), "slot 1 is not complete");
  w.must(delta, delta_body(b.id, filled(0x44)));
  w.must(close, done(b, w));
  w.refuses(merge, w.merge({a}), "one lease for each slot");
  w.refuses(merge, w.merge({b, a}), "slot 0 has another lease");
  w.refuses(merge, w.merge({a, a}), "slot 1 has another lease");
  w.refuses(merge, merge_body(w.id, 1, filled(1), {a.id, b.id}), "current round");
  w.refuses(finish, finish_body(w.id, World::theta(0)), "last round is not merged");
  w.must(merge, w.merge({a, b}));
  EXPECT_EQ(w.job_state().round, 1U);
  w.refuses(merge, merge_body(w.id, 0, filled(1), {a.id, b.id}), "current round");
}

TEST(LedgerRollback, NamesAMergedLeaseThatThePoolFoundWrong) {
  World w;
  w.begin();
  const Lease a = w.complete(0, w.miner);
  const Lease b = w.complete(1, w.other);
  w.condemn(a);
  w.refuses(rollback, rollback_body(w.id, 0, a.id), "not merged");
  w.must(merge, w.merge({a, b}));
  const Lease later = w.complete(0, w.other);
  const Lease open = w.lease(1, w.other);
  w.refuses(rollback, rollback_body(w.id, 1, later.id), "not merged");
  w.refuses(rollback, rollback_body(w.id, 0, later.id), "not merged in this round");
  w.refuses(rollback, rollback_body(w.id, 0, b.id), "found wrong");
  const int64_t earned = w.vesting(w.other) + w.balance("account:bob");
  w.must(rollback, rollback_body(w.id, 0, a.id));
  EXPECT_TRUE(w.lease_state(a.id).voided);
  EXPECT_FALSE(w.lease_state(b.id).voided);
  EXPECT_TRUE(w.lease_state(later.id).voided);
  EXPECT_TRUE(w.lease_state(open.id).voided);
  EXPECT_EQ(w.vesting(w.other) + w.balance("account:bob"), earned) << "what was earned stays";
  EXPECT_EQ(w.job_state().round, 0U);
  EXPECT_EQ(w.job_state().theta_roots.back(), World::theta(0));
  EXPECT_FALSE(w.job_state().slots[0]);
  EXPECT_EQ(w.job_state().slots[1], b.id);
  w.refuses(share, World::wrap(w.make_share(open, 0, w.other)), "closed");
  w.must(close, w.close(open, CloseReason::cancelled));
  const Lease again = w.complete(0, w.other);
  w.must(merge, w.merge({again, b}));
}

TEST(LedgerFinish, WaitsForTheLastRoundAndReturnsTheRest) {
  World w;
  w.begin();
  w.round(w.miner, w.other);
  w.refuses(finish, finish_body(w.id, World::theta(1)), "last round");
  w.round(w.miner, w.other);
  w.refuses(lease, World::wrap(w.make_lease(0, w.miner)), "current round");
  w.refuses(finish, finish_body(w.id, World::theta(1)), "theta_root");
  w.must(finish, finish_body(w.id, World::theta(2)));
  const auto gross = static_cast<int64_t>(w.job_state().gross_per_lease);
  EXPECT_EQ(w.escrow(), 0);
  EXPECT_EQ(w.balance("external"), -4 * gross);
  EXPECT_EQ(w.vesting(w.miner) + w.vesting(w.other), 0);
  EXPECT_EQ(w.balance("account:alice") + w.balance("account:bob") + w.balance("fee:house"),
            4 * gross);
  EXPECT_EQ(w.balance("fee:house"), 4 * (gross / 10));
  w.refuses(finish, finish_body(w.id, World::theta(2)), "already finished");
  w.refuses(fund, fund_body(w.id, 1), "finished");
}

TEST(LedgerBan, NeedsEvidenceAndForfeitsOnlyWhatHasNotVested) {
  World w;
  w.begin();
  const Lease first = w.complete(0, w.miner);
  const Lease second = w.complete(1, w.miner);
  const auto gross = static_cast<int64_t>(w.job_state().gross_per_lease);
  EXPECT_TRUE(w.lease_state(first.id).vested) << "the oldest vests first";
  EXPECT_FALSE(w.lease_state(second.id).vested);
  EXPECT_EQ(w.state.unvested(w.miner.public_key()), std::vector{second.id});
  EXPECT_EQ(w.vesting(w.miner), gross);
  const Bytes body = ban_body(w.miner.public_key(), second.id);
  w.refuses(ban, body, "found wrong");
  w.condemn(second);
  w.refuses(ban, ban_body(w.other.public_key(), second.id), "not one of this key");
  w.refuses(ban, ban_body(filled(1), second.id), "no member");
  const int64_t escrow = w.escrow();
  w.must(ban, body);
  EXPECT_EQ(w.escrow(), escrow + gross);
  EXPECT_EQ(w.vesting(w.miner), 0);
  EXPECT_EQ(w.balance("account:alice"), gross - gross / 10);
  EXPECT_TRUE(w.lease_state(second.id).forfeited);
  EXPECT_TRUE(w.state.unvested(w.miner.public_key()).empty());
}

TEST(LedgerBan, StopsTheKeysOtherLeasesFromEarning) {
  World w;
  w.begin();
  const Lease bad = w.complete(0, w.miner);
  const Lease open = w.trained(1, w.miner);
  w.must(delta, delta_body(open.id, filled(0x44)));
  w.condemn(bad);
  w.must(ban, ban_body(w.miner.public_key(), bad.id));
  w.refuses(close, done(open, w), "banned");
  w.must(close, w.close(open, CloseReason::cancelled));
}

TEST(LedgerVesting, ZeroVestLeasesPaysAtOnce) {
  Job job = small_job();
  job.audit.vest_leases = 0;
  World w(job);
  w.begin();
  const Lease lease = w.complete(0, w.miner);
  EXPECT_TRUE(w.lease_state(lease.id).vested);
  EXPECT_EQ(w.vesting(w.miner), 0);
  const auto gross = static_cast<int64_t>(w.job_state().gross_per_lease);
  EXPECT_EQ(w.balance("account:alice"), gross - gross / 10);
}

// Random but honest: leases in any order, some given up, some keys found out, until both rounds are
// merged. Every prefix sums to zero, and the escrow is spent to the unit.
TEST(LedgerProperty, RandomHistoriesKeepTheBooks) {
  for (uint32_t seed = 0; seed < 8; ++seed) {
    Job job = small_job();
    job.spec.slots = 4;
    job.spec.rounds = 7;
    job.audit.vest_leases = seed % 4;
    job.audit.replay_ppm = 300'000;
    job.audit.spot_ppm = 500'000;
    World w(job);
    w.begin();
    uint32_t dice = 0;
    const auto roll = [&](uint64_t sides) { return pick(filled(seed), dice++, sides); };
    while (w.job_state().round < job.spec.rounds) {
      std::vector<Lease> leases;
      for (uint32_t slot = 0; slot < job.spec.slots; ++slot) {
        const Identity& who = roll(2) == 0 ? w.miner : w.other;
        while (roll(4) == 0) {
          const Lease gone = w.lease(slot, who);
          if (roll(2) == 0) w.share(gone, 0, who);
          w.must(close, w.close(gone, CloseReason::abandoned));
        }
        leases.push_back(w.complete(slot, who));
        ASSERT_EQ(w.sum(), 0);
      }
      w.must(merge, w.merge(leases));
    }
    w.must(finish, finish_body(w.id, w.job_state().theta_roots.back()));
    const auto gross = static_cast<int64_t>(w.job_state().gross_per_lease);
    EXPECT_GE(w.records.size(), 250U);
    EXPECT_EQ(w.balance("external"), -28 * gross);
    EXPECT_EQ(w.balance("account:alice") + w.balance("account:bob") + w.balance("fee:house"),
              28 * gross);
    EXPECT_EQ(w.escrow() + w.vesting(w.miner) + w.vesting(w.other), 0);
    LedgerState again;
    for (const Record& record : w.records)
      ASSERT_TRUE(again.apply(record).ok());
    EXPECT_EQ(again.head(), w.state.head());
    EXPECT_EQ(again.accounts(), w.state.accounts());
  }
}

}  // namespace
}  // namespace gemmine::verifier
