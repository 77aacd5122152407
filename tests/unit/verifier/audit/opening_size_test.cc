// No block's opening is longer than an opening may be: at the shipped jobs' shapes and at shapes on
// the bounds of PROTOCOL 9 and 10.14, counted without running them.
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "tests/support/toy_gpt.h"
#include "tests/support/toy_job.h"
#include "verifier/audit/block.h"

namespace gemmine::verifier {
namespace {

using kernels::Spec;
using kernels::TensorInfo;
using kernels::TensorKind;

// Ones everywhere, so that no scale is 0 and every witness is read; tokens are then none, and count
// as the first, which is in every row.
class CountingSource final : public BlockSource {
 public:
  CountingSource() {
    for (size_t at = 0; at < kChunk; at += sizeof(float)) {
      const float one = 1;
      std::memcpy(&chunk_[at], &one, sizeof one);
    }
  }
  ByteView chunk(ObjectId object, uint64_t index) override {
    touched[object].insert(index);
    return chunk_;
  }
  std::map<ObjectId, std::set<uint64_t>> touched;

 private:
  std::array<uint8_t, kChunk> chunk_{};
};

// Siblings of the chunks below a node (PROTOCOL 4.5).
uint64_t siblings(const std::set<uint64_t>& chunks, uint64_t first, uint64_t last) {
  const auto at = chunks.lower_bound(first);
  if (at == chunks.end() || *at >= last) return 1;
  if (last - first == 1) return 0;
  const uint64_t middle = first + std::bit_ceil(last - first) / 2;
  return siblings(chunks, first, middle) + siblings(chunks, middle, last);
}

uint64_t opening_bytes(const kernels::Program& program, const CountingSource& source) {
  uint64_t out = 2048 + program.tensors().size() * 32;  // the step's digest and its roots
  for (const auto& [object, chunks] : source.touched) {
    const uint64_t total = kernels::chunks_of(object_bytes(program, object));
    out += chunks.size() * (kChunk + 8) + siblings(chunks, 0, total) * 32 + 64;
  }
  return out;
}

struct Largest {
  uint64_t bytes = 0;
  std::string name;
};

// Over the corners of every tensor, with the witness that is furthest away.
Largest largest_opening(const Spec& spec) {
  const auto made = kernels::Program::make(spec);
  EXPECT_TRUE(made) << made.error().detail;
  const kernels::Program& program = made.value();
  Largest out;
  std::set<std::pair<TensorKind, uint32_t>> seen;  // of blocks in the middle one is like another
  for (uint32_t p = 0; p < program.tensors().size(); ++p) {
    const TensorInfo& tensor = program.tensors()[p];
    if (!tensor.is_int8() && !tensor.is_checked_f32()) continue;
    const uint32_t first = tensor.layer % 4 + (tensor.layer == spec.gpt.head_linear() ? 4 : 0);
    const bool parameter = tensor.kind == TensorKind::squares && tensor.rows > 64;
    if (program.is_gpt() && !parameter && !seen.insert({tensor.kind, first}).second) continue;
    for (const uint32_t row : std::set<uint32_t>{0, tiles_down(tensor) - 1})
      for (const uint32_t col : std::set<uint32_t>{0, tiles_across(tensor) - 1}) {
        const uint32_t span = tensor.span;
        for (const uint32_t witness : std::set<uint32_t>{0, span > 0 ? span - 1 : 0}) {
          CountingSource source;
          BlockCheck check(program, {}, source);
          check.check({.position = p, .tile_row = row, .tile_col = col}, witness);
          const uint64_t bytes = opening_bytes(program, source);
          if (bytes <= out.bytes) continue;
          out = {bytes, std::string(kernels::tensor_name(tensor.kind)) + "_" +
                            std::to_string(tensor.layer)};
        }
      }
  }
  return out;
}

Spec gpt(kernels::GptShape shape, uint32_t batch) {
  Spec spec = testing::toy_gpt();
  spec.gpt = shape;
  spec.batch = batch;
  spec.records = 0x7fffffff;
  return spec;
}

// The widest of two numbers for which a spec is still accepted, by halving.
template <class Make>
uint32_t most(uint32_t low, uint32_t high, const Make& make) {
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    (kernels::find_fault(make(middle)) ? high : low) = middle;
  }
  return low;
}

TEST(OpeningSize, OfTheShippedJobsIsSmall) {
  const Spec austen = gpt(
      {.vocabulary = 256, .width = 128, .heads = 4, .hidden = 512, .blocks = 4, .context = 128}, 8);
  const Largest of_gpt = largest_opening(austen);
  EXPECT_LT(of_gpt.bytes, 512U << 10) << of_gpt.name;
  EXPECT_GT(of_gpt.bytes, 64U << 10) << of_gpt.name;
  Spec fashion = test::toy_job().spec;
  fashion.widths = {784, 512, 512, 10};
  fashion.batch = 256;
  const Largest of_mlp = largest_opening(fashion);
  EXPECT_LT(of_mlp.bytes, 256U << 10) << of_mlp.name;
  EXPECT_GT(of_mlp.bytes, 32U << 10) << of_mlp.name;
}

TEST(OpeningSize, StaysInBoundsWhereAttentionIsWidest) {
  for (const auto& [width, heads] : {std::pair{64U, 1U}, {64U, 4U}, {1024U, 4U}, {4096U, 64U}}) {
    const auto with = [&](uint32_t runs) {
      return gpt({.vocabulary = 512,
                  .width = width,
                  .heads = heads,
                  .hidden = 64,
                  .blocks = 1,
                  .context = 32 * runs,
                  .norm = kernels::Norm::layer,
                  .token_bytes = 2},
                 2);
    };
    const Spec spec = with(most(1, 257, with));
    const Largest largest = largest_opening(spec);
    EXPECT_LE(largest.bytes, kOpeningBytesMax) << largest.name;
    EXPECT_GE(largest.bytes, spec.gpt.opening_bytes() / 4) << largest.name;
  }
}

TEST(OpeningSize, StaysInBoundsWhereTheNormIsWidest) {
  for (const bool tied : {false, true})
    for (const uint32_t context : {32U, 1024U}) {
      const auto with = [&](uint32_t batch) {
        return gpt({.vocabulary = 16384,
                    .width = 4096,
                    .heads = 16,
                    .hidden = 1024,
                    .blocks = 2,
                    .context = context,
                    .tied = tied,
                    .token_bytes = 2},
                   batch);
      };
      const Spec spec = with(most(1, 2049, with));
      const Largest largest = largest_opening(spec);
      EXPECT_LE(largest.bytes, kOpeningBytesMax) << largest.name;
      EXPECT_GE(largest.bytes, spec.gpt.norm_opening_bytes(spec.batch) / 2) << largest.name;
    }
}

// Without a clip the rows are bound by T alone, and blocks of many layers bring many roots.
TEST(OpeningSize, StaysInBoundsForMostRowsAndBlocks) {
  Spec rows = gpt({.vocabulary = 16384,
                   .width = 4096,
                   .heads = 64,
                   .hidden = 16384,
                   .blocks = 1,
                   .context = 512,
                   .token_bytes = 2},
                  128);
  rows.clip = 0;
  const Largest of_rows = largest_opening(rows);
  EXPECT_LE(of_rows.bytes, kOpeningBytesMax) << of_rows.name;
  const Spec deep = gpt({.vocabulary = 16384,
                         .width = 1024,
                         .heads = 16,
                         .hidden = 4096,
                         .blocks = 64,
                         .context = 1024,
                         .norm = kernels::Norm::layer,
                         .tied = true,
                         .token_bytes = 2},
                        2);
  const Largest of_deep = largest_opening(deep);
  EXPECT_LE(of_deep.bytes, kOpeningBytesMax) << of_deep.name;
}

// Of an MLP it is the job that says whether blocks are drawn at all: where it may, they fit.
TEST(OpeningSize, OfAnMlpStaysUnderItsFormula) {
  const std::vector<uint32_t> shapes[] = {{784, 512, 512, 10},
                                          {100, 7616, 7616, 64, 10},
                                          {64, 1000, 3000, 500},
                                          {4096, 400},
                                          {1024, 4096, 4096, 200}};
  for (const std::vector<uint32_t>& widths : shapes) {
    Spec spec = test::toy_job().spec;
    spec.widths = widths;
    spec.batch = 200;
    const Largest largest = largest_opening(spec);
    EXPECT_LE(largest.bytes, kernels::mlp_opening_bytes(widths) + (160U << 10)) << largest.name;
    EXPECT_GE(largest.bytes, kernels::mlp_opening_bytes(widths) / 2) << largest.name;
    EXPECT_LE(kernels::mlp_opening_bytes(widths), kernels::kBlockOpeningMax);
  }
  EXPECT_GT(kernels::mlp_opening_bytes({784, 16384, 16384, 10}), kernels::kBlockOpeningMax);
  EXPECT_GT(kernels::mlp_opening_bytes({1024, 4096, 4096, 1000}), kernels::kBlockOpeningMax);
}

}  // namespace
}  // namespace gemmine::verifier
