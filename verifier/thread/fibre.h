// A fibre: a few neighbouring parameters that a thread follows from the public θ through every step
// of a lease (PROTOCOL 11.2, 11.4).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/model/program.h"
#include "verifier/audit/block_reader.h"
#include "verifier/thread/public_data.h"

namespace gemmine::verifier {

// Of one parameter: a tile of a linear's W, one row × 64 columns of E or P, a run of 64 of a vector
// (then cols is {0, 1}). At most 1024 parameters.
struct Fibre {
  uint32_t parameter = 0;  // its place in Program::parameter_list()
  Range rows;
  Range cols;

  uint32_t count() const { return rows.count * cols.count; }
};

// The linear whose W shows the fibre: λ of a weight, the head of a row of a tied E.
std::optional<uint32_t> linear_of(const kernels::Program& program, const Fibre& fibre);
// "W_4[16…,64…]", for people.
std::string name_of(const kernels::Program& program, const Fibre& fibre);

// The tensor rows that one part of an answer covers. A fibre of a matrix is answered in as many
// pieces as a step's T rows make; a vector's in one, since its partial sums are 1/32 of that.
inline constexpr uint32_t kPieceRows = 2048;
uint32_t pieces_of(const kernels::Program& program, const Fibre& fibre);
// Rows of piece `piece` of pieces_of().
Range piece_rows(const kernels::Program& program, const Fibre& fibre, uint32_t piece);

// w, and the moments: m for SGD, m and v for AdamW. Each of count() values, row-major.
struct FibreState {
  Floats w;
  Floats m;
  Floats v;
  bool operator==(const FibreState&) const = default;
};

// Sums over the rows of the pieces so far.
struct FibreSums {
  std::vector<int32_t> products;  // Σ G2·X, of what a linear shows
  Floats rows;                    // Σ D_0, of E and P
};
FibreSums empty_sums(const kernels::Program& program, const Fibre& fibre);

// A link's digest is b3 of these bytes: w ‖ m ‖ v; before a later piece than the first also the
// sums: i32 products ‖ f32 rows.
Bytes link_bytes(const FibreState& state, const FibreSums* sums);
// The state (and the sums, of a later piece) that such bytes are. Errors: malformed (length).
struct LinkState {
  FibreState state;
  FibreSums sums;
};
Result<LinkState> link_state(const kernels::Program& program, const Fibre& fibre, uint32_t piece,
                             ByteView bytes);

// What a fibre starts from: θ there and moments of 0. Errors: those of read_theta.
Result<FibreState> start_of(const kernels::Program& program, const Fibre& fibre,
                            const ReadFloats& read_theta);
// Offset in θ of the fibre's row `row` (counted from its first).
uint64_t theta_offset(const kernels::Program& program, const Fibre& fibre, uint32_t row);

// One update by PROTOCOL 3.4 with lr of the step; p1, p2 are the powers of b1 and b2 that go with
// it.
struct StepRates {
  float lr = 0;
  float p1 = 1;
  float p2 = 1;
};
// `before`: of the step in front of it, of the first step {0, 1, 1}.
StepRates next_rates(const kernels::Program& program, const StepRates& before,
                     kernels::StepKey key);
StepRates rates_of(const kernels::Program& program, kernels::StepKey key);
void update(const kernels::Program& program, const Fibre& fibre, const StepRates& rates,
            std::span<const float> gradient, FibreState& state);

}  // namespace gemmine::verifier
