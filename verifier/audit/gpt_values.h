// The values that a gpt's tile is made of, re-derived from opened chunks (PROTOCOL 10.3 to 10.6):
// before quantising, or the elements themselves of an f32 tensor. What is read is exactly what the
// table of 10.11 names.
#pragma once

#include <initializer_list>
#include <map>

#include "kernels/numbers/rows.h"
#include "verifier/audit/block_reader.h"

namespace gemmine::verifier {

class GptValues {
 public:
  // All outlive it.
  GptValues(const kernels::Program& program, kernels::StepKey key, BlockReader& reader)
      : program_(program), gpt_(program.spec().gpt), key_(key), reader_(reader) {
    GEMMINE_CHECK(program.is_gpt());
  }

  // Row-major rows.count × cols.count, of any rows and columns of the tensor (of cf all).
  Floats values(const kernels::TensorInfo& tensor, Range rows, Range cols);
  // Element `row` of cf from the CQ alone.
  Floats clip_of_squares(uint32_t row);

 private:
  // One head in rows of one sequence; columns of the head, counted from its own first.
  struct HeadRows {
    uint32_t block;
    uint32_t head;
    uint32_t start;  // row of the sequence's first position
    Range rows;      // within the sequence
    Range cols;
  };
  // Operands of attention for a run of positions of one head: int8 rows of the head's width, and
  // one f32 a position for each scalar.
  struct Side;

  // gpt_values.cc
  Floats linear(uint32_t linear, Range rows, Range cols);    // Y_λ
  Floats d_input(uint32_t linear, Range rows, Range cols);   // dX of λ
  Floats residual(uint32_t number, Range rows, Range cols);  // R_s
  Floats embedding(Range rows, Range cols);                  // R_0
  Floats normed(uint32_t norm, Range rows, Range cols);      // the norm's value
  Floats input_of(uint32_t linear, Range rows, Range cols);  // what X_λ quantises
  Floats vector(const kernels::TensorInfo& tensor, Range rows);
  uint32_t token(uint32_t row, uint32_t ahead);  // ahead 1: the target

  // gpt_values_gradient.cc
  Floats loss_max(Range rows, Range groups);
  Floats loss_sum(Range rows, Range groups);
  Floats row_maxima(Range rows);  // m_t, from μ
  Floats d_logits(Range rows, Range cols);
  Floats d_output(uint32_t linear, Range rows, Range cols);                        // dY of λ
  Floats norm_gradient(uint32_t norm, Range rows, Range cols);                     // norm'(N; R)
  Floats middle_gradient(uint32_t block, Range rows, Range cols);                  // M
  Floats d_residual(uint32_t number, Range rows, Range cols);                      // D_i
  Floats delta_dot(uint32_t block, Range rows, Range heads);                       // δ
  Floats folded_mixed(const kernels::TensorInfo& tensor, Range rows, Range cols);  // of HO, GO

  // gpt_values_attention.cc
  Side side(const HeadRows& at, Range positions, std::initializer_list<kernels::TensorKind> ints,
            std::initializer_list<kernels::TensorKind> scalars);
  Floats mixed(uint32_t block, Range rows, Range cols);                            // O
  Floats softmax_row(const kernels::TensorInfo& tensor, Range rows, Range heads);  // m, l
  Floats d_qkv(uint32_t block, Range rows, Range cols);
  Floats mixed_head(const HeadRows& at);
  Floats dq_head(const HeadRows& at);
  Floats dk_head(const HeadRows& at);
  Floats dv_head(const HeadRows& at);
  float score(const Side& queries, const Side& keys, uint32_t i, uint32_t j);           // S_ij
  int32_t weight(float score, float max);                                               // Π_ij
  float score_gradient(const Side& queries, const Side& keys, uint32_t i, uint32_t j);  // dS_ij
  kernels::Scale scale_over(const Floats& values);  // of u1_i or u2_j
  // Calls one_head for every head and sequence that rows × cols of [T, D] touch.
  Floats by_head(uint32_t block, Range rows, Range cols,
                 Floats (GptValues::*one_head)(const HeadRows&));

  // gpt_values_sums.cc
  Floats parts(const kernels::TensorInfo& tensor, Range runs, Range cols);  // PB, PG, PS
  Floats weight_gradient(uint32_t linear, Range rows, Range cols);          // dW
  // Σ of D_0 over the rows of T that a row of E or P is for.
  Floats embedding_gradient(kernels::ParameterKind kind, Range rows, Range cols);
  Floats vector_gradient(const kernels::ParameterInfo& parameter, Range elements);
  Floats squares(uint32_t parameter, Range units);  // CQ
  Floats clip();                                    // cf, but for its c_j, which are taken as read

  const kernels::Program& program_;
  const kernels::GptShape& gpt_;
  const kernels::StepKey key_;
  BlockReader& reader_;
};

}  // namespace gemmine::verifier
