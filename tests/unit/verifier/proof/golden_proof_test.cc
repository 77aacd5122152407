// The Python reference decides proofs on its own; we decide each of its files alike.
#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tests/support/toy_job.h"
#include "tests/support/toy_lease.h"
#include "verifier/proof/proof.h"
#include "verifier/proof/replayed.h"

namespace gemmine::verifier {
namespace {

bool proven(ByteView file) {
  const auto finding = decide_proof(file, test::toy_identity(1).public_key());
  return finding && finding.value().proven;
}

TEST(GoldenProofs, AreDecidedAsTheReferenceDecidesThem) {
  for (const char* const name : {"proofs", "proofs_gpt"}) {
    const test::Golden golden(name);
    size_t files = 0;
    size_t convicting = 0;
    for (const auto& [key, tokens] : golden.lines()) {
      if (key.starts_with("proof ")) {
        EXPECT_EQ(proven(golden.bytes(key, 1)), golden.natural(key) == 1) << key;
        ++files;
        convicting += golden.natural(key);
      } else if (key.starts_with("changed ")) {
        Bytes bytes = golden.bytes("proof " + golden.text(key), 1);
        bytes.at(golden.natural(key, 1)) ^= static_cast<uint8_t>(golden.natural(key, 2));
        EXPECT_EQ(proven(bytes), golden.natural(key, 3) == 1) << key;
      }
    }
    EXPECT_GT(convicting, 0U) << name;
    EXPECT_GT(files, convicting) << name << " has files that convict nobody, too";
  }
}

// Words that only a replay decides: with the weights and the data, as the reference does.
TEST(GoldenProofs, AreReplayedAsTheReferenceReplaysThem) {
  const test::Golden golden("proofs");
  const test::Toy toy("job_sgd");
  size_t files = 0;
  for (const auto& [key, tokens] : golden.lines()) {
    if (!key.starts_with("replayed ")) continue;
    ++files;
    const auto finding = decide_proof(golden.bytes(key, 1), test::toy_identity(1).public_key());
    ASSERT_TRUE(finding.ok()) << key << finding.error().detail;
    ASSERT_TRUE(finding.value().replay) << key;
    EXPECT_FALSE(finding.value().proven) << key;
    const auto engine = toy.engine();
    const auto decided = decide_by_replay(finding.value(), *engine, toy.theta(0), {});
    EXPECT_EQ(decided.value().proven, golden.natural(key) == 1) << key;
  }
  EXPECT_EQ(files, 6U);
}

}  // namespace
}  // namespace gemmine::verifier
