// Whole histories of a job: the books, and what many keys cost (PROTOCOL 8.4, 13).
#include <chrono>
#include <set>

#include "tests/unit/verifier/ledger/ledger_world.h"

namespace gemmine::verifier {
namespace {

using test::filled;
using test::small_job;
using test::World;
using enum RecordKind;

// Random but honest: leases in any order, some given up, some silent, some faulty. Every prefix
// sums to zero, and the escrow is spent to the unit.
TEST(LedgerProperty, RandomHistoriesKeepTheBooks) {
  for (uint8_t seed = 0; seed < 8; ++seed) {
    Job job = small_job();
    job.spec.slots = 4;
    job.spec.rounds = 7;
    job.audit.threads = seed % 3;
    job.audit.replays_ppm = seed % 3 == 0 ? 2'000'000 : 500'000;
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
          w.must(close, World::abandon(gone, who));
        }
        leases.push_back(w.complete(slot, who));
        ASSERT_EQ(w.sum(), 0);
      }
      w.must(merge, w.merge(leases));
    }
    int64_t paid = 0;
    const std::set<BatchId> all = w.state.unsettled();
    EXPECT_GE(all.size(), 8U);
    for (const BatchId& of : all) {
      const Identity& who = of.key == w.miner.public_key() ? w.miner : w.other;
      w.must(draw, w.draw(of, DrawReason::job_ended));
      for (uint32_t i = 0; i < w.batch(of).draw->tickets.size(); ++i) {
        const bool thread = w.batch(of).draw->tickets[i].ticket.kind == AuditKind::thread;
        const Outcome bad = thread ? Outcome::undecided : Outcome::invalid;
        if (w.state.ticket_status(of, i) == TicketStatus::open)
          w.judge(of, i, roll(6) == 0 ? bad : Outcome::valid, who);
      }
      if (!w.state.settlement(of)) {
        w.must(redraw, w.redraw(of));
        w.replay(w.ticket_lease(of, w.batch(of).redraw->ticket));
      }
      paid += static_cast<int64_t>(w.state.settlement(of).value().paid.size());
      w.settle_now(of);
      ASSERT_EQ(w.sum(), 0);
    }
    if (!w.job_state().to_subtract.empty()) w.must(merge, w.repair(w.to_subtract()));
    w.must(finish, encode(FinishBody{w.id, w.job_state().theta_roots.back()}));
    EXPECT_GE(w.records.size(), 240U);
    EXPECT_GT(paid, 0);
    EXPECT_EQ(w.balance("external"), -paid * w.gross());
    EXPECT_EQ(w.balance("account:alice") + w.balance("account:bob"), w.net(paid));
    EXPECT_EQ(w.escrow(), 0);
    LedgerState again;
    for (const Record& record : w.records)
      ASSERT_TRUE(again.apply(record).ok());
    EXPECT_EQ(again.head(), w.state.head());
    EXPECT_EQ(again.accounts(), w.state.accounts());
  }
}

// No record grows with the number of keys: each batch has its own, and the job's end is one.
TEST(LedgerFinish, OfTwentyThousandKeysTakesSeconds) {
  constexpr uint32_t kKeys = 20'000;
  Job job = small_job();
  job.spec.slots = 4000;
  job.spec.rounds = kKeys / job.spec.slots;
  job.spec.steps_per_lease = 1;
  job.steps_per_share = 1;
  job.audit.first_audits = 0;
  job.audit.threads = 0;
  World w(job);
  w.keep_records = false;
  w.begin(uint64_t{1} << 40);
  for (uint32_t round = 0; round < job.spec.rounds; ++round) {
    std::vector<Lease> leases;
    for (uint32_t slot = 0; slot < job.spec.slots; ++slot) {
      const uint32_t number = round * job.spec.slots + slot;
      const Identity key = Identity::from_seed(kernels::blake3(Writer().put(number).bytes()));
      w.must(member, encode(w.member(key, "k" + std::to_string(number), 1)));
      leases.push_back(w.complete(slot, key));
    }
    w.must(merge, w.merge(leases));
  }
  ASSERT_EQ(w.state.unsettled().size(), kKeys);
  const auto start = std::chrono::steady_clock::now();
  const uint64_t first = w.state.next_seq();
  const std::set<BatchId> all = w.state.unsettled();
  for (const BatchId& of : all) {
    w.must(draw, w.draw(of, DrawReason::job_ended));
    w.replay(w.ticket_lease(of, 0));
    w.settle_now(of);
  }
  w.must(finish, encode(FinishBody{w.id, w.job_state().theta_roots.back()}));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  RecordProperty("finish_seconds", std::to_string(seconds));
  EXPECT_EQ(w.state.next_seq() - first, 4 * kKeys + 2) << "draw, verdict, settle and its post";
  EXPECT_EQ(w.balance("account:k19999"), w.net(1));
  EXPECT_EQ(w.escrow(), 0);
  EXPECT_LT(seconds, 120) << "something grows with the number of keys";
}

}  // namespace
}  // namespace gemmine::verifier
