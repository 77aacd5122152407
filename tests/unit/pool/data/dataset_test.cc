#include "pool/data/dataset.h"

#include <gtest/gtest.h>

#include "kernels/base/files.h"
#include "tests/unit/pool/data/idx_file.h"
#include "tests/unit/pool/temp_directory.h"

namespace gemmine::pool {
namespace {

class Data : public testing::Test {
 protected:
  Data() {
    file_.path = "job.toml";
    file_.data.folder = directory_.path();
    file_.job.spec.widths = {2, 3};
  }
  void write(const std::string& name, ByteView bytes) const {
    EXPECT_TRUE(write_durable(directory_.path() + "/" + name, bytes));
  }
  TempDirectory directory_;
  JobFile file_;
};

TEST_F(Data, OfATableHasRowsAtEvenDistancesHeldOut) {
  write("t.csv", as_bytes(std::string_view("1,2,0\n3,4,1\n5,6,2\n7,8,0\n")));
  file_.data.kind = DataKind::csv;
  file_.data.train = {"t.csv"};
  file_.data.held_out_fraction = {.digits = 25, .places = 2};
  const auto loaded = load_data(file_);
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(loaded.value().train, (Bytes{1, 2, 0, 3, 4, 1, 5, 6, 2}));
  EXPECT_EQ(loaded.value().test, (Bytes{7, 8, 0}));
  EXPECT_EQ(loaded.value().train_records, 3U);
  EXPECT_EQ(loaded.value().test_records, 1U);
  file_.data.held_out_fraction = {.digits = 5, .places = 1};
  EXPECT_EQ(load_data(file_).value().train, (Bytes{1, 2, 0, 5, 6, 2}));
  file_.data.held_out_rows = HeldOutRows::end;
  EXPECT_EQ(load_data(file_).value().train, (Bytes{1, 2, 0, 3, 4, 1}));
  file_.data.held_out_fraction = {.digits = 24, .places = 2};
  EXPECT_EQ(load_data(file_).error().detail, "job.toml: data.test_fraction of 4 rows is none");
}

TEST_F(Data, OfTwoTablesIsBoth) {
  write("x", idx({2, 2}, 4));
  write("y", idx({2}, 2));
  file_.data.kind = DataKind::idx;
  file_.data.train = {"x", "y"};
  file_.data.held_out = {"x", "y"};
  const auto loaded = load_data(file_);
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(loaded.value().train, (Bytes{0, 1, 0, 2, 0, 1}));
  EXPECT_EQ(loaded.value().test, loaded.value().train);
}

TEST_F(Data, OfAGptIsTokens) {
  write("t", as_bytes(std::string_view("0123456789")));
  file_.job.spec.architecture = kernels::Architecture::gpt;
  file_.job.spec.gpt = {.vocabulary = 256, .context = 4, .token_bytes = 1};
  file_.data.kind = DataKind::text;
  file_.data.train = {"t"};
  file_.data.held_out_fraction = {.digits = 5, .places = 1};
  const auto loaded = load_data(file_);
  ASSERT_TRUE(loaded) << loaded.error().detail;
  EXPECT_EQ(loaded.value().train_records, 5U);
  EXPECT_EQ(loaded.value().test, (Bytes{'5', '6', '7', '8', '9'}));
}

}  // namespace
}  // namespace gemmine::pool
