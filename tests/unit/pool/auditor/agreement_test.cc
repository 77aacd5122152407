// Our findings against the golden ledger's verdicts.
#include "pool/auditor/agreement.h"

#include <gtest/gtest.h>

#include "tests/support/golden.h"

namespace gemmine::pool {
namespace {

using verifier::AuditKind;
using verifier::Outcome;

class Agreeing : public testing::Test {
 protected:
  Agreeing() {
    const test::Golden golden("ledger_complete");
    for (size_t seq = 0; golden.has("record " + std::to_string(seq)); ++seq) {
      const auto record =
          verifier::decode_record(golden.bytes("record " + std::to_string(seq))).value();
      EXPECT_TRUE(ledger_.apply(record).ok()) << seq;
    }
    for (const auto& [id, lease] : ledger_.leases())
      if (lease.paid && !lease.wrong) paid_ = id;
  }

  verifier::Verdict word(Outcome outcome) const {
    verifier::Verdict out;
    out.lease_id = paid_;
    out.kind = AuditKind::replay;
    out.outcome = outcome;
    return out;
  }

  verifier::LedgerState ledger_;
  Digest paid_;
  Agreement agreement_;
};

TEST_F(Agreeing, HasNothingToSayWhereBothFindTheLeaseRight) {
  agreement_.found_right(paid_);
  agreement_.pool_said(word(Outcome::valid));
  EXPECT_TRUE(agreement_.differences(ledger_, true).empty());
}

TEST_F(Agreeing, TellsOfAPoolThatPaysAWrongLease) {
  agreement_.found_wrong(paid_, 1, {Outcome::invalid, 3, "trace_root differs"});
  const auto differences = agreement_.differences(ledger_, false);
  ASSERT_EQ(differences.size(), 1U);
  EXPECT_EQ(differences[0].index, 1U);
  EXPECT_NE(differences[0].what.find("paid a lease that is wrong"), std::string::npos);
  EXPECT_NE(differences[0].what.find("trace_root differs"), std::string::npos);
  EXPECT_TRUE(agreement_.differences(ledger_, true).empty()) << "told once";
}

TEST_F(Agreeing, TellsOfAReplayThatSaysValidOfAWrongLease) {
  agreement_.found_wrong(paid_, 0, {Outcome::invalid, 0, ""});
  agreement_.pool_said(word(Outcome::valid));
  const auto differences = agreement_.differences(ledger_, false);
  ASSERT_EQ(differences.size(), 1U);
  EXPECT_NE(differences[0].what.find("found a lease right that is wrong"), std::string::npos);
}

TEST_F(Agreeing, TellsOfAReplayThatSaysInvalidOfARightLease) {
  agreement_.pool_said(word(Outcome::invalid));
  EXPECT_TRUE(agreement_.differences(ledger_, true).empty()) << "we have not looked";
  agreement_.found_right(paid_);
  const auto differences = agreement_.differences(ledger_, false);
  ASSERT_EQ(differences.size(), 1U);
  EXPECT_NE(differences[0].what.find("wrong, ours right"), std::string::npos);
}

TEST_F(Agreeing, CountsAThreadForNoReplay) {
  verifier::Verdict thread = word(Outcome::invalid);
  thread.kind = AuditKind::thread;
  agreement_.pool_said(thread);
  agreement_.found_right(paid_);
  EXPECT_TRUE(agreement_.differences(ledger_, true).empty());
}

}  // namespace
}  // namespace gemmine::pool
