#include "kernels/model/spec.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <string_view>

#include "kernels/hash/chunk_source.h"

namespace gemmine::kernels {
namespace {

using Fault = std::optional<SpecFault>;

SpecFault refuse(std::string_view field, std::string_view rule) {
  return {std::string(field), {}, std::string(rule)};
}

Fault check_gpt(const Spec& spec) {
  const GptShape& gpt = spec.gpt;
  const auto in = [](uint64_t x, uint64_t low, uint64_t high) { return x >= low && x <= high; };
  if (!in(gpt.vocabulary, 2, kVocabularyMax)) return refuse("vocabulary", "must be in 2 … 16384");
  if (!in(gpt.width, 64, kModelWidthMax)) return refuse("width", "must be in 64 … 4096");
  if (!in(gpt.heads, 1, kHeadsMax)) return refuse("heads", "must be in 1 … 64");
  const uint32_t d = gpt.head_width();
  if (gpt.width % gpt.heads != 0 || !std::has_single_bit(d) || !in(d, 16, 256))
    return refuse("heads", "must cut width into a power of two of features in 16 … 256");
  if (!in(gpt.hidden, 16, kWidthMax)) return refuse("hidden", "must be in 16 … 16384");
  if (!in(gpt.blocks, 1, kBlocksMax)) return refuse("blocks", "must be in 1 … 64");
  if (!in(gpt.context, 32, kContextMax) || gpt.context % 32 != 0)
    return refuse("context", "must be a multiple of 32 in 32 … 8192");
  if (gpt.norm != Norm::rms && gpt.norm != Norm::layer)
    return refuse("norm", "must be 1 (RMSNorm) or 2 (LayerNorm)");
  if (gpt.activation != Activation::gelu && gpt.activation != Activation::silu)
    return refuse("activation", "must be 1 (GELU) or 2 (SiLU)");
  if (gpt.token_bytes != 2 && (gpt.token_bytes != 1 || gpt.vocabulary > 256))
    return refuse("token_bytes", "must be 2, or 1 for a vocabulary of at most 256");
  if (gpt.opening_bytes() > kBlockOpeningMax)
    return refuse("context", "is too long for the opening of an attention block of this width");
  if (spec.records <= gpt.context || spec.records > kRecordsMax)
    return refuse("records", "must be more tokens than the context has, at most 2^31 - 1");
  const uint64_t rows = uint64_t{spec.batch} * gpt.context;
  if (!in(rows, 1, kBatchMax)) return refuse("batch", "times context must be in 1 … 65536");
  if (rows * gpt.heads * ((gpt.context + 127) / 128) >= uint64_t{1} << 28)
    return refuse("batch", "times context, heads and context / 128 must be less than 2^28");
  if (spec.clip > 0 && gpt.norm_opening_bytes(spec.batch) > kBlockOpeningMax)
    return refuse("batch", "times context is too long for the opening of a norm block (clip)");
  const uint64_t per_block =
      uint64_t{gpt.width} * (4 * gpt.width + 2 * gpt.hidden + 9) + gpt.hidden;
  const uint64_t embeddings =
      uint64_t{gpt.width} * ((gpt.tied ? 1 : 2) * gpt.vocabulary + gpt.context + 2);
  if (gpt.blocks * per_block + embeddings > kParametersMax)
    return refuse("blocks", "give more than 2^30 parameters");
  return {};
}

Fault check_sizes(const Spec& spec) {
  if (spec.architecture == Architecture::gpt) return check_gpt(spec);
  if (spec.architecture != Architecture::mlp)
    return refuse("architecture", "must be 1 (mlp) or 2 (gpt)");
  if (spec.widths.size() < 2 || spec.widths.size() > kLayersMax + 1)
    return refuse("widths", "must name 1 to 16 layers (2 to 17 widths)");
  uint64_t parameters = 0;
  for (size_t i = 0; i < spec.widths.size(); ++i) {
    if (spec.widths[i] == 0 || spec.widths[i] > kWidthMax)
      return SpecFault{"widths", i, "must be in 1 … 16384"};
    if (i > 0) parameters += uint64_t{spec.widths[i]} * (spec.widths[i - 1] + 1);
  }
  if (parameters > kParametersMax) return refuse("widths", "give more than 2^30 parameters");
  if (spec.records == 0 || spec.records > kRecordsMax)
    return refuse("records", "must be in 1 … 2^31 - 1");
  if (spec.batch == 0 || spec.batch > kBatchMax) return refuse("batch", "must be in 1 … 65536");
  return {};
}

Fault check_schedule(const Spec& spec) {
  if (spec.steps_per_lease == 0 || spec.steps_per_lease > kStepsPerLeaseMax)
    return refuse("steps_per_lease", "must be in 1 … 65536");
  if (spec.slots == 0 || spec.slots > kSlotsMax) return refuse("slots", "must be in 1 … 4096");
  if (spec.rounds == 0) return refuse("rounds", "must be at least 1");
  const uint64_t positions = uint64_t{spec.rounds} * spec.steps_per_lease;
  if (positions >= uint64_t{1} << 24)
    return refuse("rounds", "times steps_per_lease must be less than 2^24");
  if (positions * spec.slots >= uint64_t{1} << 32)
    return refuse("rounds", "times slots times steps_per_lease must be less than 2^32");
  if (spec.warmup > positions)
    return refuse("warmup", "must not exceed rounds times steps_per_lease");
  return {};
}

Fault check_numbers(const Spec& spec) {
  if (!std::isfinite(spec.feature_scale)) return refuse("feature_scale", "must be finite");
  if (!std::isfinite(spec.feature_shift)) return refuse("feature_shift", "must be finite");
  if (spec.optimiser != Optimiser::sgd && spec.optimiser != Optimiser::adamw)
    return refuse("optimiser", "must be 1 (SGD) or 2 (AdamW)");
  // Written so that a NaN fails.
  const auto at_least_0 = [](float x) { return std::isfinite(x) && x >= 0; };
  if (!at_least_0(spec.lr)) return refuse("lr", "must be finite and not negative");
  if (!(at_least_0(spec.beta1) && spec.beta1 < 1)) return refuse("beta1", "must be in 0 … <1");
  if (!(at_least_0(spec.beta2) && spec.beta2 < 1)) return refuse("beta2", "must be in 0 … <1");
  if (!at_least_0(spec.eps)) return refuse("eps", "must be finite and not negative");
  if (!at_least_0(spec.clip)) return refuse("clip", "must be finite and not negative");
  if (!(spec.outer_lr > 0 && spec.outer_lr <= 16)) return refuse("outer_lr", "must be in >0 … 16");
  if (!(at_least_0(spec.outer_momentum) && spec.outer_momentum < 1))
    return refuse("outer_momentum", "must be in 0 … <1");
  const bool outer = spec.clip != 0 || spec.outer_lr != 1 || spec.outer_momentum != 0;
  if (spec.architecture == Architecture::mlp && outer)
    return refuse("clip", "and an outer optimiser are of the gpt architecture");
  if (!at_least_0(spec.wd)) return refuse("wd", "must be finite and not negative");
  return {};
}

}  // namespace

uint64_t GptShape::norm_opening_bytes(uint32_t batch) const {
  const auto units = [](uint64_t rows, uint64_t cols) {
    return sizeof(float) * ((rows + 15) / 16) * ((cols + 63) / 64);
  };
  const uint64_t rows = uint64_t{batch} * context;
  const uint64_t product = (kTileCols + kTileCols) * rows;  // panels of G2 and X
  const uint64_t weights =
      product + std::max({units(3 * uint64_t{width}, width), units(hidden, width),
                          units(width, hidden), tied ? 0 : units(vocabulary, width)});
  // D_0 in a panel; the tokens, with the ends of chunks and the path of each sequence.
  const uint64_t tokens = kPanelRowBytes * rows + token_bytes * rows + uint64_t{3072} * batch +
                          units(vocabulary, width) + (tied ? product : 0);
  return std::max(weights, tokens);
}

uint64_t mlp_opening_bytes(const std::vector<uint32_t>& widths) {
  const auto panels = [](uint64_t columns) { return (columns + 63) / 64 * 64; };
  const size_t last = widths.size() - 1;
  uint64_t most = (32 + (uint64_t{widths[last]} + 15) / 16 * 16) * panels(widths[last - 1]);
  for (size_t l = 0; l + 2 <= last; ++l)
    most = std::max(most, 144 * panels(widths[l + 2]) + 96 * panels(widths[l]));
  return most;
}

std::string SpecFault::text() const {
  std::string out = field;
  if (element) out.append("[").append(std::to_string(*element)).append("]");
  return out.append(" ").append(rule);
}

std::optional<SpecFault> find_fault(const Spec& spec) {
  for (const auto check : {check_sizes, check_schedule, check_numbers}) {
    if (Fault fault = check(spec)) return fault;
  }
  return {};
}

}  // namespace gemmine::kernels
