// The attention of 10.4 and its gradient of 10.6, one head in some rows of one sequence at a time.
#include <algorithm>
#include <cmath>

#include "kernels/numbers/philox.h"
#include "kernels/numbers/rederive.h"
#include "verifier/audit/gpt_values.h"

namespace gemmine::verifier {

using kernels::TensorInfo;
using kernels::TensorKind;

// Some positions of a head; what is not asked for stays empty.
struct GptValues::Side {
  uint32_t first = 0;  // position
  uint32_t d = 0;
  std::map<TensorKind, Ints> rows;       // d a position
  std::map<TensorKind, Floats> scalars;  // one a position

  const int8_t* row(TensorKind kind, uint32_t position) const {
    return rows.at(kind).data() + size_t{position - first} * d;
  }
  float at(TensorKind kind, uint32_t position) const { return scalars.at(kind)[position - first]; }
};

GptValues::Side GptValues::side(const HeadRows& at, Range positions,
                                std::initializer_list<TensorKind> ints,
                                std::initializer_list<TensorKind> scalars) {
  Side out;
  out.first = positions.first;
  out.d = gpt_.head_width();
  const Range rows{at.start + positions.first, positions.count};
  for (const TensorKind kind : ints)
    out.rows[kind] = reader_.ints(kind, at.block, rows, {at.head * out.d, out.d});
  for (const TensorKind kind : scalars)
    out.scalars[kind] = reader_.matrix(kind, at.block, rows, {at.head, 1});
  return out;
}

float GptValues::score(const Side& queries, const Side& keys, uint32_t i, uint32_t j) {
  const auto acc = static_cast<float>(
      kernels::dot(queries.row(TensorKind::q, i), 1, keys.row(TensorKind::k, j), 1, keys.d));
  const float out = acc * (queries.at(TensorKind::sq, i) * keys.at(TensorKind::sk, j));
  if (!std::isfinite(out)) reader_.object_to("a score of attention is not finite");
  return out;
}

int32_t GptValues::weight(float score, float max) {
  const int32_t out =
      kernels::attention_weight(score, max, kernels::attention_rate(gpt_.head_width()));
  if (out >= 0 && out <= kernels::kQuantMax) return out;
  reader_.object_to("an attention weight is not within 0 … 63");  // a stranger's m
  return 0;
}

float GptValues::score_gradient(const Side& queries, const Side& keys, uint32_t i, uint32_t j) {
  const int32_t pi = weight(score(queries, keys, i, j), queries.at(TensorKind::row_max, i));
  const auto acc = static_cast<float>(
      kernels::dot(queries.row(TensorKind::ho, i), 1, keys.row(TensorKind::v, j), 1, keys.d));
  return kernels::score_gradient(
      pi, 1.0F / queries.at(TensorKind::row_sum, i), acc * queries.at(TensorKind::sh, i),
      queries.at(TensorKind::delta_dot, i), kernels::attention_rate(gpt_.head_width()));
}

Floats GptValues::by_head(uint32_t block, Range rows, Range cols,
                          Floats (GptValues::*one_head)(const HeadRows&)) {
  const uint32_t d = gpt_.head_width();
  Floats out(size_t{rows.count} * cols.count);
  for (uint32_t t = rows.first; t < rows.end();) {
    const uint32_t start = t / gpt_.context * gpt_.context;
    const uint32_t t_end = std::min(rows.end(), start + gpt_.context);
    for (uint32_t c = cols.first; c < cols.end();) {
      const uint32_t head = c / d;
      const uint32_t c_end = std::min(cols.end(), (head + 1) * d);
      const HeadRows at{block, head, start, {t - start, t_end - t}, {c - head * d, c_end - c}};
      const Floats part = (this->*one_head)(at);
      for (uint32_t r = 0; r < at.rows.count; ++r)
        std::copy_n(part.begin() + static_cast<ptrdiff_t>(size_t{r} * at.cols.count), at.cols.count,
                    out.begin() + static_cast<ptrdiff_t>(size_t{t - rows.first + r} * cols.count +
                                                         (c - cols.first)));
      c = c_end;
    }
    t = t_end;
  }
  return out;
}

Floats GptValues::mixed(uint32_t block, Range rows, Range cols) {
  return by_head(block, rows, cols, &GptValues::mixed_head);
}

Floats GptValues::mixed_head(const HeadRows& at) {
  const Range past{0, at.rows.end()};
  const Side queries = side(at, at.rows, {TensorKind::q},
                            {TensorKind::sq, TensorKind::row_max, TensorKind::row_sum});
  const Side keys = side(at, past, {TensorKind::k}, {TensorKind::sk});
  const Range cols{at.head * keys.d + at.cols.first, at.cols.count};
  const Ints v = reader_.ints(TensorKind::v, at.block, {at.start, past.count}, cols);
  const Floats sv = reader_.matrix(TensorKind::sv, at.block, {at.start / gpt_.context, 1}, cols);
  Floats out;
  out.reserve(size_t{at.rows.count} * cols.count);
  std::vector<int32_t> acc(cols.count);
  for (uint32_t i = at.rows.first; i < at.rows.end(); ++i) {
    std::fill(acc.begin(), acc.end(), 0);
    for (uint32_t j = 0; j <= i; ++j) {
      const int32_t pi = weight(score(queries, keys, i, j), queries.at(TensorKind::row_max, i));
      for (uint32_t c = 0; c < cols.count; ++c)
        acc[c] += pi * v[size_t{j} * cols.count + c];
    }
    const float inv_l = 1.0F / queries.at(TensorKind::row_sum, i);
    for (uint32_t c = 0; c < cols.count; ++c)
      out.push_back((static_cast<float>(acc[c]) * sv[c]) * inv_l);
  }
  return out;
}

// From its own maximum, whatever m says (PROTOCOL 10.11).
Floats GptValues::softmax_row(const TensorInfo& tensor, Range rows, Range heads) {
  Floats out(size_t{rows.count} * heads.count);
  for (uint32_t r = 0; r < rows.count; ++r) {
    const uint32_t start = (rows.first + r) / gpt_.context * gpt_.context;
    const uint32_t i = rows.first + r - start;
    for (uint32_t a = 0; a < heads.count; ++a) {
      const HeadRows at{tensor.layer, heads.first + a, start, {i, 1}, {}};
      const Side queries = side(at, at.rows, {TensorKind::q}, {TensorKind::sq});
      const Side keys = side(at, {0, i + 1}, {TensorKind::k}, {TensorKind::sk});
      Floats scores(i + 1);
      for (uint32_t j = 0; j <= i; ++j)
        scores[j] = score(queries, keys, i, j);
      float max = scores[0];
      for (const float s : scores)
        max = s > max ? s : max;
      max = max + 0.0F;
      int32_t sum = 0;
      for (const float s : scores)
        sum += weight(s, max);
      out[size_t{r} * heads.count + a] =
          tensor.kind == TensorKind::row_max ? max : static_cast<float>(sum);
    }
  }
  return out;
}

Floats GptValues::d_qkv(uint32_t block, Range rows, Range cols) {
  constexpr Floats (GptValues::*kParts[])(const HeadRows&) = {
      &GptValues::dq_head, &GptValues::dk_head, &GptValues::dv_head};
  Floats out(size_t{rows.count} * cols.count);
  for (uint32_t part = 0; part < 3; ++part) {
    const uint32_t c0 = std::max(cols.first, part * gpt_.width);
    const uint32_t c1 = std::min(cols.end(), (part + 1) * gpt_.width);
    if (c0 >= c1) continue;
    const Floats values = by_head(block, rows, {c0 - part * gpt_.width, c1 - c0}, kParts[part]);
    for (uint32_t r = 0; r < rows.count; ++r)
      std::copy_n(values.begin() + static_cast<ptrdiff_t>(size_t{r} * (c1 - c0)), c1 - c0,
                  out.begin() + static_cast<ptrdiff_t>(size_t{r} * cols.count + (c0 - cols.first)));
  }
  return out;
}

kernels::Scale GptValues::scale_over(const Floats& values) {
  uint32_t most = 0;
  for (const float v : values)
    most = std::max(most, kernels::magnitude(v));
  if (most >= kernels::kNotFinite) reader_.object_to("an attention gradient is not finite");
  return kernels::scale_of(most);
}

Floats GptValues::dq_head(const HeadRows& at) {
  using enum TensorKind;
  const Side queries = side(at, at.rows, {q, ho}, {sq, row_max, row_sum, delta_dot, sh});
  const Side keys = side(at, {0, at.rows.end()}, {k, v}, {sk});
  const kernels::StochasticKey bits{program_.spec().sr_seed, 64 * at.block + 11,
                                    program_.step_id(key_)};
  Floats out;
  out.reserve(size_t{at.rows.count} * at.cols.count);
  std::vector<int32_t> acc(at.cols.count);
  for (uint32_t i = at.rows.first; i < at.rows.end(); ++i) {
    Floats values(i + 1);
    for (uint32_t j = 0; j <= i; ++j)
      values[j] = score_gradient(queries, keys, i, j) * keys.at(sk, j);
    const kernels::Scale u1 = scale_over(values);
    const uint32_t row = (at.start + i) * gpt_.heads + at.head;
    std::fill(acc.begin(), acc.end(), 0);
    for (uint32_t j = 0; j <= i; ++j) {
      const int32_t u = kernels::round_stochastic(
          values[j], u1.inv, kernels::stochastic_u16(bits, row, j, gpt_.context));
      const int8_t* const key_row = keys.row(k, j) + at.cols.first;
      for (uint32_t c = 0; c < at.cols.count; ++c)
        acc[c] += u * key_row[c];
    }
    for (const int32_t sum : acc)
      out.push_back(static_cast<float>(sum) * u1.s);
  }
  return out;
}

Floats GptValues::dk_head(const HeadRows& at) {
  using enum TensorKind;
  const Range later{at.rows.first, gpt_.context - at.rows.first};
  const Side queries = side(at, later, {q, ho}, {sq, row_max, row_sum, delta_dot, sh});
  const Side keys = side(at, at.rows, {k, v}, {sk});
  const kernels::StochasticKey bits{program_.spec().sr_seed, 64 * at.block + 12,
                                    program_.step_id(key_)};
  Floats out;
  out.reserve(size_t{at.rows.count} * at.cols.count);
  std::vector<int32_t> acc(at.cols.count);
  for (uint32_t j = at.rows.first; j < at.rows.end(); ++j) {
    Floats values;  // of i = j, j + 1, …
    for (uint32_t i = j; i < gpt_.context; ++i)
      values.push_back(score_gradient(queries, keys, i, j) * queries.at(sq, i));
    const kernels::Scale u2 = scale_over(values);
    std::fill(acc.begin(), acc.end(), 0);
    for (uint32_t i = j; i < gpt_.context; ++i) {
      const uint32_t row = (at.start + i) * gpt_.heads + at.head;
      const int32_t u = kernels::round_stochastic(
          values[i - j], u2.inv, kernels::stochastic_u16(bits, row, j, gpt_.context));
      const int8_t* const query_row = queries.row(q, i) + at.cols.first;
      for (uint32_t c = 0; c < at.cols.count; ++c)
        acc[c] += u * query_row[c];
    }
    for (const int32_t sum : acc)
      out.push_back(static_cast<float>(sum) * u2.s);
  }
  return out;
}

Floats GptValues::dv_head(const HeadRows& at) {
  using enum TensorKind;
  const Range later{at.rows.first, gpt_.context - at.rows.first};
  const Side queries = side(at, later, {q}, {sq, row_max});
  const Side keys = side(at, at.rows, {k}, {sk});
  const Range cols{at.head * keys.d + at.cols.first, at.cols.count};
  const Ints g = reader_.ints(go, at.block, {at.start + later.first, later.count}, cols);
  const Floats scale = reader_.matrix(sg, at.block, {at.start / gpt_.context, 1}, cols);
  Floats out;
  out.reserve(size_t{at.rows.count} * at.cols.count);
  std::vector<int32_t> acc(at.cols.count);
  for (uint32_t j = at.rows.first; j < at.rows.end(); ++j) {
    std::fill(acc.begin(), acc.end(), 0);
    for (uint32_t i = j; i < gpt_.context; ++i) {
      const int32_t pi = weight(score(queries, keys, i, j), queries.at(row_max, i));
      const int8_t* const row = g.data() + size_t{i - later.first} * cols.count;
      for (uint32_t c = 0; c < cols.count; ++c)
        acc[c] += pi * row[c];
    }
    for (uint32_t c = 0; c < cols.count; ++c)
      out.push_back(static_cast<float>(acc[c]) * scale[c]);
  }
  return out;
}

}  // namespace gemmine::verifier
