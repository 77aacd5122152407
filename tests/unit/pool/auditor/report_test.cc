#include "pool/auditor/report.h"

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

AuditReport good() {
  AuditReport report;
  report.records = 12;
  report.coins_checked = 1;
  return report;
}

TEST(AuditReport, IsValidWhenAllThatWasCheckedIsTrue) {
  const Conclusion conclusion = conclude(good());
  EXPECT_EQ(conclusion.code, ExitCode::ok);
  EXPECT_EQ(conclusion.outcome, "valid");
  EXPECT_EQ(conclusion.reason, "everything that was checked is true");
}

TEST(AuditReport, DecidesNothingWhenNothingWasChecked) {
  EXPECT_EQ(conclude({}).code, ExitCode::undecided);
  EXPECT_EQ(conclude({}).reason, "nothing was checked: no record came");
  AuditReport folded;
  folded.records = 2;
  EXPECT_EQ(conclude(folded).code, ExitCode::undecided);
  EXPECT_EQ(conclude(folded).reason, "nothing was checked but that 2 records follow the rules");
}

TEST(AuditReport, CallsOurOwnLimitsUndecidedNeverUntrue) {
  AuditReport report = good();
  report.add_unchecked("busy", "delta: too many downloads at once");
  report.add_unchecked("busy", "another");
  EXPECT_EQ(report.unchecked_for.at("busy"), 2U);
  const Conclusion conclusion = conclude(report);
  EXPECT_EQ(conclusion.code, ExitCode::undecided);
  EXPECT_EQ(conclusion.reason,
            "could not check 2 of what was to be checked; the first: delta: too many downloads at "
            "once");
}

TEST(AuditReport, PutsWhatIsNotTrueBeforeEverything) {
  AuditReport report = good();
  report.add_unchecked("not served", "weights");
  report.refusal = ExitCode::refused;
  report.refused_why = "banned";
  EXPECT_EQ(conclude(report).code, ExitCode::refused);
  EXPECT_EQ(conclude(report).reason, "banned");
  report.add_untrue("the first");
  report.add_untrue("the second");
  EXPECT_EQ(conclude(report).code, ExitCode::invalid);
  EXPECT_EQ(conclude(report).reason, "the first");
}

TEST(AuditReport, IsNotValidBelowTheCoverageThatItWasAskedFor) {
  AuditReport report = good();
  report.leases_asked = 27;
  report.leases_replayed = 26;
  EXPECT_EQ(conclude(report).code, ExitCode::undecided);
  EXPECT_EQ(conclude(report).reason, "replayed 26 of the 27 leases that it was to replay");
  report.leases_replayed = 27;
  EXPECT_EQ(conclude(report).code, ExitCode::ok);
}

TEST(AuditReport, TellsOfVerdictsThatAreNotInTheLedger) {
  AuditReport report = good();
  report.unlogged = 3;
  EXPECT_EQ(conclude(report).code, ExitCode::ok);
  EXPECT_EQ(conclude(report).reason,
            "everything that was checked is true; 3 of our verdicts are not in the ledger");
}

}  // namespace
}  // namespace gemmine::pool
