// What the operator reads: numbers of the ledger, as JSON and as text.
#include "pool/server/status.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/pool/core/fake_pool.h"

namespace gemmine::pool {
namespace {

using nlohmann::json;

constexpr ConnId kConn{1};

class PoolStatus : public testing::Test {
 protected:
  PoolStatus() {
    EXPECT_EQ(fake_.join(kConn, miner_), std::nullopt);
    for (int i = 0; i < 2; ++i)
      EXPECT_TRUE(fake_.do_lease(kConn, miner_));
  }
  FakePool fake_;
  const verifier::Identity miner_ = verifier::Identity::from_seed(filled(3));
};

TEST_F(PoolStatus, TellsWhatHappened) {
  PoolView view = view_of(*fake_.pool, fake_.now);
  view.connections = 3;
  view.stalled = true;
  const json status = json::parse(status_json(view));
  EXPECT_EQ(status["connections"], 3);
  EXPECT_EQ(status["stalled"], true);
  EXPECT_EQ(status["finished"], false);
  EXPECT_EQ(status["leases_open"], 0);
  EXPECT_EQ(status["shares"], 4);
  EXPECT_EQ(status["leases"]["total"], 2);
  EXPECT_EQ(status["leases"]["audited"], 2);
  EXPECT_EQ(status["leases"]["paid"], 2);
  const json& job = status["jobs"][0];
  EXPECT_EQ(job["name"], "toy");
  EXPECT_EQ(job["round"], 1);
  EXPECT_EQ(job["steps"], 8);
  EXPECT_EQ(job["losses"].size(), 4u);
  EXPECT_EQ(job["accuracy"].size(), 2u) << "of the start and of the first round";
  const json& miner = status["miners"][0];
  EXPECT_EQ(miner["account"], "alice");
  EXPECT_EQ(miner["shares"], 4);
  EXPECT_EQ(miner["leases"]["complete"], 2);
  EXPECT_EQ(status["ledger"]["records"], fake_.durable.size());
}

TEST_F(PoolStatus, ReportsTheSameOfALedgerAlone) {
  const verifier::LedgerState& ledger = fake_.pool->ledger();
  const LedgerView view = view_of(ledger, Totals::of(ledger));
  const json report = json::parse(report_json(view));
  const json status = json::parse(status_json(view_of(*fake_.pool, fake_.now)));
  for (const char* const part : {"shares", "leases", "miners", "accounts", "ledger"})
    EXPECT_EQ(report[part], status[part]) << part;
  const std::string text = report_text(view);
  EXPECT_NE(text.find("leases   2: 2 complete, 2 audited, 0 wrong, 2 paid"), std::string::npos)
      << text;
  EXPECT_NE(text.find("alice  shares 4"), std::string::npos) << text;
  EXPECT_NE(text.find("sum      0\n"), std::string::npos) << text;
}

// A pool that starts again knows what its rounds were evaluated to.
TEST_F(PoolStatus, NeedsNoSecondEvaluationOfARound) {
  const auto results = fake_.pool->rooms().at(fake_.job_id()).results;
  ASSERT_EQ(results.size(), 2u);
  std::vector<uint32_t> evaluated;
  fake_.intercept = [&](const Task& task) {
    if (const auto* const each = std::get_if<EvaluateTask>(&task)) evaluated.push_back(each->round);
    return std::optional<TaskDone>{};
  };
  fake_.recalled = {results.at(0)};
  EvaluateDone other = results.at(1);
  other.theta_root.bytes[0] ^= 1;  // of another ledger
  fake_.recalled.push_back(other);
  fake_.start(fake_.durable);
  EXPECT_EQ(evaluated, std::vector<uint32_t>{1});
}

}  // namespace
}  // namespace gemmine::pool
