// Settlement: what is drawn of a batch, and what it earns (PROTOCOL 13).
#include "tests/unit/verifier/ledger/ledger_world.h"

namespace gemmine::verifier {
namespace {

using test::filled;
using test::small_job;
using test::World;
using enum RecordKind;

// A job of as many rounds of one slot as a test needs, so that leases follow each other.
Job narrow_job(uint32_t rounds) {
  Job job = small_job();
  job.spec.slots = 1;
  job.spec.rounds = rounds;
  job.audit.first_audits = 0;
  return job;
}
Lease merged(World& w, const Identity& by) {
  const Lease lease = w.complete(0, by);
  w.must(RecordKind::merge, w.merge({lease}));
  return lease;
}
// The batch with its number, full and drawn.
BatchId drawn(World& w, const Identity& by, uint64_t number) {
  const BatchId of = w.batch_id(by, number);
  while (w.state.batch(of) == nullptr || w.batch(of).leases.size() < w.batch(of).size)
    merged(w, by);
  w.must(draw, w.draw(of, DrawReason::full));
  return of;
}
// Tickets of the kind, by number.
std::vector<uint32_t> tickets(const World& w, const BatchId& of, AuditKind kind) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < w.batch(of).draw->tickets.size(); ++i) {
    if (w.batch(of).draw->tickets[i].ticket.kind == kind) out.push_back(i);
  }
  return out;
}

TEST(LedgerBatch, HoldsAsManyLeasesAsThePolicySaysAndThenAnotherBegins) {
  Job wide = small_job();
  wide.spec.slots = 8;
  World w(wide);
  w.begin();
  const Lease a = w.complete(0, w.miner);
  const Lease b = w.lease(1, w.miner);
  Lease third = w.make_lease(2, w.miner);
  EXPECT_NE(third.batch_commit, a.batch_commit);
  Lease crowded = third;
  crowded.batch_commit = a.batch_commit;
  sign(crowded, w.pool);
  w.refuses(lease, World::wrap(crowded), "the batch is full");
  w.must(lease, World::wrap(third));
  EXPECT_EQ(w.lease_state(b).batch, 0U);
  EXPECT_EQ(w.lease_state(third).batch, 1U);
  EXPECT_EQ(w.batch(w.batch_id(w.miner, 0)).size, w.job.audit.first_batch);
  EXPECT_EQ(w.batch(w.batch_id(w.miner, 1)).size, w.job.audit.batch_leases);
  EXPECT_EQ(w.state.batch_of(a.batch_commit), w.batch_id(w.miner, 0));
  // What comes to nothing leaves its place in the batch.
  w.must(close, World::abandon(b, w.miner));
  const Lease instead = w.lease(1, w.miner);
  EXPECT_EQ(instead.batch_commit, a.batch_commit);
  w.must(close, World::abandon(instead, w.miner));
  w.time_ms += kIdleLeases * uint64_t{w.job.audit.lease_ms};
  w.must(draw, w.draw(w.batch_id(w.miner, 0), DrawReason::idle));
  Lease late = w.make_lease(1, w.miner);
  late.batch_commit = a.batch_commit;
  sign(late, w.pool);
  w.refuses(lease, World::wrap(late), "the batch is drawn");
}

TEST(LedgerDraw, WaitsForAReasonAndForTheLastLease) {
  World w;
  w.begin();
  const BatchId of = w.batch_id(w.miner, 0);
  DrawBody none{w.id, w.miner.public_key(), 0, 0, DrawReason::asked, {}, {}};
  w.refuses(draw, encode(none), "no such batch");
  const Lease open = w.lease(0, w.miner);
  w.refuses(draw, w.draw(of, DrawReason::asked), "no complete lease");
  const Lease done = w.complete(1, w.miner);
  w.refuses(draw, w.draw(of, DrawReason::asked), "a lease of the batch is open");
  w.must(close, World::abandon(open, w.miner));
  w.refuses(draw, w.draw(of, DrawReason::full), "not full");
  w.refuses(draw, w.draw(of, DrawReason::job_ended), "has not ended");
  w.refuses(draw, w.draw(of, DrawReason::idle), "not been idle");
  const auto refuse = [&](auto change, std::string_view words) {
    DrawBody body = decode<DrawBody>(w.draw(of, DrawReason::asked)).value();
    change(body);
    w.refuses(draw, encode(body), words);
  };
  refuse([](DrawBody& b) { b.leases = 2; }, "another number of leases");
  refuse([](DrawBody& b) { b.s1 = filled(1); }, "not the one committed to");
  refuse([](DrawBody& b) { b.batch = 1; }, "no such batch");
  refuse([](DrawBody&) {}, "less than first_batch");
  const uint64_t idle = w.lease_state(done).closed_ms + 10 * uint64_t{w.job.audit.lease_ms};
  w.time_ms = idle - 1;
  w.refuses(draw, w.draw(of, DrawReason::idle), "not been idle");
  w.time_ms = idle;
  w.must(draw, w.draw(of, DrawReason::idle));
  w.refuses(draw, w.draw(of, DrawReason::asked), "already drawn");
  const DrawState& drawn = *w.batch(of).draw;
  EXPECT_EQ(drawn.tickets.size(), 2U) << "a thread and a replay";
  const ShareState& share = w.lease_state(done).shares[0];
  EXPECT_NE(drawn.seed, batch_seed(drawn.s1, std::vector{share.id})) << "of all the shares";
}

TEST(LedgerDraw, OfLessThanAFullBatchTakesTheMinersWord) {
  Job job = small_job();
  job.audit.first_batch = 1;
  World w(job);
  w.begin();
  w.round(w.miner, w.other);
  w.complete(0, w.miner);
  const BatchId of = w.batch_id(w.miner, 1);
  ASSERT_LT(w.batch(of).leases.size(), w.batch(of).size);
  const auto refuse = [&](auto change, std::string_view words) {
    DrawBody body = decode<DrawBody>(w.draw(of, DrawReason::asked)).value();
    change(body);
    w.refuses(draw, encode(body), words);
  };
  refuse([](DrawBody& b) { b.asked = {}; }, "did not ask");
  refuse([&](DrawBody& b) { b.asked = w.pool.sign(settle_message(w.batch(of).commit)); },
         "did not ask");
  refuse(
      [&](DrawBody& b) {
        b.asked = w.miner.sign(settle_message(w.batch(w.batch_id(w.miner, 0)).commit));
      },
      "did not ask");
  w.time_ms += kIdleLeases * uint64_t{w.job.audit.lease_ms};
  refuse([](DrawBody& b) { b.reason = DrawReason::idle; }, "belongs to asked only");
  w.must(draw, w.draw(of, DrawReason::asked));
}

TEST(LedgerChallenge, OfATicketIsTheOneThatWasDrawn) {
  World w(narrow_job(9));
  w.begin();
  const BatchId of = drawn(w, w.miner, 0);
  const uint32_t ticket = tickets(w, of, AuditKind::thread).at(0);
  const Lease lease = w.ticket_lease(of, ticket);
  const Digest seed = w.batch(of).draw->tickets[ticket].seed;
  ChallengeBody body{lease.id, ChallengeWhy::ticket, Asked::thread, filled(1),
                     w.job.audit.answer_ms};
  w.refuses(challenge, encode(body), "no ticket");
  body.question = seed;
  const auto& leases = w.batch(of).leases;
  body.lease_id = leases[0] == lease.id ? leases[1] : leases[0];
  w.refuses(challenge, encode(body), "no ticket");
  body.lease_id = lease.id;
  w.must(challenge, encode(body));
  EXPECT_EQ(w.state.ticket_status(of, ticket), TicketStatus::open);
}

TEST(LedgerSettle, PaysAtOnceWhenEveryTicketIsRight) {
  World w(narrow_job(9));
  w.begin();
  const BatchId of = drawn(w, w.miner, 0);
  w.refuses(settle, World::settle(of, SettleOutcome::paid, 2), "has no verdict");
  w.judge(of, 0, Outcome::valid, w.miner);
  w.refuses(settle, World::settle(of, SettleOutcome::paid, 2), "has no verdict");
  w.judge(of, 1, Outcome::valid, w.miner);
  w.refuses(settle, World::settle(of, SettleOutcome::paid, 1), "paid, 2");
  w.refuses(settle, World::settle(of, SettleOutcome::fined, 2), "paid, 2");
  w.refuses(settle, World::settle(w.batch_id(w.miner, 1), SettleOutcome::paid, 2), "no such batch");
  w.must(settle, World::settle(of, SettleOutcome::paid, 2));
  EXPECT_EQ(w.balance("account:alice"), w.net(2));
  EXPECT_EQ(w.balance("fee:house"), 2 * (w.gross() / 10));
  w.refuses(settle, World::settle(of, SettleOutcome::paid, 2), "already settled");
  EXPECT_TRUE(w.state.unsettled().empty());
}

TEST(LedgerSettle, PaysTheAccountThatHeldWhenTheLeaseWasIssued) {
  World w(narrow_job(9));
  w.begin();
  merged(w, w.miner);
  w.must(member, encode(w.member(w.miner, "carol", 2)));
  merged(w, w.miner);
  w.must(member, encode(w.member(w.miner, "dave", 3)));
  w.pay(w.miner, 0, DrawReason::full);
  EXPECT_EQ(w.balance("account:alice"), w.net(1));
  EXPECT_EQ(w.balance("account:carol"), w.net(1));
  EXPECT_EQ(w.balance("account:dave"), 0);
}

// The key's second batch of three, drawn; the first is paid.
BatchId second_batch(World& w, const Identity& of) {
  const BatchId first = drawn(w, of, 0);
  for (uint32_t i = 0; i < w.batch(first).draw->tickets.size(); ++i)
    w.judge(first, i, Outcome::valid, of);
  w.settle_now(first);
  return drawn(w, of, 1);
}

TEST(LedgerSettle, FinesASingleFailedTicket) {
  Job job = narrow_job(9);
  job.audit.replays_ppm = 0;
  World w(job);
  w.begin();
  const BatchId of = second_batch(w, w.miner);
  const Lease bad = w.ticket_lease(of, 0);
  w.convict(bad);
  EXPECT_EQ(w.state.ticket_status(of, 0), TicketStatus::wrong) << "before anybody was asked";
  // Half of three, rounded up, and itself among them.
  w.refuses(settle, World::settle(of, SettleOutcome::paid, 3), "fined, 1");
  w.refuses(settle, World::settle(of, SettleOutcome::fined, 2), "fined, 1");
  w.settle_now(of);
  EXPECT_EQ(w.batch(of).settled, SettleOutcome::fined);
  EXPECT_FALSE(w.lease_state(bad).paid);
  EXPECT_EQ(w.balance("account:alice"), w.net(2 + 1));
  for (const Digest& id : w.batch(of).leases) {
    const LeaseState& lease = w.state.leases().at(id);
    EXPECT_EQ(w.job_state().to_subtract.contains(id), !lease.paid) << "nobody vouches for it";
  }
  EXPECT_FALSE(w.state.members().at(of.key).banned);
}

TEST(LedgerSettle, CountsALeaseThatNoTicketWasDrawnFor) {
  Job job = narrow_job(9);
  job.audit.replays_ppm = 0;
  World w(job);
  w.begin();
  const BatchId of = second_batch(w, w.miner);
  w.judge(of, 0, Outcome::valid, w.miner);
  const Lease drawn = w.ticket_lease(of, 0);
  const auto& leases = w.batch(of).leases;
  const Digest another = leases[0] == drawn.id ? leases[1] : leases[0];
  w.replay(w.state.leases().at(another).lease, Outcome::invalid);
  w.refuses(settle, World::settle(of, SettleOutcome::paid, 3), "fined, 1");
  w.replay(drawn, Outcome::invalid);
  w.refuses(settle, World::settle(of, SettleOutcome::fined, 1), "forfeited, 0");
}

// Tickets that meet on a stolen lease must not spare the rest of a stolen batch.
TEST(LedgerSettle, CountsTwoTicketsOnOneLeaseAsTwo) {
  Job job = narrow_job(9);
  job.audit.threads = 4;  // of two leases: each is drawn twice
  World w(job);
  w.begin();
  const BatchId of = drawn(w, w.miner, 0);
  w.convict(w.ticket_lease(of, 0));
  w.refuses(settle, World::settle(of, SettleOutcome::fined, 1), "forfeited, 0");
  w.settle_now(of);
  EXPECT_EQ(w.batch(of).proven, 1U) << "and one lease bans nobody";
}

TEST(LedgerSettle, ForfeitsABatchWithTwoFailedLeases) {
  World w(narrow_job(9));
  w.begin();
  const BatchId of = second_batch(w, w.miner);
  w.replay(w.state.leases().at(w.batch(of).leases[0]).lease, Outcome::invalid);
  w.replay(w.state.leases().at(w.batch(of).leases[2]).lease, Outcome::invalid);
  w.refuses(settle, World::settle(of, SettleOutcome::fined, 1), "forfeited, 0");
  w.settle_now(of);
  EXPECT_EQ(w.batch(of).settled, SettleOutcome::forfeited);
  EXPECT_EQ(w.balance("account:alice"), w.net(2)) << "what was paid stays paid";
  EXPECT_EQ(w.job_state().unsettled_leases, 0U) << "and the escrow has the rest again";
  EXPECT_EQ(w.to_subtract().size(), 3U) << "the one that nobody looked at, too";
}

TEST(LedgerRedraw, ReplaysOneSilentTicketWhichAnswersForAll) {
  Job job = narrow_job(9);
  job.audit.threads = 3;
  World w(job);
  w.begin();
  const BatchId of = second_batch(w, w.miner);
  const std::vector<uint32_t> threads = tickets(w, of, AuditKind::thread);
  ASSERT_EQ(threads.size(), 3U);
  w.refuses(redraw, w.redraw(of), "has no verdict");
  // The replay's lease is right, whatever its miner says to threads.
  w.judge(of, tickets(w, of, AuditKind::replay).at(0), Outcome::valid, w.miner);
  std::vector<uint32_t> silent;
  for (const uint32_t ticket : threads) {
    if (w.state.ticket_status(of, ticket) != TicketStatus::open) continue;
    w.refuses(redraw, w.redraw(of), "has no verdict");
    w.judge(of, ticket, Outcome::undecided, w.miner);
    EXPECT_EQ(w.state.ticket_status(of, ticket), TicketStatus::silent);
    silent.push_back(ticket);
  }
  ASSERT_EQ(silent.size(), 2U);
  w.refuses(settle, World::settle(of, SettleOutcome::paid, 3), "no redraw");
  RedrawBody wrong = decode<RedrawBody>(w.redraw(of)).value();
  wrong.s0 = filled(1);
  w.refuses(redraw, encode(wrong), "not the one committed to");
  w.must(redraw, w.redraw(of));
  w.refuses(redraw, w.redraw(of), "already redrawn");
  const uint32_t chosen = w.batch(of).redraw->ticket;
  EXPECT_EQ(chosen, silent[silent_ticket(World::s0_of(of.key, 1), w.batch(of).draw->seed, 2)]);
  w.refuses(settle, World::settle(of, SettleOutcome::paid, 3), "lacks its replay");
  EXPECT_EQ(w.state.free_silences(w.id, of.key), 2U) << "1, and 1 for two leases paid";
  w.replay(w.ticket_lease(of, chosen));
  w.settle_now(of);
  EXPECT_EQ(w.batch(of).settled, SettleOutcome::paid);
  EXPECT_EQ(w.balance("account:alice"), w.net(5));
  EXPECT_EQ(w.state.free_silences(w.id, of.key), 2U) << "1, 2 for five leases, less this one";
}

TEST(LedgerRedraw, IsOfSilenceOnly) {
  World w(narrow_job(9));
  w.begin();
  const BatchId of = w.batch_id(w.miner, 0);
  w.refuses(redraw, w.redraw(of), "no such batch");
  merged(w, w.miner);
  w.refuses(redraw, w.redraw(of), "not drawn");
  drawn(w, w.miner, 0);
  w.judge(of, 0, Outcome::valid, w.miner);
  w.judge(of, 1, Outcome::valid, w.miner);
  w.refuses(redraw, w.redraw(of), "no ticket is silent");
  w.settle_now(of);
  w.refuses(redraw, w.redraw(of), "is settled");
}

TEST(LedgerRedraw, ForfeitsWhenTheReplayFindsWrongBits) {
  Job job = narrow_job(9);
  job.audit.replays_ppm = 0;
  World w(job);
  w.begin();
  const BatchId of = second_batch(w, w.miner);
  w.judge(of, 0, Outcome::undecided, w.miner);
  w.must(redraw, w.redraw(of));
  w.replay(w.ticket_lease(of, 0), Outcome::invalid);
  w.refuses(settle, World::settle(of, SettleOutcome::fined, 1), "forfeited, 0");
  w.settle_now(of);
  EXPECT_EQ(w.batch(of).settled, SettleOutcome::forfeited);
}

TEST(LedgerRedraw, CostsTheReplayedLeaseBeyondTheFreeSilences) {
  Job job = narrow_job(30);
  job.audit.silent_free = 1000;  // one for every key, and no more
  job.audit.replays_ppm = 0;
  World w(job);
  w.begin();
  int64_t paid = 0;
  for (uint64_t number = 0; number < 3; ++number) {
    const BatchId of = drawn(w, w.miner, number);
    w.judge(of, 0, Outcome::undecided, w.miner);
    w.must(redraw, w.redraw(of));
    const Lease replayed = w.ticket_lease(of, 0);
    w.replay(replayed);
    w.settle_now(of);
    paid += w.batch(of).size - (number == 0 ? 0 : 1);
    EXPECT_EQ(w.batch(of).settled, SettleOutcome::paid);
    EXPECT_EQ(w.lease_state(replayed).paid, number == 0);
    EXPECT_EQ(w.balance("account:alice"), w.net(paid));
    EXPECT_EQ(w.state.free_silences(w.id, of.key), 0U);
  }
}

TEST(LedgerSettle, ForfeitsSilenceNextToAFailedLease) {
  Job job = narrow_job(9);
  job.audit.replays_ppm = 0;
  World w(job);
  w.begin();
  const BatchId of = second_batch(w, w.miner);
  const auto& leases = w.batch(of).leases;
  const Digest silent = w.ticket_lease(of, 0).id;
  w.judge(of, 0, Outcome::undecided, w.miner);
  w.replay(w.state.leases().at(leases[0] == silent ? leases[1] : leases[0]).lease,
           Outcome::invalid);
  w.refuses(settle, World::settle(of, SettleOutcome::fined, 1), "forfeited, 0");
  w.settle_now(of);
}

}  // namespace
}  // namespace gemmine::verifier
