// The int8 products of a step by shape, and each of them alone on a device, to be timed there.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "kernels/base/result.h"
#include "kernels/model/program.h"

namespace gemmine::kernels {

enum class ProductKind : uint8_t {
  forward,             // Y = X·Wᵀ
  input_gradient,      // dX = G1·W
  weight_gradient,     // dW = G2ᵀ·X
  attention,           // of a block: scores and O (PROTOCOL 10.4)
  attention_gradient,  // of a block: dV, dΠ, dq, dk (PROTOCOL 10.6)
};
std::string_view to_text(ProductKind kind);

// C[m][n] = Σ over k. Of attention it is one head's scores, m = n = C and k = d, and there are
// `sequences` · `heads` of them, in which only pairs j ≤ i count.
struct StepProduct {
  ProductKind kind = ProductKind::forward;
  uint32_t m = 0;
  uint32_t n = 0;
  uint32_t k = 0;
  uint32_t sequences = 1;
  uint32_t heads = 1;
  uint32_t times = 1;  // in a step

  bool is_attention() const { return kind >= ProductKind::attention; }
  uint64_t macs() const;  // of one of `times`; PROTOCOL 3.5, 10.9
  bool operator==(const StepProduct&) const = default;
};
// Every shape once, in the order of the step; their macs() · times add up to macs_per_step().
std::vector<StepProduct> products_of(const Program& program);

// A product with operands in the device's memory, ready to run.
class DeviceProduct {
 public:
  virtual ~DeviceProduct() = default;
  // Runs it `times` times, and waits for the last. Errors: those of the device.
  virtual Status run(uint32_t times) = 0;
  // Compares the first and the last row of sums with a plain loop, after a run(). Attention, whose
  // sums leave no device, is only looked at for NaN and infinity: self_test is what checks it.
  // Errors: invalid; those of the device.
  virtual Status check() = 0;
};

// Of every operand of attention: scores of a few units, as a trained model has them.
inline constexpr float kProductScale = 0x1p-10F;
// Operands for both sides and all devices: `count` values in ±63, another stream for another seed.
std::vector<int8_t> product_operand(size_t count, uint32_t seed);
// Errors: invalid, unless `row`, row i of the product, is what a plain loop gives. a: m × k by
// rows, b: n × k by rows.
Status check_product_row(const StepProduct& product, const std::vector<int8_t>& a,
                         const std::vector<int8_t>& b, uint32_t i, const int32_t* row);

}  // namespace gemmine::kernels
