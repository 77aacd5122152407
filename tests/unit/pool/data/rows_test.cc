#include "pool/data/rows.h"

#include <cmath>
#include <cstdio>

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

using Reader = Result<RowTable> (*)(ByteStream, const ColumnChoice&);

// "names : values label | ...", or what is wrong.
std::string read_with(Reader reader, std::string_view file, const ColumnChoice& choice) {
  const auto table = reader(ByteStream::over(as_bytes(file), "f", 1 << 20), choice);
  if (!table) return table.error().detail;
  std::string out;
  for (const std::string& name : table.value().names)
    out += name + " ";
  out += ": ";
  for (size_t row = 0; row < table.value().rows(); ++row) {
    for (size_t c = 0; c < table.value().columns; ++c) {
      char text[32];
      std::snprintf(text, sizeof text, "%.9g ", table.value().values[row * choice.features + c]);
      out += text;
    }
    const Labels& labels = table.value().labels;
    if (!labels.rows().empty()) out += labels.texts()[labels.rows()[row]] + " ";
    out += "| ";
  }
  return out;
}

std::string csv(std::string_view file, ColumnChoice choice = {.features = 2}) {
  return read_with(read_csv_rows, file, choice);
}
std::string jsonl(std::string_view file, ColumnChoice choice = {.features = 2}) {
  return read_with(read_jsonl_rows, file, choice);
}
bool begins(const std::string& text, std::string_view with) {
  EXPECT_TRUE(text.starts_with(with)) << text;
  return text.starts_with(with);
}

TEST(CsvRows, HaveDecimalsAndClassNames) {
  EXPECT_EQ(csv("5.1,-3.5e-1,setosa\n4,+2,virginica\n"), ": 5.1 -0.35 setosa | 4 2 virginica | ");
  EXPECT_EQ(csv("a,b,kind\n1,2,x y\n"), "a b : 1 2 x y | ");
  EXPECT_EQ(csv("a;b;kind\n1,5;-2,25;x\n"), "a b : 1.5 -2.25 x | ");
  EXPECT_EQ(csv("\"0\";\"1.5\";\"x\"\n"), ": 0 1.5 x | ");
}

TEST(CsvRows, TakeTheLabelFromWhereItIs) {
  const ColumnChoice first{.label = LabelColumn::first, .features = 2};
  EXPECT_EQ(csv("x,1,2\ny,3,4\n", first), ": 1 2 x | 3 4 y | ");
  const ColumnChoice named{.label = LabelColumn::named, .label_name = "b", .features = 2};
  EXPECT_EQ(csv("a,b,c\n1,x,2\n", named), "a c : 1 2 x | ");
  EXPECT_EQ(csv("a,B,c\n1,x,2\n", named), "f:1: has no column 'b': did you mean 'a'?");
  const ColumnChoice none{.label = LabelColumn::none, .features = 2};
  EXPECT_EQ(csv("1,2\n3,4\n", none), ": 1 2 | 3 4 | ");
  const ColumnChoice skip{
      .label = LabelColumn::named, .label_name = "k", .skip = {"id"}, .features = 2};
  EXPECT_EQ(csv("id,a,k,b\nQ7,1,x,2\n", skip), "a b : 1 2 x | ");
  const ColumnChoice wanted{.label = LabelColumn::none, .wanted = {"b", "a"}, .features = 2};
  EXPECT_EQ(csv("a,other,b\n1,zzz,2\n", wanted), "b a : 2 1 | ");
}

TEST(CsvRows, KnowAHeaderFromARow) {
  EXPECT_EQ(csv("1x1,1x2,label\n1,2,0\n"), "1x1 1x2 : 1 2 0 | ");
  EXPECT_EQ(csv("1,2,label\n3,4,0\n"), "1 2 : 3 4 0 | ");  // labels are numbers
  EXPECT_EQ(csv("1,2,cat\n3,4,dog\n"), ": 1 2 cat | 3 4 dog | ");
  EXPECT_EQ(csv("0,1,2,3,kind\n3,4,5,6,dog\n", {.features = 4}), "0 1 2 3 : 3 4 5 6 dog | ");
  EXPECT_EQ(csv("0,1,2,4,kind\n3,4,5,6,dog\n", {.features = 4}), ": 0 1 2 4 kind | 3 4 5 6 dog | ");
  EXPECT_EQ(csv("é,日,ü\n1,2,x\n"), "é 日 : 1 2 x | ");
  for (const std::string number : {"nan",
                                   "\u2212"
                                   "5",
                                   "\uff15", "\u0665", "\u00bd"})
    begins(csv(number + ",2,0\n1,2,0\n"), "f:1:1: ");
}

TEST(CsvRows, SayPlaceAndAWayOutOfWhatTheyRefuse) {
  EXPECT_EQ(csv("a,b,k\n1,red,x\n"),
            "f:2:3: 'red' is no number; leave its column out with data.skip_columns, or write a "
            "number for each word (a column of 0 and 1 for each)");
  begins(csv("1,2,x\n1,\"1,234.5\",x\n"), "f:2:3: '1,234.5' is no number; write it without");
  begins(csv("1,2,x\n1,$5,x\n"), "f:2:3: '$5' is no number; write it without");
  begins(csv("1,2,x\n1,,x\n"), "f:2:3: a value is missing; fill it in");
  begins(csv("1,2,x\n1,NA,x\n"), "f:2:3: 'NA' is no value; fill it in");
  begins(csv("1,2,x\n1,2,?\n"), "f:2:5: '?': a label is missing");
  begins(csv("1,2,x\n1,1e999,x\n"), "f:2:3: '1e999' is no number");
  begins(csv("1,2,x\n1,inf,x\n"), "f:2:3: 'inf' is no number");
  begins(csv("1,2,x\n1,0x10,x\n"), "f:2:3: '0x10' is no number");
  begins(csv("1,2,3,x\n"), "f:1: has 4 columns, 3 of them features and one the label; the model");
  begins(csv("a,b,k\n"), "f: no rows");
  begins(csv(""), "f: no rows");
  EXPECT_EQ(csv("1,2,x\n1,\x1b[2J,x\n").find('\x1b'), std::string::npos);
  const ColumnChoice bytes{.features = 2, .bytes = true};
  EXPECT_EQ(csv("0,255,x\n", bytes), ": 0 255 x | ");
  begins(csv("0,256,x\n", bytes), "f:1:3: '256' is no whole number from 0 to 255; remove");
  begins(csv("0.5,2,x\n", bytes), "f:1:1: '0.5' is no whole number");
}

TEST(CsvRows, LeaveOutMissingValuesWhereTheyMay) {
  EXPECT_EQ(csv("1,,x\n?,NaN,y\n3,4,x\n", {.features = 2, .missing = true}),
            ": 1 nan x | nan nan y | 3 4 x | ");
}

TEST(JsonRows, AreObjectsOfNumbersAndALabel) {
  EXPECT_EQ(
      jsonl("{\"a\": 1.5, \"b\": -2, \"label\": \"x\"}\n\n{\"b\": 1, \"a\": true, \"label\": 3}\n"),
      "a b : 1.5 -2 x | 1 1 3 | ");
  EXPECT_EQ(jsonl("{\"features\": [1, 2.5], \"label\": \"x\"}\n"),
            "features[0] features[1] : 1 2.5 x | ");
  const ColumnChoice named{
      .label = LabelColumn::named, .label_name = "k", .skip = {"id"}, .features = 2};
  EXPECT_EQ(jsonl("{\"id\": \"q\", \"k\": \"x\", \"a\": 1, \"b\": 2}\n", named), "a b : 1 2 x | ");
  EXPECT_EQ(jsonl("{\"a\": null, \"b\": 2, \"label\": 1}\n{\"b\": 2, \"label\": 1}\n",
                  {.features = 2, .missing = true}),
            "a b : nan 2 1 | nan 2 1 | ");
}

TEST(JsonRows, SayLineAndMemberOfWhatTheyRefuse) {
  const std::string good = "{\"a\": 1, \"b\": 2, \"label\": \"x\"}\n";
  begins(jsonl(good + "{\"a\": \"red\", \"b\": 2, \"label\": 1}\n"),
         "f:2: 'a': 'red' is no number");
  begins(jsonl(good + "{\"a\": 1, \"label\": 1}\n"), "f:2: 'b': a value is missing");
  begins(jsonl(good + "{\"a\": 1, \"c\": 1, \"label\": 1}\n"),
         "f:2: has 'c', which the first line has not");
  begins(jsonl(good + "{\"a\": 1, \"b\": 2}\n"), "f:2: has no label 'label'");
  begins(jsonl(good + "[1, 2]\n"), "f:2: is no object");
  begins(jsonl(good + "{\"a\": 1,\n"), "f:2: the line is no JSON");
  begins(jsonl(good + "{\"a\": {\"x\": 1}, \"b\": 1, \"label\": 1}\n"), "f:2: 'a': ");
  begins(jsonl("{}\n"), "f:1: has no member");
  begins(jsonl("{\"features\": [1], \"features[0]\": 2, \"label\": 1}\n"),
         "f:1: has 'features[0]' twice");
  begins(jsonl(""), "f: no rows");
}

TEST(Decimals, AreReadToTheNearestDouble) {
  EXPECT_EQ(decimal_of("0.1", false), 0.1);
  EXPECT_EQ(decimal_of("123456789012345678", false), 123456789012345678.0);
  EXPECT_EQ(decimal_of("5e-324", false), 5e-324);
  EXPECT_EQ(decimal_of("1,5", true), 1.5);
  for (const char* bad : {"", "1,5", "1.2.3", "--1", "+-1", "1e", "nan", "infinity", "1 2", "1_0"})
    EXPECT_FALSE(decimal_of(bad, false)) << bad;
  for (const char* bad : {"1.234,5", "1,2,3"})
    EXPECT_FALSE(decimal_of(bad, true)) << bad;
  EXPECT_FALSE(decimal_of(std::string(65, '1'), false));
}

}  // namespace
}  // namespace gemmine::pool
