// A share of the golden files as one file.
#pragma once

#include <string>

#include "tests/support/toy_lease.h"
#include "verifier/audit/bundle.h"

namespace gemmine::test {

// Of lease (0, 0), with its weights.
inline verifier::Bundle golden_bundle(const Toy& toy, uint32_t index) {
  const ByteView theta = as_bytes(std::span<const float>(toy.thetas[0]));
  const std::string name = "share 0 0 " + std::to_string(index);
  return {.work = toy.work,
          .lease = toy.lease(0, 0),
          .share = verifier::decode_share(toy.golden.bytes(name)).value(),
          .theta = Bytes(theta.begin(), theta.end()),
          .seed = {},
          .openings = {},
          .verdicts = {}};
}

}  // namespace gemmine::test
