// What a thread looks at: fibres of every class of parameter, drawn from the ticket's seed
// (PROTOCOL 11.3).
#pragma once

#include <optional>
#include <vector>

#include "verifier/thread/fibre.h"

namespace gemmine::verifier {

// The step and the row at which somebody has to show that a fibre's scale is attained.
struct ScaleDraw {
  uint32_t fibre = 0;
  uint32_t step = 0;
  uint32_t row = 0;  // of the fibre, counted from its first
};

// R_0 of a drawn row of a drawn step is the sum of a row of E and one of P (PROTOCOL 11.5).
struct PairDraw {
  uint32_t tokens = 0;     // the fibre of E
  uint32_t positions = 0;  // the fibre of P
  uint32_t step = 0;
  uint32_t row = 0;  // t
};

// The order of the fibres is that of the answer: linears, then vectors, then E and P.
struct ThreadDraw {
  std::vector<Fibre> fibres;
  std::vector<ScaleDraw> scales;  // one of each fibre that a linear shows
  std::optional<PairDraw> pair;   // of a gpt
};

// steps: H of the lease; round, slot: its place in the job. Errors: those of `train`.
Result<ThreadDraw> draw_thread(const kernels::Program& program, const Digest& seed, uint32_t round,
                               uint32_t slot, uint32_t steps, const ReadBytes& train);

// The fibre of a row × the column of tiles that holds feature `feature`.
Fibre row_fibre(const kernels::Program& program, uint32_t parameter, uint32_t row,
                uint32_t feature);
// The unit of a parameter whose squares the norm adds up (PROTOCOL 10.7).
Fibre unit_fibre(const kernels::Program& program, uint32_t parameter, uint32_t unit);

// Numbers of the draws (PROTOCOL 11.3): R(kFibreNumbers + 8·fibre + …), R(kBlockNumbers + 8·j + …).
inline constexpr uint32_t kFibreNumbers = 1024;
inline constexpr uint32_t kBlockNumbers = 16384;

}  // namespace gemmine::verifier
