#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "pool/data/csv.h"
#include "pool/data/dataset.h"
#include "pool/data/npy.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

std::string npy(const std::string& descr, const std::string& shape, std::string_view data,
                const std::string& order = "False") {
  std::string header =
      "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
  const auto size = static_cast<char>(header.size());
  return std::string(kNpyMagic) + std::string("\x01\x00", 2) + size + '\0' + header +
         std::string(data);
}

// All elements, or what is wrong.
std::string read_npy(const std::string& file, uint64_t bytes_max = 1 << 20) {
  auto opened = NpyReader::open(
      ByteStream::over(as_bytes(std::string_view(file)).subspan(6), "f", 1 << 20), bytes_max);
  if (!opened) return opened.error().detail;
  std::string out;
  while (true) {
    const auto run = opened.value().next();
    if (!run) return run.error().detail;
    if (run.value().empty()) return out;
    for (const int64_t value : run.value())
      out += std::to_string(value) + " ";
  }
}

TEST(Npy, ReadsWholeNumbersOfEverySize) {
  EXPECT_EQ(read_npy(npy("|u1", "(2, 2)", "\x01\x02\xff\x04")), "1 2 255 4 ");
  EXPECT_EQ(read_npy(npy("|i1", "(1,)", "\xff")), "-1 ");
  EXPECT_EQ(read_npy(npy("<u2", "(2,)", {"\x01\x02\xff\xff", 4})), "513 65535 ");
  EXPECT_EQ(read_npy(npy("<i4", "(1,)", {"\xfe\xff\xff\xff", 4})), "-2 ");
  EXPECT_EQ(read_npy(npy("<i8", "(1,)", {"\x05\0\0\0\0\0\0\0", 8})), "5 ");
}

TEST(Npy, RefusesOtherTypesOrdersAndShapes) {
  EXPECT_NE(read_npy(npy("<f4", "(1,)", "1234")).find("elements of type '<f4'; whole numbers"),
            std::string::npos);
  EXPECT_NE(read_npy(npy(">u2", "(1,)", "12")).find("elements of type"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(1,)", "1", "True")).find("ascontiguousarray"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "()", "1")).find("single number"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(0,)", "")).find("gives 0"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(4294967296, 4294967296, 4294967296)", "")).find("or more than"),
            std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(3, x)", "")).find("no shape"), std::string::npos);
  EXPECT_NE(read_npy(npy("|u1", "(3,)", "123"), 2).find("more than 2 bytes"), std::string::npos);
}

TEST(Npy, RefusesEveryTruncationTrailingBytesAndAHugeHeader) {
  const std::string whole = npy("<u2", "(3,)", "123456");
  for (size_t size = 6; size < whole.size(); ++size)
    EXPECT_EQ(read_npy(whole.substr(0, size)).find("f: "), 0U) << size;
  EXPECT_NE(read_npy(whole + "7").find("gives 6 bytes, and the file has more"), std::string::npos);
  const std::string huge = std::string(kNpyMagic) + std::string("\x02\x00\xff\xff\xff\x7f", 6);
  EXPECT_NE(read_npy(huge).find("a .npy header of 2147483647 bytes"), std::string::npos);
  EXPECT_NE(read_npy(std::string(kNpyMagic) + "\x09").find("cut short"), std::string::npos);
  EXPECT_NE(read_npy(std::string(kNpyMagic) + std::string("\x09\x00", 2)).find("version 9"),
            std::string::npos);
}

// Rows with a | after each, or what is wrong.
std::string read_csv(std::string_view file) {
  CsvReader csv(ByteStream::over(as_bytes(file), "f.csv", 1 << 20));
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
  EXPECT_EQ(read_csv("a,b\n1,0.5\n"),
            "f.csv:2:3: '0.5' is no whole number from 0 to 255; nothing is scaled here, so scale "
            "and round the features first");
  EXPECT_EQ(read_csv("1,2\n1,256\n").find("f.csv:2:3: '256'"), 0U);
  EXPECT_EQ(read_csv("0.5,2\n").find("f.csv:1:1: '0.5'"), 0U);
  EXPECT_EQ(read_csv("1,2\n1,-2\n").find("f.csv:2:3: '-2'"), 0U);
  EXPECT_EQ(read_csv("1,2\n1,\n").find("f.csv:2:3: ''"), 0U);
  EXPECT_EQ(read_csv("1,2\na,2\n").find("f.csv:2:1: 'a'"), 0U);
  EXPECT_EQ(read_csv("1,2\n1\n"), "f.csv:2: 1 columns, line 1 has 2");
  EXPECT_EQ(read_csv("1,2\n\n"), "f.csv:2: an empty line; remove it");
  EXPECT_NE(read_csv(std::string(kCsvLineBytesMax + 1, '1')).find("f.csv:1: a line of more than"),
            std::string::npos);
}

class Tables : public testing::Test {
 protected:
  std::string write(const std::string& name, std::string_view bytes) const {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(write_durable(path, as_bytes(bytes)));
    return path;
  }
  TempDirectory directory_;
};

TEST_F(Tables, OfNumpyBecomeRecords) {
  const auto images = write("x.npy", npy("|u1", "(2, 1, 2)", "abcd"));
  const auto labels = write("y.npy", npy("<i8", "(2,)", {"\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16}));
  const auto loaded = load_npy({images, labels}, 2, 2);
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(loaded.value().records, (Bytes{'a', 'b', 1, 'c', 'd', 0}));
  const auto refusal = [&](const DataSource& source, uint32_t features, uint32_t classes) {
    const auto bad = load_npy(source, features, classes);
    return bad ? "" : bad.error().detail;
  };
  EXPECT_NE(refusal({images, labels}, 3, 2).find("images of 2 values"), std::string::npos);
  EXPECT_NE(refusal({images, labels}, 2, 1).find("label 1 at 0"), std::string::npos);
  EXPECT_NE(refusal({labels, images}, 2, 2).find("swapped"), std::string::npos);
  EXPECT_NE(refusal({labels, labels}, 2, 2).find("one dimension"), std::string::npos);
  const auto wide = write("w.npy", npy("<u2", "(2, 1)", "abcd"));
  EXPECT_NE(refusal({wide, labels}, 1, 2).find("uint8"), std::string::npos);
  const auto three = write("3.npy", npy("|u1", "(3,)", {"\0\0\0", 3}));
  EXPECT_NE(refusal({images, three}, 2, 2).find("3 labels for 2 images"), std::string::npos);
  EXPECT_NE(refusal({write("z", "PK"), labels}, 2, 2).find("no .npy file"), std::string::npos);
}

TEST_F(Tables, GiveLabelsTwoBytesForMoreThan256Classes) {
  const auto images = write("x.npy", npy("|u1", "(2, 1)", "ab"));
  const auto labels = write("y.npy", npy("<u2", "(2,)", {"\2\1\3\0", 4}));
  const auto numpy = load_npy({images, labels}, 1, 300);
  ASSERT_TRUE(numpy) << numpy.error().detail;
  EXPECT_EQ(numpy.value().records, (Bytes{'a', 2, 1, 'b', 3, 0}));
  const auto csv = load_csv(write("c.csv", "97,2\n98,255\n"), false, 1, 300);
  ASSERT_TRUE(csv) << csv.error().detail;
  EXPECT_EQ(csv.value().records, (Bytes{'a', 2, 0, 'b', 255, 0}));
}

TEST_F(Tables, OfCsvBecomeRecordsWithTheLabelLast) {
  const auto last = load_csv(write("last.csv", "a,b,label\n1,2,0\n3,4,1\n"), false, 2, 2);
  ASSERT_TRUE(last) << last.error().detail;
  EXPECT_EQ(last.value().records, (Bytes{1, 2, 0, 3, 4, 1}));
  const auto first = load_csv(write("first.csv", "0,1,2\n1,3,4\n"), true, 2, 2);
  ASSERT_TRUE(first) << first.error().detail;
  EXPECT_EQ(first.value().records, last.value().records);
  const auto refusal = [&](std::string_view text, uint32_t features, uint32_t classes) {
    const auto bad = load_csv(write("bad.csv", text), false, features, classes);
    return bad ? "" : bad.error().detail;
  };
  EXPECT_NE(refusal("1,2,0\n", 3, 2).find("3 columns; model.widths starts with 3"),
            std::string::npos);
  EXPECT_NE(refusal("1,2,0\n1,2,2\n", 2, 2).find("bad.csv:2: label 2"), std::string::npos);
  EXPECT_NE(refusal("a,b,c\n", 2, 2).find("no rows"), std::string::npos);
}

}  // namespace
}  // namespace gemmine::pool
