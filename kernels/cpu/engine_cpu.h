// The CPU engine: PROTOCOL 3 by fused passes over exact products, on a pool of threads.
//
// Memory: the state (8 bytes a parameter for SGD, 12 for AdamW), 3 bytes a weight (committed, and
// packed for both directions), about 12 bytes per batch row and feature of every layer, and with
// commitments 1/32 of the committed bytes.
#pragma once

#include <initializer_list>
#include <string>

#include "kernels/blake3_forest.h"
#include "kernels/cpu/aligned.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/passes.h"
#include "kernels/cpu/step_profile.h"
#include "kernels/engine.h"
#include "kernels/thread_pool.h"

namespace gemmine::kernels {

class CpuEngine final : public Engine {
 public:
  // Labels must be below the number of classes (make_engine has looked). threads >= 1.
  CpuEngine(const Program& program, ByteView train_records, int threads);

  std::string_view name() const override { return "cpu"; }
  Status load_state(std::span<const float> state, uint32_t steps_done) override;
  Result<StepResult> run_step(StepKey key, const Digest* step_key) override;
  Status read_state(std::span<float> state) override;
  Result<Bytes> read_tensor(uint32_t position) override;

  // Forward only; leaves the engine without a state to go on from. Errors: invalid.
  Result<Evaluation> evaluate(std::span<const float> theta, ByteView test_records);
  // Steps from here on add their times to it; null stops that.
  void set_profile(StepProfile* profile) { profile_ = profile; }

 private:
  // Everything a layer owns in a step. Hidden Y is kept after its ReLU, which is all that later
  // passes ask for: the next real input, and whether Y > 0.
  struct Layer {
    uint32_t inputs = 0;
    uint32_t outputs = 0;
    AlignedVector<int8_t> x, w, g1, g2;            // committed, row-major
    AlignedVector<float> sx, sw, b, s1, s2;        // committed
    AlignedVector<float> y, dy;                    // [T, outputs]
    AlignedVector<float> inv2, db;                 // [outputs]
    AlignedVector<uint32_t> x_max, w_max, g2_max;  // bits of each group's absmax
    Packed x_rows, x_columns, w_rows, w_columns, g1_rows, g2_columns;
  };
  // What an epilogue or a row task needs of the step.
  struct Step {
    StepKey key;
    uint32_t step_id = 0;
    size_t rows = 0;  // T, or fewer in evaluation's last batch
    UpdateRates rates{};
  };

  struct TensorPlace {
    TensorKind kind;
    uint32_t layer;
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
  Status check_state();
  void measure_weights();
  UpdateRates rates_of(StepKey key);

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
  Status loss(float* mean);

  Status backward();
  void sum_columns(Layer& layer);
  Status quantise_gradient(uint32_t layer);
  void update_weights(uint32_t layer);
  void pass_gradient_down(uint32_t layer);
  Status update_biases(uint32_t layer);

  void plant_forest();
  Masters masters(uint64_t offset);
  const void* tensor_data(const TensorInfo& tensor) const;

  Program program_;
  ByteView records_;
  ThreadPool pool_;
  const Passes* passes_;
  std::vector<Layer> layers_;
  AlignedVector<float> state_;
  AlignedVector<float> input_;  // the real X_0, [T, K_0]
  AlignedVector<float> nll_;    // [T]
  std::vector<const uint8_t*> rows_;
  Step step_;
  Blake3Forest forest_;  // the trees of Program::tensors(), once a step commits
  bool commits_ = false;
  StepProfile* profile_ = nullptr;
  uint32_t steps_done_ = 0;
  float power1_ = 1;  // AdamW's p1 and p2
  float power2_ = 1;
  bool loaded_ = false;
  uint32_t worst_ = 0;  // absmax of what is not a group of its own: Y, moments
};

Error not_finite(std::string_view tensor, uint32_t layer);

}  // namespace gemmine::kernels
