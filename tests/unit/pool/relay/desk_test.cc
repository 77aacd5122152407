#include "pool/relay/desk.h"

#include <vector>

#include <gtest/gtest.h>

namespace gemmine::pool {
namespace {

using Where = Desk::Where;

Digest name(uint32_t number) {
  Digest out;
  out.bytes[0] = static_cast<uint8_t>(number);
  out.bytes[1] = static_cast<uint8_t>(number >> 8);
  return out;
}

class AtTheDesk : public testing::Test {
 protected:
  AtTheDesk() { desk_.connected(true); }
  std::vector<Digest> wanted_;
  Desk desk_{[this](const Digest& address) { wanted_.push_back(address); }};
};

TEST_F(AtTheDesk, OneFetchIsForAllWhoAsk) {
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(desk_.want(name(1), 0).where, Where::coming);
  EXPECT_EQ(wanted_, std::vector{name(1)});
  desk_.progress(name(1), 77);
  EXPECT_EQ(desk_.want(name(1), 0).have, 77);
  desk_.came(name(1));
  EXPECT_EQ(desk_.want(name(1), 0).have, 0) << "gone again: a fetch of its own";
  EXPECT_EQ(wanted_.size(), 2);
}

TEST_F(AtTheDesk, ARefusalLastsAWhile) {
  desk_.want(name(1), 0);
  desk_.refused(name(1), Where::absent, 100);
  EXPECT_EQ(desk_.want(name(1), 99 + kRefusalLastsMs).where, Where::absent);
  EXPECT_EQ(wanted_.size(), 1);
  EXPECT_EQ(desk_.want(name(1), 100 + kRefusalLastsMs).where, Where::coming);
  EXPECT_EQ(wanted_.size(), 2);
}

TEST_F(AtTheDesk, SaysWhenThereIsNoPool) {
  desk_.want(name(1), 0);
  desk_.connected(false);
  EXPECT_EQ(desk_.want(name(1), 0).where, Where::no_pool);
  EXPECT_EQ(desk_.want(name(2), 0).where, Where::no_pool);
  desk_.connected(true);
  EXPECT_EQ(desk_.want(name(1), 0).where, Where::coming);
  EXPECT_EQ(wanted_.size(), 1) << "what is not asked for now is not wanted";
}

TEST_F(AtTheDesk, WantsNoMoreThanItHasRoomFor) {
  for (uint32_t i = 0; i < kWantedMax; ++i)
    EXPECT_EQ(desk_.want(name(i), 0).where, Where::coming);
  EXPECT_EQ(desk_.want(name(kWantedMax), 0).where, Where::busy);
  EXPECT_EQ(wanted_.size(), kWantedMax);
  desk_.came(name(0));
  EXPECT_EQ(desk_.want(name(kWantedMax), 0).where, Where::coming);
}

}  // namespace
}  // namespace gemmine::pool
