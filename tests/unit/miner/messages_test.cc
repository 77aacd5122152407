// What a pool may say, and what a miner makes of it: every value is a stranger's.
#include "miner/messages.h"

#include "tests/unit/miner/scene.h"

namespace gemmine::miner {
namespace {

using pool::Level;
using pool::MessageType;

TEST_F(Scene, ToldMessagesThatDoNotDecodeAreIgnored) {
  join();
  forget();
  for (const MessageType type :
       {MessageType::round, MessageType::lease, MessageType::no_lease, MessageType::share_ok,
        MessageType::verdict, MessageType::delta_ok, MessageType::lease_closed}) {
    on_message(state_, type, Bytes(3, 1), now_);
    go_on();
  }
  EXPECT_EQ(told("pool_message_malformed", Level::error), 7U);
  EXPECT_TRUE(state_.leases.empty());
}

TEST_F(Scene, LeasesOfOthersAreRefusedWithAPause) {
  join();
  const auto refused = [&](auto change) {
    verifier::Lease wrong = lease();
    change(wrong);
    if (wrong.pool_key == pool_.public_key()) verifier::sign(wrong, pool_);
    grant(wrong);
    EXPECT_TRUE(state_.leases.empty());
  };
  refused([](verifier::Lease& l) { l.miner_key.bytes[0] ^= 1; });
  refused([](verifier::Lease& l) { l.pool_key.bytes[0] ^= 1; });
  refused([](verifier::Lease& l) { l.job_id.bytes[0] ^= 1; });
  refused([](verifier::Lease& l) { l.steps += 1; });
  refused([&](verifier::Lease& l) { l.round = toy_.job.spec.rounds; });
  refused([&](verifier::Lease& l) { l.slot = toy_.job.spec.slots; });
  EXPECT_EQ(told("lease_refused", Level::error), 6U);
  EXPECT_EQ(sent<pool::GetLease>(), 1U) << "a pool that jokes is not asked at its own speed";
  wait(Pause::kCeilingMs);
  EXPECT_EQ(sent<pool::GetLease>(), 2U);
}

// Whoever acknowledges without a signature can deny it later.
TEST_F(Scene, AReceiptThatIsNotThePoolsEndsTheWorkForIt) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  device(computed(one, 0));
  const auto share = state_.checkpoint.load_share(one.id, 0).value();
  const verifier::Receipt good =
      receipt(verifier::RecordKind::share, verifier::signed_body(encode(share)));
  const auto distrusted = [&](auto change) {
    verifier::Receipt wrong = good;
    change(wrong);
    forget();
    pool_says(MessageType::share_ok, pool::ShareOk{one.id, 0, wrong});
    EXPECT_EQ(state_.find(one.id)->accepted, 0U);
    return all<Distrust>().size();
  };
  EXPECT_EQ(distrusted([](verifier::Receipt& r) { ++r.seq; }), 1U);
  EXPECT_EQ(distrusted([](verifier::Receipt& r) { r.head_before.bytes[0] ^= 1; }), 1U);
  EXPECT_EQ(distrusted([](verifier::Receipt& r) { r.signature = {}; }), 1U);
  EXPECT_EQ(distrusted([&](verifier::Receipt& r) {
              r = receipt(verifier::RecordKind::delta, verifier::signed_body(encode(share)));
            }),
            1U)
      << "of another record";
  forget();
  pool_says(MessageType::share_ok, pool::ShareOk{one.id, 0, good});
  EXPECT_TRUE(all<Distrust>().empty());
  EXPECT_EQ(state_.find(one.id)->accepted, 1U);

  const verifier::CloseBody close{one.id, verifier::CloseReason::complete, secret_, {}, {}};
  pool_says(MessageType::lease_closed, pool::LeaseClosed{close, good});
  EXPECT_EQ(all<Distrust>().size(), 1U);
  EXPECT_NE(state_.find(one.id), nullptr) << "an end that the pool does not stand by is none";
}

TEST_F(Scene, AWordAboutWhatIsNotOursChangesNothing) {
  join();
  const verifier::Lease stranger = lease(1);
  accept(stranger, 0);
  close_lease(stranger);
  pool::Round round;
  round.round = 3;
  pool_says(MessageType::round, round);
  EXPECT_TRUE(state_.leases.empty());
  EXPECT_EQ(posted<RunShare>(), 0U);
}

TEST_F(Scene, AnAcknowledgementOfWhatWasNeverRunCountsForNothing) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  accept(one, 1);
  EXPECT_EQ(state_.leases.at(one.id).accepted, 0U);
}

TEST_F(Scene, AnUnfairPoolIsTold) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  device(computed(one, 0));
  accept(one, 0);
  close_lease(one, theta_address());  // a secret that it has not committed to
  EXPECT_EQ(told("pool_unfair", Level::error), 1U);
}

TEST_F(Scene, AnotherPoolsLeasesStayForWhenWeComeBack) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  device(computed(one, 0));
  on_down(state_);
  const verifier::Identity other =
      verifier::Identity::from_seed(kernels::blake3(as_bytes(std::string_view("other"))));
  on_ready(state_, other.public_key(), pool::AuthOk{}, now_);
  go_on();
  EXPECT_TRUE(state_.leases.empty());
  EXPECT_EQ(given_back(), 0U) << "nothing of it is the other pool's";
  on_down(state_);
  forget();
  join({{verifier::encode(one), 0, false}});
  ASSERT_EQ(state_.leases.size(), 1U);
  EXPECT_EQ(sent<pool::ShareMessage>(), 1U) << "what was computed is still here";
  EXPECT_EQ(posted<RunShare>(), 1U);
}

TEST_F(Scene, DataThatOnePoolDoesNotHaveMayComeFromTheNextConnection) {
  no_data_ = Error{Errc::invalid, "the pool has no such blob"};
  join();
  EXPECT_EQ(told("job_data_missing", Level::error), 1U);
  wait(Pause::kCeilingMs);
  EXPECT_EQ(sent<pool::GetLease>(), 0U);
  no_data_.reset();
  on_down(state_);
  join();
  EXPECT_EQ(sent<pool::GetLease>(), 1U);
}

TEST_F(Scene, SharesThatThePoolWasTooBusyForAreSentAgain) {
  join();
  const verifier::Lease one = lease();
  grant(one);
  device(computed(one, 0));
  on_error(state_, {1, pool::WireError::busy, 2'000, "audits are behind"}, now_);
  go_on();
  wait(1'999);
  EXPECT_EQ(sent<pool::ShareMessage>(), 1U);
  wait(1);
  EXPECT_EQ(sent<pool::ShareMessage>(), 2U);
}

TEST_F(Scene, WaitingIsToldOnceForEachReason) {
  join();
  const auto waits = [&](const std::string& reason) {
    for (int i = 0; i < 5; ++i) {
      pool_says(MessageType::no_lease, pool::NoLease{500, reason});
      wait(500);
    }
  };
  waits("no slot is free");
  EXPECT_EQ(told("waiting", Level::info), 1U);
  EXPECT_EQ(sent<pool::GetLease>(), 6U);
  waits("the last lease of this key came to nothing");
  EXPECT_EQ(told("waiting", Level::info), 2U);
  EXPECT_EQ(told("waiting", Level::debug), 8U);
}

// Every new key hears the first, and everyone at a job's end the second.
TEST_F(Scene, ARefusalOfALeaseIsNoTrouble) {
  join();
  on_error(state_, {1, pool::WireError::too_many, 500, "this key holds enough leases"}, now_);
  wait(500);
  on_error(state_, {2, pool::WireError::unknown_job, 500, "no such job"}, now_);
  EXPECT_EQ(told("pool_error", Level::warning), 0U);
  go_on();
  EXPECT_EQ(told("waiting", Level::info), 2U);
  EXPECT_EQ(told("pool_error", Level::warning), 0U);
  on_error(state_, {3, pool::WireError::too_many, 500, "nobody asked for a lease"}, now_);
  go_on();
  EXPECT_EQ(told("pool_error", Level::warning), 1U);
}

TEST_F(Scene, AWrongLeaseComesWithANextStep) {
  join();
  verifier::Verdict verdict;
  verdict.lease_id = lease().id;
  verdict.kind = verifier::AuditKind::replay;
  const auto hinted = [&](verifier::Outcome outcome) {
    verdict.outcome = outcome;
    verifier::sign(verdict, pool_);
    forget();
    pool_says(MessageType::verdict, pool::VerdictMessage{verifier::encode(verdict)});
    const auto events = all<pool::Event>();
    return events.size() == 1 && events.front().fields.back().first == "hint";
  };
  EXPECT_TRUE(hinted(verifier::Outcome::invalid));
  EXPECT_FALSE(hinted(verifier::Outcome::valid));
}

}  // namespace
}  // namespace gemmine::miner
