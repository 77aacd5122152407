// The roots of a lease as a miner reads them back from his disk: refused, or the same bytes again.
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "tests/support/toy_gpt.h"
#include "verifier/audit/rerun.h"

namespace gm = gemmine::verifier;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const gemmine::kernels::Program program =
      gemmine::kernels::Program::make(gemmine::testing::toy_gpt()).value();
  const gemmine::ByteView bytes(data, size);
  const auto trace = gm::decode_trace(program, bytes);
  if (!trace) return 0;
  const gemmine::Bytes again = gm::encode_trace(trace.value());
  GEMMINE_CHECK(again == gemmine::Bytes(bytes.begin(), bytes.end()));
  return 0;
}
