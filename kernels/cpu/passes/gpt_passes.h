// The element-wise passes of a gpt's step, beside those of passes.h and made like them.
//
// Each works on one row or part of one. A uint32_t that comes back is the largest of the bits of
// |x| over what PROTOCOL 10.8 looks at, so kNotFinite or more tells of a NaN or infinity.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/model/program.h"

namespace gemmine::kernels {

// A norm of `count` features; shift is null for RMSNorm. PROTOCOL 10.3.
struct NormWeights {
  Norm norm;
  const float* gain;
  const float* shift;
  size_t count;
};

// Where one row's gradient of a norm goes. `gain` and `shift` are sums that it adds to; `above` may
// be null, else out = above + norm'. scratch has 2 · count floats.
struct NormGradient {
  const float* above;
  float* out;
  float* gain;
  float* shift;
  float* scratch;
};

// One row of logits: 10.5. max and sum have one float a group of kLossGroup.
struct LossRow {
  float* logits;  // become dz
  size_t count;
  uint32_t target;
  float inv_t;
  float* max;
  float* sum;
  float* nll;
};

// Row i of attention's scores (10.4). Columns j >= `allowed` are masked out: they give no maximum,
// weight 0 and dS = +0.
struct QueryRow {
  size_t allowed;
  float sq;
  float rate;  // α
};

// What is known of row i when its gradients are made (10.6).
struct QueryGradient {
  float inv_l;  // 1 / l_i
  float sh;
  float delta;
};

struct ScoreMax {
  float max;     // + (+0)
  uint32_t all;  // of every score
};

struct GptPasses {
  uint32_t (*add)(const float* a, const float* b, size_t count, float* out);
  uint32_t (*multiply)(const float* a, const float* b, size_t count, float* out);
  float (*dot)(const float* a, const float* b, size_t count);  // rowsum(a·b)
  // Value of the norm of a row, and its gradient from g, the gradient of the value.
  uint32_t (*norm)(const NormWeights& norm, const float* x, float* scratch, float* value);
  uint32_t (*norm_gradient)(const NormWeights& norm, const float* x, const float* g,
                            const NormGradient& to);

  // Ends of products: y = float(acc) · (sx · sw[n]) + b[n], and what comes after it.
  void (*logits)(const int32_t* acc, size_t count, float sx, const float* sw, float* y);
  uint32_t (*add_linear)(const int32_t* acc, size_t count, float sx, const float* sw,
                         const float* b, const float* residual, float* out);
  uint32_t (*activate)(Activation activation, const int32_t* acc, size_t count, float sx,
                       const float* sw, const float* b, float* value, float* slope);
  // float(acc) · s, and that times slope[c], and float(acc) · s[c].
  uint32_t (*scale)(const int32_t* acc, size_t count, float s, float* out);
  void (*scale_slope)(const int32_t* acc, size_t count, float s, const float* slope, float* out);
  void (*scale_columns)(const int32_t* acc, size_t count, const float* s, float* out);

  uint32_t (*loss)(const LossRow& row);
  // sums[c] += dy[c]; maxima[c] = max of it and |dy[c] · scale|.
  void (*column_step)(const float* dy, size_t count, float scale, float* sums, uint32_t* maxima);
  void (*column_max)(const float* x, size_t count, uint32_t* maxima);

  void (*quantise_columns)(const float* x, size_t count, const float* inv, int8_t* q);  // RN

  // Attention. `count` columns, a multiple of 16.
  ScoreMax (*scores)(const QueryRow& row, const int32_t* acc, const float* sk, size_t count,
                     float* s);
  // Of the scores s and their maximum m_i; returns the sum of the weights, l_i.
  uint32_t (*weights)(const QueryRow& row, float max, const float* s, size_t count,
                      int8_t* weights);
  // (float(acc) · sv[c]) · inv_l.
  void (*mix)(const int32_t* acc, size_t count, const float* sv, float inv_l, float* out);
  // dS from HO·V, and the maxima: of |dS · sk| over the row, of |dS · sq| into `maxima` by column.
  void (*score_gradients)(const QueryRow& row, const QueryGradient& known, const int8_t* weights,
                          const int32_t* acc, size_t count, float* ds);
  uint32_t (*score_maxima)(const QueryRow& row, const float* ds, const float* sk, size_t count,
                           uint32_t* maxima);

  // CQ of a unit of up to 64 columns of a gradient (PROTOCOL 10.7).
  float (*unit_squares)(const float* g, size_t ld, size_t rows, size_t cols);
};

extern const GptPasses kGptPassesPortable;
#if defined(__x86_64__)
extern const GptPasses kGptPassesAvx2;
extern const GptPasses kGptPassesAvx512;
#endif

const GptPasses& gpt_passes();  // those of cpu_path()

}  // namespace gemmine::kernels
