// Greetings of strangers who are not who they say, or say what they may not.
#include <gtest/gtest.h>

#include "pool/net/frame.h"
#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

using verifier::RecordKind;

// What the miner signs in a session of the fake pool.
AuthMaterial material_of(const FakePool& fake) {
  return {.server_random = filled(2),
          .client_random = {},
          .channel_binding = filled(1),
          .pool_key = fake.identity().public_key(),
          .public_key = miner().public_key(),
          .role = Role::miner,
          .account = "alice"};
}

TEST(CheatingGreetings, WithWordsOfAnotherSessionAreRefused) {
  FakePool fake;
  const AuthMaterial right = material_of(fake);
  void (*const changes[])(AuthMaterial&) = {
      [](AuthMaterial& m) { m.server_random = filled(3); },
      [](AuthMaterial& m) { m.client_random = filled(3); },
      [](AuthMaterial& m) { m.channel_binding = filled(3); },
      [](AuthMaterial& m) { m.pool_key = filled(3); },
      [](AuthMaterial& m) { m.public_key = auditor().public_key(); },
      [](AuthMaterial& m) { m.role = Role::auditor; },
      [](AuthMaterial& m) { m.account = "bob"; },
  };
  uint64_t next = 10;
  for (const auto change : changes) {
    AuthMaterial material = right;
    change(material);
    const ConnId id{next++};
    fake.pool->on_open(id, {filled(1), filled(2)}, fake.now);
    Hello hello;
    hello.public_key = miner().public_key();
    hello.account = "alice";
    fake.frame(id, MessageType::hello, encode(hello));
    fake.frame(id, MessageType::auth, encode(make_auth(material, miner(), 1)));
    EXPECT_EQ(fake.error(), WireError::bad_signature);
    ASSERT_FALSE(fake.hangups.empty());
    EXPECT_EQ(fake.hangups.back().to, id);
    fake.frame(id, MessageType::get_lease, encode(GetLease{}));
    EXPECT_EQ(fake.error(), WireError::bad_type);
  }
  EXPECT_EQ(fake.count(RecordKind::member), 0U);
}

// Who is paid is the key's word, said to this pool; an old word of it is not said again.
TEST(CheatingGreetings, CannotSayWhoIsPaid) {
  FakePool fake;
  const AuthMaterial material = material_of(fake);
  uint64_t next = 10;
  const auto answer_to = [&](auto change) -> std::optional<WireError> {
    const ConnId id{next++};
    fake.pool->on_open(id, {filled(1), filled(2)}, fake.now);
    Hello hello;
    hello.public_key = miner().public_key();
    hello.account = "alice";
    fake.frame(id, MessageType::hello, encode(hello));
    Auth auth = make_auth(material, miner(), 5);
    change(auth);
    fake.frame(id, MessageType::auth, encode(auth));
    if (fake.receive(MessageType::auth_ok)) return {};
    return fake.error();
  };
  const Digest pool_key = fake.identity().public_key();
  const auto signature = [&](const Digest& pool, const char* account) {
    return verifier::sign_member(pool, miner(), account, 5).signature;
  };
  EXPECT_EQ(answer_to([](Auth& a) { ++a.counter; }), WireError::bad_signature);
  EXPECT_EQ(answer_to([&](Auth& a) { a.member = signature(pool_key, "bob"); }),
            WireError::bad_signature);
  EXPECT_EQ(answer_to([&](Auth& a) { a.member = signature(filled(4), "alice"); }),
            WireError::bad_signature);
  EXPECT_EQ(answer_to([](Auth&) {}), std::nullopt);
  EXPECT_EQ(fake.count(RecordKind::member), 0U) << "a greeting is free, a record stays";
}

TEST(CheatingGreetings, MoveAccountsOnlyForwardAndWithALease) {
  FakeSetup how = batches(1);
  how.leases_per_key = 4;
  how.change = [change = how.change](verifier::Job& job) {
    change(job);
    job.spec.slots = 4;
  };
  Scene s(how);
  s.finish();  // a new key has one lease at a time
  const auto account = [&] {
    return s.fake.pool->ledger().members().at(miner().public_key()).account;
  };
  EXPECT_EQ(s.fake.count(RecordKind::member), 1U);
  EXPECT_EQ(s.fake.join(ConnId{8}, miner(), Role::miner, "carol"), std::nullopt);
  EXPECT_EQ(account(), "alice");
  ASSERT_TRUE(s.fake.get_lease(ConnId{8}));
  EXPECT_EQ(account(), "carol");
  EXPECT_EQ(s.fake.count(RecordKind::member), 2U);
  s.fake.auth_counter = 0;  // a miner whose clock went back, or somebody with an old word of his
  EXPECT_EQ(s.fake.join(ConnId{9}, miner(), Role::miner, "alice"), std::nullopt);
  EXPECT_FALSE(s.fake.get_lease(ConnId{9}));
  EXPECT_EQ(s.fake.error(), WireError::bad_account);
  EXPECT_EQ(account(), "carol");
}

TEST(CheatingGreetings, AreHeldToTheirOrderAndTheirTypes) {
  FakePool fake;
  const ConnId id{1};
  for (int type = 0; type < 256; ++type) {
    fake.pool->on_open(id, {filled(1), filled(2)}, fake.now);
    fake.inbox.clear();
    fake.hangups.clear();
    const auto which = static_cast<uint8_t>(type);
    // An unknown type may ask to be ignored; a known one may not.
    fake.pool->on_frame(id, which, kFrameMayIgnore, 1, {}, fake.now);
    fake.settle();
    EXPECT_EQ(fake.error().has_value(), is_known(which)) << type;
    fake.pool->on_frame(id, which, 0, 2, {}, fake.now);
    fake.settle();
    EXPECT_TRUE(fake.error()) << type;
    EXPECT_FALSE(fake.hangups.empty()) << type;
    fake.pool->on_close(id);
  }
}

}  // namespace
}  // namespace gemmine::pool
