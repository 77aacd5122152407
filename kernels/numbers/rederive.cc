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

}  // namespace gemmine::kernels
