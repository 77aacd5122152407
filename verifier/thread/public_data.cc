#include "verifier/thread/public_data.h"

#include <algorithm>

namespace gemmine::verifier {

using kernels::GptShape;
using kernels::Program;

PublicData public_data(std::span<const float> theta, ByteView train) {
  const auto read = [](auto from, uint64_t first, auto out) -> Status {
    if (first > from.size() || out.size() > from.size() - first)
      return Error{Errc::undecided, "the data are shorter than the job says"};
    std::copy_n(from.begin() + static_cast<ptrdiff_t>(first), out.size(), out.begin());
    return Ok{};
  };
  return {[=](uint64_t first, std::span<float> out) { return read(theta, first, out); },
          [=](uint64_t first, std::span<uint8_t> out) { return read(train, first, out); }};
}

namespace {

// `count` tokens from position `at` of row `row` on.
Status read_tokens(const Program& program, kernels::StepKey key, uint32_t row,
                   const ReadBytes& train, std::span<uint32_t> out) {
  const GptShape& gpt = program.spec().gpt;
  const uint64_t at = uint64_t{program.sequence_start(key, row / gpt.context)} + row % gpt.context;
  Bytes bytes(out.size() * gpt.token_bytes);
  if (auto read = train(at * gpt.token_bytes, bytes); !read) return read.error();
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = gpt.token_of(bytes, i);
    if (out[i] >= gpt.vocabulary)
      return Error{Errc::invalid, "the training data have a token that is not in the vocabulary"};
  }
  return Ok{};
}

}  // namespace

Result<std::vector<uint32_t>> step_tokens(const Program& program, kernels::StepKey key,
                                          const ReadBytes& train) {
  if (!program.is_gpt()) return std::vector<uint32_t>{};
  std::vector<uint32_t> out(program.rows());
  const uint32_t context = program.spec().gpt.context;
  for (uint32_t row = 0; row < out.size(); row += context) {
    auto read = read_tokens(program, key, row, train, std::span(out).subspan(row, context));
    if (!read) return read.error();
  }
  return out;
}

Result<uint32_t> token_of_row(const Program& program, kernels::StepKey key, uint32_t row,
                              const ReadBytes& train) {
  GEMMINE_CHECK(program.is_gpt() && row < program.rows());
  uint32_t out = 0;
  if (auto read = read_tokens(program, key, row, train, {&out, 1}); !read) return read.error();
  return out;
}

}  // namespace gemmine::verifier
