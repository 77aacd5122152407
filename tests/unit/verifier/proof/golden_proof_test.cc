// The Python reference decides proofs on its own; we decide each of its files alike.
#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tests/support/toy_job.h"
#include "verifier/proof/proof.h"

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

}  // namespace
}  // namespace gemmine::verifier
