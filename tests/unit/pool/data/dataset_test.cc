#include "pool/data/dataset.h"

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "pool/data/byte_stream.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

Bytes idx(std::vector<uint32_t> dimensions, size_t bytes) {
  Bytes out = {0, 0, 8, static_cast<uint8_t>(dimensions.size())};
  for (const uint32_t size : dimensions)
    for (int shift = 24; shift >= 0; shift -= 8)
      out.push_back(static_cast<uint8_t>(size >> shift));
  for (size_t i = 0; i < bytes; ++i)
    out.push_back(static_cast<uint8_t>(i % 3));
  return out;
}

class DatasetFiles : public testing::Test {
 protected:
  DataSource write(const Bytes& images, const Bytes& labels) {
    const DataSource out{directory_.path() + "/images", directory_.path() + "/labels"};
    EXPECT_TRUE(write_durable(out.images, images));
    EXPECT_TRUE(write_durable(out.labels, labels));
    return out;
  }
  std::string refusal(const Bytes& images, const Bytes& labels) {
    const auto loaded = load_dataset(write(images, labels), 4, 3);
    return loaded ? "" : loaded.error().detail;
  }
  TempDirectory directory_;
};

TEST_F(DatasetFiles, BecomeRecordsOfFeaturesAndALabel) {
  const auto loaded = load_dataset(write(idx({3, 2, 2}, 12), idx({3}, 3)), 4, 3);
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(loaded.value().count, 3U);
  const Bytes expected = {0, 1, 2, 0, 0, 1, 2, 0, 1, 1, 2, 0, 1, 2, 2};
  EXPECT_EQ(loaded.value().records, expected);
}

TEST_F(DatasetFiles, BecomeRecordsOfLabelsOfTwoBytesForMoreThan256Classes) {
  const auto loaded = load_dataset(write(idx({2, 1, 2}, 4), idx({2}, 2)), 2, 257);
  ASSERT_TRUE(loaded) << loaded.error().detail;
  const Bytes expected = {0, 1, 0, 0, 2, 0, 1, 0};
  EXPECT_EQ(loaded.value().records, expected);
}

TEST_F(DatasetFiles, RefuseSwappedFiles) {
  EXPECT_NE(refusal(idx({3}, 3), idx({3, 2, 2}, 12)).find("swapped"), std::string::npos);
}

TEST_F(DatasetFiles, RefuseOtherNumbersOfImagesAndLabels) {
  EXPECT_NE(refusal(idx({3, 2, 2}, 12), idx({2}, 2)).find("2 labels for 3 images"),
            std::string::npos);
}

TEST_F(DatasetFiles, RefuseImagesOfAnotherSize) {
  EXPECT_NE(refusal(idx({2, 3, 2}, 12), idx({2}, 2)).find("images of 6 values"), std::string::npos);
}

TEST_F(DatasetFiles, RefuseLabelsTheModelHasNoClassFor) {
  Bytes labels = idx({3}, 3);
  labels.back() = 3;
  EXPECT_NE(refusal(idx({3, 2, 2}, 12), labels).find("label 3 at 2"), std::string::npos);
}

TEST_F(DatasetFiles, RefuseEveryTruncation) {
  const Bytes images = idx({3, 2, 2}, 12);
  for (size_t size = 0; size < images.size(); ++size)
    EXPECT_NE(
        refusal(Bytes(images.begin(), images.begin() + static_cast<ptrdiff_t>(size)), idx({3}, 3)),
        "")
        << size;
}

TEST(Idx, RefusesProductsThatWouldWrap) {
  const Bytes bytes = idx({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 4);
  const auto parsed = parse_idx(bytes, "f", kDatasetBytesMax);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Errc::invalid);
}

TEST(Idx, RefusesOtherElementTypesAndTrailingBytes) {
  Bytes floats = idx({2}, 2);
  floats[2] = 0x0d;
  EXPECT_FALSE(parse_idx(floats, "f", kDatasetBytesMax));
  EXPECT_FALSE(parse_idx(idx({2}, 3), "f", kDatasetBytesMax));
  EXPECT_FALSE(parse_idx(idx({0}, 0), "f", kDatasetBytesMax));
}

TEST_F(DatasetFiles, RefuseDamagedAndCutGzip) {
  // gzip of "hello"
  const Bytes good = {0x1f, 0x8b, 8, 0, 0,    0,    0,    0,    0, 3, 0xcb, 0x48, 0xcd,
                      0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0,    0};
  const std::string path = directory_.path() + "/f.gz";
  ASSERT_TRUE(write_durable(path, good));
  const auto whole = read_maybe_gzip(path, 100);
  ASSERT_TRUE(whole) << whole.error().detail;
  EXPECT_EQ(whole.value(), (Bytes{'h', 'e', 'l', 'l', 'o'}));
  for (size_t size = 2; size < good.size(); ++size) {
    ASSERT_TRUE(write_durable(path, ByteView(good).first(size)));
    EXPECT_FALSE(read_maybe_gzip(path, 100)) << size;
  }
  Bytes damaged = good;
  damaged[18] ^= 1;
  ASSERT_TRUE(write_durable(path, damaged));
  EXPECT_FALSE(read_maybe_gzip(path, 100));
}

}  // namespace
}  // namespace gemmine::pool
