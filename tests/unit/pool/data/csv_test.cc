#include "pool/data/csv.h"

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

// Rows with a | after each, or what is wrong.
std::string read_csv(std::string_view file, LabelColumn label = LabelColumn::last) {
  CsvReader csv(ByteStream::over(as_bytes(file), "f.csv", 1 << 20), label);
  std::string out;
  while (true) {
    const auto row = csv.next();
    if (!row) return row.error().detail;
    if (row.value().empty()) return out;
    for (const uint8_t value : row.value())
      out += std::to_string(value) + " ";
    out += "|";
  }
}

TEST(Csv, ReadsRowsWithAndWithoutAHeader) {
  EXPECT_EQ(read_csv("1,2,3\n4,5,255\n"), "1 2 3 |4 5 255 |");
  EXPECT_EQ(read_csv("label,1x1,1x2\r\n4,5,6\r\n7,8,9"), "4 5 6 |7 8 9 |");
  EXPECT_EQ(read_csv(""), "");
  EXPECT_EQ(read_csv("\"a\"\n7\n"), "7 |");
}

TEST(Csv, SaysLineAndColumnOfWhatItRefuses) {
  EXPECT_EQ(read_csv("a,b\n0.5,1\n"),
            "f.csv:2:1: '0.5' is no whole number from 0 to 255; nothing is scaled here, so scale "
            "and round the features first");
  EXPECT_EQ(read_csv("1,2\n1,256\n").find("f.csv:2:3: '256'"), 0U);
  EXPECT_EQ(read_csv("0.5,2\n").find("f.csv:1:1: '0.5'"), 0U);
  EXPECT_EQ(read_csv("1,2\n1,-2\n").find("f.csv:2:3: '-2'"), 0U);
  EXPECT_EQ(read_csv("1,2\n1,\n").find("f.csv:2:3: ''"), 0U);
  EXPECT_EQ(read_csv("1,2\na,2\n").find("f.csv:2:1: 'a'"), 0U);
  EXPECT_EQ(read_csv("1,2\n1\n"), "f.csv:2: 1 columns, line 1 has 2");
  EXPECT_NE(read_csv(std::string(kCsvLineBytesMax + 1, '1')).find("f.csv:1: a line of more than"),
            std::string::npos);
}

TEST(Csv, ReadsWhatSpreadsheetsWrite) {
  EXPECT_EQ(read_csv("\xef\xbb\xbf"
                     "label,a\r\n1,2\r\n"),
            "1 2 |");
  EXPECT_EQ(read_csv("\xef\xbb\xbf"
                     "3,4\n1,2"),
            "3 4 |1 2 |");
  EXPECT_EQ(read_csv("\xef\xbb\xbf"
                     "\"label\",\"a, \"\"b\"\"\"\n\"1\",\"2\"\n"),
            "1 2 |");
  EXPECT_EQ(read_csv("\"3\",\"4\"\n1,2\n"), "3 4 |1 2 |");  // no header: nothing is lost
  EXPECT_EQ(read_csv("1,2\r3,4\r"), "1 2 |3 4 |");
  EXPECT_EQ(read_csv("1,2\r\r\n3,4\r\r\n"), "1 2 |3 4 |");
  EXPECT_EQ(read_csv("a,b,,\n1,2,,\n3,4\n"), "1 2 |3 4 |");
  EXPECT_EQ(read_csv(" 1, 2\n3 ,\t4 \n"), "1 2 |3 4 |");
  EXPECT_EQ(read_csv("\"a\nb\",c\n1,2\n"), "1 2 |");
  EXPECT_EQ(read_csv("\xc3\xa9t\xc3\xa9,\xe6\x97\xa5\n1,2\n"), "1 2 |");
  EXPECT_EQ(read_csv("sep=,\r\na,b\r\n1,2\r\n"), "1 2 |");
}

TEST(Csv, LeavesOutEmptyLinesAtTheEndOnly) {
  for (const std::string end : {"\n", "\n\n\n", "\r\n\r\n", " \n", ",\n,\n", "\"\",\"\"\n", ","})
    EXPECT_EQ(read_csv("1,2\n" + end), "1 2 |") << end;
  EXPECT_EQ(read_csv("1,2\n\n3,4\n"), "f.csv:2: an empty line; remove it");
  EXPECT_EQ(read_csv("1,2\n,\n\n3,4\n"), "f.csv:2: an empty line; remove it");
  EXPECT_EQ(read_csv("\n1,2\n"), "f.csv:1: an empty line; remove it");
}

TEST(Csv, DropsNoRowThatLooksLikeAHeader) {
  EXPECT_EQ(read_csv("nan,2\n1,2\n").find("f.csv:1:1: 'nan'"), 0U);
  EXPECT_EQ(read_csv("NA,2\n1,2\n").find("f.csv:1:1: 'NA'"), 0U);
  EXPECT_EQ(read_csv("\"null\",2\n1,2\n").find("f.csv:1:1: 'null'"), 0U);
  for (const std::string number : {"\u2212"
                                   "5",
                                   "\uff15", "\u0665",
                                   "\u201c"
                                   "5\u201d",
                                   "\u00bd",
                                   "\u00a0"
                                   "5"})
    EXPECT_EQ(read_csv(number + ",2\n1,2\n").find("f.csv:1:1: '"), 0U) << number;
  EXPECT_EQ(read_csv("a,b\nc,d\n1,2\n").find("f.csv:2:1: 'c'"), 0U);  // only the first line
}

TEST(Csv, NamesAnotherSeparator) {
  const std::string what = ": save it with commas, or replace each of them by a comma";
  const std::string semicolon = ": columns are separated by ';'" + what;
  EXPECT_EQ(read_csv("1;2\n3;4\n"), "f.csv:1" + semicolon);
  EXPECT_EQ(read_csv("\xef\xbb\xbf"
                     "a;b\r\n1;2\r\n"),
            "f.csv:2" + semicolon);
  EXPECT_EQ(read_csv("\"a\";\"b\"\n1;2\n"), "f.csv:1" + semicolon);
  EXPECT_EQ(read_csv("sep=;\r\n\xef\xbb\xbf"
                     "1;2\r\n"),
            "f.csv:1" + semicolon);
  EXPECT_EQ(read_csv("a\tb\n3\t4\n"), "f.csv:2: columns are separated by tabs" + what);
  EXPECT_EQ(read_csv("\"3\"\t\"4\"\n"), "f.csv:1: columns are separated by tabs" + what);
  EXPECT_EQ(read_csv("1,2\n3,x;y\n").find("f.csv:2: columns"), 0U);
  EXPECT_EQ(read_csv("1,2,3\n3,4,x;y\n").find("f.csv:2:5: 'x;y' is no"), 0U);
}

TEST(Csv, PassesAByteOrderMarkBehindTheSeparatorsLine) {
  EXPECT_EQ(read_csv("sep=,\n\xef\xbb\xbf"
                     "1,2\n"),
            read_csv("1,2\n"));
}

TEST(Csv, RefusesNumbersOfOtherKindsAndBrokenQuotes) {
  for (const std::string field :
       {"1e2", "+5", "5.0", "\"1,5\"", "0x10", "256", "1 2", "-0", "", "1_0", "\xd9\xa3"})
    EXPECT_EQ(read_csv("1,2\n" + field + ",2\n").find("f.csv:2:1: '"), 0U) << field;
  EXPECT_EQ(read_csv("1,2\n\"3,4\n5,6\n"), "f.csv:2:1: a quote that is not closed");
  EXPECT_EQ(read_csv("1,2\n\"3\"x,4\n"), "f.csv:2:4: text behind a closing quote");
  EXPECT_EQ(read_csv({"1,2\n1,\0\n", 8}).find("f.csv:2:3: a zero byte"), 0U);
  EXPECT_NE(read_csv({"\xff\xfe"
                      "1\0",
                      4})
                .find("UTF-16; save it as UTF-8"),
            std::string::npos);
  EXPECT_EQ(read_csv("1,2\n\x1b[2J,2\n").find('\x1b'), std::string::npos);
}

TEST(Csv, SaysWhereLabelsEnd) {
  const std::string why = " is no label: labels in CSV files are whole numbers from 0 to 255";
  EXPECT_EQ(read_csv("1,2\n1,256\n").find("f.csv:2:3: '256'" + why), 0U);
  EXPECT_EQ(read_csv("1,2\ncat,2\n", LabelColumn::first).find("f.csv:2:1: 'cat'" + why), 0U);
  EXPECT_EQ(read_csv("1,2\n1,256\n", LabelColumn::first).find(why), std::string::npos);
}

// Pieces of a stream end anywhere.
TEST(Csv, ReadsLinesAcrossPieces) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    std::string file;
    while (file.size() < (1 << 20) + 100)
      file += "12,345" + end;
    file.replace(0, 7 + end.size() - 1, "1,2" + end);
    CsvReader csv(ByteStream::over(as_bytes(std::string_view(file)), "f.csv", 1 << 22),
                  LabelColumn::last);
    EXPECT_EQ(csv.next().value().size(), 2U);
    const auto second = csv.next();
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().detail.find("f.csv:2:4: '345'"), 0U) << second.error().detail;
  }
}

}  // namespace
}  // namespace gemmine::pool
