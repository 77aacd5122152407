#include "tests/thefts/detection.h"

#include <algorithm>
#include <cmath>

#include "kernels/engines.h"
#include "verifier/audit/block.h"
#include "verifier/records/trace.h"

namespace gemmine::thefts {

using kernels::TensorInfo;
using verifier::BlockChoice;
using verifier::Outcome;

namespace {

uint32_t groups_of(const TensorInfo& tensor, const BlockChoice& choice) {
  if (!tensor.is_int8()) return 1;
  if (tensor.groups == kernels::Groups::column_runs)
    return std::min(64U, tensor.cols - choice.tile_col * 64);
  return std::min(16U, tensor.rows - choice.tile_row * 16) *
         verifier::segments_in_tile(tensor, choice.tile_col);
}

bool is_listed(const TensorInfo& tensor) {
  return tensor.is_int8() || tensor.is_checked_f32();
}

}  // namespace

StolenShare::StolenShare(const verifier::Job& job, ByteView tokens, const Theft& theft)
    : work_(verifier::Work::make(job).value()), tokens_(tokens), in_part_(theft.in_part) {
  lease_.job_id = work_.id();
  lease_.steps = lease_.steps_per_share = job.spec.steps_per_lease;
  theta_ = program().initial_theta();
  before_ = theta_;
  before_.resize(program().state_floats());
  thief_ = std::make_unique<Thief>(program(), tokens_, theft);
  const auto run = [&](kernels::Engine& engine) {
    return verifier::run_share(engine, {work_, lease_, theta_}, 0, before_).value();
  };
  run_ = run(*thief_);
  honest_ = run(*kernels::make_engine("cpu", program(), tokens_, 1).value());
}

double StolenShare::checks() const {
  const auto& tensors = program().tensors();
  return static_cast<double>(std::count_if(tensors.begin(), tensors.end(), is_listed)) + 1;
}

Outcome StolenShare::check(const BlockChoice& choice) const {
  WholeSource source(thief_->tensors(choice.step), before_, tokens_);
  verifier::BlockCheck check(program(), {lease_.round, lease_.slot, choice.step}, source);
  const auto witness = check.find_witness(choice);
  return check.check(choice, witness ? witness.value() : 0).outcome;
}

// Of the groups that the coin may draw for a tile. A theft that is wrong in part may miss some.
double StolenShare::wrong_part(BlockChoice choice) const {
  const uint32_t groups = in_part_ ? groups_of(program().tensors()[choice.position], choice) : 1;
  double out = 0;
  for (choice.group = 0; choice.group < groups; ++choice.group)
    out += check(choice) != Outcome::valid ? 1.0 / groups : 0.0;
  return out;
}

double StolenShare::block_rate() const {
  double out = 0;
  for (uint32_t p = 0; p < program().tensors().size(); ++p) {
    const TensorInfo& tensor = program().tensors()[p];
    if (!is_listed(tensor)) continue;
    const uint32_t steps = verifier::reads_state_before(tensor) ? 1 : lease_.steps;
    double wrong = 0;
    for (uint32_t step = 0; step < steps; ++step)
      for (uint32_t row = 0; row < verifier::tiles_down(tensor); ++row)
        for (uint32_t col = 0; col < verifier::tiles_across(tensor); ++col)
          wrong += wrong_part({.step = step, .position = p, .tile_row = row, .tile_col = col});
    out += wrong / steps / verifier::tiles_down(tensor) / verifier::tiles_across(tensor);
  }
  return out / checks();
}

Outcome StolenShare::open_and_check(const BlockChoice& choice) {
  thief_->stand_after(choice.delta ? lease_.steps - 1 : choice.step);
  verifier::ProverView view{
      {work_, lease_, theta_}, *run_, before_, run_->state_after, tokens_, nullptr, *thief_};
  view.check_own = false;
  const auto opening = verifier::make_opening(view, choice);
  GEMMINE_CHECK(opening.ok());
  return verifier::check_opening({work_, lease_, theta_}, run_->share, choice, opening.value())
      .outcome;
}

double spot_rate(double block_rate, uint32_t spot_blocks) {
  return 1 - std::pow(1 - block_rate, spot_blocks);
}

double share_rate(const verifier::AuditPolicy& policy, double block_rate) {
  const double replay = policy.replay_ppm / 1e6;
  return replay + (1 - replay) * policy.spot_ppm / 1e6 * spot_rate(block_rate, policy.spot_blocks);
}

}  // namespace gemmine::thefts
