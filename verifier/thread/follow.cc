#include "verifier/thread/follow.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/numbers/numerics.h"
#include "verifier/merge/delta.h"

namespace gemmine::verifier {

using kernels::Program;

namespace {

// Keeps the first thing that is wrong.
class First {
 public:
  void add(Finding finding) {
    if (finding_.outcome == Outcome::valid) finding_ = std::move(finding);
  }
  Finding take() { return std::move(finding_); }

 private:
  Finding finding_{Outcome::valid, kNoStep, {}};
};

Finding invalid(std::string detail) {
  return {Outcome::invalid, kNoStep, std::move(detail)};
}

Finding check_bounds(const Fibre& fibre, const ScaleBound& bound, StepLinks& links) {
  First out;
  for (uint32_t row = 0; row < fibre.rows.count; ++row)
    if (bound.exceeded(row, links.scale(fibre, row)))
      out.add(invalid("has a scale that no updates can have made"));
  return out.take();
}

Finding check_scale(const Fibre& fibre, const ScaleWitness& witness, const Fibre& shown,
                    const FibreState& state, StepLinks& links) {
  if (witness.feature == kNoFeature) {
    if (links.scale(fibre, witness.draw.row) == 0.0F) return {Outcome::valid, kNoStep, {}};
    return invalid("has a scale above zero without a witness");
  }
  const uint32_t row = fibre.rows.first + witness.draw.row - shown.rows.first;
  const uint32_t col = witness.feature - shown.cols.first;
  return links.check_witness(fibre, witness.draw.row, state.w[row * shown.cols.count + col]);
}

}  // namespace

uint32_t peer_of(const ThreadPlan& plan, uint32_t chain, uint32_t step) {
  const auto& pair = plan.draw().pair;
  if (pair && pair->positions == chain && pair->step == step) return pair->tokens;
  const ScaleWitness* const witness = plan.witness_at(chain, step);
  return witness == nullptr || witness->chain == chain ? kNoChain : witness->chain;
}

LinkEnd follow_link(const Program& program, const ThreadPlan& plan, kernels::StepKey key, Link link,
                    const LinkStart& start, StepLinks& links) {
  const Chain& chain = plan.chains()[link.chain];
  const Fibre& fibre = chain.fibre;
  const uint32_t peer = peer_of(plan, link.chain, key.step);
  GEMMINE_CHECK((peer == kNoChain) == (start.peer == nullptr) || link.piece > 0);
  First finding;
  LinkEnd out;
  out.sums = start.sums;
  if (link.piece == 0) {
    finding.add(links.check_shown(fibre, start.state));
    if (start.bound != nullptr) finding.add(check_bounds(fibre, *start.bound, links));
    if (const ScaleWitness* const witness = plan.witness_at(link.chain, key.step)) {
      const bool own = peer == kNoChain;
      finding.add(check_scale(fibre, *witness, own ? fibre : plan.chains()[peer].fibre,
                              own ? start.state : *start.peer, links));
    }
    const auto& pair = plan.draw().pair;
    if (pair && pair->positions == link.chain && pair->step == key.step)
      finding.add(links.check_pair(fibre, pair->row, *start.peer, start.state));
  }
  links.add_piece(fibre, link.piece, out.sums);
  if (link.piece + 1 == chain.pieces) {
    const Floats gradient = links.gradient(fibre, out.sums);
    finding.add(links.check_unit(fibre, gradient));
    finding.add(links.check_clip(out.factor));
    out.moved = true;
    out.largest = largest_magnitude(gradient);
    out.state = start.state;
    finding.add(move_fibre(program, fibre, start.rates, out.factor, gradient, out.state));
  }
  out.finding = finding.take();
  if (out.finding.outcome != Outcome::valid)
    out.finding.detail = name_of(program, fibre) + " " + out.finding.detail;
  out.finding.step = out.finding.outcome == Outcome::valid ? kNoStep : key.step;
  return out;
}

Finding check_end(const Work& work, const Fibre& fibre, const FibreState& end,
                  std::span<const float> theta, BlockReader& reader) {
  const Program& program = work.program();
  const float bound = delta_bound(work.job().audit.delta_max);
  First finding;
  const uint64_t count = program.parameters();
  const uint64_t exponents = (count + kDeltaBlock - 1) / kDeltaBlock;
  const bool vector = program.parameter_list()[fibre.parameter].is_vector();
  const uint32_t width = vector ? fibre.count() : fibre.cols.count;
  const Floats* const copies[] = {&end.w, &end.m, &end.v};
  for (uint32_t done = 0; done < fibre.count(); done += width) {
    const uint64_t first = theta_offset(program, fibre, vector ? 0 : done / width);
    for (size_t copy = 0; copy < 3 && !copies[copy]->empty(); ++copy) {
      const Floats after = reader.floats({Origin::state_after, 0}, copy * count + first, width);
      for (uint32_t i = 0; i < width; ++i)
        if (std::bit_cast<uint32_t>(after[i]) != std::bit_cast<uint32_t>((*copies[copy])[done + i]))
          finding.add(invalid("is not what state_after says"));
    }
    Bytes e((first + width - 1) / kDeltaBlock - first / kDeltaBlock + 1);
    Bytes q(width);
    reader.read({Origin::delta, 0}, first / kDeltaBlock, e);
    reader.read({Origin::delta, 0}, exponents + first, q);
    for (uint32_t i = 0; i < width; ++i) {
      const auto exponent = static_cast<int8_t>(e[(first + i) / kDeltaBlock - first / kDeltaBlock]);
      const float moved = std::clamp(end.w[done + i] - theta[done + i], -bound, bound);
      const float scaled = std::ldexp(moved, -exponent);
      const bool fits = std::fabs(scaled) <= 128.0F;
      if (!fits || kernels::rni(scaled) != static_cast<int8_t>(q[i]))
        finding.add(invalid("is not what the delta says"));
    }
  }
  Finding out = finding.take();
  if (out.outcome != Outcome::valid) out.detail = name_of(program, fibre) + " " + out.detail;
  return out;
}

Result<Follower> Follower::make(const ThreadCase& thread, const ThreadPlan& plan,
                                const PublicData& data) {
  Follower out(thread, plan);
  const Program& program = thread.program();
  for (const Chain& chain : plan.chains()) {
    auto state = start_of(program, chain.fibre, data.theta);
    if (!state) return state.error();
    out.theta_.push_back(state.value().w);
    out.states_.push_back(std::move(state.value()));
    out.sums_.push_back(empty_sums(program, chain.fibre));
    out.bounds_.emplace_back();
    if (linear_of(program, chain.fibre) && ScaleBound::exists(program)) {
      auto bound = ScaleBound::make(program, chain.fibre, data.theta);
      if (!bound) return bound.error();
      out.bounds_.back() = std::move(bound.value());
    }
  }
  out.next_ = out.states_;
  out.rates_ = next_rates(program, {}, thread.key(0));
  out.stars_.resize(out.states_.size());
  out.largest_.assign(out.states_.size(), 0);
  return out;
}

Bytes Follower::bytes_before(Link link) const {
  return link_bytes(states_[link.chain], link.piece > 0 ? &sums_[link.chain] : nullptr);
}

Bytes Follower::bytes_after(Link link) const {
  const bool moved = link.piece + 1 == plan_.chains()[link.chain].pieces;
  return moved ? link_bytes(next_[link.chain], nullptr)
               : link_bytes(states_[link.chain], &sums_[link.chain]);
}

const FibreState* Follower::peer(uint32_t chain) const {
  const uint32_t peer = peer_of(plan_, chain, step_);
  return peer == kNoChain ? nullptr : &states_[peer];
}

Finding Follower::follow(Link link, StepLinks& links) {
  const Program& program = thread_.program();
  const Fibre& fibre = plan_.chains()[link.chain].fibre;
  if (link.piece == 0) sums_[link.chain] = empty_sums(program, fibre);
  const auto& bound = bounds_[link.chain];
  LinkEnd end = follow_link(
      program, plan_, thread_.key(step_), link,
      {states_[link.chain], sums_[link.chain], rates_, peer(link.chain), bound ? &*bound : nullptr},
      links);
  sums_[link.chain] = std::move(end.sums);
  if (end.moved) {
    next_[link.chain] = std::move(end.state);
    largest_[link.chain] = end.largest;
    factor_ = end.factor;
  }
  return std::move(end.finding);
}

void Follower::end_step(const Floats& squares) {
  const Program& program = thread_.program();
  for (uint32_t c = 0; c < states_.size(); ++c) {
    Star& star = stars_[c];
    star.rose = false;
    if (step_ >= plan_.chains()[c].steps) continue;
    states_[c] = next_[c];
    star.rose = step_ == 0 || largest_[c] > star.largest;
    if (star.rose) star = {largest_[c], step_, true};
    if (bounds_[c]) bounds_[c]->advance(program, thread_.key(step_));
  }
  last_squares_ = squares;
  least_fell_ = step_ == 0 || factor_ < least_;
  if (least_fell_) {
    least_ = factor_;
    least_step_ = step_;
    least_squares_ = squares;
  }
  ++step_;
  if (step_ < thread_.lease.steps) rates_ = next_rates(program, rates_, thread_.key(step_));
}

}  // namespace gemmine::verifier
