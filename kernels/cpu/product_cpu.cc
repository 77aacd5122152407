#include "kernels/cpu/product_cpu.h"

#include <algorithm>

#include "kernels/base/aligned.h"
#include "kernels/base/thread_pool.h"
#include "kernels/cpu/gpt_attention.h"
#include "kernels/cpu/matmul/matmul.h"
#include "kernels/numbers/numerics.h"

namespace gemmine::kernels {
namespace {

// [rows][cols] as [cols][rows].
std::vector<int8_t> transposed(const std::vector<int8_t>& from, size_t rows, size_t cols) {
  std::vector<int8_t> out(from.size());
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < cols; ++c)
      out[c * rows + r] = from[r * cols + c];
  return out;
}

class LinearProduct final : public DeviceProduct {
 public:
  LinearProduct(const StepProduct& product, int threads)
      : product_(product),
        pool_(threads),
        a_(product_operand(size_t{product.m} * product.k, 1)),
        b_(product_operand(size_t{product.n} * product.k, 2)),
        c_(size_t{product.m} * product.n) {
    // What the step reads down its columns (matmul.h).
    if (product.kind == ProductKind::weight_gradient)
      a_columns_ = transposed(a_, product.m, product.k);
    if (product.kind != ProductKind::forward) b_columns_ = transposed(b_, product.n, product.k);
  }

  Status run(uint32_t times) override {
    const Int8View a = a_columns_.empty() ? by_rows(a_.data(), product_.k)
                                          : by_columns(a_columns_.data(), product_.m);
    const Int8View b = b_columns_.empty() ? by_rows(b_.data(), product_.k)
                                          : by_columns(b_columns_.data(), product_.n);
    for (uint32_t i = 0; i < times; ++i)
      matmul(a, b, product_.m, product_.n, product_.k, c_.data(), product_.n, pool_);
    return Ok{};
  }

  Status check() override {
    for (const uint32_t i : {0U, product_.m - 1}) {
      if (Status same = check_product_row(product_, a_, b_, i, &c_[size_t{i} * product_.n]); !same)
        return same;
    }
    return Ok{};
  }

 private:
  const StepProduct product_;
  ThreadPool pool_;
  const std::vector<int8_t> a_, b_;
  std::vector<int8_t> a_columns_, b_columns_;  // empty: read by rows
  AlignedVector<int32_t> c_;
};

// All heads of all sequences; the values stand for nothing, and no step takes longer for them.
class AttentionProduct final : public DeviceProduct {
 public:
  AttentionProduct(const StepProduct& product, int threads)
      : product_(product),
        shape_{.context = product.m,
               .width = product.k,
               .ld = size_t{product.heads} * product.k,
               .heads = product.heads},
        pool_(threads),
        q_(operand(1)),
        k_(operand(2)),
        v_(operand(3)),
        ho_(operand(4)),
        go_(operand(5)),
        scales_(rows() * product.heads, kProductScale),
        by_column_(shape_.ld, kProductScale),
        delta_(rows() * product.heads),
        m_(rows() * product.heads),
        l_(rows() * product.heads),
        mixed_(rows() * shape_.ld),
        d_qkv_(product.kind == ProductKind::attention ? 0 : 3 * rows() * shape_.ld),
        scratches_(static_cast<size_t>(pool_.threads())),
        worst_(scratches_.size()) {
    for (AttentionScratch& scratch : scratches_)
      scratch.reserve(shape_);
    for_each_head([&](size_t task, AttentionScratch& scratch) { return forward(task, scratch); });
  }

  Status run(uint32_t times) override {
    for (uint32_t i = 0; i < times; ++i) {
      for_each_head([&](size_t task, AttentionScratch& scratch) {
        return product_.kind == ProductKind::attention ? forward(task, scratch)
                                                       : backward(task, scratch);
      });
    }
    return Ok{};
  }

  Status check() override {
    for (const uint32_t worst : worst_)
      if (worst >= kNotFinite) return Error{Errc::invalid, "NaN or infinity in attention"};
    return Ok{};
  }

 private:
  size_t rows() const { return size_t{product_.sequences} * product_.m; }
  std::vector<int8_t> operand(uint32_t seed) const {
    return product_operand(rows() * shape_.ld, seed);
  }
  // f(head of all sequences, scratch of this thread): magnitude of its worst value.
  template <class F>
  void for_each_head(const F& f) {
    const size_t heads = size_t{product_.sequences} * product_.heads;
    pool_.run(scratches_.size(), [&](size_t thread) {
      for (size_t task = thread; task < heads; task += scratches_.size())
        worst_[thread] = std::max(worst_[thread], f(task, scratches_[thread]));
    });
  }
  struct Place {
    size_t value;   // of the head's first element in a matrix of T rows
    size_t scalar;  // in what there is by row and head
    size_t column;
  };
  Place place(size_t task) const {
    const size_t row = task / product_.heads * product_.m;
    const size_t head = task % product_.heads;
    return {row * shape_.ld + head * shape_.width, row * product_.heads + head,
            head * shape_.width};
  }
  uint32_t forward(size_t task, AttentionScratch& scratch) {
    const auto [at, scalar, column] = place(task);
    return scratch.forward(shape_, {.q = q_.data() + at,
                                    .k = k_.data() + at,
                                    .v = v_.data() + at,
                                    .sq = scales_.data() + scalar,
                                    .sk = scales_.data() + scalar,
                                    .sv = by_column_.data() + column,
                                    .m = m_.data() + scalar,
                                    .l = l_.data() + scalar,
                                    .mixed = mixed_.data() + at});
  }
  uint32_t backward(size_t task, AttentionScratch& scratch) {
    const auto [at, scalar, column] = place(task);
    float* const out = d_qkv_.data() + 3 * (at - column) + column;
    return scratch.backward(shape_, {.q = q_.data() + at,
                                     .k = k_.data() + at,
                                     .v = v_.data() + at,
                                     .ho = ho_.data() + at,
                                     .go = go_.data() + at,
                                     .sq = scales_.data() + scalar,
                                     .sk = scales_.data() + scalar,
                                     .m = m_.data() + scalar,
                                     .l = l_.data() + scalar,
                                     .delta = delta_.data() + scalar,
                                     .sh = scales_.data() + scalar,
                                     .sg = by_column_.data() + column,
                                     .key1 = {1, 11, 0},
                                     .key2 = {1, 12, 0},
                                     .first_row = scalar,
                                     .dq = out,
                                     .dk = out + shape_.ld,
                                     .dv = out + 2 * shape_.ld,
                                     .out_ld = 3 * shape_.ld});
  }

  const StepProduct product_;
  const HeadView shape_;
  ThreadPool pool_;
  const std::vector<int8_t> q_, k_, v_, ho_, go_;
  const std::vector<float> scales_;     // by row and head: sq, sk and sh
  const std::vector<float> by_column_;  // sv and sg
  const std::vector<float> delta_;
  std::vector<float> m_, l_, mixed_, d_qkv_;
  std::vector<AttentionScratch> scratches_;  // by thread
  std::vector<uint32_t> worst_;              // by thread
};

}  // namespace

std::unique_ptr<DeviceProduct> make_cpu_product(const StepProduct& product, int threads) {
  GEMMINE_CHECK(threads >= 1 && product.m >= 1 && product.n >= 1 && product.k >= 1);
  if (product.is_attention()) return std::make_unique<AttentionProduct>(product, threads);
  return std::make_unique<LinearProduct>(product, threads);
}

}  // namespace gemmine::kernels
