// One step of a fibre, from committed chunks alone: is the fibre what the step shows, what is its
// gradient, where does it go from here (PROTOCOL 11.4, 11.5).
//
// Prover and auditor run the same code, the prover over whole objects, the auditor over what was
// opened, so that they touch the same chunks.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "verifier/audit/block_reader.h"
#include "verifier/audit/replay.h"
#include "verifier/thread/fibre.h"

namespace gemmine::verifier {

// valid, or invalid with what is wrong. What a step's chunks lack is told by missing().
class StepLinks {
 public:
  // tokens: step_tokens() of the step. All outlive it.
  StepLinks(const kernels::Program& program, kernels::StepKey key, BlockSource& source,
            std::span<const uint32_t> tokens)
      : program_(program), key_(key), reader_(program, source), tokens_(tokens) {}

  // Before the first piece: W, b, gain, shift are the fibre's (PROTOCOL 11.5 a, b).
  Finding check_shown(const Fibre& fibre, const FibreState& state);
  // The committed scale of row `row` of a fibre that a linear shows.
  float scale(const Fibre& fibre, uint32_t row);
  // Whether the scale of that row is attained by `value` (PROTOCOL 11.6); a scale of 0 needs none.
  Finding check_witness(const Fibre& fibre, uint32_t row, float value);
  // R_0 of row `row` on the fibres' columns is the sum of the two.
  Finding check_pair(const Fibre& tokens, uint32_t row, const FibreState& e, const FibreState& p);

  // The rows of one piece, into the sums.
  void add_piece(const Fibre& fibre, uint32_t piece, FibreSums& sums);
  // The gradient before the clip, after the last piece; of a vector from its partial sums.
  Floats gradient(const Fibre& fibre, const FibreSums& sums);
  // Whether the gradient's own unit is what the norm was given (CQ; only with a clip).
  Finding check_unit(const Fibre& fibre, std::span<const float> gradient);
  // f of the step, 1 without a clip; checked against the sums of squares beside it (PROTOCOL 10.7).
  Finding check_clip(float& factor);
  // c_j of the step, with a clip; read with check_clip().
  const Floats& parameter_squares() const { return squares_; }

  // A chunk that any of these needed is not there.
  bool missing() const { return reader_.missing(); }
  // Empty, or what makes no sense whoever computed it: a value that is not finite.
  const std::string& objection() const { return reader_.objection(); }
  BlockReader& reader() { return reader_; }

 private:
  void add_products(const Fibre& fibre, uint32_t linear, Range rows, FibreSums& sums);
  void add_rows(const Fibre& fibre, Range rows, FibreSums& sums);

  const kernels::Program& program_;
  const kernels::StepKey key_;
  BlockReader reader_;
  const std::span<const uint32_t> tokens_;
  std::optional<Finding> clip_;
  float factor_ = 1;
  Floats squares_;
};

// |g| of the largest, as its bits, which order as magnitudes do.
uint32_t largest_magnitude(std::span<const float> values);
// Rows of the step whose input token is v.
std::vector<uint32_t> rows_of_token(std::span<const uint32_t> tokens, uint32_t token);
// Clips, updates; invalid when a value of the new state is not finite.
Finding move_fibre(const kernels::Program& program, const Fibre& fibre, const StepRates& rates,
                   float factor, std::span<const float> gradient, FibreState& state);

}  // namespace gemmine::verifier
