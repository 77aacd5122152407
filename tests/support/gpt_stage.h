// Honest openings of a toy language model, for fuzzers to spoil.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/engines.h"
#include "tests/support/toy_gpt_job.h"
#include "verifier/audit/opening.h"
#include "verifier/audit/opening_codec.h"

namespace gemmine::test {

// Share 0 of a lease of a toy job, and the honest opening of one of its blocks.
struct GptStage {
  GptStage(kernels::TensorKind kind, uint32_t layer) {
    state.resize(program.state_floats());
    job.steps_per_share = 1;
    work = verifier::Work::make(job).value();
    lease.job_id = work->id();
    lease.steps = job.spec.steps_per_lease;
    lease.steps_per_share = job.steps_per_share;
    lease.id = verifier::lease_id(lease);
    auto engine = std::move(kernels::make_engine("cpu", program, train, 1).value());
    run = verifier::run_share(*engine, at(), 0, state).value();
    choice.position = program.position(kind, layer);
    choice.tile_row = std::min(1U, verifier::tiles_down(program.tensors()[choice.position]) - 1);
    honest =
        verifier::make_opening({at(), run, state, run.state_after, train, nullptr, *engine}, choice)
            .value();
    opening = verifier::decode_opening(program, honest).value();
  }

  verifier::LeaseView at() const { return {*work, lease, theta}; }

  verifier::Job job = toy_gpt_job(testing::toy_gpt());
  Bytes train = testing::toy_tokens(job.spec);
  std::optional<verifier::Work> work;
  kernels::Program program = kernels::Program::make(job.spec).value();
  std::vector<float> theta = program.initial_theta();
  std::vector<float> state = theta;
  verifier::Lease lease;
  verifier::ShareRun run;
  verifier::BlockChoice choice;
  Bytes honest;
  verifier::Opening opening;  // looks into `honest`
};

// One that reads of everything 10.11 names, for each first byte of an input.
inline const GptStage& gpt_stage(uint8_t number) {
  using enum kernels::TensorKind;
  static const GptStage stages[] = {
      {residual, 0},   {x, 1},          {row_max, 1},   {row_sum, 0}, {g1, 8},  {loss_sum, 0},
      {d_residual, 1}, {g2, 6},         {delta_dot, 0}, {g2, 0},      {ho, 1},  {w, 4},
      {bias_parts, 0}, {gain_parts, 1}, {squares, 0},   {squares, 3}, {clip, 0}};
  return stages[number % std::size(stages)];
}

}  // namespace gemmine::test
