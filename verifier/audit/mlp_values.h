// The values that an MLP's tile was quantised from, re-derived from opened chunks (PROTOCOL 3.3,
// 7.4).
#pragma once

#include "verifier/audit/block_reader.h"

namespace gemmine::verifier {

class MlpValues {
 public:
  // All outlive it.
  MlpValues(const kernels::Program& program, kernels::StepKey key, BlockReader& reader)
      : program_(program), key_(key), reader_(reader) {
    GEMMINE_CHECK(!program.is_gpt());
  }

  // Before quantising, or the elements of PB; row-major rows.count × cols.count.
  Floats values(const kernels::TensorInfo& tensor, Range rows, Range cols);

 private:
  Floats inputs(Range rows, Range cols);
  Floats forward(uint32_t layer, Range rows, Range cols);  // Y_layer
  Floats loss_gradient(Range rows, Range cols);
  Floats gradient(uint32_t layer, Range rows, Range cols);  // dY_layer
  Floats bias_parts(uint32_t layer, Range runs, Range cols);
  Bytes record(uint32_t batch_row, Range bytes);

  const kernels::Program& program_;
  const kernels::StepKey key_;
  BlockReader& reader_;
};

// State_before at rows × cols of the master weight of a layer or λ.
Floats master_weights(const kernels::Program& program, BlockReader& reader, uint32_t linear,
                      Range rows, Range cols);
// G1's (by the column's sw) or G2's (by the row's sx) folding of dY; PROTOCOL 3.3.
void fold_scales(BlockReader& reader, const kernels::TensorInfo& tensor, Range rows, Range cols,
                 Floats& dy);

// The rows of T that a run of colsum (PROTOCOL 2.8) adds up.
Range rows_of_run(const kernels::Program& program, uint32_t run);

}  // namespace gemmine::verifier
