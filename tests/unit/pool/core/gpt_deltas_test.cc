// Deltas of a language model that nobody should merge: committed to, and refused when they come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/toy_gpt.h"
#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

using verifier::CloseReason;

constexpr ConnId kNext{9};

// The fake pool's hundred bytes as tokens; nothing is audited before the job ends.
FakeSetup language_model() {
  FakeSetup out = batches(50);
  out.change = [](verifier::Job& job) {
    kernels::Spec spec = testing::toy_gpt();
    spec.gpt = {
        .vocabulary = 256, .width = 64, .heads = 2, .hidden = 16, .blocks = 1, .context = 32};
    spec.records = job.test_records = 100;
    spec.outer_lr = 0.7F;
    spec.outer_momentum = 0.9F;
    spec.batch = 1;
    spec.steps_per_lease = 4;
    job.spec = spec;
    job.audit.batch_leases = job.audit.first_batch = 50;
  };
  return out;
}

// What the pool says to a delta that the lease's last share commits to.
std::string refusal(Scene& s, const Bytes& delta) {
  s.work.shares[1].delta_root = kernels::blake3(delta);
  verifier::sign(s.work.shares[1], miner());
  s.second_share();
  s.fake.inbox.clear();
  s.fake.send_delta(kMiner, s.lease, delta);
  const auto payload = s.fake.receive(MessageType::error);
  if (!payload) return "";
  const auto error = decode<ErrorMessage>(*payload).value();
  EXPECT_EQ(error.code, WireError::bad_delta);
  EXPECT_FALSE(s.state().delta_root);
  EXPECT_TRUE(s.fake.hangups.empty()) << "no reason to hang up";
  return error.text;
}

std::string refusal_of(const std::function<void(Bytes&)>& change) {
  Scene s(language_model());
  Bytes delta = s.work.delta;
  change(delta);
  const std::string out = refusal(s, delta);
  // The pool lives on: the slot is free again once the lease is late, and the job goes on.
  s.fake.tick(s.fake.job().audit.lease_ms + 1);
  EXPECT_EQ(s.state().closed, CloseReason::expired);
  EXPECT_EQ(s.fake.join(kNext, verifier::Identity::from_seed(filled(8)), Role::miner, "bob"),
            std::nullopt);
  const auto again = s.fake.get_lease(kNext);
  EXPECT_TRUE(again && again->slot == s.lease.slot);
  return out;
}

TEST(GptDeltas, OfAnotherLengthAreRefused) {
  const std::string told = "the delta has 54197 bytes";
  EXPECT_EQ(refusal_of([](Bytes& delta) { delta.push_back(0); }), told);
  EXPECT_EQ(refusal_of([](Bytes& delta) { delta.pop_back(); }), told);
  EXPECT_EQ(refusal_of([](Bytes& delta) { delta.resize(1); }), told);
}

TEST(GptDeltas, WithForeignExponentsOrQuantaAreRefused) {
  EXPECT_EQ(refusal_of([](Bytes& delta) { delta[5] = 3; }),
            "delta: exponent 3 of block 5 is not in -40 to 1");
  EXPECT_EQ(refusal_of([](Bytes& delta) { delta[0] = static_cast<uint8_t>(-41); }),
            "delta: exponent -41 of block 0 is not in -40 to 1");
  EXPECT_EQ(refusal_of([](Bytes& delta) { delta.back() = 0x80; }),
            "delta: q of parameter 53775 is below -127");
}

TEST(GptDeltas, OfAnotherRootAreRefused) {
  Scene s(language_model());
  s.second_share();
  Bytes other = s.work.delta;
  other[other.size() / 2] ^= 1;
  s.fake.inbox.clear();
  s.fake.send_delta(kMiner, s.lease, other);
  EXPECT_EQ(s.fake.error(), WireError::bad_delta);
  s.fake.send_delta(kMiner, s.lease, s.work.delta);
  EXPECT_EQ(s.state().closed, CloseReason::complete);
}

}  // namespace
}  // namespace gemmine::pool
