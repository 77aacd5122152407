// Sums of gradients, and their norm: their blocks check, and no bit of them can be another
// (PROTOCOL 10.7, 10.10, 10.11).
#include <cstring>

#include <gtest/gtest.h>

#include "kernels/numbers/numerics.h"
#include "tests/support/gpt_prover.h"
#include "verifier/audit/block.h"

namespace gemmine::verifier {
namespace {

namespace toys = ::gemmine::testing;
using kernels::Spec;
using kernels::TensorInfo;
using kernels::TensorKind;
using test_prover::Prover;

// Tied, LayerNorm, with a clip: every kind of sum there is.
Spec tied_with_clip() {
  Spec spec = toys::toy_gpt_tied();
  spec.clip = 1;
  return spec;
}

// The whole strings of the step that the prover stands after.
class BentSource final : public BlockSource {
 public:
  explicit BentSource(Prover& prover) : prover_(prover) {
    const BlockChoice any = prover.choice(prover.program->position(TensorKind::clip, 0), 0, 0);
    EXPECT_TRUE(prover.open(any));
    for (uint32_t p = 0; p < prover.program->tensors().size(); ++p)
      strings_.push_back(prover.engine->read_tensor(p).value());
  }
  ByteView chunk(ObjectId object, uint64_t index) override {
    const ByteView all = object.origin == Origin::train ? ByteView(prover_.train)
                                                        : ByteView(strings_[object.position]);
    return all.subspan(index * kChunk, std::min(kChunk, all.size() - index * kChunk));
  }
  Bytes& string(uint32_t position) { return strings_[position]; }

 private:
  Prover& prover_;
  std::vector<Bytes> strings_;
};

struct Tile {
  uint32_t row;
  uint32_t col;
};
// Where byte `at` of the string of a sum belongs to.
Tile tile_of(const TensorInfo& tensor, size_t at) {
  if (tensor.kind == TensorKind::clip) return {0, 0};
  if (tensor.kind == TensorKind::squares) return {static_cast<uint32_t>(at / sizeof(float)), 0};
  const auto row = static_cast<uint32_t>(at / kernels::kPanelRowBytes);
  return {row % tensor.rows, row / tensor.rows};
}

TEST(GptSums, EveryBitOfEverySumIsChecked) {
  for (const Spec& spec : {toys::toy_gpt(), tied_with_clip()}) {
    Prover prover(spec);
    BentSource source(prover);
    BlockCheck check(*prover.program, {prover.lease.round, prover.lease.slot, 1}, source);
    uint32_t bits = 0;
    for (uint32_t p = 0; p < prover.program->tensors().size(); ++p) {
      const TensorInfo& tensor = prover.program->tensors()[p];
      if (tensor.kind < TensorKind::bias_parts) continue;
      Bytes& bytes = source.string(p);
      // All bits of some floats, padding among them; of the others one.
      const size_t c_j = tensor.kind == TensorKind::clip ? bytes.size() - sizeof(float) : 0;
      for (size_t bit = 8 * c_j; bit < 8 * bytes.size(); bit += bit / 32 % 5 == 0 ? 1 : 11) {
        const auto [row, col] = tile_of(tensor, bit / 8);
        const BlockChoice choice = prover.choice(p, row, col);
        if (bit % 1021 == 0) {
          const Finding honest = check.check(choice, 0);
          ASSERT_EQ(honest.outcome, Outcome::valid) << prover.name(p) << ": " << honest.detail;
        }
        bytes[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
        ASSERT_EQ(check.check(choice, 0).outcome, Outcome::invalid)
            << prover.name(p) << ", bit " << bit;
        bytes[bit / 8] ^= static_cast<uint8_t>(1U << bit % 8);
        ++bits;
      }
    }
    EXPECT_GT(bits, 5000U);
  }
}

// A c_j is the sum of all of CQ_j: any unit's block tells, also of another parameter's lie only its
// own.
TEST(GptSums, AForgedSumOfSquaresIsFoundByAnyUnit) {
  Prover prover(tied_with_clip());
  BentSource source(prover);
  BlockCheck check(*prover.program, {prover.lease.round, prover.lease.slot, 1}, source);
  const uint32_t clip = prover.program->position(TensorKind::clip, 0);
  for (uint32_t j = 0; j < prover.program->parameter_list().size(); ++j) {
    const uint32_t squares = prover.program->position(TensorKind::squares, j);
    for (const uint32_t unit : {0U, prover.program->tensors()[squares].rows - 1}) {
      const BlockChoice choice = prover.choice(squares, unit, 0);
      ASSERT_EQ(check.check(choice, 0).outcome, Outcome::valid);
      source.string(clip)[j * sizeof(float)] ^= 1;
      EXPECT_EQ(check.check(choice, 0).outcome, Outcome::invalid) << j;
      source.string(clip)[j * sizeof(float)] ^= 1;
      source.string(clip)[(j > 0 ? j - 1 : j + 1) * sizeof(float)] ^= 1;
      EXPECT_EQ(check.check(choice, 0).outcome, Outcome::valid) << j;
      source.string(clip)[(j > 0 ? j - 1 : j + 1) * sizeof(float)] ^= 1;
    }
  }
}

// What a sum is made of, too: each operand's bits change it, whichever way it is read.
TEST(GptSums, AForgedOperandIsFound) {
  for (const Spec& spec : {toys::toy_gpt(), tied_with_clip()}) {
    Prover prover(spec);
    BentSource source(prover);
    const auto& program = *prover.program;
    BlockCheck check(program, {prover.lease.round, prover.lease.slot, 1}, source);
    const uint32_t head = spec.gpt.head_linear();
    const uint32_t tokens = 0;
    const uint32_t places = 1;
    const struct {
      TensorKind of;
      uint32_t layer;
      TensorKind operand;
      uint32_t operand_layer;
    } cases[] = {
        {TensorKind::bias_parts, 0, TensorKind::sh, 0},
        {TensorKind::bias_parts, 1, TensorKind::d_norm, 1},
        {TensorKind::bias_parts, 2, TensorKind::s1, 3},
        {TensorKind::bias_parts, 3, TensorKind::d_residual, 1},
        {TensorKind::gain_parts, 1, TensorKind::residual, 1},
        {TensorKind::gain_parts, 0, TensorKind::d_norm, 0},
        {TensorKind::squares, tokens, TensorKind::d_residual, 0},
        {TensorKind::squares, tokens, spec.gpt.tied ? TensorKind::s2 : TensorKind::squares,
         spec.gpt.tied ? head : tokens},
        {TensorKind::squares, places, TensorKind::d_residual, 0},
        {TensorKind::squares, program.linears()[1].weight, TensorKind::s2, 1},
        {TensorKind::squares, program.linears()[1].weight + 1, TensorKind::bias_parts, 1},
    };
    for (const auto& [of, layer, operand, operand_layer] : cases) {
      const uint32_t position = program.position(of, layer);
      Bytes& bytes = source.string(program.position(operand, operand_layer));
      uint32_t found = 0;
      for (uint32_t row = 0; row < tiles_down(program.tensors()[position]); ++row) {
        const BlockChoice choice = prover.choice(position, row, 0);
        ASSERT_EQ(check.check(choice, 0).outcome, Outcome::valid) << prover.name(position);
        bytes[2] ^= 0x40;  // a high bit of the mantissa of the first float
        found += check.check(choice, 0).outcome == Outcome::invalid ? 1 : 0;
        bytes[2] ^= 0x40;
      }
      EXPECT_GT(found, 0U) << prover.name(position);
    }
  }
}

// What an accuser derives is what an honest step commits to, chunk by chunk, padding and all; of cf
// not what stands in cf.
TEST(GptSums, TheirChunksAreDerivedFromTheirOperandsAlone) {
  for (const Spec& spec : {toys::toy_gpt(), tied_with_clip()}) {
    Prover prover(spec);
    BentSource source(prover);
    BlockCheck check(*prover.program, {prover.lease.round, prover.lease.slot, 1}, source);
    for (uint32_t p = 0; p < prover.program->tensors().size(); ++p) {
      const TensorInfo& tensor = prover.program->tensors()[p];
      if (tensor.kind < TensorKind::bias_parts && !tensor.in_panels) continue;
      const Bytes honest = source.string(p);
      for (size_t chunk = 0; chunk * kChunk < honest.size(); ++chunk) {
        const size_t end = std::min(honest.size(), (chunk + 1) * kChunk);
        source.string(p)[chunk * kChunk] ^= 1;
        Bytes own;
        EXPECT_EQ(check.derive_chunk(p, chunk, own).outcome, Outcome::valid) << prover.name(p);
        EXPECT_EQ(own,
                  Bytes(&honest[chunk * kChunk], &honest[chunk * kChunk] + (end - chunk * kChunk)))
            << prover.name(p) << ", chunk " << chunk;
        source.string(p) = honest;
      }
    }
  }
}

// A norm that is not finite is no factor: the step is invalid, whatever f says.
TEST(GptSums, NoFactorFollowsFromAnInfiniteNorm) {
  Prover prover(tied_with_clip());
  BentSource source(prover);
  BlockCheck check(*prover.program, {prover.lease.round, prover.lease.slot, 1}, source);
  const uint32_t clip = prover.program->position(TensorKind::clip, 0);
  const auto count = static_cast<uint32_t>(prover.program->parameter_list().size());
  Bytes& bytes = source.string(clip);
  const float largest = 0x1.fffffep127F;
  for (uint32_t j = 0; j < 2; ++j)
    std::memcpy(&bytes[j * sizeof(float)], &largest, sizeof largest);
  for (const float f : {0.0F, 1.0F, kernels::float_of(kernels::kNotFinite)}) {
    std::memcpy(&bytes[count * sizeof(float)], &f, sizeof f);
    EXPECT_EQ(check.check(prover.choice(clip, 0, 0), 0).outcome, Outcome::invalid);
  }
}

}  // namespace
}  // namespace gemmine::verifier
