// The CPU engine: PROTOCOL 3 by fused passes over exact products, on a pool of threads.
//
// Memory: the state (8 bytes a parameter for SGD, 12 for AdamW), 3 bytes a weight (committed, and
// packed for both directions), about 12 bytes per batch row and feature of every layer, and with
// commitments 1/32 of the committed bytes.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>

#include "kernels/cpu/matmul/matmul.h"
#include "kernels/cpu/step_engine.h"
#include "kernels/hash/chunk_source.h"

namespace gemmine::kernels {

class CpuEngine final : public StepEngine {
 public:
  // Labels must be below the number of classes (make_engine has looked). threads >= 1.
  CpuEngine(const Program& program, ByteView train_records, int threads);

  // Forward only; leaves the engine without a state to go on from. Errors: invalid.
  Result<Evaluation> evaluate(std::span<const float> theta, ByteView test_records);
  // The same; the last layer's outputs, [records, classes].
  Result<std::vector<float>> predict(std::span<const float> theta, ByteView records);

 private:
  // Everything a layer owns in a step. Hidden Y is kept after its ReLU, which is all that later
  // passes ask for: the next real input, and whether Y > 0.
  struct Layer : CommittedLinear {
    uint32_t inputs = 0;
    uint32_t outputs = 0;
    AlignedVector<float> y, dy;                    // [T, outputs]
    AlignedVector<float> inv2, db;                 // [outputs]
    AlignedVector<float> db_parts;                 // PB, committed; [runs of 32, outputs]
    AlignedVector<uint32_t> x_max, w_max, g2_max;  // bits of each group's absmax
    Packed x_rows, x_columns, w_rows, w_columns, g1_rows, g2_columns;
  };

  // f(i) for i < count, in runs long enough to be worth handing to a thread.
  template <class F>
  void for_each_row(size_t count, const F& f) {
    const size_t tasks = pool_.threads() == 1 ? 1 : 4 * static_cast<size_t>(pool_.threads());
    const size_t run = (count + tasks - 1) / tasks;
    if (count == 0) return;
    pool_.run((count + run - 1) / run, [&](size_t task) {
      const size_t end = count - task * run < run ? count : (task + 1) * run;
      for (size_t i = task * run; i < end; ++i)
        f(i);
    });
  }
  // The same in strips of whole tiles, each of which the thread that wrote it commits to while it
  // is in its cache: `tensors` are int8, `rows` high, and row i of them is complete after f(i).
  template <class F>
  void for_each_committed_row(size_t rows, std::initializer_list<TensorPlace> tensors, const F& f) {
    if (!commits_) return for_each_row(rows, f);
    const size_t run = strip_rows(rows, tensors);
    pool_.run((rows + run - 1) / run, [&](size_t task) {
      const size_t first = task * run;
      const size_t end = rows - first < run ? rows : first + run;
      for (size_t i = first; i < end; ++i)
        f(i);
      const OpTimer timer(profile_, StepOp::tiles);
      for (const TensorPlace& at : tensors) {
        forest_.hash_strip(program_.position(at.kind, at.layer), first / kTileRows,
                           (end + kTileRows - 1) / kTileRows);
      }
    });
  }
  size_t strip_rows(size_t rows, std::initializer_list<TensorPlace> tensors) const;
  static void reserve_packed(Layer& layer, size_t batch, bool passes_down);
  Status check_state() override;
  void measure_weights() override;
  Result<float> step(StepKey key) override;
  const void* tensor_data(const TensorInfo& tensor) const override {
    const Layer& layer = layers_[tensor.layer];
    return tensor.kind == TensorKind::bias_parts ? layer.db_parts.data() : layer.data(tensor.kind);
  }

  // Record of batch row i: bytes of its features, then the label.
  const uint8_t* record(size_t row) const { return rows_[row]; }
  uint32_t label(size_t row) const {
    return program_.label_of({rows_[row], program_.record_bytes()});
  }
  void gather(StepKey key);
  void embed();  // X_0's real input and its maxima, from the gathered records
  Status quantise_input(uint32_t layer);
  Status quantise_weights(uint32_t layer);
  void pack_forward(Layer& layer);
  Status forward();
  // Forward on all records, batch by batch; `done` sees each batch's rows. Errors: its own, too.
  Status forward_all(std::span<const float> theta, ByteView records,
                     const std::function<Status()>& done);
  Result<float> loss();

  Status backward();
  void sum_columns(Layer& layer);
  Status quantise_gradient(uint32_t layer);
  void update_weights(uint32_t layer);
  void pass_gradient_down(uint32_t layer);
  Status update_biases(uint32_t layer);

  std::vector<Layer> layers_;
  AlignedVector<float> input_;  // the real X_0, [T, K_0]
  AlignedVector<float> nll_;    // [T]
  std::vector<const uint8_t*> rows_;
  size_t batch_rows_ = 0;  // T, or fewer in evaluation's last batch
};

Error not_finite(std::string_view tensor, uint32_t layer);

}  // namespace gemmine::kernels
