#include "pool/data/csv.h"

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

// Fields with a blank and rows with a | after each, or what is wrong.
std::string read_csv(std::string_view file) {
  CsvReader csv(ByteStream::over(as_bytes(file), "f.csv", 1 << 20));
  std::string out;
  while (true) {
    const auto row = csv.next();
    if (!row) return row.error().detail;
    if (row.value().empty()) return out;
    for (const CsvReader::Field& field : row.value())
      out += field.text + " ";
    out += "|";
  }
}

TEST(Csv, ReadsRows) {
  EXPECT_EQ(read_csv("1,2,3\n4,5,-2.5e3\n"), "1 2 3 |4 5 -2.5e3 |");
  EXPECT_EQ(read_csv("a,1x1,1x2\r\n4,5,6\r\n7,8,9"), "a 1x1 1x2 |4 5 6 |7 8 9 |");
  EXPECT_EQ(read_csv(""), "");
  EXPECT_EQ(read_csv("1,2\n1\n"),
            "f.csv:2: 1 columns, the first row has 2; is a field with a separator in it without "
            "quotes?");
  EXPECT_NE(read_csv(std::string(kCsvLineBytesMax + 1, '1')).find("f.csv:1: a line of more than"),
            std::string::npos);
}

TEST(Csv, ReadsWhatSpreadsheetsWrite) {
  EXPECT_EQ(read_csv("\xef\xbb\xbf"
                     "3,4\n1,2"),
            "3 4 |1 2 |");
  EXPECT_EQ(read_csv("\"label\",\"a, \"\"b\"\"\"\n\"1\",\"2\"\n"), "label a, \"b\" |1 2 |");
  EXPECT_EQ(read_csv("1,2\r3,4\r"), "1 2 |3 4 |");
  EXPECT_EQ(read_csv("1,2\r\r\n3,4\r\r\n"), "1 2 |3 4 |");
  EXPECT_EQ(read_csv("a,b,,\n1,2,,\n3,4\n"), "a b |1 2 |3 4 |");
  EXPECT_EQ(read_csv(" 1, 2\n3 ,\t4 \n"), "1 2 |3 4 |");
  EXPECT_EQ(read_csv("\"a\nb\",c\n1,2\n"), "a\nb c |1 2 |");
}

TEST(Csv, FindsItsSeparator) {
  EXPECT_EQ(read_csv("a;b\n1,5;2\n"), "a b |1,5 2 |");
  EXPECT_EQ(read_csv("\"a\";\"b;c\"\n1;2\n"), "a b;c |1 2 |");
  EXPECT_EQ(read_csv("a\tb\tc\n1\t\t3\n"), "a b c |1  3 |");
  EXPECT_EQ(read_csv("sep=,\r\na,b;c\r\n1,2\r\n"), "a b;c |1 2 |");
  EXPECT_EQ(read_csv("sep=;\r\n\xef\xbb\xbf"
                     "1;2\r\n"),
            "1 2 |");
  EXPECT_EQ(read_csv("SEP=|\na|b\n1|2\n"), "a b |1 2 |");
}

TEST(Csv, PassesOverEmptyLines) {
  for (const std::string end : {"\n", "\n\n\n", "\r\n\r\n", " \n", ",\n,\n", "\"\",\"\"\n", ","})
    EXPECT_EQ(read_csv("1,2\n" + end), "1 2 |") << end;
  EXPECT_EQ(read_csv("\n1,2\n\n \t\n3,4\n\n"), "1 2 |3 4 |");
  // A row of nothing between others may be one that got lost.
  EXPECT_EQ(read_csv("1,2\n,\n\n3,4\n"), "f.csv:2: a row without any value; remove it");
}

TEST(Csv, RefusesBrokenQuotesAndBytesThatAreNoText) {
  EXPECT_EQ(read_csv("1,2\n\"3,4\n5,6\n"), "f.csv:2:1: a quote that is not closed");
  EXPECT_EQ(read_csv("1,2\n\"3\"x,4\n"), "f.csv:2:4: text behind a closing quote");
  EXPECT_EQ(read_csv({"1,2\n1,\0\n", 8}).find("f.csv:2:3: a zero byte"), 0U);
  EXPECT_NE(read_csv({"\xff\xfe"
                      "1\0",
                      4})
                .find("UTF-16; save it as UTF-8"),
            std::string::npos);
}

// Pieces of a stream end anywhere.
TEST(Csv, ReadsLinesAcrossPieces) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    std::string file;
    size_t rows = 0;
    for (; file.size() < (1 << 20) + 100; ++rows)
      file += "12,345" + end;
    CsvReader csv(ByteStream::over(as_bytes(std::string_view(file)), "f.csv", 1 << 22));
    for (; rows > 0; --rows) {
      const auto row = csv.next();
      ASSERT_TRUE(row) << row.error().detail;
      ASSERT_EQ(row.value().size(), 2U);
      ASSERT_EQ(row.value()[1].text, "345");
      ASSERT_EQ(row.value()[1].column_byte, 4U);
    }
    EXPECT_TRUE(csv.next().value().empty());
  }
}

}  // namespace
}  // namespace gemmine::pool
