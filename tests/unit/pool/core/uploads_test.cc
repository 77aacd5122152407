#include "pool/core/uploads.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/core/scene.h"

namespace gemmine::pool {
namespace {

TEST(UploadBook, CountsEachUploadWhole) {
  Uploads uploads(1000);
  ASSERT_TRUE(uploads.begin(filled(1), filled(2), 600));
  EXPECT_EQ(uploads.begin(filled(3), filled(4), 401).error().code, Errc::busy);
  ASSERT_TRUE(uploads.begin(filled(3), filled(4), 400));
  EXPECT_EQ(uploads.bytes(), 1000U);
  ASSERT_TRUE(uploads.begin(filled(1), filled(2), 600)) << "known already";
  uploads.forget(filled(1));
  uploads.forget(filled(1));
  EXPECT_EQ(uploads.bytes(), 400U);
  EXPECT_EQ(uploads.find(filled(1)), nullptr);
}

TEST(UploadBook, BoundsWhatWaitsForTheDisk) {
  Uploads uploads(1);
  ASSERT_TRUE(uploads.wait_for_disk(kBytesWaitingMax - 1));
  EXPECT_EQ(uploads.wait_for_disk(2).error().code, Errc::busy);
  uploads.waited_for_disk(kBytesWaitingMax - 1);
  EXPECT_TRUE(uploads.wait_for_disk(2));
}

}  // namespace
}  // namespace gemmine::pool
