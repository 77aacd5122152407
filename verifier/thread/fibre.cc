#include "verifier/thread/fibre.h"

#include <algorithm>

#include "kernels/numbers/numerics.h"

namespace gemmine::verifier {

using kernels::ParameterInfo;
using kernels::ParameterKind;
using kernels::Program;

namespace {

bool adamw(const Program& program) {
  return program.spec().optimiser == kernels::Optimiser::adamw;
}

// Sums of D_0's rows, which E and P have.
bool adds_rows(const ParameterInfo& parameter) {
  return parameter.kind == ParameterKind::tokens || parameter.kind == ParameterKind::positions;
}

}  // namespace

std::optional<uint32_t> linear_of(const Program& program, const Fibre& fibre) {
  const ParameterInfo& parameter = program.parameter_list()[fibre.parameter];
  if (parameter.kind == ParameterKind::weight) return parameter.index;
  if (parameter.kind == ParameterKind::tokens && program.spec().gpt.tied)
    return program.spec().gpt.head_linear();
  return {};
}

std::string name_of(const Program& program, const Fibre& fibre) {
  const ParameterInfo& parameter = program.parameter_list()[fibre.parameter];
  constexpr const char* kNames[] = {"W", "b", "E", "P", "gain", "shift"};
  std::string out = kNames[static_cast<size_t>(parameter.kind)];
  if (!adds_rows(parameter)) out.append("_").append(std::to_string(parameter.index));
  out.append("[").append(std::to_string(fibre.rows.first)).append("…");
  if (!parameter.is_vector()) out.append(",").append(std::to_string(fibre.cols.first)).append("…");
  return out.append("]");
}

uint32_t pieces_of(const Program& program, const Fibre& fibre) {
  if (program.parameter_list()[fibre.parameter].is_vector()) return 1;
  return (program.rows() + kPieceRows - 1) / kPieceRows;
}

Range piece_rows(const Program& program, const Fibre& fibre, uint32_t piece) {
  if (program.parameter_list()[fibre.parameter].is_vector()) return {0, program.rows()};
  const uint32_t first = piece * kPieceRows;
  GEMMINE_CHECK(first < program.rows());
  return {first, std::min(kPieceRows, program.rows() - first)};
}

FibreSums empty_sums(const Program& program, const Fibre& fibre) {
  FibreSums out;
  if (linear_of(program, fibre)) out.products.assign(fibre.count(), 0);
  if (adds_rows(program.parameter_list()[fibre.parameter])) out.rows.assign(fibre.count(), 0.0F);
  return out;
}

Bytes link_bytes(const FibreState& state, const FibreSums* sums) {
  Writer out;
  for (const Floats* const part : {&state.w, &state.m, &state.v})
    out.put_raw(as_bytes(std::span<const float>(*part)));
  if (sums != nullptr) {
    out.put_raw(as_bytes(std::span<const int32_t>(sums->products)));
    out.put_raw(as_bytes(std::span<const float>(sums->rows)));
  }
  return out.take();
}

Result<LinkState> link_state(const Program& program, const Fibre& fibre, uint32_t piece,
                             ByteView bytes) {
  LinkState out{{}, empty_sums(program, fibre)};
  out.state.w.resize(fibre.count());
  out.state.m.resize(fibre.count());
  if (adamw(program)) out.state.v.resize(fibre.count());
  Reader in(bytes);
  const auto take = [&in](auto& values) {
    const size_t size = values.size() * sizeof(values[0]);
    const ByteView raw = in.get_raw(size);
    if (raw.size() == size && size > 0) std::memcpy(values.data(), raw.data(), size);
  };
  for (Floats* const part : {&out.state.w, &out.state.m, &out.state.v})
    take(*part);
  if (piece > 0) {
    take(out.sums.products);
    take(out.sums.rows);
  }
  if (!in.done()) return Error{Errc::malformed, "the state of a fibre has another length"};
  return out;
}

uint64_t theta_offset(const Program& program, const Fibre& fibre, uint32_t row) {
  const ParameterInfo& parameter = program.parameter_list()[fibre.parameter];
  return parameter.offset + (uint64_t{fibre.rows.first} + row) * parameter.cols + fibre.cols.first;
}

Result<FibreState> start_of(const Program& program, const Fibre& fibre,
                            const ReadFloats& read_theta) {
  FibreState out;
  out.w.resize(fibre.count());
  out.m.assign(fibre.count(), 0.0F);
  if (adamw(program)) out.v.assign(fibre.count(), 0.0F);
  // A vector's run lies in one piece, as do the columns of a row.
  const bool vector = program.parameter_list()[fibre.parameter].is_vector();
  const uint32_t width = vector ? fibre.count() : fibre.cols.count;
  for (uint32_t done = 0; done < fibre.count(); done += width) {
    const uint64_t first = theta_offset(program, fibre, vector ? 0 : done / width);
    auto read = read_theta(first, std::span(out.w).subspan(done, width));
    if (!read) return read.error();
  }
  return out;
}

StepRates next_rates(const Program& program, const StepRates& before, kernels::StepKey key) {
  return {program.learning_rate(key), before.p1 * program.spec().beta1,
          before.p2 * program.spec().beta2};
}

StepRates rates_of(const Program& program, kernels::StepKey key) {
  StepRates out;
  for (uint32_t step = 0; step <= key.step; ++step)
    out = next_rates(program, out, {key.round, key.slot, step});
  return out;
}

// PROTOCOL 3.4, in its order.
void update(const Program& program, const Fibre& fibre, const StepRates& rates,
            std::span<const float> gradient, FibreState& state) {
  const kernels::Spec& spec = program.spec();
  const bool decays = program.parameter_list()[fibre.parameter].decays();
  GEMMINE_CHECK(gradient.size() == state.w.size());
  for (size_t i = 0; i < gradient.size(); ++i) {
    const float g = gradient[i];
    float& w = state.w[i];
    float& m = state.m[i];
    if (!adamw(program)) {
      m = spec.beta1 * m + (decays ? g + spec.wd * w : g);
      w = w - rates.lr * m;
      continue;
    }
    float& v = state.v[i];
    m = spec.beta1 * m + (1.0F - spec.beta1) * g;
    v = spec.beta2 * v + (1.0F - spec.beta2) * (g * g);
    const float u = (m * (1.0F / (1.0F - rates.p1))) /
                    (kernels::square_root(v * (1.0F / (1.0F - rates.p2))) + spec.eps);
    w = decays ? w - rates.lr * (u + spec.wd * w) : w - rates.lr * u;
  }
}

}  // namespace gemmine::verifier
