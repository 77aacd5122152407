#include "kernels/numbers/rederive.h"

#include <cstring>
#include <memory>

#include <gtest/gtest.h>

#include "kernels/base/bytes.h"
#include "kernels/engines.h"

namespace gemmine::kernels {
namespace {

// One step of the fast engine, and every value of every committed tensor derived alone from the
// tensors it comes from: what an honest opening is checked with always agrees.
class Rederive : public testing::Test {
 protected:
  void SetUp() override {
    const Result<Program> program = Program::make({
        .widths = {30, 140, 70, 6},
        .records = 40,
        .feature_scale = 0x1p-7F,
        .feature_shift = -0.7F,
        .optimiser = Optimiser::sgd,
        .lr = 0.1F,
        .beta1 = 0.9F,
        .beta2 = 0,
        .eps = 0,
        .wd = 0.001F,
        .warmup = 0,
        .batch = 21,
        .steps_per_lease = 3,
        .slots = 1,
        .rounds = 1,
        .init_seed = 4,
        .data_seed = 5,
        .sr_seed = 0x600000007,
    });
    ASSERT_TRUE(program.ok());
    program_ = std::make_unique<Program>(program.value());
    for (uint32_t i = 0; i < 40 * 31; ++i)
      records_.push_back(static_cast<uint8_t>(i % 31 == 30 ? i % 6 : i * i * 11 + i / 7));
    auto engine = make_engine("cpu", *program_, records_, 2);
    ASSERT_TRUE(engine.ok());
    engine_ = std::move(engine.value());
    state_ = program_->initial_theta();
    state_.resize(program_->state_floats(), 0.0F);
    ASSERT_TRUE(engine_->load_state(state_, 0).ok());
    for (uint32_t h = 0; h < 2; ++h) {
      ASSERT_TRUE(engine_->read_state(state_).ok());
      ASSERT_TRUE(engine_->run_step({0, 0, h}, nullptr).ok());
    }
  }

  std::vector<int8_t> int8s(TensorKind kind, uint32_t layer) const {
    const uint32_t position = program_->position(kind, layer);
    const TensorInfo& tensor = program_->tensors()[position];
    const Bytes bytes = engine_->read_tensor(position).value();
    std::vector<int8_t> out;
    for (size_t r = 0; r < tensor.rows; ++r) {
      for (size_t c = 0; c < tensor.cols; ++c)
        out.push_back(
            static_cast<int8_t>(bytes[c / 64 * tensor.tile_rows() * 1024 + r * 64 + c % 64]));
    }
    return out;
  }
  std::vector<float> floats(TensorKind kind, uint32_t layer) const {
    const Bytes bytes = engine_->read_tensor(program_->position(kind, layer)).value();
    std::vector<float> out(bytes.size() / 4);
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
  const uint8_t* record(uint32_t row) const {
    return records_.data() + size_t{31} * program_->record_index({0, 0, 1}, row);
  }
  std::vector<float> outputs(uint32_t l) const {
    const auto x = int8s(TensorKind::x, l);
    const auto w = int8s(TensorKind::w, l);
    const auto sx = floats(TensorKind::sx, l);
    const auto sw = floats(TensorKind::sw, l);
    const auto b = floats(TensorKind::b, l);
    const size_t k = program_->inputs(l);
    const size_t n = program_->outputs(l);
    std::vector<float> y(kBatch * n);
    for (size_t i = 0; i < y.size(); ++i)
      y[i] = forward_value(&x[i / n * k], &w[i % n * k], k, sx[i / n], sw[i % n], b[i % n]);
    return y;
  }
  std::vector<float> gradients(uint32_t l) const {
    const std::vector<float> y = outputs(l);
    const size_t n = program_->outputs(l);
    std::vector<float> dy(y.size());
    if (l + 1 == program_->layers()) {
      float nll = 0;
      for (uint32_t t = 0; t < kBatch; ++t)
        loss_row(&y[t * n], n, record(t)[30], 1.0F / kBatch, &dy[t * n], &nll);
      return dy;
    }
    const auto g1 = int8s(TensorKind::g1, l + 1);
    const auto w = int8s(TensorKind::w, l + 1);
    const auto s1 = floats(TensorKind::s1, l + 1);
    const size_t above = program_->outputs(l + 1);
    for (size_t i = 0; i < dy.size(); ++i)
      dy[i] = backward_value(&g1[i / n * above], &w[i % n], n, above, s1[i / n], y[i]);
    return dy;
  }

  static constexpr uint32_t kBatch = 21;
  std::unique_ptr<Program> program_;
  Bytes records_;
  std::unique_ptr<Engine> engine_;
  std::vector<float> state_;  // before step 1
};

TEST_F(Rederive, AgreesWithEveryInputTensor) {
  for (uint32_t l = 0; l < 3; ++l) {
    const auto q = int8s(TensorKind::x, l);
    const auto s = floats(TensorKind::sx, l);
    const size_t k = program_->inputs(l);
    const std::vector<float> below = l > 0 ? outputs(l - 1) : std::vector<float>();
    for (uint32_t t = 0; t < kBatch; ++t) {
      bool attained = false;
      for (size_t c = 0; c < k; ++c) {
        const float v =
            l > 0 ? relu(below[t * k + c]) : feature_value(record(t)[c], 0x1p-7F, -0.7F);
        ASSERT_EQ(nearest_value(v, s[t]), q[t * k + c]);
        ASSERT_LE(scale_floor(v), s[t]);
        attained = attained || scale_floor(v) == s[t];
      }
      EXPECT_TRUE(attained || s[t] == 0) << "layer " << l << " row " << t;
    }
  }
}

TEST_F(Rederive, AgreesWithEveryWeightTensor) {
  for (uint32_t l = 0; l < 3; ++l) {
    const auto q = int8s(TensorKind::w, l);
    const auto s = floats(TensorKind::sw, l);
    const auto b = floats(TensorKind::b, l);
    const float* const w = state_.data() + program_->weight_offset(l);
    for (size_t i = 0; i < q.size(); ++i)
      ASSERT_EQ(nearest_value(w[i], s[i / program_->inputs(l)]), q[i]);
    for (size_t n = 0; n < b.size(); ++n)
      ASSERT_EQ(b[n], state_[program_->bias_offset(l) + n]);
  }
}

TEST_F(Rederive, AgreesWithEveryGradientTensor) {
  const uint32_t step_id = program_->step_id({0, 0, 1});
  const uint64_t seed = program_->spec().sr_seed;
  for (uint32_t l = 0; l < 3; ++l) {
    const std::vector<float> dy = gradients(l);
    const auto n = program_->outputs(l);
    const auto sx = floats(TensorKind::sx, l);
    const auto sw = floats(TensorKind::sw, l);
    const auto g2 = int8s(TensorKind::g2, l);
    const auto s2 = floats(TensorKind::s2, l);
    const auto g1 = l > 0 ? int8s(TensorKind::g1, l) : std::vector<int8_t>();
    const auto s1 = l > 0 ? floats(TensorKind::s1, l) : std::vector<float>();
    for (uint32_t t = 0; t < kBatch; ++t) {
      for (uint32_t c = 0; c < n; ++c) {
        const size_t i = size_t{t} * n + c;
        ASSERT_EQ(stochastic_value(dy[i] * sx[t], s2[c], {seed, 16 * l + 7, step_id}, t, c, n),
                  g2[i]);
        if (l == 0) continue;
        ASSERT_EQ(stochastic_value(dy[i] * sw[c], s1[t], {seed, 16 * l + 5, step_id}, t, c, n),
                  g1[i]);
      }
    }
  }
}

}  // namespace
}  // namespace gemmine::kernels
