#include "tests/thefts/masked_attention.h"

#include <algorithm>

#include "kernels/numbers/philox.h"
#include "kernels/numbers/rederive.h"
#include "kernels/numbers/rows.h"

namespace gemmine::thefts {

using kernels::TensorKind;
using verifier::Ints;

namespace {

class Masked {
 public:
  Masked(Draft& draft, uint32_t block, const Mask& mask)
      : draft_(draft), gpt_(draft.program.spec().gpt), block_(block), mask_(mask) {
    using enum TensorKind;
    q_ = ints(q, gpt_.width);
    k_ = ints(k, gpt_.width);
    v_ = ints(v, gpt_.width);
    sq_ = floats(sq, gpt_.heads);
    sk_ = floats(sk, gpt_.heads);
    sv_ = floats(sv, gpt_.width);
  }

  void maxima() { rows(&Pairs::max); }  // m
  void sums() { rows(&Pairs::sum); }    // l
  void real_sums() { rows(&Pairs::unrounded); }
  Floats mixed() {  // O
    Floats out(draft_.program.rows() * size_t{gpt_.width});
    each_query([&](uint32_t t, uint32_t a, uint32_t first) {
      const Pairs pairs = pairs_of(t, a, first);
      for (uint32_t c = a * d(); c < (a + 1) * d(); ++c) {
        int32_t acc = 0;
        for (uint32_t j = 0; j < pairs.weights.size(); ++j)
          acc += pairs.weights[j] * v_[size_t{first + j} * gpt_.width + c];
        out[size_t{t} * gpt_.width + c] =
            (static_cast<float>(acc) * sv_[size_t{t / gpt_.context} * gpt_.width + c]) *
            (1.0F / pairs.sum);
      }
    });
    return out;
  }
  void dots() {  // δ
    const uint32_t o = 4 * block_ + 1;
    const Ints g1 = linear_ints(TensorKind::g1, o, draft_.program.rows());
    const Ints w = linear_ints(TensorKind::w, o, gpt_.width);
    const Floats s1 = draft_.committed.run(TensorKind::s1, o, {0, draft_.program.rows()});
    const Floats o_values = mixed();
    Floats product(d());
    each_query([&](uint32_t t, uint32_t a, uint32_t) {
      for (uint32_t c = 0; c < d(); ++c) {
        const size_t column = a * size_t{d()} + c;
        const auto acc = static_cast<float>(
            kernels::dot(&g1[size_t{t} * gpt_.width], 1, &w[column], gpt_.width, gpt_.width));
        product[c] = (acc * s1[t]) * o_values[size_t{t} * gpt_.width + column];
      }
      draft_.values[size_t{t} * gpt_.heads + a] = kernels::rowsum(product.data(), d());
    });
  }
  void d_qkv();  // G1 or G2 of qkv

 private:
  struct Pairs {
    float max = 0;
    float sum = 0;
    float unrounded = 0;
    std::vector<int32_t> weights;  // Π, 0 where the mask leaves out
  };
  void rows(float Pairs::*number) {
    each_query([&](uint32_t t, uint32_t a, uint32_t first) {
      draft_.values[size_t{t} * gpt_.heads + a] = pairs_of(t, a, first).*number;
    });
  }
  uint32_t d() const { return gpt_.head_width(); }
  Ints ints(TensorKind kind, uint32_t cols) {
    return draft_.committed.ints(kind, block_, {0, draft_.program.rows()}, {0, cols});
  }
  Ints linear_ints(TensorKind kind, uint32_t linear, uint32_t rows) {
    return draft_.committed.ints(kind, linear, {0, rows}, {0, gpt_.width});
  }
  Floats floats(TensorKind kind, uint32_t cols) {
    const auto& info = draft_.program.tensors()[draft_.program.position(kind, block_)];
    return draft_.committed.matrix(kind, block_, {0, info.rows}, {0, cols});
  }
  // Calls with row, head and the first row of the sequence.
  template <class Call>
  void each_query(Call call) {
    for (uint32_t t = 0; t < draft_.program.rows(); ++t)
      for (uint32_t a = 0; a < gpt_.heads; ++a)
        call(t, a, t / gpt_.context * gpt_.context);
  }
  Pairs pairs_of(uint32_t t, uint32_t a, uint32_t first) const {
    const uint32_t i = t - first;
    Floats scores(i + 1);
    Pairs out;
    out.weights.resize(i + 1);
    for (uint32_t j = 0; j <= i; ++j) {
      const auto acc =
          static_cast<float>(kernels::dot(&q_[size_t{t} * gpt_.width + a * d()], 1,
                                          &k_[size_t{first + j} * gpt_.width + a * d()], 1, d()));
      scores[j] = acc * (sq_[size_t{t} * gpt_.heads + a] * sk_[size_t{first + j} * gpt_.heads + a]);
    }
    out.max = scores[i];
    for (uint32_t j = 0; j <= i; ++j)
      if (mask_(i, j)) out.max = scores[j] > out.max ? scores[j] : out.max;
    out.max = out.max + 0.0F;
    int32_t sum = 0;
    for (uint32_t j = 0; j <= i; ++j) {
      if (!mask_(i, j)) continue;
      out.weights[j] = kernels::attention_weight(scores[j], out.max, kernels::attention_rate(d()));
      sum += out.weights[j];
      out.unrounded +=
          kernels::gn_exp((scores[j] - out.max) * kernels::attention_rate(d())) * 63.0F;
    }
    out.sum = static_cast<float>(sum);
    return out;
  }
  void head_gradient(uint32_t first, uint32_t a, Floats& dy);

  Draft& draft_;
  const kernels::GptShape& gpt_;
  const uint32_t block_;
  const Mask& mask_;
  Ints q_, k_, v_, ho_, go_;
  Floats sq_, sk_, sv_, sh_, sg_, dot_;
};

void Masked::head_gradient(uint32_t first, uint32_t a, Floats& dy) {
  const uint32_t count = gpt_.context;
  const size_t width = gpt_.width;
  const auto scalar = [&](const Floats& of, uint32_t i) {
    return of[(first + i) * gpt_.heads + a];
  };
  const auto row = [&](const Ints& of, uint32_t i) { return &of[(first + i) * width + a * d()]; };
  const kernels::Spec& spec = draft_.program.spec();
  const uint32_t step_id = draft_.program.step_id(draft_.key);
  std::vector<Pairs> pairs;
  Floats ds(size_t{count} * count, 0.0F);
  std::vector<uint32_t> max1(count, 0);
  std::vector<uint32_t> max2(count, 0);
  for (uint32_t i = 0; i < count; ++i) {
    pairs.push_back(pairs_of(first + i, a, first));
    for (uint32_t j = 0; j <= i; ++j) {
      if (!mask_(i, j)) continue;
      const auto acc = static_cast<float>(kernels::dot(row(ho_, i), 1, row(v_, j), 1, d()));
      const float s =
          kernels::score_gradient(pairs[i].weights[j], 1.0F / pairs[i].sum, acc * scalar(sh_, i),
                                  scalar(dot_, i), kernels::attention_rate(d()));
      ds[size_t{i} * count + j] = s;
      max1[i] = std::max(max1[i], kernels::magnitude(s * scalar(sk_, j)));
      max2[j] = std::max(max2[j], kernels::magnitude(s * scalar(sq_, i)));
    }
  }
  const auto rounded = [&](float v, uint32_t most, uint32_t id, uint32_t i, uint32_t j) {
    return kernels::round_stochastic(
        v, kernels::scale_of(most).inv,
        kernels::stochastic_u16({spec.sr_seed, 64 * block_ + id, step_id},
                                (first + i) * gpt_.heads + a, j, count));
  };
  std::vector<int32_t> dq(size_t{count} * d(), 0);
  std::vector<int32_t> dk(dq.size(), 0);
  std::vector<int32_t> dv(dq.size(), 0);
  for (uint32_t i = 0; i < count; ++i)
    for (uint32_t j = 0; j <= i; ++j) {
      if (!mask_(i, j)) continue;
      const float s = ds[size_t{i} * count + j];
      const int32_t u1 = rounded(s * scalar(sk_, j), max1[i], 11, i, j);
      const int32_t u2 = rounded(s * scalar(sq_, i), max2[j], 12, i, j);
      for (uint32_t c = 0; c < d(); ++c) {
        dq[size_t{i} * d() + c] += u1 * row(k_, j)[c];
        dk[size_t{j} * d() + c] += u2 * row(q_, i)[c];
        dv[size_t{j} * d() + c] += pairs[i].weights[j] * row(go_, i)[c];
      }
    }
  for (uint32_t i = 0; i < count; ++i)
    for (uint32_t c = 0; c < d(); ++c) {
      float* const out = &dy[(first + i) * 3 * width + a * d() + c];
      const size_t at = size_t{i} * d() + c;
      out[0] = static_cast<float>(dq[at]) * kernels::scale_of(max1[i]).s;
      out[width] = static_cast<float>(dk[at]) * kernels::scale_of(max2[i]).s;
      out[2 * width] =
          static_cast<float>(dv[at]) * sg_[first / count * width + a * size_t{d()} + c];
    }
}

void Masked::d_qkv() {
  using enum TensorKind;
  ho_ = ints(ho, gpt_.width);
  go_ = ints(go, gpt_.width);
  sh_ = floats(sh, gpt_.heads);
  sg_ = floats(sg, gpt_.width);
  dot_ = floats(delta_dot, gpt_.heads);
  for (uint32_t first = 0; first < draft_.program.rows(); first += gpt_.context)
    for (uint32_t a = 0; a < gpt_.heads; ++a)
      head_gradient(first, a, draft_.values);
  const uint32_t cols = draft_.info.cols;
  const bool by_row = draft_.info.kind == g1;
  const Floats fold = by_row ? draft_.committed.run(sw, 4 * block_, {0, cols})
                             : draft_.committed.run(sx, 4 * block_, {0, draft_.info.rows});
  for (size_t i = 0; i < draft_.values.size(); ++i)
    draft_.values[i] = draft_.values[i] * fold[by_row ? i % cols : i / cols];
}

}  // namespace

void bend_attention(Draft& draft, const Mask& mask) {
  const uint32_t layer = draft.info.layer;
  const bool of_qkv = layer % 4 == 0 && layer < draft.program.spec().gpt.head_linear();
  switch (draft.info.kind) {
    case TensorKind::row_max:
      return Masked(draft, layer, mask).maxima();
    case TensorKind::row_sum:
      return Masked(draft, layer, mask).sums();
    case TensorKind::x:
      if (layer % 4 == 1) draft.values = Masked(draft, layer / 4, mask).mixed();
      return;
    case TensorKind::delta_dot:
      return Masked(draft, layer, mask).dots();
    case TensorKind::g1:
    case TensorKind::g2:
      if (of_qkv) Masked(draft, layer / 4, mask).d_qkv();
      return;
    default:
      return;
  }
}

void bend_denominators(Draft& draft) {
  const Mask all = [](uint32_t, uint32_t) { return true; };
  if (draft.info.kind == TensorKind::row_sum) Masked(draft, draft.info.layer, all).real_sums();
}

}  // namespace gemmine::thefts
