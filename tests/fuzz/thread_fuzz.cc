// Answers to threads: hostile bytes are never found wrong, which would be a proof against a miner
// who did not say them, and only the honest ones are valid.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tests/support/thread_stage.h"

namespace gv = gemmine::verifier;

namespace {

struct Stage {
  static gv::Job job() {
    gv::Job out = gemmine::test::toy_job();
    out.spec.widths = {37, 20, 10};
    out.spec.steps_per_lease = out.steps_per_share = 2;
    return out;
  }

  gemmine::test::ThreadStage stage{job(), gemmine::test::toy_train()};
  gv::ThreadCase ticket = stage.ticket(gemmine::test::thread_seed(3), 2);
  gemmine::Bytes honest = stage.prove(ticket).value();
};

}  // namespace

// The input is laid over the honest answer: bytes 0 to 2 say where, the rest replaces what is
// there.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Stage stage;
  const auto judge = [&](gemmine::ByteView bytes) {
    return stage.stage.check(stage.ticket, bytes).outcome;
  };
  const gemmine::ByteView input(data, size);
  const bool same = std::ranges::equal(input, stage.honest);
  GEMMINE_CHECK(judge(input) == (same ? gv::ThreadOutcome::valid : gv::ThreadOutcome::unusable));
  if (const auto claim = gemmine::decode<gv::UpdateClaim>(input)) {
    const auto found =
        gv::check_part(stage.ticket, stage.ticket.shares[0], claim.value(), stage.stage.data());
    GEMMINE_CHECK(found.outcome == gv::Outcome::malformed);
  }
  if (size < 4) return 0;
  gemmine::Bytes mixed = stage.honest;
  const size_t at = (data[0] | data[1] << 8 | data[2] << 16) % mixed.size();
  std::copy_n(data + 3, std::min(size - 3, mixed.size() - at),
              mixed.begin() + static_cast<ptrdiff_t>(at));
  const bool kept = mixed == stage.honest;
  GEMMINE_CHECK(judge(mixed) == (kept ? gv::ThreadOutcome::valid : gv::ThreadOutcome::unusable));
  return 0;
}
