#include "verifier/records/sheet.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/fields.h"

namespace gemmine::verifier {
namespace {

constexpr double kByteMax = 255;

bool is_byte(double value) {
  return value >= 0 && value <= kByteMax && value == std::rint(value);
}

Error refuse(const std::string& why) {
  return {Errc::invalid, "sheet: " + why};
}

}  // namespace

uint8_t Scaling::to_byte(double value) const {
  const double scaled = (value - offset) * factor;
  if (!(scaled > 0)) return 0;
  return scaled >= kByteMax ? UINT8_MAX : static_cast<uint8_t>(std::rint(scaled));
}

Result<Sheet> decode_sheet(ByteView bytes, const std::vector<uint32_t>& widths) {
  GEMMINE_CHECK(widths.size() >= 2);
  if (bytes.size() > kSheetBytesMax) return Error{Errc::malformed, "sheet: too many bytes"};
  auto sheet = decode<Sheet>(bytes);
  if (!sheet) return sheet;
  const Sheet& out = sheet.value();
  if (out.features != widths.front()) return refuse("is of another number of features");
  if (out.scalings.size() > 1 && out.scalings.size() != out.features)
    return refuse("its scalings are not one, and not one for each feature");
  if (!out.names.empty() && out.names.size() != out.features)
    return refuse("does not name every feature");
  if (out.classes.size() > widths.back()) return refuse("names more classes than there are");
  const auto finite = [](const Scaling& scaling) {
    return std::isfinite(scaling.offset) && std::isfinite(scaling.factor);
  };
  if (!std::ranges::all_of(out.scalings, finite)) return refuse("a scaling is not finite");
  return sheet;
}

Result<Scaling> standardise(std::span<const double> values) {
  double total = 0;
  uint64_t count = 0;
  for (const double x : values) {
    if (std::isnan(x)) continue;
    total += x;
    ++count;
  }
  if (count == 0) return Error{Errc::invalid, "has no value in the training rows"};
  const double mean = total / static_cast<double>(count);
  double squares = 0;
  for (const double x : values)
    if (!std::isnan(x)) squares += (x - mean) * (x - mean);
  double deviation = std::sqrt(squares / static_cast<double>(count));
  if (deviation == 0) deviation = 1 / kStandardScale;
  const Scaling out{.offset = mean - 4 * deviation, .factor = 1 / kStandardScale / deviation};
  if (!std::isfinite(out.offset) || !std::isfinite(out.factor))
    return Error{Errc::invalid, "has values that are too large, or too close together, to scale"};
  return out;
}

WholeScaling scale_bytes(uint64_t n, uint64_t sum, uint64_t sum_of_squares) {
  GEMMINE_CHECK(n > 0);
  const double mean = static_cast<double>(sum) / static_cast<double>(n);
  const double variance =
      static_cast<double>(sum_of_squares) / static_cast<double>(n) - mean * mean;
  double deviation = std::sqrt(std::max(0.0, variance));
  if (deviation == 0) deviation = 1;
  return {.scalings = {},
          .feature_scale = static_cast<float>(1 / deviation),
          .feature_shift = static_cast<float>(-mean / deviation)};
}

Result<WholeScaling> scale_whole(std::span<const double> values) {
  GEMMINE_CHECK(!values.empty());
  Scaling scaling;
  const bool bytes = std::ranges::all_of(values, is_byte);
  if (!bytes) {
    const auto [least, greatest] = std::ranges::minmax(values);
    scaling = {.offset = least, .factor = greatest > least ? kByteMax / (greatest - least) : 1};
    if (!std::isfinite(scaling.factor) || scaling.factor == 0)
      return Error{Errc::invalid, "values are too large, or too close together, to scale"};
  }
  uint64_t sum = 0;
  uint64_t sum_of_squares = 0;
  for (const double value : values) {
    const uint64_t byte = scaling.to_byte(value);
    sum += byte;
    sum_of_squares += byte * byte;
  }
  WholeScaling out = scale_bytes(values.size(), sum, sum_of_squares);
  if (!bytes) out.scalings = {scaling};
  return out;
}

}  // namespace gemmine::verifier
