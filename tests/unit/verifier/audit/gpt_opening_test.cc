// Every kind of tile of a gpt is opened, checked from the opened bytes alone, and refused when it
// was committed to wrongly (PROTOCOL 10.11).
#include <cstring>
#include <limits>
#include <set>

#include <gtest/gtest.h>

#include "tests/support/gpt_prover.h"

namespace gemmine::verifier {
namespace {

namespace toys = ::gemmine::testing;
using kernels::Spec;
using kernels::TensorInfo;
using kernels::TensorKind;
using test_prover::Prover;

std::vector<Spec> specs() {
  Spec wide_heads = toys::toy_gpt();
  wide_heads.gpt.width = 128;
  wide_heads.gpt.heads = 1;
  wide_heads.gpt.blocks = 1;
  wide_heads.gpt.norm = kernels::Norm::layer;
  wide_heads.batch = 1;  // one run of V's and GO's columns
  Spec tied = toys::toy_gpt_tied();
  tied.clip = 1;
  return {toys::toy_gpt(), tied, wide_heads};
}

TEST(GptOpening, EveryKindOfTileOfAnHonestShareChecks) {
  for (const Spec& spec : specs()) {
    Prover prover(spec);
    size_t opened = 0;
    for (uint32_t p = 0; p < prover.program->tensors().size(); ++p) {
      const TensorInfo& tensor = prover.program->tensors()[p];
      if (!prover.checked(p)) continue;
      const uint32_t last_row = tiles_down(tensor) - 1;
      const uint32_t last_col = tiles_across(tensor) - 1;
      for (const auto& [row, col] : std::set<std::pair<uint32_t, uint32_t>>{
               {0, 0}, {last_row, 0}, {0, last_col}, {last_row, last_col}}) {
        for (const uint32_t group : {0U, 1U}) {
          const BlockChoice choice = prover.choice(p, row, col, group);
          const auto opening = prover.open(choice);
          ASSERT_TRUE(opening) << prover.name(p) << ": " << opening.error().detail;
          const Finding finding = prover.check(choice, opening.value());
          ASSERT_EQ(finding.outcome, Outcome::valid) << prover.name(p) << ": " << finding.detail;
          ++opened;
        }
      }
    }
    EXPECT_GT(opened, prover.program->tensors().size());
  }
}

TEST(GptOpening, WhatTheCoinDrawsCanBeOpened) {
  for (const Spec& spec : specs()) {
    Prover prover(spec);
    AuditPolicy policy = prover.job.audit;
    policy.thread_blocks = 64;
    for (uint8_t seed = 0; seed < 4; ++seed) {
      Digest digest;
      digest.bytes.fill(seed);
      for (const BlockChoice& choice : choose_blocks(*prover.program, policy, digest, 2, true)) {
        if (choice.delta) continue;
        const auto opening = prover.open(choice);
        ASSERT_TRUE(opening) << prover.name(choice.position) << ": " << opening.error().detail;
        const Finding finding = prover.check(choice, opening.value());
        ASSERT_EQ(finding.outcome, Outcome::valid)
            << prover.name(choice.position) << ": " << finding.detail;
      }
    }
  }
}

// One element off by one, committed to like the rest: its own tile tells.
TEST(GptOpening, OneWrongElementOfAnyTensorIsFound) {
  for (const Spec& spec : specs()) {
    Prover prover(spec);
    for (uint32_t p = 0; p < prover.program->tensors().size(); ++p) {
      if (!prover.checked(p)) continue;
      const TensorInfo& tensor = prover.program->tensors()[p];
      const bool int8 = tensor.is_int8();
      prover.engine->bend(p, [&tensor, int8](Bytes& bytes) {
        // An f32 is little-endian: its lowest bit; an int8 goes one towards zero or away from it.
        if (int8) {
          const auto q = static_cast<int8_t>(bytes[0]);
          bytes[0] = static_cast<uint8_t>(q > 0 ? q - 1 : q + 1);
        } else if (tensor.kind == TensorKind::clip) {
          bytes[bytes.size() - sizeof(float)] ^= 1;  // f; a c_j is found by its CQ
        } else {
          bytes[0] ^= 1;
        }
      });
      prover.run();
      const BlockChoice choice = prover.choice(p, 0, 0);
      EXPECT_FALSE(prover.open(choice)) << "an honest miner would not send it: " << prover.name(p);
      const auto opening = prover.open(choice, false);
      ASSERT_TRUE(opening) << prover.name(p);
      EXPECT_EQ(prover.check(choice, opening.value()).outcome, Outcome::invalid) << prover.name(p);
    }
  }
}

// A scale twice as large, or NaN, in any int8 tensor.
TEST(GptOpening, AWrongScaleIsFound) {
  for (const Spec& spec : specs()) {
    Prover prover(spec);
    for (uint32_t p = 0; p < prover.program->tensors().size(); ++p) {
      if (!prover.program->tensors()[p].is_int8()) continue;
      for (const float factor : {2.0F, std::numeric_limits<float>::quiet_NaN()}) {
        bool zero = false;
        prover.engine->bend(p + 1, [&](Bytes& bytes) {
          float s = 0;
          std::memcpy(&s, bytes.data(), sizeof s);
          zero = s == 0.0F;
          s = s * factor;
          std::memcpy(bytes.data(), &s, sizeof s);
        });
        prover.run();
        const BlockChoice choice = prover.choice(p, 0, 0);
        const auto opening = prover.open(choice, false);
        if (!opening) {  // no element attains it, so there is no witness to name
          EXPECT_NE(opening.error().code, Errc::undecided) << prover.name(p);
          continue;
        }
        if (zero && factor == 2.0F) continue;
        EXPECT_NE(prover.check(choice, opening.value()).outcome, Outcome::valid) << prover.name(p);
      }
    }
  }
}

TEST(GptOpening, NoFlippedBitAndNoTruncationIsAccepted) {
  Prover prover(toys::toy_gpt());
  for (const auto& [kind, layer] : {std::pair{TensorKind::g1, 0U},
                                    {TensorKind::d_residual, 1U},
                                    {TensorKind::v, 0U},
                                    {TensorKind::loss_sum, 0U}}) {
    const BlockChoice choice = prover.choice(prover.program->position(kind, layer), 1, 0);
    const Bytes honest = prover.open(choice).value();
    ASSERT_EQ(prover.check(choice, honest).outcome, Outcome::valid);
    for (size_t i = 0; i < honest.size(); i += 1 + i / 64) {
      Bytes bent = honest;
      bent[i] ^= static_cast<uint8_t>(1U << (i % 8));
      EXPECT_NE(prover.check(choice, bent).outcome, Outcome::valid) << "byte " << i;
    }
    for (size_t size = 0; size < honest.size(); size += 97)
      EXPECT_EQ(prover.check(choice, ByteView(honest).first(size)).outcome, Outcome::malformed);
  }
}

TEST(GptOpening, AnF32TensorHasNoWitness) {
  Prover prover(toys::toy_gpt());
  const BlockChoice choice = prover.choice(prover.program->position(TensorKind::row_max, 0), 0, 0);
  EXPECT_EQ(prover.check(choice, prover.open(choice).value()).outcome, Outcome::valid);
  // A tile of another place than the one drawn.
  BlockChoice other = choice;
  other.tile_row = 1;
  EXPECT_NE(prover.check(other, prover.open(choice).value()).outcome, Outcome::valid);
}

// The bound of 10.14 is one: what the longest rows of attention open to stays under it.
TEST(GptOpening, TheBoundOfAttentionHoldsForALongContext) {
  Spec spec = toys::toy_gpt();
  spec.gpt = {
      .vocabulary = 16, .width = 64, .heads = 2, .hidden = 16, .blocks = 1, .context = 1024};
  spec.batch = 2;
  Prover prover(spec);
  const uint64_t paths_max = 160 * 1024;
  size_t largest = 0;
  for (const auto& [kind, layer] : {std::pair{TensorKind::g1, 0U},
                                    {TensorKind::g2, 0U},
                                    {TensorKind::delta_dot, 0U},
                                    {TensorKind::row_sum, 0U}}) {
    const uint32_t position = prover.program->position(kind, layer);
    const TensorInfo& tensor = prover.program->tensors()[position];
    for (const uint32_t row : {0U, tiles_down(tensor) - 1})
      for (uint32_t col = 0; col < tiles_across(tensor); ++col) {
        const BlockChoice choice = prover.choice(position, row, col);
        const auto opening = prover.open(choice);
        ASSERT_TRUE(opening) << opening.error().detail;
        EXPECT_EQ(prover.check(choice, opening.value()).outcome, Outcome::valid);
        largest = std::max(largest, opening.value().size());
      }
  }
  EXPECT_LE(largest, spec.gpt.opening_bytes() + paths_max);
  EXPECT_GE(largest, spec.gpt.opening_bytes() / 4) << "the bound says nothing";
  EXPECT_LE(kernels::kBlockOpeningMax + paths_max, kOpeningBytesMax);
}

}  // namespace
}  // namespace gemmine::verifier
