// Openings: hostile bytes against a real share never crash, and only the honest ones are valid.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/engines.h"
#include "tests/support/toy_job.h"
#include "verifier/audit/opening.h"
#include "verifier/audit/opening_codec.h"
#include "verifier/records/trace.h"

namespace gv = gemmine::verifier;

namespace {

// Share 0 of a lease of the toy job, and the honest opening of one of its blocks.
struct Stage {
  gv::Job job = gemmine::test::toy_job();
  gemmine::Bytes train = gemmine::test::toy_train();
  gv::Work work = gv::Work::make(job).value();
  gemmine::kernels::Program program = work.program();
  std::vector<float> theta = program.initial_theta();
  std::vector<float> state = std::vector<float>(program.state_floats(), 0.0F);
  gv::Lease lease;
  gv::ShareRun run;
  gv::BlockChoice choice;
  gemmine::Bytes honest;

  gv::LeaseView at() const { return {work, lease, theta}; }

  Stage() {
    std::copy(theta.begin(), theta.end(), state.begin());
    lease.job_id = work.id();
    lease.steps = job.spec.steps_per_lease;
    lease.steps_per_share = job.steps_per_share;
    lease.id = gv::lease_id(lease);
    auto engine = std::move(gemmine::kernels::make_engine("cpu", program, train, 1).value());
    run = gv::run_share(*engine, at(), 0, state).value();
    choice.position = program.position(gemmine::kernels::TensorKind::x, 1);
    choice.step = run.share.steps - 1;
    honest = gv::make_opening({at(), run, state, run.state_after, train, nullptr, *engine}, choice)
                 .value();
  }
};

}  // namespace

// The input is laid over the honest opening: byte 0 and 1 say where, the rest replaces what is
// there.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Stage stage;
  const auto judge = [&](gemmine::ByteView bytes) {
    return gv::check_opening(stage.at(), stage.run.share, stage.choice, bytes).outcome;
  };
  const gemmine::ByteView input(data, size);
  const bool same = std::ranges::equal(input, stage.honest);
  GEMMINE_CHECK((judge(input) == gv::Outcome::valid) == same);
  if (size < 3) return 0;
  gemmine::Bytes mixed = stage.honest;
  const size_t at = (data[0] | data[1] << 8) % mixed.size();
  std::copy_n(data + 2, std::min(size - 2, mixed.size() - at),
              mixed.begin() + static_cast<ptrdiff_t>(at));
  GEMMINE_CHECK((judge(mixed) == gv::Outcome::valid) == (mixed == stage.honest));
  return 0;
}
