// What two signed heads of a pool say about it: PROTOCOL 8.1.
#include "verifier/records/heads.h"

#include <gtest/gtest.h>

namespace gemmine::verifier {
namespace {

SignedHead head(uint64_t seq, uint64_t time_ms, uint8_t byte) {
  SignedHead out{.seq = seq, .time_ms = time_ms, .head = {}};
  out.head.bytes.fill(byte);
  return out;
}

TEST(Heads, OfOneLedgerDoNotContradictEachOther) {
  const SignedHead known = head(5, 100, 1);
  EXPECT_EQ(compare_heads(known, known), HeadsSay::same);
  EXPECT_EQ(compare_heads(known, head(6, 100, 2)), HeadsSay::nothing);
  EXPECT_EQ(compare_heads(known, head(9, 500, 2)), HeadsSay::nothing);
  EXPECT_EQ(compare_heads(known, head(4, 100, 2)), HeadsSay::nothing);
  EXPECT_EQ(compare_heads(known, head(0, 1, 2)), HeadsSay::nothing);
  EXPECT_FALSE(contradict(HeadsSay::nothing));
  EXPECT_FALSE(contradict(HeadsSay::same));
}

TEST(Heads, OfTwoLedgersSayWhichOfThemItIs) {
  const SignedHead known = head(5, 100, 1);
  EXPECT_EQ(compare_heads(known, head(5, 100, 2)), HeadsSay::rewrite);
  EXPECT_EQ(compare_heads(known, head(5, 99, 2)), HeadsSay::fork);
  EXPECT_EQ(compare_heads(known, head(5, 101, 2)), HeadsSay::rollback);
  EXPECT_EQ(compare_heads(known, head(4, 101, 2)), HeadsSay::rollback);
  EXPECT_EQ(compare_heads(known, head(6, 99, 2)), HeadsSay::fork);
  for (const HeadsSay say : {HeadsSay::fork, HeadsSay::rollback, HeadsSay::rewrite})
    EXPECT_TRUE(contradict(say));
  EXPECT_TRUE(words_of(known, head(4, 101, 2)).starts_with("rollback: "));
}

TEST(Heads, AreReadAsTheyArePrinted) {
  const SignedHead known = head(5, 100, 1);
  EXPECT_EQ(parse_head(text_of(known)).value(), known);
  for (const std::string& wrong :
       {std::string(), text_of(known) + "00", std::string("xyz"), text_of(known).substr(2)})
    EXPECT_FALSE(parse_head(wrong).ok()) << wrong;
}

}  // namespace
}  // namespace gemmine::verifier
