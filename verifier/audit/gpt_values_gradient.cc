// PROTOCOL 10.5 and the linears and norms of 10.6.
#include <algorithm>
#include <cmath>

#include "kernels/numbers/rederive.h"
#include "verifier/audit/gpt_values.h"

namespace gemmine::verifier {

using kernels::TensorInfo;
using kernels::TensorKind;

Floats GptValues::row_maxima(Range rows) {
  const uint32_t groups = gpt_.loss_groups();
  const Floats mu = reader_.matrix(TensorKind::loss_max, 0, rows, {0, groups});
  Floats out;
  for (uint32_t r = 0; r < rows.count; ++r) {
    const float* const row = mu.data() + size_t{r} * groups;
    out.push_back(*std::max_element(row, row + groups));
  }
  return out;
}

Floats GptValues::loss_max(Range rows, Range groups) {
  Floats out(size_t{rows.count} * groups.count);
  for (uint32_t g = 0; g < groups.count; ++g) {
    const uint32_t first = (groups.first + g) * kernels::kLossGroup;
    const Range cols{first, std::min(kernels::kLossGroup, gpt_.vocabulary - first)};
    const Floats z = linear(gpt_.head_linear(), rows, cols);
    for (uint32_t r = 0; r < rows.count; ++r) {
      const float* const row = z.data() + size_t{r} * cols.count;
      float most = row[0];
      for (uint32_t c = 0; c < cols.count; ++c) {
        if (std::isnan(row[c])) reader_.object_to("a logit is not a number");
        most = row[c] > most ? row[c] : most;
      }
      out[size_t{r} * groups.count + g] = most + 0.0F;
    }
  }
  return out;
}

Floats GptValues::loss_sum(Range rows, Range groups) {
  const Floats max = row_maxima(rows);
  Floats out(size_t{rows.count} * groups.count);
  for (uint32_t g = 0; g < groups.count; ++g) {
    const uint32_t first = (groups.first + g) * kernels::kLossGroup;
    const Range cols{first, std::min(kernels::kLossGroup, gpt_.vocabulary - first)};
    Floats e = linear(gpt_.head_linear(), rows, cols);
    for (size_t i = 0; i < e.size(); ++i)
      e[i] = kernels::gn_exp(e[i] - max[i / cols.count]);
    for (uint32_t r = 0; r < rows.count; ++r)
      out[size_t{r} * groups.count + g] =
          kernels::rowsum(e.data() + size_t{r} * cols.count, cols.count);
  }
  return out;
}

Floats GptValues::d_logits(Range rows, Range cols) {
  const uint32_t groups = gpt_.loss_groups();
  Floats out = linear(gpt_.head_linear(), rows, cols);
  const Floats max = row_maxima(rows);
  const Floats zeta = reader_.matrix(TensorKind::loss_sum, 0, rows, {0, groups});
  const float inv_t = 1.0F / static_cast<float>(program_.rows());
  for (uint32_t r = 0; r < rows.count; ++r) {
    float sum = 0.0F;
    for (uint32_t g = 0; g < groups; ++g)
      sum += zeta[size_t{r} * groups + g];
    const uint32_t target = token(rows.first + r, 1);
    for (uint32_t c = 0; c < cols.count; ++c) {
      float& z = out[size_t{r} * cols.count + c];
      z = kernels::logit_gradient(z, max[r], sum, cols.first + c == target, inv_t);
    }
  }
  return out;
}

Floats GptValues::d_output(uint32_t linear, Range rows, Range cols) {
  if (linear == gpt_.head_linear()) return d_logits(rows, cols);
  const uint32_t block = linear / 4;
  Floats out;
  switch (linear % 4) {
    case 0:
      return d_qkv(block, rows, cols);
    case 1:
      return middle_gradient(block, rows, cols);
    case 2: {
      out = d_input(linear + 1, rows, cols);
      const Floats y = this->linear(linear, rows, cols);
      for (size_t i = 0; i < out.size(); ++i)
        out[i] = out[i] * kernels::activate(gpt_.activation, y[i]).slope;
      return out;
    }
    default:
      return reader_.matrix(TensorKind::d_residual, block + 1, rows, cols);
  }
}

Floats GptValues::norm_gradient(uint32_t norm, Range rows, Range cols) {
  const uint32_t d = gpt_.width;
  const Floats x = reader_.matrix(TensorKind::residual, norm, rows, {0, d});
  const Floats g = reader_.matrix(TensorKind::d_norm, norm, rows, {0, d});
  const Floats gain = reader_.run(TensorKind::gain, norm, {0, d});
  Floats normal(d);
  Floats scratch(d);
  Floats row(d);
  Floats out;
  out.reserve(size_t{rows.count} * cols.count);
  for (size_t r = 0; r < rows.count; ++r) {
    const float rate =
        kernels::normalise_row(gpt_.norm, x.data() + r * d, d, scratch.data(), normal.data());
    kernels::norm_gradient_row(gpt_.norm, g.data() + r * d, gain.data(), normal.data(), rate, d,
                               scratch.data(), row.data());
    out.insert(out.end(), row.begin() + cols.first, row.begin() + cols.end());
  }
  return out;
}

Floats GptValues::middle_gradient(uint32_t block, Range rows, Range cols) {
  Floats out = reader_.matrix(TensorKind::d_residual, block + 1, rows, cols);
  const Floats back = norm_gradient(2 * block + 1, rows, cols);
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = out[i] + back[i];
  return out;
}

Floats GptValues::d_residual(uint32_t number, Range rows, Range cols) {
  if (number == gpt_.blocks) return norm_gradient(gpt_.last_norm(), rows, cols);
  Floats out = middle_gradient(number, rows, cols);
  const Floats back = norm_gradient(2 * number, rows, cols);
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = out[i] + back[i];
  return out;
}

Floats GptValues::delta_dot(uint32_t block, Range rows, Range heads) {
  const uint32_t d = gpt_.head_width();
  const Range cols{heads.first * d, heads.count * d};
  Floats product = d_input(4 * block + 1, rows, cols);
  const Floats o = mixed(block, rows, cols);
  for (size_t i = 0; i < product.size(); ++i)
    product[i] = product[i] * o[i];
  Floats out;
  for (size_t i = 0; i < product.size(); i += d)
    out.push_back(kernels::rowsum(product.data() + i, d));
  return out;
}

Floats GptValues::folded_mixed(const TensorInfo& tensor, Range rows, Range cols) {
  Floats out = d_input(4 * tensor.layer + 1, rows, cols);
  const uint32_t d = gpt_.head_width();
  const Range heads{cols.first / d, (cols.end() - 1) / d + 1 - cols.first / d};
  Floats l;
  if (tensor.kind == TensorKind::go)
    l = reader_.matrix(TensorKind::row_sum, tensor.layer, rows, heads);
  Floats sv;
  for (uint32_t r = 0; r < rows.count; ++r) {
    const uint32_t t = rows.first + r;
    if (tensor.kind == TensorKind::ho && (r == 0 || t % gpt_.context == 0))
      sv = reader_.matrix(TensorKind::sv, tensor.layer, {t / gpt_.context, 1}, cols);
    for (uint32_t c = 0; c < cols.count; ++c) {
      float& v = out[size_t{r} * cols.count + c];
      const uint32_t head = (cols.first + c) / d - heads.first;
      v = v * (tensor.kind == TensorKind::ho ? sv[c] : 1.0F / l[size_t{r} * heads.count + head]);
    }
  }
  return out;
}

}  // namespace gemmine::verifier
