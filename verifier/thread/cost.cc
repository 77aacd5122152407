#include "verifier/thread/cost.h"

#include <algorithm>

#include "verifier/thread/answer.h"

namespace gemmine::verifier {

using kernels::Program;

namespace {

// The fibres of some draw: every draw has as many of each class.
std::vector<Fibre> some_fibres(const Program& program) {
  const auto zeros = [](uint64_t, std::span<uint8_t> out) -> Status {
    std::ranges::fill(out, uint8_t{0});
    return Ok{};
  };
  return draw_thread(program, {}, 0, 0, 1, zeros).value().fibres;
}

uint64_t head_bytes(const Program& program, uint32_t steps, size_t fibres, uint64_t pieces,
                    uint16_t blocks) {
  const bool norm = program.spec().clip > 0;
  return header_bytes(fibres, blocks + (norm ? kNormBlocks : 0)) + 32 * (pieces * steps + fibres);
}

uint64_t pieces_of_all(const Program& program, const std::vector<Fibre>& fibres) {
  uint64_t out = 0;
  for (const Fibre& fibre : fibres)
    out += pieces_of(program, fibre);
  return out;
}

// A link without what it may need at most only: paths in trees as large as they can be, a token in
// every row.
uint64_t link_bytes_mean(const Program& program, const Fibre& fibre) {
  constexpr uint64_t kSmall = 3 * kChunk;  // W or the vector, its scales, the unit's square
  const uint64_t rows = program.rows();
  const kernels::ParameterInfo& parameter = program.parameter_list()[fibre.parameter];
  if (parameter.is_vector()) return kSmall + rows / 32 * kernels::kPanelRowBytes + kChunk;
  uint64_t out = kSmall;
  if (linear_of(program, fibre)) out += 2 * rows * 64 + kChunk;
  if (parameter.kind == kernels::ParameterKind::tokens) out += rows / 16 * kernels::kPanelRowBytes;
  if (parameter.kind == kernels::ParameterKind::positions)
    out += rows / program.spec().gpt.context * kChunk;
  return out;
}

// As measured over the strata: rows and a panel of columns of the operands of a linear, rows of the
// residual stream, the roots of the step.
uint64_t block_bytes_mean(const Program& program) {
  uint64_t inputs = 0;
  for (const kernels::LinearInfo& linear : program.linears())
    inputs += linear.inputs;
  return 100 * inputs / program.linears().size() + 24 * 1024 + 32 * program.tensors().size();
}

}  // namespace

uint64_t thread_bytes(const Program& program, uint32_t steps, uint16_t blocks) {
  const std::vector<Fibre> fibres = some_fibres(program);
  uint64_t step = 0;
  for (const Fibre& fibre : fibres)
    step += link_bytes_mean(program, fibre);
  step += (step / kPartTarget + 1) * ThreadPlan::part_base_bytes(program);
  return head_bytes(program, steps, fibres.size(), pieces_of_all(program, fibres), blocks) +
         steps * step + blocks * block_bytes_mean(program);
}

uint64_t thread_bytes_max(const Program& program, uint32_t steps, uint16_t blocks) {
  const std::vector<Fibre> fibres = some_fibres(program);
  uint64_t step = 0;
  uint64_t ends = 0;
  uint64_t linears = 0;
  for (const Fibre& fibre : fibres) {
    const uint64_t link = pieces_of(program, fibre) * ThreadPlan::link_bytes_max(program, fibre);
    const bool shown = linear_of(program, fibre).has_value();
    linears += shown ? 1 : 0;
    step += shown ? 2 * link : link;  // with the fibre of a witness
    ends += ThreadPlan::end_bytes_max(program, fibre);
  }
  const uint64_t base = ThreadPlan::part_base_bytes(program) + sizeof(uint32_t);
  step += (2 * step / kPartTarget + 2) * base;
  ends += (2 * ends / kPartTarget + 2) * base;
  const uint64_t pieces = 2 * pieces_of_all(program, fibres);
  const uint64_t openings = blocks + (program.spec().clip > 0 ? kNormBlocks : 0);
  return head_bytes(program, steps, fibres.size() + linears, pieces, blocks) + steps * step + ends +
         openings * (kOpeningBytesMax + sizeof(uint32_t));
}

uint64_t thread_work(const Program& program, uint32_t steps, uint16_t blocks) {
  uint64_t step = 0;
  for (const Fibre& fibre : some_fibres(program))
    step += linear_of(program, fibre) ? uint64_t{program.rows()} * fibre.count() : 0;
  uint64_t widest = 0;
  for (const kernels::LinearInfo& linear : program.linears())
    widest = std::max<uint64_t>(widest, std::max(linear.inputs, linear.outputs));
  return steps * step + blocks * uint64_t{16} * 64 * widest;
}

bool thread_pays(const Program& program, uint32_t steps) {
  const uint16_t blocks = full_thread_blocks(program);
  const uint64_t replay = program.macs_per_step() * steps;
  return thread_work(program, steps, blocks) + kMacsPerByte * thread_bytes(program, steps, blocks) <
         replay;
}

}  // namespace gemmine::verifier
