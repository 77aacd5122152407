#include "pool/data/table.h"

#include <unistd.h>

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "pool/data/arrays.h"
#include "tests/unit/pool/data/idx_file.h"
#include "tests/unit/pool/data/npy_file.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

class Tables : public testing::Test {
 protected:
  std::string write(const std::string& name, std::string_view bytes) const {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(write_durable(path, as_bytes(bytes)));
    return path;
  }
  TempDirectory directory_;
};

class IdxFiles : public Tables {
 protected:
  ImageFiles write(const Bytes& images, const Bytes& labels) {
    const ImageFiles out{directory_.path() + "/images", directory_.path() + "/labels"};
    EXPECT_TRUE(write_durable(out.images, images));
    EXPECT_TRUE(write_durable(out.labels, labels));
    return out;
  }
  std::string refusal(const Bytes& images, const Bytes& labels) {
    const auto loaded = load_idx(write(images, labels), {4, 3});
    return loaded ? "" : loaded.error().detail;
  }
};

TEST_F(IdxFiles, BecomeRecordsOfFeaturesAndALabel) {
  const auto loaded = load_idx(write(idx({3, 2, 2}, 12), idx({3}, 3)), {4, 3});
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(loaded.value().count, 3U);
  const Bytes expected = {0, 1, 2, 0, 0, 1, 2, 0, 1, 1, 2, 0, 1, 2, 2};
  EXPECT_EQ(loaded.value().records, expected);
}

TEST_F(IdxFiles, BecomeRecordsOfLabelsOfTwoBytesForMoreThan256Classes) {
  const auto loaded = load_idx(write(idx({2, 1, 2}, 4), idx({2}, 2)), {2, 257});
  ASSERT_TRUE(loaded) << loaded.error().detail;
  const Bytes expected = {0, 1, 0, 0, 2, 0, 1, 0};
  EXPECT_EQ(loaded.value().records, expected);
}

TEST_F(IdxFiles, RefuseSwappedFiles) {
  EXPECT_NE(refusal(idx({3}, 3), idx({3, 2, 2}, 12)).find("swapped"), std::string::npos);
}

TEST_F(IdxFiles, RefuseOtherNumbersOfImagesAndLabels) {
  EXPECT_NE(refusal(idx({3, 2, 2}, 12), idx({2}, 2)).find("2 labels for 3 images"),
            std::string::npos);
}

TEST_F(IdxFiles, RefuseImagesOfAnotherSize) {
  EXPECT_NE(refusal(idx({2, 3, 2}, 12), idx({2}, 2)).find("images of 6 values"), std::string::npos);
}

TEST_F(IdxFiles, RefuseLabelsTheModelHasNoClassFor) {
  Bytes labels = idx({3}, 3);
  labels.back() = 3;
  EXPECT_NE(refusal(idx({3, 2, 2}, 12), labels).find("label 3 at 2"), std::string::npos);
}

TEST_F(IdxFiles, RefuseEveryTruncation) {
  const Bytes images = idx({3, 2, 2}, 12);
  for (size_t size = 0; size < images.size(); ++size)
    EXPECT_NE(
        refusal(Bytes(images.begin(), images.begin() + static_cast<ptrdiff_t>(size)), idx({3}, 3)),
        "")
        << size;
}

// The whole of a file that is none of ours was read before its first bytes were looked at.
TEST_F(Tables, RefuseTheWrongFileByItsFirstBytes) {
  const std::string huge = write("huge", "no IDX file, nor a .npy one");
  ASSERT_EQ(::truncate(huge.c_str(), off_t{5} << 30), 0);  // sparse
  const auto idx_file = load_idx({huge, huge}, {4, 3});
  ASSERT_FALSE(idx_file);
  EXPECT_NE(idx_file.error().detail.find("no IDX file"), std::string::npos);
  const auto npy_file = open_npy_pair({huge, huge});
  ASSERT_FALSE(npy_file);
  EXPECT_NE(npy_file.error().detail.find("no .npy file"), std::string::npos);
  ASSERT_EQ(::truncate(huge.c_str(), off_t{9} << 30), 0);
  EXPECT_NE(load_idx({huge, huge}, {4, 3}).error().detail.find("more than 8589934592"),
            std::string::npos);
}

TEST_F(Tables, RefuseHeadersThatClaimMoreThanTheFileHolds) {
  const auto images = write("x", std::string("\0\0\x08\x02\0\0\xff\xff\0\0\xff\xff"
                                             "abc",
                                             15));
  const auto loaded = load_idx({images, images}, {65535, 3});
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().detail.find("4294836225 bytes, the file has fewer"), std::string::npos);
}

// Bytes of images and whole labels, read as they lie.
Result<Table> load_npy_files(const ImageFiles& files, const TableShape& shape) {
  auto pair = open_npy_pair(files);
  if (!pair) return pair.error();
  return load_npy(pair.value().images, pair.value().labels, shape);
}

TEST_F(Tables, OfNumpyBecomeRecords) {
  const auto images = write("x.npy", npy("|u1", "(2, 1, 2)", "abcd"));
  const auto labels = write("y.npy", npy("<i8", "(2,)", {"\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16}));
  const auto loaded = load_npy_files({images, labels}, {2, 2});
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(loaded.value().records, (Bytes{'a', 'b', 1, 'c', 'd', 0}));
  const auto refusal = [&](const ImageFiles& source, uint32_t features, uint32_t classes) {
    const auto bad = load_npy_files(source, {features, classes});
    return bad ? "" : bad.error().detail;
  };
  EXPECT_NE(refusal({images, labels}, 3, 2).find("images of 2 values"), std::string::npos);
  EXPECT_NE(refusal({images, labels}, 2, 1).find("label 1 at 0"), std::string::npos);
  const auto flat = write("f.npy", npy("|u1", "(2,)", "ab"));
  EXPECT_NE(refusal({flat, images}, 2, 2).find("swapped"), std::string::npos);
  const auto three = write("3.npy", npy("|u1", "(3,)", {"\0\0\0", 3}));
  EXPECT_NE(refusal({images, three}, 2, 2).find("3 labels for 2 images"), std::string::npos);
  EXPECT_NE(refusal({write("z", "PK"), labels}, 2, 2).find("no .npy file"), std::string::npos);
}

TEST_F(Tables, GiveLabelsTwoBytesForMoreThan256Classes) {
  const auto images = write("x.npy", npy("|u1", "(2, 1)", "ab"));
  const auto labels = write("y.npy", npy("<u2", "(2,)", {"\2\1\3\0", 4}));
  const auto numpy = load_npy_files({images, labels}, {1, 300});
  ASSERT_TRUE(numpy) << numpy.error().detail;
  EXPECT_EQ(numpy.value().records, (Bytes{'a', 2, 1, 'b', 3, 0}));
}

}  // namespace
}  // namespace gemmine::pool
