#include "pool/server/neighbourhood.h"

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

TEST(Neighbourhood, IsWhatOneOwnerCanHaveManyAddressesOf) {
  EXPECT_EQ(neighbourhood_of("203.0.113.7"), neighbourhood_of("203.0.113.250"));
  EXPECT_NE(neighbourhood_of("203.0.113.7"), neighbourhood_of("203.0.114.7"));
  EXPECT_NE(neighbourhood_of("203.0.113.7"), "");
  EXPECT_EQ(neighbourhood_of("2001:db8:1:2::/64"), "2001:db8:1:2::/64");
  EXPECT_EQ(neighbourhood_of("127.0.0.1"), "");
  EXPECT_EQ(neighbourhood_of("::/64"), "");
}

}  // namespace
}  // namespace gemmine::pool
