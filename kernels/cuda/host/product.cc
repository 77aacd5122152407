#include "kernels/cuda/host/product.h"

#include <algorithm>

#include "kernels/cuda/host/device_matrix.h"

namespace gemmine::kernels::cuda {
namespace {

// A matrix whose bytes are also known here.
DeviceMatrix upload_matrix(DeviceSession& session, uint32_t rows, uint32_t cols,
                           const std::vector<int8_t>& values) {
  const DeviceMatrix matrix = allocate_matrix(session, rows, cols);
  std::vector<int8_t> padded(matrix.bytes());
  for (size_t r = 0; r < rows; ++r)
    std::copy_n(&values[r * cols], cols, &padded[r * matrix.ld]);
  session.upload(matrix.q, padded.data(), padded.size());
  return matrix;
}

// Both operands lie by rows: what the step reads down its columns it has transposed before.
class LinearProduct final : public DeviceProduct {
 public:
  LinearProduct(std::unique_ptr<DeviceSession> session, const StepProduct& product)
      : session_(std::move(session)),
        product_(product),
        a_(product_operand(size_t{product.m} * product.k, 1)),
        b_(product_operand(size_t{product.n} * product.k, 2)),
        device_a_(upload_matrix(*session_, product.m, product.k, a_)),
        device_b_(upload_matrix(*session_, product.n, product.k, b_)),
        c_(session_->allocate<int32_t>(uint64_t{product.m} * product.n)) {}

  Status run(uint32_t times) override {
    for (uint32_t i = 0; i < times; ++i)
      session_->run<kernel::GemmInt32>(gemm_grid(product_.m, product_.n), device_a_.q, device_b_.q,
                                       product_.m, product_.n, device_a_.ld, c_);
    int32_t last = 0;
    session_->download(&last, c_, sizeof last);
    return session_->status();
  }

  Status check() override {
    std::vector<int32_t> row(product_.n);
    for (const uint32_t i : {0U, product_.m - 1}) {
      session_->download(row.data(), c_ + uint64_t{i} * product_.n, row.size() * sizeof(int32_t));
      if (Status status = session_->status(); !status) return status;
      if (Status same = check_product_row(product_, a_, b_, i, row.data()); !same)
        return Error{same.error().code, session_->name() + ": " + same.error().detail};
    }
    return Ok{};
  }

 private:
  std::unique_ptr<DeviceSession> session_;
  const StepProduct product_;
  const std::vector<int8_t> a_, b_;
  const DeviceMatrix device_a_, device_b_;
  int32_t* const c_;
};

// All heads of all sequences; the values stand for nothing, and no step takes longer for them.
class AttentionProduct final : public DeviceProduct {
 public:
  AttentionProduct(std::unique_ptr<DeviceSession> session, const StepProduct& product)
      : session_(std::move(session)),
        product_(product),
        rows_(product.sequences * product.m),
        width_(product.heads * product.k),
        flag_(session_->allocate<uint32_t>(1)) {
    uint32_t seed = 0;
    for (const int8_t** rows : {&operands_.q, &operands_.k, &operands_.v, &operands_.ho})
      *rows = matrix(rows_, width_, ++seed).q;
    for (const int8_t** columns : {&operands_.q_transposed, &operands_.k_transposed,
                                   &operands_.v_transposed, &operands_.go_transposed})
      *columns = matrix(width_, rows_, ++seed).q;
    const uint64_t by_head = uint64_t{rows_} * product.heads;
    operands_.sq = operands_.sk = operands_.sh = scales(by_head);
    operands_.sv = operands_.sg = scales(uint64_t{product.sequences} * width_);
    operands_.row_max = session_->allocate<float>(by_head);
    operands_.row_sum = session_->allocate<float>(by_head);
    operands_.delta = session_->allocate<float>(by_head);
    mixed_ = session_->allocate<float>(uint64_t{rows_} * width_);
    d_qkv_ = session_->allocate<float>(3 * uint64_t{rows_} * width_);
    queue_forward();  // m and l, which the gradient reads
  }

  Status run(uint32_t times) override {
    for (uint32_t i = 0; i < times; ++i) {
      if (product_.kind == ProductKind::attention) {
        queue_forward();
        continue;
      }
      session_->run<kernel::AttentionByQuery>(grid(), shape(), operands_, StochasticKey{1, 11, 0},
                                              d_qkv_, flag_, kNotFiniteCode);
      session_->run<kernel::AttentionByKey>(grid(), shape(), operands_, StochasticKey{1, 12, 0},
                                            d_qkv_, flag_, kNotFiniteCode);
    }
    session_->download(&raised_, flag_, sizeof raised_);
    return session_->status();
  }

  Status check() override {
    if (raised_ == 0) return Ok{};
    return Error{Errc::invalid, session_->name() + ": NaN or infinity in attention"};
  }

 private:
  static constexpr uint32_t kNotFiniteCode = 1;

  DeviceMatrix matrix(uint32_t rows, uint32_t cols, uint32_t seed) {
    return upload_matrix(*session_, rows, cols, product_operand(size_t{rows} * cols, seed));
  }
  const float* scales(uint64_t count) {
    const std::vector<float> values(count, kProductScale);
    auto* const out = session_->allocate<float>(count);
    session_->upload(out, values.data(), count * sizeof(float));
    return out;
  }
  HeadShape shape() const {
    return {product_.m, product_.heads, product_.k, matrix_of(nullptr, 1, width_).ld,
            matrix_of(nullptr, 1, rows_).ld};
  }
  Grid grid() const {
    return {product_.sequences * product_.heads * pieces(product_.m, kHeadTile) *
            pieces(product_.k, kHeadTile)};
  }
  void queue_forward() {
    session_->run<kernel::AttentionForward>(grid(), shape(), operands_, mixed_, flag_,
                                            kNotFiniteCode);
  }

  std::unique_ptr<DeviceSession> session_;
  const StepProduct product_;
  const uint32_t rows_;   // T
  const uint32_t width_;  // D
  HeadOperands operands_{};
  float *mixed_ = nullptr, *d_qkv_ = nullptr;
  uint32_t* const flag_;
  uint32_t raised_ = 0;
};

}  // namespace

Result<std::unique_ptr<DeviceProduct>> make_product(const DeviceApi& api, uint32_t device,
                                                    std::string name, const StepProduct& product) {
  auto session = DeviceSession::open(api, device, std::move(name));
  if (!session) return session.error();
  DeviceSession& opened = *session.value();
  std::unique_ptr<DeviceProduct> made;
  if (product.is_attention()) {
    made = std::make_unique<AttentionProduct>(std::move(session.value()), product);
  } else {
    made = std::make_unique<LinearProduct>(std::move(session.value()), product);
  }
  if (Status status = opened.status(); !status) return status.error();
  return made;
}

}  // namespace gemmine::kernels::cuda
