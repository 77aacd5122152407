// Sheets: how rows of a table became the records of an MLP (PROTOCOL 6.7). No bit of a step depends
// on one; whoever uses the model reads there what its inputs and outputs are.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/model/program.h"

namespace gemmine::verifier {

inline constexpr size_t kSheetBytesMax = 16 << 20;
inline constexpr size_t kSheetNameBytesMax = 256;
inline constexpr uint8_t kMissingByte = 128;  // what a standardised feature's mean becomes
// Of standardised features: a byte is a 32nd of a deviation, and 128 is the mean.
inline constexpr float kStandardScale = 0x1p-5F;
inline constexpr float kStandardShift = -4.0F;

// value → byte (value − offset)·factor, both finite.
struct Scaling {
  double offset = 0;
  double factor = 1;

  // Rounded to the nearest, ties to even, and clipped to 0 … 255. `value` is finite.
  uint8_t to_byte(double value) const;
  bool operator==(const Scaling&) const = default;
  static void fields(auto& f, auto& m) { f(m.offset)(m.factor); }
};

// Printable UTF-8, at most kSheetNameBytesMax.
struct SheetName {
  std::string text;
  bool operator==(const SheetName&) const = default;
  static void fields(auto& f, auto& m) { f.name(m.text, kSheetNameBytesMax); }
};

struct Sheet {
  static constexpr std::string_view kName = "sheet";

  uint32_t features = 0;
  bool missing = false;                 // a value that is not there becomes kMissingByte
  std::vector<Scaling> scalings = {};   // none: features are bytes; 1 for all of them; or one each
  std::vector<SheetName> names = {};    // none, or of all features
  SheetName label = {};                 // of the column; may be empty
  std::vector<SheetName> classes = {};  // of class 0, 1, …; none: classes are numbers

  // The scaling of a feature < features; null where features are bytes.
  const Scaling* scaling_of(uint32_t feature) const {
    if (scalings.empty()) return nullptr;
    return &scalings[scalings.size() == 1 ? 0 : feature];
  }
  bool operator==(const Sheet&) const = default;

  static void fields(auto& f, auto& m) {
    f(m.features)(m.missing);
    f.template list<uint32_t>(m.scalings, kernels::kWidthMax);
    f.template list<uint32_t>(m.names, kernels::kWidthMax);
    f.record(m.label);
    f.template list<uint32_t>(m.classes, kernels::kWidthMax);
  }
};

// A sheet of an MLP with these widths. Errors: malformed (does not decode), invalid (its numbers do
// not fit the widths, or are not finite).
Result<Sheet> decode_sheet(ByteView bytes, const std::vector<uint32_t>& widths);

// The scaling that standardises a feature by the values of its training rows, in their order; NaN
// for one that is not there. Errors: invalid (no value, or values too large or too close together).
Result<Scaling> standardise(std::span<const double> values);

// Features scaled as a whole.
struct WholeScaling {
  std::vector<Scaling> scalings = {};  // none or one
  float feature_scale = 1;
  float feature_shift = 0;
};
// By all values of the training rows, finite and at least one. Errors: invalid (too large).
Result<WholeScaling> scale_whole(std::span<const double> values);
// feature_scale and feature_shift of training bytes, n of them, with these sums; n > 0.
WholeScaling scale_bytes(uint64_t n, uint64_t sum, uint64_t sum_of_squares);

}  // namespace gemmine::verifier
