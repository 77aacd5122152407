// Records, shares, deltas, coin against the Python reference: tests/vectors/golden.
#include <gtest/gtest.h>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "tests/support/toy_lease.h"
#include "verifier/audit/choice.h"
#include "verifier/records/coin.h"
#include "verifier/records/identity.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {
namespace {

using kernels::blake3;
using test::Golden;
using test::Toy;

Digest filled(uint8_t value) {
  Digest out;
  out.bytes.fill(value);
  return out;
}

TEST(GoldenRecords, SignaturesAreThoseOfRfc8032) {
  const Golden golden("hashes");
  for (int i = 0; i < 3; ++i) {
    const std::string key = "sign " + std::to_string(i);
    const Identity identity = Identity::from_seed(golden.digest(key, 0));
    EXPECT_EQ(identity.public_key(), golden.digest(key, 1));
    const Signature signature = identity.sign(golden.digest(key, 2));
    EXPECT_EQ(to_hex(signature), golden.text(key, 3));
    EXPECT_TRUE(verify_signature(golden.digest(key, 1), golden.digest(key, 2), signature));
  }
}

TEST(GoldenRecords, DeltasAndTheirMergeHaveTheSameBits) {
  const Golden golden("hashes");
  const std::vector<float> theta = golden.floats("delta theta");
  const std::vector<float> step = golden.floats("delta step");
  Merge merge(theta.size(), {}, 8);
  Merge less(theta.size(), {}, 8);  // of two, less what the second and the third were
  const float factors[] = {1.0F, -0.5F, 0.0F};
  for (size_t k = 0; k < 3; ++k) {
    std::vector<float> local;
    for (size_t i = 0; i < theta.size(); ++i)
      local.push_back(theta[i] + step[i] * factors[k]);
    const auto delta = make_delta(local, theta, 8);
    ASSERT_TRUE(delta.ok()) << delta.error().detail;
    EXPECT_EQ(to_hex(delta.value()), golden.text("delta bytes " + std::to_string(k)));
    ASSERT_TRUE(merge.add(delta.value()).ok());
    EXPECT_TRUE(k == 2 || less.add(delta.value()).ok());
    EXPECT_TRUE(k == 0 || less.subtract(delta.value()).ok());
    const auto clamped = make_delta(local, theta, -3);
    EXPECT_TRUE(k > 0 || to_hex(clamped.value()) == golden.text("delta clamped"));
  }
  const auto same = [&](const Result<std::vector<float>>& merged, const std::string& key) {
    ASSERT_TRUE(merged.ok());
    const std::vector<float> expected = golden.floats(key);
    EXPECT_EQ(to_hex(as_bytes(std::span(merged.value()))), to_hex(as_bytes(std::span(expected))));
  };
  same(merge.finish(theta, 3), "delta merged");
  same(less.finish(theta, 2), "delta taken out");
}

class GoldenToy : public testing::TestWithParam<const char*> {};

TEST_P(GoldenToy, JobAndLeasesDecodeAndEncodeToTheSameBytes) {
  const Toy toy(GetParam());
  EXPECT_EQ(toy.job.spec, toy.program.is_gpt() ? test::golden_gpt(toy.job.spec.gpt.tied)
                                               : test::toy_spec(toy.job.spec.optimiser));
  EXPECT_EQ(encode_job(toy.job), toy.golden.bytes("job"));
  EXPECT_EQ(job_id(toy.golden.bytes("job")), toy.golden.digest("job_id"));
  for (uint32_t round = 0; round < 2; ++round) {
    for (uint32_t slot = 0; slot < 2; ++slot) {
      const std::string name = test::lease_name(round, slot);
      const Lease lease = toy.lease(round, slot);
      EXPECT_EQ(encode(lease), toy.golden.bytes("lease " + name));
      EXPECT_EQ(lease.id, lease_id(lease));
      EXPECT_EQ(lease.id, toy.golden.digest("lease_id " + name));
      EXPECT_TRUE(signed_by_pool(lease));
      EXPECT_EQ(lease.coin_commit, coin_commit(toy.golden.digest("secret " + name)));
    }
  }
}

TEST_P(GoldenToy, EveryShareAndMergeComesOutTheSame) {
  Toy toy(GetParam());
  for (uint32_t round = 0; round < 2; ++round) {
    EXPECT_EQ(blake3(as_bytes(std::span(toy.thetas.back()))),
              toy.golden.digest("theta_root " + std::to_string(round)));
    const auto leases = toy.run_round();
    for (uint32_t slot = 0; slot < 2; ++slot) {
      const std::string name = test::lease_name(round, slot);
      const Identity miner = Identity::from_seed(filled(static_cast<uint8_t>(2 + slot)));
      ASSERT_EQ(leases[slot].size(), toy.lease(round, slot).shares());
      for (const ShareRun& run : leases[slot]) {
        Share share = run.share;
        sign(share, miner);
        const std::string key = name + " " + std::to_string(share.index);
        EXPECT_EQ(to_hex(encode(share)), toy.golden.text("share " + key)) << key;
        EXPECT_EQ(share_id(share), toy.golden.digest("share_id " + key));
        EXPECT_EQ(to_hex(encode(decode_share(encode(share)).value())), to_hex(encode(share)));
        for (size_t i = 0; i < run.step_digests.size(); ++i) {
          const std::string step = name + " " + std::to_string(share.first_step + i);
          EXPECT_EQ(run.step_digests[i], toy.golden.digest("step " + step, 1)) << step;
        }
      }
      EXPECT_EQ(blake3(leases[slot].back().delta), toy.golden.digest("delta " + name));
    }
  }
  EXPECT_EQ(blake3(as_bytes(std::span(toy.thetas.back()))), toy.golden.digest("theta_root final"));
  const bool gpt = toy.program.is_gpt();
  const Bytes held_out = gpt ? test::golden_test(toy.job.spec) : test::toy_test();
  const auto after = kernels::evaluate(toy.program, toy.theta(2), held_out, 1);
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after.value().correct, toy.golden.natural("correct", 1));
}

INSTANTIATE_TEST_SUITE_P(Jobs, GoldenToy,
                         testing::Values("job_sgd", "job_adamw", "job_gpt", "job_gpt_tied"),
                         [](const auto& test) { return std::string(test.param); });

TEST(GoldenCoin, DrawsTicketsAndBlocksAreTheSame) {
  const Toy toy("job_sgd");
  const Golden golden("coin");
  const AuditPolicy tickets{.threads = 5, .replays_ppm = 2'400'000};
  const Digest secret = golden.digest("secret");
  EXPECT_EQ(coin_commit(secret), golden.digest("coin_commit"));
  std::vector<Digest> ids;
  for (uint32_t i = 0; i < 3; ++i)
    ids.push_back(golden.digest("share_ids", i));
  EXPECT_EQ(immediate_seed(secret, ids), golden.digest("seed 0"));
  EXPECT_EQ(batch_seed(secret, ids), golden.digest("seed 0"));
  for (uint32_t i = 0; i < 2; ++i) {
    const std::string key = "thread " + std::to_string(i);
    EXPECT_EQ(ticket_seed(golden.digest("seed 0"), golden.digest(key), i), golden.digest(key, 1));
  }
  for (int i = 0; i < 24; ++i) {
    const std::string name = std::to_string(i);
    const Digest seed = golden.digest("draw " + name);
    for (uint32_t n = 0; n < 4; ++n)
      EXPECT_EQ(draw(seed, n), golden.natural("draw " + name, n + 1));
    for (uint32_t k = 0; k < 2; ++k)
      EXPECT_EQ(audited_at_once(toy.job.audit, seed, k), golden.integer("at once " + name, k) != 0);
    for (const uint32_t leases : {1U, 3U, 20U}) {
      const std::string key = "tickets " + name + " " + std::to_string(leases);
      const std::vector<Ticket> drawn = draw_tickets(tickets, leases, seed);
      EXPECT_EQ(golden.lines().at(key).size(), drawn.size() * 2) << key;
      for (uint32_t t = 0; t < drawn.size(); ++t) {
        EXPECT_EQ(drawn[t].lease, golden.natural(key, 2 * t)) << key;
        EXPECT_EQ(static_cast<uint64_t>(drawn[t].kind), golden.natural(key, 2 * t + 1)) << key;
      }
    }
    const uint32_t silent[] = {1, 2, 7};
    for (uint32_t k = 0; k < 3; ++k)
      EXPECT_EQ(silent_ticket(secret, seed, silent[k]), golden.natural("silent " + name, k));
    for (uint32_t last = 0; last < 2; ++last) {
      const auto blocks = choose_blocks(toy.program, toy.job.audit, seed, 2 - last, last == 1);
      ASSERT_EQ(blocks.size(), 4U);
      for (size_t j = 0; j < 4; ++j) {
        const std::string key =
            "block " + name + " " + std::to_string(last) + " " + std::to_string(j);
        const BlockChoice& block = blocks[j];
        const int64_t position = block.delta ? -1 : static_cast<int64_t>(block.position);
        EXPECT_EQ(block.step, golden.integer(key, 0)) << key;
        EXPECT_EQ(position, golden.integer(key, 1)) << key;
        EXPECT_EQ(block.tile_row, golden.integer(key, 2)) << key;
        EXPECT_EQ(block.tile_col, golden.integer(key, 3)) << key;
        EXPECT_EQ(block.group, golden.integer(key, 4)) << key;
      }
    }
  }
}

}  // namespace
}  // namespace gemmine::verifier
