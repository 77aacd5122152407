#include "tests/thefts/thefts.h"

#include <algorithm>

#include "tests/thefts/macs.h"
#include "tests/thefts/masked_attention.h"

namespace gemmine::thefts {

using kernels::Program;
using kernels::TensorKind;

namespace {

bool is(const Draft& draft, TensorKind kind) {
  return draft.info.kind == kind;
}
// Linear 4i + place of some block i.
bool is_linear(const Draft& draft, TensorKind kind, uint32_t place) {
  return draft.info.kind == kind && draft.info.layer % 4 == place &&
         draft.info.layer < draft.program.spec().gpt.head_linear();
}
bool is_head(const Draft& draft, TensorKind kind) {
  return draft.info.kind == kind && draft.info.layer == draft.program.spec().gpt.head_linear();
}
void zero(Draft& draft) {
  std::fill(draft.values.begin(), draft.values.end(), 0.0F);
}
void stale(Draft& draft) {
  if (draft.before != nullptr) draft.values = *draft.before;
}
Theft attention_skipped() {
  return {.name = "attention skipped",
          .how = "O of the step before, qkv's gradient 0",
          .bend =
              [](Draft& draft) {
                const bool forward =
                    is(draft, TensorKind::row_max) || is_linear(draft, TensorKind::x, 1);
                if (forward) draft.before != nullptr ? stale(draft) : zero(draft);
                if (is(draft, TensorKind::row_sum)) {
                  std::fill(draft.values.begin(), draft.values.end(), 63.0F);
                  stale(draft);
                }
                if (is(draft, TensorKind::delta_dot) || is_linear(draft, TensorKind::g1, 0) ||
                    is_linear(draft, TensorKind::g2, 0) ||
                    is_linear(draft, TensorKind::bias_parts, 0))
                  zero(draft);
              },
          .saved_macs =
              [](const Program& program, double) {
                return 6 * attention_macs(program) + 2 * linear_macs(program, 0);
              }};
}

Theft values_averaged() {
  return {
      .name = "values averaged",
      .how = "O is the mean of V so far",
      .bend =
          [](Draft& draft) {
            if (is(draft, TensorKind::delta_dot)) zero(draft);
            if (!is_linear(draft, TensorKind::x, 1)) return;
            const uint32_t block = draft.info.layer / 4;
            const uint32_t d = draft.info.cols;
            const uint32_t context = draft.program.spec().gpt.context;
            const auto v = draft.committed.ints(TensorKind::v, block, {0, draft.info.rows}, {0, d});
            const Floats sv = draft.committed.matrix(TensorKind::sv, block,
                                                     {0, draft.info.rows / context}, {0, d});
            int32_t sum = 0;
            for (uint32_t c = 0; c < d; ++c)
              for (uint32_t t = 0; t < draft.info.rows; ++t) {
                sum = (t % context == 0 ? 0 : sum) + v[size_t{t} * d + c];
                draft.values[size_t{t} * d + c] = static_cast<float>(sum) *
                                                  sv[size_t{t / context} * d + c] /
                                                  static_cast<float>(t % context + 1);
              }
          },
      .saved_macs = [](const Program& program, double) { return attention_macs(program); }};
}

Theft stale_queries_and_keys() {
  return {
      .name = "stale Q and K",
      .how = "of the step before",
      .bend =
          [](Draft& draft) {
            if (is(draft, TensorKind::q) || is(draft, TensorKind::k)) stale(draft);
          },
      .saved_macs = [](const Program& program,
                       double steps) { return 2.0 / 3 * linear_macs(program, 0) * later(steps); }};
}

Theft masked(std::string name, std::string what, uint32_t context, const Mask& mask) {
  double kept = 0;
  for (uint32_t i = 0; i < context; ++i)
    for (uint32_t j = 0; j <= i; ++j)
      kept += mask(i, j) ? 1 : 0;
  const double dropped = 1 - kept / (0.5 * context * (context + 1.0));
  // l, O and δ of the half of the positions that miss a key, and both gradients of qkv, but for a
  // group here and there; and now and then m.
  return {.name = std::move(name),
          .how = std::move(what),
          .bend = [mask](Draft& draft) { bend_attention(draft, mask); },
          .saved_macs = [dropped](const Program& program,
                                  double) { return 6 * attention_macs(program) * dropped; }};
}

Theft no_attention_gradient() {
  return {.name = "no attention gradient",
          .how = "HO and GO are 0",
          .bend =
              [](Draft& draft) {
                if (is(draft, TensorKind::ho) || is(draft, TensorKind::go)) zero(draft);
              },
          .saved_macs =
              [](const Program& program, double) {
                return 4 * attention_macs(program) + 2 * linear_macs(program, 0);
              }};
}

Theft stale_gradients() {
  return {.name = "stale gradients",
          .how = "every N of the step before",
          .bend =
              [](Draft& draft) {
                if (is(draft, TensorKind::d_norm)) stale(draft);
              },
          .saved_macs =
              [](const Program& program, double steps) {
                return (linear_macs(program, 0) + linear_macs(program, 2) + head_macs(program)) *
                       later(steps);
              }};
}

Theft stale_residuals() {
  return {.name = "stale residual stream",
          .how = "R of the step before",
          .bend =
              [](Draft& draft) {
                if (is(draft, TensorKind::residual) && draft.info.layer > 0) stale(draft);
              },
          .saved_macs =
              [](const Program& program, double steps) {
                return (linear_macs(program, 1) + linear_macs(program, 3)) * later(steps);
              }};
}

Theft real_denominators() {
  return {.name = "real denominators", .how = "l of unrounded weights", .bend = bend_denominators};
}

// A block whose inputs are zero costs one row's work, and all that follows from them is right.
void skip_block(Draft& draft, uint32_t block) {
  const bool here = draft.info.layer / 4 == block;
  const bool input = is_linear(draft, TensorKind::x, 0) || is_linear(draft, TensorKind::x, 2);
  const bool back = is_linear(draft, TensorKind::g1, 1) || is_linear(draft, TensorKind::g1, 3);
  if (here && (input || back)) zero(draft);
}

Theft last_block_skipped() {
  return {.name = "one block skipped",
          .how = "its X and G1 are 0",
          .bend = [](Draft& draft) { skip_block(draft, draft.program.spec().gpt.blocks - 1); },
          .saved_macs = [](const Program& program,
                           double) { return blocks_macs(program) / program.spec().gpt.blocks; }};
}

Theft shallow_model() {
  return {.name = "shallow model",
          .how = "all but one skipped",
          .bend =
              [](Draft& draft) {
                for (uint32_t block = 1; block < draft.program.spec().gpt.blocks; ++block)
                  skip_block(draft, block);
              },
          .saved_macs =
              [](const Program& program, double) {
                const double blocks = program.spec().gpt.blocks;
                return blocks_macs(program) * (blocks - 1) / blocks;
              }};
}

uint32_t token(Draft& draft, uint32_t row, uint32_t ahead) {
  const kernels::GptShape& gpt = draft.program.spec().gpt;
  const uint64_t start = draft.program.sequence_start(draft.key, row / gpt.context);
  const uint64_t at = start + row % gpt.context + ahead;
  return gpt.token_of(draft.committed.train(at * gpt.token_bytes, gpt.token_bytes), 0);
}

Theft other_tokens() {
  return {.name = "other tokens",
          .how = "not the job's, but in the first step",
          .bend = [](Draft& draft) {
            const kernels::GptShape& gpt = draft.program.spec().gpt;
            const bool embedding = is(draft, TensorKind::residual) && draft.info.layer == 0;
            const bool g1 = is_head(draft, TensorKind::g1);
            const bool g2 = is_head(draft, TensorKind::g2);
            if (draft.key.step == 0 || (!embedding && !g1 && !g2)) return;
            for (uint32_t t = 0; t < draft.info.rows; ++t) {
              float* const row = &draft.values[size_t{t} * draft.info.cols];
              if (embedding) {
                const uint32_t x = token(draft, t, 0);
                const uint32_t other = (x + 1) % gpt.vocabulary;
                const Floats was = draft.committed.state_before(uint64_t{x} * gpt.width, gpt.width);
                const Floats is =
                    draft.committed.state_before(uint64_t{other} * gpt.width, gpt.width);
                for (uint32_t c = 0; c < gpt.width; ++c)
                  row[c] += is[c] - was[c];
              } else {  // the target's logit has the largest gradient; its neighbour gets it
                const uint32_t y = token(draft, t, 1);
                std::swap(row[y], row[(y + 1) % gpt.vocabulary]);
              }
            }
          }};
}

Theft backward_cut() {
  return {.name = "backward cut off",
          .how = "the head's G1 is 0",
          .bend =
              [](Draft& draft) {
                if (is_head(draft, TensorKind::g1)) zero(draft);
              },
          .saved_macs = [](const Program& program, double) { return 2 * all_macs(program) / 3; }};
}

Theft hollow_step() {
  return {
      .name = "hollow step",
      .how = "R_0 and the head's G1 are 0",
      .bend =
          [](Draft& draft) {
            const bool embedding = is(draft, TensorKind::residual) && draft.info.layer == 0;
            if (embedding || is_head(draft, TensorKind::g1)) zero(draft);
          },
      .saved_macs = [](const Program& program,
                       double) { return all_macs(program) * (1 - 1.0 / (3.0 * program.rows())); }};
}

}  // namespace

std::vector<Theft> step_thefts(uint32_t context) {
  const uint32_t half = context / 2;
  std::vector<Theft> out = {attention_skipped(),
                            values_averaged(),
                            stale_queries_and_keys(),
                            masked("window of attention", "the last half of a context", context,
                                   [half](uint32_t i, uint32_t j) { return i - j < half; }),
                            masked("half the context", "two short sequences for each", context,
                                   [half](uint32_t i, uint32_t j) { return i / half == j / half; }),
                            no_attention_gradient(),
                            stale_gradients(),
                            stale_residuals(),
                            real_denominators(),
                            last_block_skipped(),
                            shallow_model()};
  for (Theft promised : {other_tokens(), backward_cut(), hollow_step()}) {
    promised.found_min = kPromised;
    out.push_back(std::move(promised));
  }
  return out;
}

}  // namespace gemmine::thefts
