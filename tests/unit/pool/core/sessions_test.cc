// Who is connected, by id and by key.
#include "pool/core/sessions.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

TEST(Sessions, EndWhenSilentAndWhenTheGreetingTakesTooLong) {
  Scene s(batches(1));
  s.fake.pool->on_open(ConnId{30}, {filled(1), filled(2)}, s.fake.now);
  s.fake.tick(kGreetingMs + 1);
  EXPECT_TRUE(s.hung_up(ConnId{30}));
  EXPECT_FALSE(s.hung_up(kMiner));
  s.fake.tick(60'000);
  s.fake.frame(kMiner, MessageType::ping, encode(Ping{1}));
  s.fake.tick(60'000);
  EXPECT_TRUE(s.hung_up(kAuditor));
  EXPECT_FALSE(s.hung_up(kMiner));
}

TEST(Sessions, AreFoundByTheKeysOfMinersOnly) {
  FakePool fake;
  ASSERT_EQ(fake.join(ConnId{1}, miner()), std::nullopt);
  ASSERT_EQ(fake.join(ConnId{2}, miner()), std::nullopt);
  ASSERT_EQ(fake.join(ConnId{3}, miner(), Role::auditor), std::nullopt);
  ASSERT_EQ(fake.join(ConnId{4}, auditor()), std::nullopt);
  Sessions& sessions = fake.pool->sessions();
  EXPECT_EQ(sessions.of_miner(miner().public_key()), (std::vector{ConnId{1}, ConnId{2}}));
  fake.pool->on_close(ConnId{1});
  EXPECT_EQ(sessions.of_miner(miner().public_key()), std::vector{ConnId{2}});
  fake.pool->on_close(ConnId{2});
  EXPECT_TRUE(sessions.of_miner(miner().public_key()).empty());
  EXPECT_EQ(sessions.of_miner(auditor().public_key()), std::vector{ConnId{4}});
}

TEST(Sessions, AreRefusedByNameToAKeyThatSignsAnything) {
  const auto refused = [](const Digest& key) {
    FakePool fake;
    fake.pool->on_open(ConnId{1}, {filled(1), filled(2)}, fake.now);
    Hello hello;
    hello.public_key = key;
    hello.account = "alice";
    fake.frame(ConnId{1}, MessageType::hello, encode(hello));
    return fake.error();
  };
  Digest key;
  EXPECT_EQ(refused(key), WireError::bad_key);
  key.bytes[0] = 1;
  EXPECT_EQ(refused(key), WireError::bad_key);
  EXPECT_EQ(refused(filled(0xff)), WireError::bad_key);
  EXPECT_EQ(refused(miner().public_key()), std::nullopt);
}

TEST(Sessions, ThatDidNotFinishTheirGreetingAreNobodys) {
  FakePool fake;
  fake.pool->on_open(ConnId{1}, {filled(1), filled(2)}, fake.now);
  Hello hello;
  hello.public_key = miner().public_key();
  hello.account = "alice";
  fake.frame(ConnId{1}, MessageType::hello, encode(hello));
  EXPECT_TRUE(fake.pool->sessions().of_miner(miner().public_key()).empty());
  fake.pool->on_close(ConnId{1});
  EXPECT_TRUE(fake.pool->sessions().peers().empty());
}

TEST(Sessions, MayBeginAgainWhenTheyAreNotWelcome) {
  FakePool fake;
  ASSERT_EQ(fake.join(ConnId{1}, miner()), std::nullopt);
  Sessions& sessions = fake.pool->sessions();
  sessions.begin_again(*sessions.find(ConnId{1}));
  EXPECT_TRUE(sessions.of_miner(miner().public_key()).empty());
  EXPECT_EQ(sessions.find(ConnId{1})->stage, Peer::Stage::hello);
}

}  // namespace
}  // namespace gemmine::pool
