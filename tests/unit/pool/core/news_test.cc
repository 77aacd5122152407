// Whose batch it is hears of it, in the order of the ledger, and nobody else does.
#include "pool/core/news.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

using verifier::RecordKind;

std::vector<RecordMessage> told(const FakePool& fake, ConnId to) {
  std::vector<RecordMessage> out;
  for (const Outgoing& send : fake.ever_sent) {
    if (send.to == to && send.type == MessageType::record)
      out.push_back(decode<RecordMessage>(send.payload).value());
  }
  return out;
}
std::vector<RecordKind> kinds(const std::vector<RecordMessage>& messages) {
  std::vector<RecordKind> out;
  for (const RecordMessage& message : messages)
    out.push_back(message.kind);
  return out;
}

TEST(News, AMinerHearsWhatItsBatchEarnsAndNobodyElseDoes) {
  FakePool fake(batches(2));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  ASSERT_EQ(fake.join(ConnId{2}, auditor(7)), std::nullopt);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  EXPECT_TRUE(told(fake, kMiner).empty()) << "nothing is drawn yet";
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  const auto messages = told(fake, kMiner);
  ASSERT_EQ(kinds(messages), (std::vector{RecordKind::draw, RecordKind::settle, RecordKind::post}));
  EXPECT_TRUE(told(fake, ConnId{2}).empty());
  for (const RecordMessage& message : messages) {
    const auto& logged = fake.durable.at(message.receipt.seq);
    EXPECT_EQ(message.record().body, logged.body);
    EXPECT_EQ(message.receipt, logged.receipt());
  }
  const auto post = decode<verifier::PostBody>(messages.back().body).value();
  EXPECT_EQ(post.cause, messages[1].receipt.seq);
  // Ticks and other leases bring none of it again.
  fake.tick(1'000);
  ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  EXPECT_EQ(told(fake, kMiner).size(), 3U);
}

// A miner that leaves with its last job hears of its pay before.
TEST(News, ComeBeforeTheEndOfTheJob) {
  FakePool fake(batches(50));
  ASSERT_EQ(fake.join(kMiner, miner()), std::nullopt);
  for (int i = 0; i < 4; ++i)
    ASSERT_TRUE(fake.do_lease(kMiner, miner()));
  ASSERT_TRUE(fake.pool->all_finished());
  size_t last_news = 0;
  size_t finished = 0;
  for (size_t i = 0; i < fake.ever_sent.size(); ++i) {
    const Outgoing& send = fake.ever_sent[i];
    if (send.type == MessageType::record) last_news = i;
    if (send.type == MessageType::round && decode<Round>(send.payload).value().finished)
      finished = i;
  }
  EXPECT_GT(last_news, 0U);
  EXPECT_LT(last_news, finished);
}

}  // namespace
}  // namespace gemmine::pool
