// How large a row's scale can be: with AdamW no parameter moves further than its moments allow,
// whatever the gradients are (PROTOCOL 11.6).
#pragma once

#include <span>

#include "verifier/thread/fibre.h"

namespace gemmine::verifier {

// Upper bounds of |w| in rows of the fibre before each step: of θ, and of all that the updates can
// add. In f64, in the order of PROTOCOL 11.6, so that everybody finds the same.
class ScaleBound {
 public:
  // Of a fibre that a linear shows. Reads its rows of θ whole. Errors: those of `theta`.
  static Result<ScaleBound> make(const kernels::Program& program, const Fibre& fibre,
                                 const ReadFloats& theta);

  // Whether there is a bound at all: AdamW with beta2 > 0 and an eps that rounding cannot matter
  // beside.
  static bool exists(const kernels::Program& program);

  // From before step key.step, where it stands, to before the next.
  void advance(const kernels::Program& program, kernels::StepKey key);
  // Whether a committed scale of row `row` of the fibre is more than honest weights can have.
  bool exceeded(uint32_t row, float scale) const;
  // The bound has grown so much that a scale within it may still hide a dead row: it takes a
  // witness.
  bool is_loose(uint32_t row) const { return bounds_[row] > kLoose * first_[row]; }

 private:
  static constexpr double kLoose = 4;
  static constexpr double kSlack = 1.001;  // for what the updates round
  std::vector<double> first_;              // max |θ| of each row
  std::vector<double> bounds_;
  double decay_sum_ = 1;  // Σ (b1²/b2)^j, j up to the steps done
  double p1_ = 1;
  double p2_ = 1;
};

// Whether a fibre's scale has to be witnessed at `step` and `row` of the fibre: always where there
// is no bound, else where it is loose. Errors: those of `theta`.
Result<bool> needs_witness(const kernels::Program& program, const Fibre& fibre,
                           kernels::StepKey key, uint32_t row, const ReadFloats& theta);

}  // namespace gemmine::verifier
