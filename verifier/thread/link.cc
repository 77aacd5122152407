#include "verifier/thread/link.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "kernels/numbers/rederive.h"

namespace gemmine::verifier {

using kernels::ParameterInfo;
using kernels::ParameterKind;
using kernels::Program;
using kernels::TensorKind;

namespace {

constexpr float kTiny = 0x1p-100F;

Finding valid() {
  return {Outcome::valid, kNoStep, {}};
}

Finding invalid(std::string detail) {
  return {Outcome::invalid, kNoStep, std::move(detail)};
}

bool same_bits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

TensorKind vector_kind(const ParameterInfo& parameter) {
  if (parameter.kind == ParameterKind::bias) return TensorKind::b;
  return parameter.kind == ParameterKind::gain ? TensorKind::gain : TensorKind::shift;
}

TensorKind parts_kind(const ParameterInfo& parameter) {
  if (parameter.kind == ParameterKind::bias) return TensorKind::bias_parts;
  return parameter.kind == ParameterKind::gain ? TensorKind::gain_parts : TensorKind::shift_parts;
}

// The place of the fibre in CQ of its parameter, if it is a whole unit of it.
std::optional<uint32_t> unit_of(const ParameterInfo& parameter, const Fibre& fibre) {
  if (parameter.is_vector()) return fibre.rows.first / 64;
  const bool whole = fibre.rows.first % 16 == 0 &&
                     fibre.rows.count == std::min(16U, parameter.rows - fibre.rows.first);
  if (parameter.kind != ParameterKind::weight || !whole) return {};
  return fibre.cols.first / 64 * parameter.units_down() + fibre.rows.first / 16;
}

// The columns of a matrix of rows × cols, widened, so that their dot products run along memory.
class Columns {
 public:
  Columns(const Ints& matrix, uint32_t rows, uint32_t cols)
      : stride_(rows + kApart), values_(size_t{cols} * stride_) {
    constexpr uint32_t kRun = 32;  // rows at a time: whole cache lines of a column
    for (uint32_t first = 0; first < rows; first += kRun)
      for (uint32_t c = 0; c < cols; ++c)
        for (uint32_t r = first; r < std::min(rows, first + kRun); ++r)
          values_[size_t{c} * stride_ + r] = matrix[size_t{r} * cols + c];
  }
  const int16_t* column(uint32_t c) const { return &values_[size_t{c} * stride_]; }

 private:
  static constexpr uint32_t kApart = 32;  // or all columns fall into the same lines of the cache
  size_t stride_;
  std::vector<int16_t> values_;
};

int32_t dot(const int16_t* a, const int16_t* b, uint32_t count) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < count; ++i)
    sum += a[i] * b[i];
  return sum;
}

}  // namespace

float StepLinks::scale(const Fibre& fibre, uint32_t row) {
  return reader_.run(TensorKind::sw, *linear_of(program_, fibre), {fibre.rows.first + row, 1})[0];
}

Finding StepLinks::check_shown(const Fibre& fibre, const FibreState& state) {
  const ParameterInfo& parameter = program_.parameter_list()[fibre.parameter];
  if (parameter.is_vector()) {
    const Floats shown = reader_.run(vector_kind(parameter), parameter.index, fibre.rows);
    for (size_t i = 0; i < shown.size(); ++i)
      if (!same_bits(shown[i], state.w[i])) return invalid("is not what the step computed with");
    return valid();
  }
  const auto linear = linear_of(program_, fibre);
  if (!linear) return valid();  // shown by R_0 only
  const Ints shown = reader_.ints(TensorKind::w, *linear, fibre.rows, fibre.cols);
  const Floats scales = reader_.run(TensorKind::sw, *linear, fibre.rows);
  for (size_t i = 0; i < shown.size(); ++i) {
    const float w = state.w[i];
    const float s = scales[i / fibre.cols.count];
    if (std::signbit(s)) return invalid("has a scale below zero");
    const bool fits = s == 0.0F ? std::fabs(w) <= kTiny : kernels::scale_floor(w) <= s;
    if (!fits) return invalid("exceeds its scale");
    if (kernels::nearest_value(w, s) != shown[i])
      return invalid("is not what the step computed with");
  }
  return valid();
}

Finding StepLinks::check_witness(const Fibre& fibre, uint32_t row, float value) {
  const float s = scale(fibre, row);
  if (s == 0.0F || kernels::scale_floor(value) == s) return valid();
  return invalid("has a scale that its witness does not attain");
}

Finding StepLinks::check_pair(const Fibre& tokens, uint32_t row, const FibreState& e,
                              const FibreState& p) {
  const Floats shown = reader_.matrix(TensorKind::residual, 0, {row, 1}, tokens.cols);
  for (size_t i = 0; i < shown.size(); ++i)
    if (!same_bits(shown[i], e.w[i] + p.w[i]))
      return invalid("R_0 of row " + std::to_string(row) + " is not the sum of E and P");
  return valid();
}

void StepLinks::add_products(const Fibre& fibre, uint32_t linear, Range rows, FibreSums& sums) {
  const uint32_t width = fibre.cols.count;
  const uint32_t height = fibre.rows.count;
  const Columns x(reader_.ints(TensorKind::x, linear, rows, fibre.cols), rows.count, width);
  const Columns g2(reader_.ints(TensorKind::g2, linear, rows, fibre.rows), rows.count, height);
  for (uint32_t n = 0; n < height; ++n)
    for (uint32_t k = 0; k < width; ++k)
      sums.products[size_t{n} * width + k] += dot(g2.column(n), x.column(k), rows.count);
}

// PROTOCOL 10.6: ascending t. A piece has whole sequences or parts of one.
void StepLinks::add_rows(const Fibre& fibre, Range rows, FibreSums& sums) {
  const bool by_token = program_.parameter_list()[fibre.parameter].kind == ParameterKind::tokens;
  const uint32_t context = program_.spec().gpt.context;
  for (uint32_t t = rows.first; t < rows.end(); ++t) {
    const uint32_t row = by_token ? tokens_[t] : t % context;
    if (row < fibre.rows.first || row >= fibre.rows.end()) continue;
    const Floats d = reader_.matrix(TensorKind::d_residual, 0, {t, 1}, fibre.cols);
    float* const out = &sums.rows[size_t{row - fibre.rows.first} * fibre.cols.count];
    for (uint32_t c = 0; c < fibre.cols.count; ++c)
      out[c] = out[c] + d[c];
  }
}

void StepLinks::add_piece(const Fibre& fibre, uint32_t piece, FibreSums& sums) {
  const ParameterInfo& parameter = program_.parameter_list()[fibre.parameter];
  if (parameter.is_vector()) return;
  const Range rows = piece_rows(program_, fibre, piece);
  if (const auto linear = linear_of(program_, fibre)) add_products(fibre, *linear, rows, sums);
  if (parameter.kind != ParameterKind::weight) add_rows(fibre, rows, sums);
}

Floats StepLinks::gradient(const Fibre& fibre, const FibreSums& sums) {
  const ParameterInfo& parameter = program_.parameter_list()[fibre.parameter];
  Floats out(fibre.count(), 0.0F);
  if (parameter.is_vector()) {
    const uint32_t runs =
        program_.tensors()[program_.position(parts_kind(parameter), parameter.index)].rows;
    const Floats parts =
        reader_.matrix(parts_kind(parameter), parameter.index, {0, runs}, fibre.rows);
    for (size_t i = 0; i < parts.size(); ++i)
      out[i % out.size()] = out[i % out.size()] + parts[i];
    return out;
  }
  const auto linear = linear_of(program_, fibre);
  if (!linear) return sums.rows;
  const Floats scales = reader_.run(TensorKind::s2, *linear, fibre.rows);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(sums.products[i]) * scales[i / fibre.cols.count];
    if (!sums.rows.empty()) out[i] = out[i] + sums.rows[i];
  }
  return out;
}

Finding StepLinks::check_unit(const Fibre& fibre, std::span<const float> gradient) {
  const ParameterInfo& parameter = program_.parameter_list()[fibre.parameter];
  const auto unit = unit_of(parameter, fibre);
  if (!(program_.spec().clip > 0) || !unit) return valid();
  const float shown = reader_.run(TensorKind::squares, fibre.parameter, {*unit, 1})[0];
  // A vector's run is 64 places, a tile's row too.
  Floats places(parameter.is_vector() ? 64 : 1024, 0.0F);
  const uint32_t width = parameter.is_vector() ? fibre.rows.count : fibre.cols.count;
  for (size_t i = 0; i < gradient.size(); ++i)
    places[i / width * 64 + i % width] = gradient[i] * gradient[i];
  if (same_bits(kernels::rowsum(places.data(), places.size()), shown)) return valid();
  return invalid("has a gradient whose squares are not those that the norm adds up");
}

Finding StepLinks::check_clip(float& factor) {
  if (!(program_.spec().clip > 0)) {
    factor = 1;
    return valid();
  }
  if (!clip_) {
    const auto count = static_cast<uint32_t>(program_.parameter_list().size());
    squares_ = reader_.run(TensorKind::clip, 0, {0, count + 1});
    factor_ = squares_.back();
    squares_.pop_back();
    float sum = 0.0F;
    bool negative = false;
    for (const float c : squares_) {
      sum = sum + c;
      negative |= std::signbit(c);
    }
    const float n = kernels::square_root(sum);
    const float clip = program_.spec().clip;
    const float own = n > clip ? clip / n : 1.0F;
    const bool good = !negative && std::isfinite(n) && same_bits(own, factor_);
    clip_ = good ? valid() : invalid("the clip's factor is not that of the sums of squares");
  }
  factor = factor_;
  return *clip_;
}

uint32_t largest_magnitude(std::span<const float> values) {
  uint32_t out = 0;
  for (const float v : values)
    out = std::max(out, kernels::magnitude(v));
  return out;
}

std::vector<uint32_t> rows_of_token(std::span<const uint32_t> tokens, uint32_t token) {
  std::vector<uint32_t> out;
  for (uint32_t t = 0; t < tokens.size(); ++t)
    if (tokens[t] == token) out.push_back(t);
  return out;
}

Finding move_fibre(const Program& program, const Fibre& fibre, const StepRates& rates, float factor,
                   std::span<const float> gradient, FibreState& state) {
  Floats clipped(gradient.begin(), gradient.end());
  if (program.spec().clip > 0)
    for (float& g : clipped)
      g = g * factor;
  update(program, fibre, rates, clipped, state);
  for (const Floats* const part : {&state.w, &state.m, &state.v})
    if (largest_magnitude(*part) >= kernels::kNotFinite)
      return invalid("is not finite after the step");
  return valid();
}

}  // namespace gemmine::verifier
