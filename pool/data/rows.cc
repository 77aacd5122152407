#include "pool/data/rows.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "kernels/base/nearest.h"
#include "kernels/base/printable.h"

namespace gemmine::pool {
namespace {

constexpr size_t kShownBytes = 20;
constexpr size_t kDecimalBytesMax = 64;

Error invalid(const std::string& why) {
  return {Errc::invalid, why};
}

Result<size_t> place_of(const std::vector<std::string>& names, const std::string& name) {
  const auto found = std::ranges::find(names, name);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  std::string why = "has no column " + quoted(name);
  const std::string meant = nearest(name, names, 2);
  if (names.empty()) {
    why.append(": it has no line of names; say \"first\" or \"last\", or write such a line");
  } else if (!meant.empty()) {
    why.append(": did you mean ").append(quoted(meant)).append("?");
  } else {
    why.append("; its first is ").append(quoted(names.front()));
  }
  return invalid(why);
}

Result<std::optional<size_t>> label_place(const ColumnChoice& choice,
                                          const std::vector<std::string>& names, size_t count) {
  switch (choice.label) {
    case LabelColumn::none:
      return std::optional<size_t>();
    case LabelColumn::first:
      return std::optional<size_t>(0);
    case LabelColumn::last:
      return std::optional<size_t>(count - 1);
    case LabelColumn::named:
      break;
  }
  const auto place = place_of(names, choice.label_name);
  if (!place) return place.error();
  return std::optional<size_t>(place.value());
}

}  // namespace

void Labels::add(const std::string& text, const std::string& place) {
  const auto [at, is_new] = index_.try_emplace(text, static_cast<uint32_t>(texts_.size()));
  if (is_new) {
    texts_.push_back(text);
    places_.push_back(place);
  }
  rows_.push_back(at->second);
}

Result<ChosenColumns> choose_columns(const ColumnChoice& choice,
                                     const std::vector<std::string>& names, size_t count) {
  GEMMINE_CHECK(count > 0 && (names.empty() || names.size() == count));
  ChosenColumns out;
  const auto label = label_place(choice, names, count);
  if (!label) return label.error();
  out.label = label.value();
  if (!choice.wanted.empty() && !names.empty()) {
    for (const std::string& name : choice.wanted) {
      const auto place = place_of(names, name);
      if (!place) return place.error();
      out.features.push_back(place.value());
    }
    return out;
  }
  std::vector<bool> is_feature(count, true);
  if (out.label) is_feature[*out.label] = false;
  for (const std::string& name : choice.skip) {
    const auto place = place_of(names, name);
    if (!place) return place.error();
    is_feature[place.value()] = false;
  }
  for (size_t i = 0; i < count; ++i)
    if (is_feature[i]) out.features.push_back(i);
  if (out.features.size() == choice.features) return out;
  const bool labelled = out.label.has_value();
  return invalid("has " + std::to_string(count) + " columns, " +
                 std::to_string(out.features.size()) + " of them features" +
                 (labelled ? " and one the label" : "") + "; the model has " +
                 std::to_string(choice.features) + " features (the first of model.widths); " +
                 std::string(choice.advice));
}

bool is_missing(std::string_view text) {
  constexpr std::array<std::string_view, 8> kWords = {"",     "?",   "na",   "n/a",
                                                      "null", "nan", "none", "nil"};
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return std::ranges::find(kWords, lower) != kWords.end();
}

std::optional<double> decimal_of(std::string_view text, bool decimal_comma) {
  if (text.size() > kDecimalBytesMax) return {};
  std::string plain(text);
  if (decimal_comma && plain.find('.') == std::string::npos) {
    const size_t comma = plain.find(',');
    if (comma != std::string::npos) plain[comma] = '.';
  }
  std::string_view rest = plain;
  if (rest.starts_with('+') && rest.size() > 1 && rest[1] != '-') rest.remove_prefix(1);
  double value = 0;
  const auto [end, code] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (code != std::errc{} || end != rest.data() + rest.size() || !std::isfinite(value)) return {};
  return value;
}

std::string quoted(std::string_view text) {
  std::string out(1, '\'');
  out.append(printable(text.substr(0, kShownBytes)));
  return out.append(text.size() > kShownBytes ? "...'" : "'");
}

bool is_byte(double value) {
  return value >= 0 && value <= 255 && value == std::floor(value);
}

std::string no_byte(std::string_view text) {
  return quoted(text) +
         " is no whole number from 0 to 255; remove feature_scale and feature_shift, and features "
         "of any size are scaled";
}

std::string no_number(std::string_view text) {
  if (is_missing(text))
    return (text.empty() ? "a value is missing" : quoted(text) + " is no value") +
           "; fill it in, leave the row out, or say `missing = \"mean\"` under [data]";
  if (text.find(',') != std::string_view::npos ||
      text.find_first_of("$%") != std::string_view::npos)
    return quoted(text) + " is no number; write it without separators or signs, as 1234.5";
  return quoted(text) +
         " is no number; leave its column out with data.skip_columns, or write a number for each "
         "word (a column of 0 and 1 for each)";
}

}  // namespace gemmine::pool
