#include "pool/data/records.h"

#include <cmath>

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

RowTable table(std::vector<double> values, const std::vector<std::string>& labels,
               uint32_t columns = 1) {
  RowTable out{.file = "f", .columns = columns};
  out.values = std::move(values);
  for (const std::string& label : labels)
    out.labels.add(label, "f:" + std::to_string(out.labels.rows().size() + 1));
  return out;
}

Preparation how(FeatureScaling scaling, uint32_t classes = 2, uint32_t features = 1) {
  return {.shape = {.features = features, .classes = classes},
          .scaling = scaling,
          .missing = false,
          .classes = {}};
}

std::string refusal(const RowTable& train, const RowTable& test, const Preparation& asked) {
  const auto prepared = prepare_rows(train, test, asked);
  return prepared ? "" : prepared.error().detail;
}

std::vector<std::string> class_names(const Prepared& prepared) {
  std::vector<std::string> out;
  for (const verifier::SheetName& name : prepared.sheet.classes)
    out.push_back(name.text);
  return out;
}

TEST(Records, StandardiseByTheTrainingRowsAlone) {
  const auto prepared =
      prepare_rows(table({1, 3}, {"0", "1"}), table({2, 1e9, -1e9}, {"0", "0", "1"}),
                   how(FeatureScaling::columns));
  ASSERT_TRUE(prepared) << prepared.error().detail;
  // Mean 2, deviation 1: a byte is a 32nd of it, 128 the mean; what is too far is clipped.
  EXPECT_EQ(prepared.value().train, (Bytes{96, 0, 160, 1}));
  EXPECT_EQ(prepared.value().test, (Bytes{128, 0, 255, 0, 0, 1}));
  EXPECT_EQ(prepared.value().sheet.scalings, (std::vector<verifier::Scaling>{{-2, 32}}));
  EXPECT_EQ(prepared.value().feature_scale, 1.0F / 32);
  EXPECT_EQ(prepared.value().feature_shift, -4.0F);
}

TEST(Records, GiveMissingValuesTheMean) {
  Preparation asked = how(FeatureScaling::columns);
  asked.missing = true;
  const auto prepared =
      prepare_rows(table({1, std::nan(""), 3}, {"0", "0", "1"}), table({2}, {"0"}), asked);
  ASSERT_TRUE(prepared) << prepared.error().detail;
  EXPECT_EQ(prepared.value().train, (Bytes{96, 0, 128, 0, 160, 1}));
  EXPECT_NE(refusal(table({std::nan(""), std::nan("")}, {"0", "1"}), table({2}, {"0"}), asked)
                .find("column 1 has no value in the training rows"),
            std::string::npos);
}

TEST(Records, KeepBytesAndScaleOthersAsAWhole) {
  const auto bytes =
      prepare_rows(table({0, 255}, {"0", "1"}), table({7}, {"0"}), how(FeatureScaling::whole));
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes.value().train, (Bytes{0, 0, 255, 1}));
  EXPECT_TRUE(bytes.value().sheet.scalings.empty());
  EXPECT_EQ(bytes.value().feature_scale, 1 / 127.5F);
  EXPECT_EQ(bytes.value().feature_shift, -1.0F);
  const auto reals = prepare_rows(table({0, 0.5, 1}, {"0", "1", "0"}), table({0.25}, {"0"}),
                                  how(FeatureScaling::whole));
  ASSERT_TRUE(reals);
  EXPECT_EQ(reals.value().train, (Bytes{0, 0, 128, 1, 255, 0}));
  EXPECT_EQ(reals.value().sheet.scalings.size(), 1U);
  // A table of bytes gets the same numbers without a detour.
  const auto same = prepare_bytes({{0, 0, 255, 1}, 2}, {{7, 0}, 1}, how(FeatureScaling::whole));
  EXPECT_EQ(same.value().feature_scale, bytes.value().feature_scale);
  EXPECT_EQ(same.value().feature_shift, bytes.value().feature_shift);
  EXPECT_EQ(same.value().train, bytes.value().train);
}

TEST(Records, NameClassesInAnOrderThatRowsDoNotChange) {
  const auto rows = [](const std::vector<std::string>& labels, uint32_t classes) {
    std::vector<double> values(labels.size(), 1);
    values.front() = 0;
    const auto out = prepare_rows(table(values, labels), table({1}, {labels.back()}),
                                  how(FeatureScaling::columns, classes));
    EXPECT_TRUE(out) << out.error().detail;
    return out.value();
  };
  EXPECT_TRUE(class_names(rows({"1", "0", "2.0"}, 3)).empty());  // they are numbers
  const Prepared named = rows({"b", "a", "b"}, 2);
  EXPECT_EQ(class_names(named), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(named.train[1], 1);
  EXPECT_EQ(named.train[3], 0);
  EXPECT_EQ(named.test[1], 1);
  EXPECT_EQ(class_names(rows({"10", "9", "-1"}, 3)), (std::vector<std::string>{"-1", "9", "10"}));
}

TEST(Records, RefuseLabelsOfNoClass) {
  const Preparation asked = how(FeatureScaling::columns);
  EXPECT_NE(refusal(table({1, 2, 3}, {"a", "b", "c"}), table({1}, {"a"}), asked)
                .find("f: 3 different labels ('a', 'b', 'c'); model.widths ends with 2"),
            std::string::npos);
  EXPECT_EQ(refusal(table({1, 2}, {"cat", "dog"}), table({1, 2}, {"dog", "cut"}), asked),
            "f:2: label 'cut' is of no class of the training rows; did you mean 'cat'?");
  EXPECT_EQ(refusal(table({1, 2}, {"0", "1"}), table({1}, {"2"}), asked),
            "f:1: label '2'; the model has 2 classes, 0 to 1");
  Preparation given = asked;
  given.classes = {"no", "yes"};
  EXPECT_EQ(refusal(table({1, 2}, {"yes", "nö"}), table({1}, {"no"}), given),
            "f:2: label 'nö' is of no class of the training rows; did you mean 'no'?");
  const auto prepared = prepare_rows(table({1, 2}, {"yes", "no"}), table({1}, {"yes"}), given);
  ASSERT_TRUE(prepared);
  EXPECT_EQ(prepared.value().train[1], 1);
  const auto numbers = prepare_rows(table({1, 2}, {"1", "0"}), table({1}, {"yes"}), given);
  ASSERT_TRUE(numbers);
  EXPECT_EQ(numbers.value().train, prepared.value().train);
  EXPECT_NE(refusal(table({1, 2}, {"a\x1b", "b"}), table({1}, {"b"}), asked).find("is no name"),
            std::string::npos);
}

TEST(Records, GiveLabelsTwoBytesForMoreThan256Classes) {
  std::vector<std::string> labels(2, "299");
  labels[0] = "1";
  const auto prepared =
      prepare_rows(table({1, 2}, labels), table({1}, {"258"}), how(FeatureScaling::columns, 300));
  ASSERT_TRUE(prepared);
  EXPECT_EQ(prepared.value().test, (Bytes{96, 2, 1}));
}

TEST(Records, OfOtherRowsFollowTheSheet) {
  const auto prepared =
      prepare_rows(table({1, 3}, {"a", "b"}), table({1}, {"a"}), how(FeatureScaling::columns));
  ASSERT_TRUE(prepared);
  const TableShape shape{.features = 1, .classes = 2};
  EXPECT_EQ(records_of(table({3}, {}), prepared.value().sheet, shape).value(), (Bytes{160, 0}));
  EXPECT_EQ(records_of(table({1}, {"b"}), prepared.value().sheet, shape).value(), (Bytes{96, 1}));
  EXPECT_FALSE(records_of(table({std::nan("")}, {}), prepared.value().sheet, shape));
  EXPECT_FALSE(records_of(table({0.5}, {}), {.features = 1}, shape));
}

TEST(Records, OfBytesAreRowsAgain) {
  const TableShape shape{.features = 2, .classes = 300};
  const RowTable rows = rows_of({{7, 255, 3, 1, 0, 1, 2, 0}, 2}, shape, "f");
  EXPECT_EQ(rows.values, (std::vector<double>{7, 255, 0, 1}));
  EXPECT_EQ(rows.labels.texts(), (std::vector<std::string>{"259", "2"}));
  EXPECT_EQ(rows.labels.place(1), "f: row 1");
}

TEST(HeldOut, IsAsManyRowsAsTheFractionAtEvenDistances) {
  const Fraction third = *Fraction::parse("0.3");
  const HeldOut spread(third, HeldOutRows::spread, 10);
  const HeldOut end(third, HeldOutRows::end, 10);
  std::string rows;
  for (uint64_t row = 0; row < 10; ++row)
    rows += spread.has(row) ? (end.has(row) ? 'b' : 's') : (end.has(row) ? 'e' : '.');
  EXPECT_EQ(rows, "...s..seeb");
  EXPECT_EQ(spread.count(), 3U);
}

}  // namespace
}  // namespace gemmine::pool
