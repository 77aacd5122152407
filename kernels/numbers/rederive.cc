#include "kernels/numbers/rederive.h"

#include "kernels/base/check.h"

namespace gemmine::kernels {

void loss_row(const float* logits, size_t classes, uint32_t label, float inv_t, float* dy,
              float* nll) {
  GEMMINE_CHECK(label < classes);
  float max = logits[0];
  for (size_t c = 1; c < classes; ++c) {
    if (logits[c] > max) max = logits[c];
  }
  for (size_t c = 0; c < classes; ++c)
    dy[c] = gn_exp(logits[c] - max);
  const float z = rowsum(dy, classes);
  *nll = gn_log(z) - (logits[label] - max);
  for (size_t c = 0; c < classes; ++c) {
    const float hit = c == label ? 1.0F : 0.0F;
    dy[c] = (dy[c] / z - hit) * inv_t;
  }
}

std::vector<float> run_sums(std::span<const float> x, size_t cols) {
  GEMMINE_CHECK(cols > 0 && x.size() % cols == 0);
  const size_t rows = x.size() / cols;
  std::vector<float> parts((rows + kColumnSumRun - 1) / kColumnSumRun * cols, 0.0F);
  for (size_t t = 0; t < rows; ++t) {
    float* const part = &parts[t / kColumnSumRun * cols];
    for (size_t c = 0; c < cols; ++c)
      part[c] += x[t * cols + c];
  }
  return parts;
}

std::vector<float> sum_of_runs(std::span<const float> parts, size_t cols) {
  std::vector<float> sums(cols, 0.0F);
  for (size_t i = 0; i < parts.size(); ++i)
    sums[i % cols] += parts[i];
  return sums;
}

}  // namespace gemmine::kernels
