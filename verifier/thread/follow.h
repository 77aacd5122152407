// Chains followed through the steps of a lease, by the prover as by the auditor (PROTOCOL 11.5).
#pragma once

#include <optional>
#include <vector>

#include "verifier/thread/link.h"
#include "verifier/thread/plan.h"

namespace gemmine::verifier {

// What one link of a chain starts from.
struct LinkStart {
  const FibreState& state;            // before the step
  const FibreSums& sums;              // of the pieces before; empty_sums() for the first
  const StepRates& rates;             // of the step
  const FibreState* peer = nullptr;   // of peer_of(), before the step
  const ScaleBound* bound = nullptr;  // of a fibre that a linear shows, where ScaleBound::exists()
};

// What came of it.
struct LinkEnd {
  Finding finding;       // valid or invalid
  FibreSums sums;        // with this piece
  bool moved = false;    // it was the step's last piece
  FibreState state;      // after the step, once it moved
  uint32_t largest = 0;  // |g| bits, once it moved
  float factor = 1;      // f of the step, once it moved
};

// The chain whose state a link needs besides its own; kNoChain: none.
uint32_t peer_of(const ThreadPlan& plan, uint32_t chain, uint32_t step);
// Reads everything whatever is wrong, so that all who follow a link touch the same chunks. What is
// missing, or not finite, `links` tells.
LinkEnd follow_link(const kernels::Program& program, const ThreadPlan& plan, kernels::StepKey key,
                    Link link, const LinkStart& start, StepLinks& links);

// What state_after and the delta of the lease's last share say of a chain's end. `theta` is θ
// there (PROTOCOL 6.4).
Finding check_end(const Work& work, const Fibre& fibre, const FibreState& end,
                  std::span<const float> theta, BlockReader& reader);

class Follower {
 public:
  // All at their start. plan.set_witnesses() has been called. All outlive it. Errors: those of
  // `data`.
  static Result<Follower> make(const ThreadCase& thread, const ThreadPlan& plan,
                               const PublicData& data);

  uint32_t step() const { return step_; }  // the next
  const FibreState& state(uint32_t chain) const { return states_[chain]; }
  std::span<const float> theta(uint32_t chain) const { return theta_[chain]; }
  // The bytes whose b3 is the digest of a link that comes next.
  Bytes bytes_before(Link link) const;
  // After follow(): of the link that follows it in its chain.
  Bytes bytes_after(Link link) const;
  const FibreState* peer(uint32_t chain) const;

  Finding follow(Link link, StepLinks& links);
  // After all links of the step. squares: its StepLinks::parameter_squares().
  void end_step(const Floats& squares);

  uint32_t star(uint32_t chain) const { return stars_[chain].step; }
  // The chain's largest |g| was that of the step just ended, and larger than before.
  bool star_rose(uint32_t chain) const { return stars_[chain].rose; }
  // The first step with the least f so far; c_j of it.
  uint32_t least_step() const { return least_step_; }
  bool least_fell() const { return least_fell_; }
  const Floats& least_squares() const { return least_squares_; }
  // c_j of the step just ended.
  const Floats& last_squares() const { return last_squares_; }

 private:
  struct Star {
    uint32_t largest = 0;
    uint32_t step = 0;
    bool rose = false;
  };
  Follower(const ThreadCase& thread, const ThreadPlan& plan) : thread_(thread), plan_(plan) {}

  const ThreadCase& thread_;
  const ThreadPlan& plan_;
  uint32_t step_ = 0;
  std::vector<FibreState> states_;
  std::vector<FibreState> next_;
  std::vector<Floats> theta_;
  std::vector<FibreSums> sums_;
  std::vector<std::optional<ScaleBound>> bounds_;
  std::vector<Star> stars_;
  StepRates rates_;  // of the next step
  std::vector<uint32_t> largest_;
  float factor_ = 1;
  float least_ = 2;
  uint32_t least_step_ = 0;
  bool least_fell_ = false;
  Floats least_squares_;
  Floats last_squares_;
};

}  // namespace gemmine::verifier
