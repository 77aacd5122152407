// A training step as data: parameters, linears, tensors in trace order, sizes, schedule (PROTOCOL
// 3, 4.3; 10 for the gpt).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/hash/chunk_source.h"
#include "kernels/model/spec.h"

namespace gemmine::kernels {

// Up to s2 the n of PROTOCOL 3.3, of an MLP's layer or a linear λ of a gpt; the rest PROTOCOL 10.
enum class TensorKind : uint8_t {
  x = 0,
  sx = 1,
  w = 2,
  sw = 3,
  b = 4,
  g1 = 5,
  s1 = 6,
  g2 = 7,
  s2 = 8,
  residual = 16,  // R_s; `layer` is s
  d_residual,     // D_i; `layer` is i
  gain,           // `layer` is the norm ν, here and in the next two
  shift,
  d_norm,  // N_ν
  q,       // `layer` is the block, from here to sg
  sq,
  k,
  sk,
  v,
  sv,
  row_max,    // m
  row_sum,    // l
  delta_dot,  // δ
  ho,
  sh,
  go,
  sg,
  loss_max,     // μ
  loss_sum,     // ζ
  bias_parts,   // PB: what colsum adds up to db; `layer` as b's
  gain_parts,   // PG: of dgain; `layer` is the norm ν, here and in the next
  shift_parts,  // PS: of dshift
  squares,      // CQ: Σ g·g of each unit of a parameter; `layer` is its place in the order of θ
  clip          // cf: the sum of each parameter's squares, then the factor f
};

// Which elements share a scale.
enum class Groups : uint8_t { none, row_segments, column_runs };

// As PROTOCOL writes it, without its index: "X", "sx", …
const char* tensor_name(TensorKind kind);

struct TensorInfo {
  TensorKind kind;
  uint32_t layer;
  uint32_t rows;  // f32 tensors of an MLP and vectors are rows × 1
  uint32_t cols;
  // int8: with row_segments element (r, c) has scale number r·(cols/span) + c/span, with
  // column_runs (r/span)·cols + c, in the f32 tensor right after this one.
  Groups groups = Groups::none;
  uint32_t span = 0;
  uint32_t id = 0;  // tensor_id of the stochastic bits (PROTOCOL 3.3, 10.6)
  // f32: committed in panels of 64 columns, like an int8 tensor but without padded rows; 4.1.
  bool in_panels = false;

  bool is_int8() const { return groups != Groups::none; }
  // SR where true, RN elsewhere.
  bool is_stochastic() const {
    return kind == TensorKind::g1 || kind == TensorKind::g2 || kind == TensorKind::ho ||
           kind == TensorKind::go;
  }
  // An f32 tensor that is audited for itself (PROTOCOL 10.11); scales and biases are not.
  bool is_checked_f32() const;
  uint32_t tile_rows() const { return static_cast<uint32_t>((rows + kTileRows - 1) / kTileRows); }
  uint32_t tile_cols() const { return static_cast<uint32_t>((cols + kTileCols - 1) / kTileCols); }
  // Length of the committed byte string (PROTOCOL 4.1).
  uint64_t bytes() const {
    if (is_int8()) return tile_order_bytes(rows, cols);
    return in_panels ? panel_order_bytes(rows, cols) : uint64_t{rows} * cols * sizeof(float);
  }
  uint32_t tensor_id() const { return id; }
};

enum class ParameterKind : uint8_t { weight, bias, tokens, positions, gain, shift };

// One matrix or vector of θ, in the order of PROTOCOL 3.1 or 10.1.
struct ParameterInfo {
  ParameterKind kind;
  uint32_t index;  // of the layer, linear λ or norm ν; 0 for tokens and positions
  uint32_t rows;
  uint32_t cols;        // 1 for vectors
  uint64_t offset = 0;  // in θ, floats

  uint64_t count() const { return uint64_t{rows} * cols; }
  bool is_vector() const {
    return kind == ParameterKind::bias || kind == ParameterKind::gain ||
           kind == ParameterKind::shift;
  }
  // The units whose squares the norm adds up (PROTOCOL 10.7): tiles in tile order, runs of 64.
  uint32_t units_down() const {
    return static_cast<uint32_t>(is_vector() ? (rows + 63) / 64
                                             : (rows + kTileRows - 1) / kTileRows);
  }
  uint32_t units() const {
    return is_vector() ? units_down()
                       : units_down() * static_cast<uint32_t>((cols + kTileCols - 1) / kTileCols);
  }
  // wd applies to it.
  bool decays() const {
    return kind == ParameterKind::weight || kind == ParameterKind::tokens ||
           kind == ParameterKind::positions;
  }
};

// A linear λ: Y = X·Wᵀ (+ b).
struct LinearInfo {
  uint32_t inputs;
  uint32_t outputs;
  uint32_t weight;  // its place in Program::parameter_list(); a tied head's is that of E
  bool has_bias;    // then at weight + 1
};

// Position of a step in its job (PROTOCOL 3.2).
struct StepKey {
  uint32_t round = 0;
  uint32_t slot = 0;
  uint32_t step = 0;  // local, 0 … steps_per_lease − 1
};

class Program {
 public:
  // Errors: invalid_argument, the text of find_fault().
  static Result<Program> make(const Spec& spec);

  const Spec& spec() const { return spec_; }
  bool is_gpt() const { return spec_.architecture == Architecture::gpt; }
  // T: rows of every activation.
  uint32_t rows() const { return is_gpt() ? spec_.batch * spec_.gpt.context : spec_.batch; }
  const std::vector<ParameterInfo>& parameter_list() const { return parameter_list_; }
  const std::vector<LinearInfo>& linears() const { return linears_; }  // by layer or λ
  // Offset in θ of the gain of norm ν; a shift follows its gain.
  uint64_t gain_offset(uint32_t norm) const {
    GEMMINE_CHECK(norm < gains_.size());
    return gains_[norm];
  }
  // Bytes of a data blob with `records` records or tokens.
  uint64_t data_bytes(uint64_t records) const {
    return records * (is_gpt() ? spec_.gpt.token_bytes : record_bytes());
  }
  // Floats of what a round publishes: θ, and the outer velocity if there is one (PROTOCOL 10.13).
  uint64_t published_floats() const {
    return spec_.outer_momentum > 0 ? 2 * parameters_ : parameters_;
  }
  // First token of a sequence of the step (PROTOCOL 10.2).
  uint32_t sequence_start(StepKey key, uint32_t sequence) const;

  // These five are of an MLP.
  uint32_t layers() const {
    GEMMINE_CHECK(!is_gpt());
    return static_cast<uint32_t>(spec_.widths.size() - 1);
  }
  uint32_t inputs(uint32_t layer) const {  // K_l
    GEMMINE_CHECK(layer < layers());
    return spec_.widths[layer];
  }
  uint32_t outputs(uint32_t layer) const {  // N_l
    GEMMINE_CHECK(layer < layers());
    return spec_.widths[layer + 1];
  }
  uint32_t label_bytes() const { return spec_.widths.back() > kByteLabelsMax ? 2 : 1; }
  uint32_t record_bytes() const { return spec_.widths[0] + label_bytes(); }
  // The label of a record, or of its last label_bytes() bytes; PROTOCOL 3.2.
  uint32_t label_of(ByteView record) const {
    const uint32_t last = record[record.size() - 1];
    return label_bytes() == 1 ? last : last << 8 | record[record.size() - 2];
  }

  uint64_t parameters() const { return parameters_; }      // floats in θ
  uint64_t state_floats() const { return state_floats_; }  // θ and moments
  // Of W_l in θ, in floats; of a gpt by λ, where a tied head has that of E.
  uint64_t weight_offset(uint32_t layer) const {
    GEMMINE_CHECK(layer < offsets_.size());
    return offsets_[layer];
  }
  uint64_t bias_offset(uint32_t layer) const {  // of b_l; not of a gpt's head
    return weight_offset(layer) + uint64_t{linears_[layer].inputs} * linears_[layer].outputs;
  }
  uint64_t macs_per_step() const { return macs_; }  // PROTOCOL 3.5

  // Tensors in the order of PROTOCOL 4.3; `position` everywhere is an index into this.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  // Position of a tensor; the tensor must exist (no G1 in layer 0 of an MLP).
  uint32_t position(TensorKind kind, uint32_t layer) const;

  uint32_t step_id(StepKey key) const {
    return (key.round * spec_.slots + key.slot) * spec_.steps_per_lease + key.step;
  }
  float learning_rate(StepKey key) const;
  uint32_t record_index(StepKey key, uint32_t batch_row) const;
  std::vector<float> initial_theta() const;  // PROTOCOL 3.1
  // Some of it: out.size() values from float `first` on, all within θ.
  void initial_theta(uint64_t first, std::span<float> out) const;

 private:
  static constexpr uint32_t kNowhere = ~0U;

  void add_parameter(ParameterKind kind, uint32_t index, uint32_t rows, uint32_t cols);
  void lay_out_mlp();
  void lay_out_gpt();
  void lay_out_gpt_parameters();
  void add_linear_forward(uint32_t linear);
  void add_linear_backward(uint32_t linear);
  void add_tensor(const TensorInfo& tensor);
  void add_int8(TensorKind kind, uint32_t layer, uint32_t rows, uint32_t cols, uint32_t id,
                Groups groups, uint32_t span);
  void add_f32(TensorKind kind, uint32_t layer, uint32_t rows, uint32_t cols);
  // Sums of runs of 32 rows of a matrix of `cols` columns.
  void add_parts(TensorKind kind, uint32_t layer, uint32_t cols);
  void add_norm_sums();
  void add_norm(uint32_t norm);

  Spec spec_;
  uint64_t parameters_ = 0;
  uint64_t state_floats_ = 0;
  uint64_t macs_ = 0;
  std::vector<uint64_t> offsets_;  // of each weight, by layer or λ
  std::vector<uint64_t> gains_;
  std::vector<ParameterInfo> parameter_list_;
  std::vector<LinearInfo> linears_;
  std::vector<TensorInfo> tensors_;
  std::vector<std::vector<uint32_t>> positions_;  // by kind, then layer; kNowhere: there is none
};

}  // namespace gemmine::kernels
