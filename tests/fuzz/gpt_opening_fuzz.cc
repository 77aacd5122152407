// Openings of a language model: hostile bytes never crash, and only the honest ones are valid.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/base/check.h"
#include "tests/support/gpt_stage.h"

namespace gv = gemmine::verifier;

// Byte 0 says which block, bytes 1 and 2 where in its honest opening the rest replaces what is
// there.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const gemmine::test::GptStage& stage = gemmine::test::gpt_stage(data[0]);
  gemmine::Bytes mixed = stage.honest;
  const size_t at = (data[1] | data[2] << 8) % mixed.size();
  std::copy_n(data + 3, std::min(size - 3, mixed.size() - at),
              mixed.begin() + static_cast<ptrdiff_t>(at));
  const auto judge = [&](gemmine::ByteView bytes) {
    return gv::check_opening(stage.at(), stage.run.share, stage.choice, bytes).outcome;
  };
  GEMMINE_CHECK((judge(mixed) == gv::Outcome::valid) == (mixed == stage.honest));
  GEMMINE_CHECK(judge(gemmine::ByteView(data, size)) == gv::Outcome::malformed);
  return 0;
}
