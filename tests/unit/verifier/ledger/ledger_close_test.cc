// What ends leases, rounds and jobs (PROTOCOL 8.3 – 8.5).
#include "tests/unit/verifier/ledger/ledger_world.h"

namespace gemmine::verifier {
namespace {

using test::filled;
using test::small_job;
using test::World;
using enum RecordKind;

Bytes done(const Lease& lease) {
  return World::close(lease, CloseReason::complete);
}

TEST(LedgerClose, RefusesCompleteWithoutAllSharesTheDeltaAndTheCoinsAudit) {
  World w;
  w.begin();
  const Lease lease = w.lease(0, w.miner);
  w.refuses(close, encode(CloseBody{lease.id, CloseReason::complete, filled(9), {}, {}}), "secret");
  w.refuses(close, encode(CloseBody{filled(1), CloseReason::complete, filled(9), {}, {}}),
            "no such lease");
  w.refuses(close, done(lease), "a share is missing");
  for (uint32_t i = 0; i < 3; ++i)
    w.share(lease, i, w.miner);
  w.refuses(close, done(lease), "delta");
  w.must(delta, encode(DeltaBody{lease.id, filled(0x44)}));
  w.refuses(close, done(lease), "verdict that its coin demands");
  w.replay(lease);
  w.must(close, done(lease));
  EXPECT_EQ(w.lease_state(lease).secret, World::secret_of(lease));
  EXPECT_EQ(w.state.unsettled().count(w.batch_id(w.miner, 0)), 1U);
}

TEST(LedgerClose, AsksForTheFirstLeasesAuditUntilOneIsComplete) {
  World w;
  w.begin();
  const Lease first = w.trained(0, w.miner);
  const Lease second = w.trained(1, w.miner);  // its delta came before the first was complete
  w.replay(first);
  w.must(close, done(first));
  w.refuses(close, done(second), "verdict that its coin demands");
  w.replay(second);
  w.must(close, done(second));
  const Lease both[] = {first, second};
  w.must(merge, w.merge({both[0], both[1]}));
  const Lease third = w.trained(0, w.miner);
  EXPECT_FALSE(w.state.immediate_audit(third.id, World::secret_of(third)));
  w.must(close, done(third));
}

TEST(LedgerClose, AuditsAtOnceAsOftenAsThePolicySays) {
  Job job = small_job();
  job.audit.first_audits = 0;
  job.audit.now_ppm = 300'000;
  World w(job);
  w.begin();
  const Lease lease = w.trained(0, w.miner);
  int drawn = 0;
  for (uint8_t i = 0; i < 200; ++i)
    drawn += w.state.immediate_audit(lease.id, filled(i)) ? 1 : 0;
  EXPECT_NEAR(drawn, 60, 25);
}

TEST(LedgerClose, ExpiresOnlyAfterTheDeadlineAndNeverWhatIsComplete) {
  World w;
  w.begin();
  const Lease slow = w.lease(0, w.miner);
  const Lease whole = w.trained(1, w.other);
  w.replay(whole);
  const Bytes expired = World::close(slow, CloseReason::expired);
  w.refuses(close, expired, "has not run out");
  w.time_ms = whole.deadline_ms;
  w.refuses(close, World::close(whole, CloseReason::expired), "has not run out");
  w.time_ms = whole.deadline_ms + 1;
  w.must(close, expired);
  w.refuses(close, World::close(whole, CloseReason::expired), "the lease is complete");
  w.must(close, done(whole));
  EXPECT_FALSE(w.job_state().slots[0]) << "the slot goes on";
  w.lease(0, w.other);
}

TEST(LedgerClose, RejectsOnlyWithAProofAndAbandonsOnlyWithTheMinersWord) {
  World w;
  w.begin();
  const Lease lease = w.trained(0, w.miner);
  const auto refuse = [&](auto change, std::string_view words) {
    CloseBody body{lease.id, CloseReason::rejected, World::secret_of(lease), {}, {}};
    change(body);
    w.refuses(close, encode(body), words);
  };
  refuse([](CloseBody&) {}, "a proof belongs to rejected");
  refuse([](CloseBody& b) { b.proof = filled(9); }, "not logged");
  const Digest address = w.prove(lease);
  refuse(
      [&](CloseBody& b) {
        b.reason = CloseReason::expired;
        b.proof = address;
      },
      "a proof belongs to rejected");
  refuse([&](CloseBody& b) { b.reason = CloseReason::abandoned; }, "did not sign");
  refuse(
      [&](CloseBody& b) {
        b.reason = CloseReason::abandoned;
        b.abandon = w.other.sign(abandon_message(lease.id));
      },
      "did not sign");
  refuse(
      [&](CloseBody& b) {
        b.proof = address;
        b.abandon = w.miner.sign(abandon_message(lease.id));
      },
      "signature belongs to abandoned");
  refuse([](CloseBody& b) { b.reason = CloseReason::cancelled; }, "the job has not ended");
  w.must(close,
         encode(CloseBody{lease.id, CloseReason::rejected, World::secret_of(lease), address, {}}));
  EXPECT_EQ(w.lease_state(lease).proof, address);
  EXPECT_EQ(w.batch(w.batch_id(w.miner, 0)).proven, 1U);
  const Lease given = w.lease(0, w.miner);
  w.must(close, World::abandon(given, w.miner));
  EXPECT_FALSE(w.job_state().slots[0]);
}

TEST(LedgerPost, MustFollowItsCauseAndEqualIt) {
  World w;
  w.begin();
  const auto body = [](uint64_t cause, std::vector<Posting> postings) {
    return encode(PostBody{cause, std::move(postings)});
  };
  w.refuses(post, body(w.state.next_seq() - 1, {{"external", 0}}), "nothing is to be");
  ASSERT_TRUE(w.push(fund, encode(FundBody{w.id, 10}), false).ok());
  const uint64_t cause = w.state.next_seq() - 1;
  const std::string escrow = "escrow:" + to_hex(w.id.view());
  w.refuses(member, encode(w.member(w.miner, "carol", 2)), "missing");
  w.refuses(post, body(cause, {{escrow, 11}, {"external", -11}}), "differs");
  w.refuses(post, body(cause, {{escrow, 10}, {"external", -9}}), "differs");
  w.refuses(post, body(cause, {{"external", -10}, {escrow, 10}}), "differs");
  w.refuses(post, body(cause - 1, {{escrow, 10}, {"external", -10}}), "differs");
  w.must(post, body(cause, {{escrow, 10}, {"external", -10}}));
}

TEST(LedgerMerge, TakesExactlyTheCompleteLeasesOfTheCurrentRound) {
  World w;
  w.begin();
  const Lease a = w.complete(0, w.miner);
  const Lease b = w.trained(1, w.other);
  w.refuses(merge, w.merge({a, b}), "slot 1 is not complete");
  w.replay(b);
  w.must(close, done(b));
  w.refuses(merge, w.merge({a}), "one lease for each slot");
  w.refuses(merge, w.merge({b, a}), "slot 0 has another lease");
  w.refuses(merge, w.merge({a, a}), "slot 1 has another lease");
  w.refuses(merge, encode(MergeBody{w.id, 1, filled(1), filled(1), {a.id, b.id}, {}}),
            "current round");
  w.refuses(merge, encode(MergeBody{filled(1), 0, filled(1), filled(1), {a.id, b.id}, {}}),
            "no such job");
  w.refuses(finish, encode(FinishBody{w.id, World::theta(0)}), "last round is not merged");
  w.must(merge, w.merge({a, b}));
  EXPECT_EQ(w.job_state().round, 1U);
  EXPECT_TRUE(w.lease_state(a).merged);
  w.refuses(merge, encode(MergeBody{w.id, 0, filled(1), filled(1), {a.id, b.id}, {}}),
            "current round");
}

TEST(LedgerMerge, LeavesOutACompleteLeaseThatIsFoundWrongInTime) {
  World w;
  w.begin();
  const Lease bad = w.complete(0, w.miner);
  const Lease good = w.complete(1, w.other);
  w.convict(bad);
  EXPECT_FALSE(w.job_state().slots[0]);
  w.refuses(merge, w.merge({bad, good}), "slot 0 has another lease");
  const Lease again = w.complete(0, w.other);
  w.must(merge, w.merge({again, good}));
  EXPECT_TRUE(w.job_state().to_subtract.empty()) << "nothing of it was merged";
}

TEST(LedgerMerge, TakesBadLeasesOutAgainOnceAndNobodyElses) {
  Job job = small_job();
  job.spec.rounds = 4;
  World w(job);
  w.begin();
  const std::vector<Lease> first = w.round(w.miner, w.other);
  const Lease early = first[0];
  w.convict(early);  // before the round's first lease
  Lease a = w.complete(0, w.other);
  Lease b = w.complete(1, w.other);
  w.refuses(merge, w.merge({a, b}, {a.id}), "not merged and struck");
  w.refuses(merge, w.merge({a, b}, {first[1].id}), "not merged and struck");
  w.refuses(merge, w.merge({a, b}, {early.id, early.id}), "ascend");
  const LedgerState before(w.state);
  w.must(merge, w.merge({a, b}));  // it was found wrong only after round 1 had begun
  a = w.complete(0, w.other);
  b = w.complete(1, w.other);
  w.refuses(merge, w.merge({a, b}), "is not subtracted");
  w.must(merge, w.merge({a, b}, {early.id}));
  EXPECT_TRUE(w.lease_state(early).subtracted);
  EXPECT_TRUE(w.job_state().to_subtract.empty());
  a = w.complete(0, w.other);
  b = w.complete(1, w.other);
  w.refuses(merge, w.merge({a, b}, {early.id}), "was subtracted before");
  EXPECT_EQ(w.job_state().merged[0][1], first[1].id) << "the others' leases stay";
}

TEST(LedgerStop, EndsAJobThatDiverges) {
  World w;
  w.begin();
  const Lease whole = w.trained(0, w.other);
  const Lease lease = w.lease(1, w.miner);
  w.share(lease, 0, w.miner);
  const auto refuse = [&](auto change, std::string_view words, Errc code = Errc::invalid) {
    StopBody body{w.id, lease.id, 3, StopReason::diverged};
    change(body);
    w.refuses(stop, encode(body), words, code);
  };
  refuse([](StopBody& b) { b.job_id = filled(1); }, "no such job");
  refuse([](StopBody& b) { b.lease_id = filled(1); }, "not one of this job");
  refuse([](StopBody& b) { b.step = 1; }, "next share");
  refuse([](StopBody& b) { b.step = 4; }, "next share");
  refuse([&](StopBody& b) { b.lease_id = whole.id; }, "all its shares");
  refuse([](StopBody& b) { b.reason = StopReason{2}; }, "out of bounds", Errc::malformed);
  w.must(stop, encode(StopBody{w.id, lease.id, 3, StopReason::diverged}));
  refuse([](StopBody&) {}, "has ended");
  w.refuses(share, World::wrap(w.make_share(lease, 1, w.miner)), "has ended");
  w.must(close, World::close(lease, CloseReason::cancelled));
  w.refuses(RecordKind::lease, World::wrap(w.make_lease(1, w.miner)), "has stopped");
  w.replay(whole);
  w.must(close, done(whole));  // who had all its work logged is paid
  w.refuses(finish, encode(FinishBody{w.id, World::theta(0)}), "not settled");
  w.pay(w.other, 0, DrawReason::job_ended);
  w.must(finish, encode(FinishBody{w.id, World::theta(0)}));
  EXPECT_EQ(w.balance("account:bob"), w.net(1));
  EXPECT_EQ(w.escrow(), 0);
}

// One bad lease must not end a job by what it did to the weights.
TEST(LedgerStop, WaitsUntilWhatWasMergedAndIsNotSettledWasReplayed) {
  World w;
  w.begin();
  const std::vector<Lease> merged = w.round(w.miner, w.other);
  const Lease lease = w.lease(0, w.other);
  const Bytes body = encode(StopBody{w.id, lease.id, 0, StopReason::diverged});
  w.refuses(stop, body, "was not replayed");
  w.replay(merged[0]);
  w.refuses(stop, body, "was not replayed");
  w.convict(merged[1]);
  w.refuses(stop, body, "is not taken out");
}

TEST(LedgerStop, WaitsForTheLastRoundsThoughTheyAreSettled) {
  Job job = small_job();
  job.audit.first_batch = 1;
  job.audit.threads = 0;
  job.spec.rounds = kSuspectRounds + 4;
  World w(job);
  w.begin();
  std::vector<Lease> merged;
  for (uint32_t i = 0; i < kSuspectRounds + 1; ++i) {
    const std::vector<Lease> leases = w.round(w.miner, w.other);
    merged.insert(merged.end(), leases.begin(), leases.end());
  }
  for (const Identity* const who : {&w.miner, &w.other}) {
    for (uint64_t number = 0; w.state.batch(w.batch_id(*who, number)) != nullptr; ++number) {
      if (w.batch(w.batch_id(*who, number)).leases.size() == 3 || number == 0)
        w.pay(*who, number, DrawReason::full);
    }
  }
  const Lease open = w.lease(0, w.other);
  const Bytes body = encode(StopBody{w.id, open.id, 0, StopReason::diverged});
  EXPECT_TRUE(w.lease_state(merged[2]).paid);
  const std::vector<Digest> suspects = w.state.suspects(w.id);
  EXPECT_FALSE(std::ranges::binary_search(suspects, merged[0].id)) << "paid, five rounds ago";
  for (const Digest& id : suspects) {
    w.refuses(stop, body, "was not replayed");
    w.replay(w.state.leases().at(id).lease);
  }
  w.must(stop, body);
}

// The poison of one lease ends no job: it is taken out, and the round begins again.
TEST(LedgerRepair, TakesOutWhatIsWrongAndBeginsTheRoundAgain) {
  Job job = small_job();
  job.spec.rounds = 3;
  World w(job);
  w.begin();
  const std::vector<Lease> merged = w.round(w.miner, w.other);
  const Lease whole = w.complete(0, w.other);
  const Lease sent = w.lease(1, w.miner);
  w.share(sent, 0, w.miner);
  w.refuses(merge, w.repair({}), "nothing to take out");
  w.refuses(merge, w.repair({merged[0].id}), "nothing to take out");
  w.convict(merged[0]);
  w.refuses(merge, w.repair({}), "takes out every lease");
  w.refuses(merge, w.repair({merged[1].id}), "not merged and struck");
  MergeBody body = decode<MergeBody>(w.repair({merged[0].id})).value();
  body.round = 2;
  w.refuses(merge, encode(body), "current round");
  body = decode<MergeBody>(w.repair({merged[0].id})).value();
  body.theta_before = World::theta(0);
  w.refuses(merge, encode(body), "theta_before");
  w.refuses(close, World::close(sent, CloseReason::cancelled), "has not ended");
  w.must(merge, w.repair({merged[0].id}));
  EXPECT_EQ(w.job_state().round, 1U);
  EXPECT_EQ(w.job_state().theta_roots.size(), 2U);
  EXPECT_EQ(w.job_state().replaced.size(), 1U);
  EXPECT_TRUE(w.lease_state(merged[0]).subtracted);
  EXPECT_TRUE(w.lease_state(whole).set_aside);
  w.refuses(merge, w.repair({merged[0].id}), "nothing to take out");

  w.refuses(share, World::wrap(w.make_share(sent, 1, w.miner)), "began again");
  w.must(close, World::close(sent, CloseReason::cancelled));
  Lease old = w.make_lease(0, w.other);
  old.theta_root = World::theta(1);
  sign(old, w.pool);
  w.refuses(lease, World::wrap(old), "theta_root");
  const std::vector<Lease> again = {w.complete(0, w.other), w.complete(1, w.other)};
  w.refuses(merge, w.merge({whole, again[1]}), "another lease");
  w.must(merge, w.merge(again));
  EXPECT_FALSE(w.lease_state(whole).merged);
  w.pay(w.other, 0, DrawReason::full);  // bob's first two, of which one was set aside
  EXPECT_TRUE(w.lease_state(whole).paid) << "whose work was of weights that are no more";
}

TEST(LedgerRepair, LetsWhoHadSentEverythingComplete) {
  World w;
  w.begin();
  const std::vector<Lease> merged = w.round(w.miner, w.other);
  const Lease sent = w.trained(0, w.other);
  w.convict(merged[0]);
  w.must(merge, w.repair({merged[0].id}));
  w.refuses(close, World::close(sent, CloseReason::cancelled), "has not ended");
  w.must(close, done(sent));
  EXPECT_FALSE(w.job_state().slots[0]);
  w.convict(sent);  // its slot is another's now
  const Lease again = w.lease(0, w.other);
  EXPECT_EQ(w.job_state().slots[0], again.id);
  w.must(close, World::abandon(again, w.other));
}

TEST(LedgerRepair, ComesBeforeTheEndWhenTheLastRoundIsMerged) {
  World w;
  w.begin();
  w.round(w.miner, w.other);
  const std::vector<Lease> last = w.round(w.miner, w.other);
  w.convict(last[0]);
  w.pay(w.other, 0, DrawReason::full);
  w.must(draw, w.draw(w.batch_id(w.miner, 0), DrawReason::full));
  for (uint32_t i = 0; i < w.batch(w.batch_id(w.miner, 0)).draw->tickets.size(); ++i) {
    if (w.state.ticket_status(w.batch_id(w.miner, 0), i) == TicketStatus::open)
      w.judge(w.batch_id(w.miner, 0), i, Outcome::valid, w.miner);
  }
  w.settle_now(w.batch_id(w.miner, 0));
  w.refuses(finish, encode(FinishBody{w.id, World::theta(2)}), "is not taken out");
  w.must(merge, w.repair({last[0].id}));
  w.refuses(finish, encode(FinishBody{w.id, World::theta(2)}), "theta_root");
  w.must(finish, encode(FinishBody{w.id, w.job_state().theta_roots.back()}));
  w.refuses(merge, w.repair({last[0].id}), "finished");
}

TEST(LedgerFinish, WaitsForTheLastRoundAndEveryBatchAndReturnsTheRest) {
  World w;
  w.begin();
  w.round(w.miner, w.other);
  w.refuses(finish, encode(FinishBody{w.id, World::theta(1)}), "last round");
  w.round(w.miner, w.other);
  w.refuses(lease, World::wrap(w.make_lease(0, w.miner)), "current round");
  w.refuses(finish, encode(FinishBody{w.id, World::theta(2)}), "not settled");
  w.pay(w.miner, 0, DrawReason::full);
  w.refuses(finish, encode(FinishBody{w.id, World::theta(2)}), "not settled");
  w.pay(w.other, 0, DrawReason::job_ended);
  w.refuses(finish, encode(FinishBody{w.id, World::theta(1)}), "theta_root");
  w.must(finish, encode(FinishBody{w.id, World::theta(2)}));
  EXPECT_EQ(w.escrow(), 0);
  EXPECT_EQ(w.balance("external"), -4 * w.gross());
  EXPECT_EQ(w.balance("account:alice"), w.net(2));
  EXPECT_EQ(w.balance("account:bob"), w.net(2));
  EXPECT_EQ(w.balance("fee:house"), 4 * (w.gross() / 10));
  w.refuses(finish, encode(FinishBody{w.id, World::theta(2)}), "already finished");
  w.refuses(fund, encode(FundBody{w.id, 1}), "finished");
}

}  // namespace
}  // namespace gemmine::verifier
