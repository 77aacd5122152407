#include "kernels/model/step_products.h"

#include <algorithm>
#include <string>

namespace gemmine::kernels {
namespace {

void add(std::vector<StepProduct>& all, const StepProduct& product) {
  for (StepProduct& known : all) {
    StepProduct other = product;
    other.times = known.times;
    if (known == other) {
      ++known.times;
      return;
    }
  }
  all.push_back(product);
}

void add_linear(std::vector<StepProduct>& all, const Program& program, uint32_t linear) {
  const uint32_t rows = program.rows();
  const uint32_t k = program.linears()[linear].inputs;
  const uint32_t n = program.linears()[linear].outputs;
  add(all, {.kind = ProductKind::forward, .m = rows, .n = n, .k = k});
  // An MLP has nothing below its first layer.
  if (program.is_gpt() || linear > 0)
    add(all, {.kind = ProductKind::input_gradient, .m = rows, .n = k, .k = n});
  add(all, {.kind = ProductKind::weight_gradient, .m = n, .n = k, .k = rows});
}

}  // namespace

std::string_view to_text(ProductKind kind) {
  switch (kind) {
    case ProductKind::forward:
      return "forward";
    case ProductKind::input_gradient:
      return "input gradient";
    case ProductKind::weight_gradient:
      return "weight gradient";
    case ProductKind::attention:
      return "attention";
    case ProductKind::attention_gradient:
      return "attention gradient";
  }
  return "?";
}

uint64_t StepProduct::macs() const {
  if (!is_attention()) return uint64_t{m} * n * k;
  const uint64_t pairs = uint64_t{m} * (uint64_t{m} + 1) / 2;
  const uint64_t products = kind == ProductKind::attention ? 2 : 4;
  return products * pairs * k * heads * sequences;
}

std::vector<StepProduct> products_of(const Program& program) {
  std::vector<StepProduct> all;
  const GptShape& gpt = program.spec().gpt;
  for (uint32_t linear = 0; linear < program.linears().size(); ++linear) {
    add_linear(all, program, linear);
    if (!program.is_gpt() || linear % 4 != 0 || linear == gpt.head_linear()) continue;
    for (const ProductKind kind : {ProductKind::attention, ProductKind::attention_gradient})
      add(all, {.kind = kind,
                .m = gpt.context,
                .n = gpt.context,
                .k = gpt.head_width(),
                .sequences = program.spec().batch,
                .heads = gpt.heads});
  }
  return all;
}

std::vector<int8_t> product_operand(size_t count, uint32_t seed) {
  std::vector<int8_t> out(count);
  for (int8_t& value : out) {
    seed = seed * 1664525 + 1013904223;
    value = static_cast<int8_t>(static_cast<int>((seed >> 16) % 127) - 63);
  }
  return out;
}

Status check_product_row(const StepProduct& product, const std::vector<int8_t>& a,
                         const std::vector<int8_t>& b, uint32_t i, const int32_t* row) {
  for (uint32_t j = 0; j < product.n; ++j) {
    int32_t sum = 0;
    for (uint32_t p = 0; p < product.k; ++p)
      sum += a[size_t{i} * product.k + p] * b[size_t{j} * product.k + p];
    if (sum == row[j]) continue;
    return Error{Errc::invalid, "product " + std::to_string(product.m) + " x " +
                                    std::to_string(product.n) + " x " + std::to_string(product.k) +
                                    ": sum (" + std::to_string(i) + ", " + std::to_string(j) +
                                    ") is " + std::to_string(row[j]) + ", it should be " +
                                    std::to_string(sum)};
  }
  return Ok{};
}

}  // namespace gemmine::kernels
