// The element-wise passes of a step, one set of functions per instruction set, all with equal bits.
//
// Each works on one row or one strip of columns, so that threads share a tensor in any way they
// like. Maxima are bits of |x| (PROTOCOL 2.3), so kNotFinite or more tells of a NaN or infinity.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/numbers/philox.h"

namespace gemmine::kernels {

inline constexpr size_t kStripColumns = 64;  // of column passes: one cache line of int8

struct RowMaxima {
  uint32_t result;  // of what goes on to be quantised
  uint32_t all;     // of everything computed on the way
};

// dW = float(acc) · s2, and what PROTOCOL 3.4 calls its letters.
struct UpdateRates {
  float lr;
  float beta1;
  float beta2;
  float eps;
  float wd;
  float rest1;    // 1 − b1
  float rest2;    // 1 − b2
  float unbias1;  // 1 / (1 − p1)
  float unbias2;  // 1 / (1 − p2)
};

struct Spec;
// Of one step, from its learning rate and AdamW's p1 and p2; PROTOCOL 3.4.
UpdateRates update_rates(const Spec& spec, float lr, float power1, float power2);

// Where a parameter and its moments are; v is null for SGD.
struct Masters {
  float* w;
  float* m;
  float* v;
};

// c0 of the Philox counter of column `col`, a multiple of kStochasticGroup, in a row of a tensor of
// `cols` columns; PROTOCOL 2.5. The groups after it count on by kStochasticLanes.
static constexpr uint32_t stochastic_counter(size_t row, size_t cols, size_t col = 0) {
  const size_t groups = (cols + kStochasticGroup - 1) / kStochasticGroup;
  return static_cast<uint32_t>(row * groups + col / kStochasticGroup) * kStochasticLanes;
}

struct Passes {
  uint32_t (*absmax)(const float* x, size_t count);
  // out = float(byte) · scale + shift; the result's absmax.
  uint32_t (*features)(const uint8_t* bytes, size_t count, float scale, float shift, float* out);
  void (*quantise_nearest)(const float* x, size_t count, float inv, int8_t* q);

  // y = float(acc) · (sx · sw[n]) + b[n], and with relu `y > 0 ? y : +0` stored in its place.
  RowMaxima (*forward)(const int32_t* acc, size_t count, float sx, const float* sw, const float* b,
                       bool relu, float* y);
  // One row of logits to dY and nll; PROTOCOL 3.3.
  void (*loss)(const float* logits, size_t count, uint32_t label, float inv_t, float* dy,
               float* nll);

  // max of |dy · sw| over a row.
  uint32_t (*scaled_absmax)(const float* dy, const float* sw, size_t count);
  // Over all rows of up to kStripColumns columns: db, the sums of runs of 32 rows that it adds up,
  // and max of |dy · sx[t]|. A row of dy, and of `parts`, is `ld` floats after the one before.
  void (*columns)(const float* dy, size_t ld, size_t rows, size_t count, const float* sx, float* db,
                  float* parts, uint32_t* absmax);
  // Part of a row of G1 = SR(dy · sw, inv) and of G2 = SR(dy · sx, inv[n]), `count` columns from
  // the one on that stochastic_counter() gave `counter` for.
  void (*quantise_g1)(const float* dy, const float* sw, float inv, const StochasticKey& key,
                      uint32_t counter, size_t count, int8_t* q);
  void (*quantise_g2)(const float* dy, float sx, const float* inv, const StochasticKey& key,
                      uint32_t counter, size_t count, int8_t* q);
  // dy = y > 0 ? float(acc) · s1 : +0.
  void (*backward)(const int32_t* acc, size_t count, float s1, const float* y, float* dy);

  // The optimiser on part of a row of W, with g = float(acc) · s2, and on any parameter, with
  // g = gradient · factor. `result` is the maximum over w, `all` over moments too.
  RowMaxima (*update_weights)(const int32_t* acc, size_t count, float s2, const UpdateRates& rates,
                              const Masters& at);
  RowMaxima (*update)(const float* gradient, size_t count, float factor, bool decays,
                      const UpdateRates& rates, const Masters& at);
};

extern const Passes kPassesPortable;
#if defined(__x86_64__)
extern const Passes kPassesAvx2;
extern const Passes kPassesAvx512;
#endif

const Passes& passes();  // those of cpu_path()

// slot = max(slot, value), from several threads at once; no order, so no effect on the bits.
void raise(uint32_t& slot, uint32_t value);

}  // namespace gemmine::kernels
