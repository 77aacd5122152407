// What every decoder of a job's bytes must do.
#pragma once

#include <gtest/gtest.h>

#include "verifier/records/job.h"

namespace gemmine::test {

// No truncation decodes, and whatever decodes after a bit was flipped is another job, with the
// same bytes when it is encoded again.
inline void expect_every_bit_counts(const verifier::Job& job) {
  const Bytes good = verifier::encode_job(job);
  EXPECT_EQ(verifier::Work::decode(good).value().job(), job);
  for (size_t size = 0; size < good.size(); ++size) {
    const auto cut = verifier::Work::decode(ByteView(good).first(size));
    ASSERT_FALSE(cut.ok()) << size;
    EXPECT_EQ(cut.error().code, Errc::malformed) << size;
  }
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    Bytes flipped = good;
    flipped[bit / 8] ^= static_cast<uint8_t>(1U << (bit % 8));
    EXPECT_NE(verifier::job_id(flipped), verifier::job_id(good)) << bit;
    const auto other = verifier::Work::decode(flipped);
    if (other) {
      EXPECT_EQ(verifier::encode_job(other.value().job()), flipped) << bit;
    }
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_EQ(verifier::Work::decode(longer).error().code, Errc::malformed);
}

}  // namespace gemmine::test
