#include "pool/net/listen_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

TEST(ListenAddress, TakesWhatPeopleWrite) {
  EXPECT_EQ(listen_address("127.0.0.1").value(), "127.0.0.1");
  EXPECT_EQ(listen_address("0.0.0.0").value(), "0.0.0.0");
  EXPECT_EQ(listen_address("::").value(), "::");
  EXPECT_EQ(listen_address("localhost").value(), "127.0.0.1");
  EXPECT_THAT(listen_address("*").value(), AnyOf("::", "0.0.0.0"));
}

TEST(ListenAddress, SaysWhatToWriteInstead) {
  const auto none = listen_address("no.such.name.invalid");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::invalid_argument);
  EXPECT_THAT(none.error().detail, HasSubstr("*:4400"));
}

}  // namespace
}  // namespace gemmine::pool
