// A second walk through a lease gives the tensors that the first one committed to, and is none
// where the device has changed its mind.
#include "verifier/audit/rerun.h"

#include <gtest/gtest.h>

#include "kernels/hash/blake3.h"
#include "tests/support/toy_lease.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {
namespace {

using gemmine::test::Toy;

struct Ran {
  LeaseTrace trace;
  std::vector<float> state_after;
};

Ran run_lease(const Toy& toy, kernels::Engine& engine) {
  Ran out;
  for (const ShareRun& run : toy.run_lease(engine, 0, 0, toy.lease(0, 0).shares())) {
    out.trace.append(run);
    out.state_after = run.state_after;
  }
  return out;
}

TEST(Rerun, GivesEveryTensorOfEveryStepAgain) {
  for (const char* const job : {"job_sgd", "job_adamw", "job_gpt", "job_gpt_tied"}) {
    const Toy toy(job);
    const auto engine = toy.engine();
    const Ran first = run_lease(toy, *engine);
    const kernels::Program& program = toy.work.program();
    EXPECT_EQ(first.trace.steps(), program.spec().steps_per_lease);
    const Lease lease = toy.lease(0, 0);
    const std::vector<float> theta = toy.theta(0);
    uint32_t seen = 0;
    const Status status =
        rerun_lease(*engine, {toy.work, lease, theta}, first.trace, [&](uint32_t step) -> Status {
          EXPECT_EQ(step, seen++);
          const Digest key = step_key(lease.id, step);
          for (uint32_t p = 0; p < program.tensors().size(); ++p)
            EXPECT_EQ(kernels::blake3_keyed(key, engine->read_tensor(p).value()),
                      first.trace.roots[step][p])
                << job << ", step " << step << ", tensor " << p;
          return Ok{};
        });
    ASSERT_TRUE(status) << status.error().detail;
    EXPECT_EQ(seen, first.trace.steps());
    std::vector<float> state(program.state_floats());
    ASSERT_TRUE(engine->read_state(state));
    EXPECT_EQ(state, first.state_after);
  }
}

TEST(Rerun, StopsWhereTheLossIsAnotherOrItIsTold) {
  const Toy toy("job_sgd");
  const auto engine = toy.engine();
  Ran first = run_lease(toy, *engine);
  const Lease lease = toy.lease(0, 0);
  const std::vector<float> theta = toy.theta(0);
  const LeaseView view{toy.work, lease, theta};
  uint32_t steps = 0;
  const auto count = [&](uint32_t) -> Status {
    ++steps;
    return Ok{};
  };
  LeaseTrace other = first.trace;
  other.losses[2] = -other.losses[2];
  EXPECT_EQ(rerun_lease(*engine, view, other, count).error().code, Errc::invalid);
  EXPECT_EQ(steps, 2U);
  const Status told = rerun_lease(*engine, view, first.trace, [](uint32_t step) -> Status {
    if (step == 1) return Error{Errc::closed, "enough"};
    return Ok{};
  });
  EXPECT_EQ(told.error().code, Errc::closed);
  EXPECT_EQ(rerun_lease(*engine, {toy.work, lease, std::span(theta).subspan(1)}, first.trace, count)
                .error()
                .code,
            Errc::invalid_argument);
}

TEST(Rerun, KeepsNoMoreThanItSaysAndReadsItBack) {
  const Toy toy("job_adamw");
  const auto engine = toy.engine();
  const kernels::Program& program = toy.work.program();
  const LeaseTrace trace = run_lease(toy, *engine).trace;
  const Bytes bytes = encode_trace(trace);
  EXPECT_EQ(bytes.size(), lease_trace_bytes(program));
  EXPECT_EQ(decode_trace(program, bytes).value(), trace);
  const size_t step = bytes.size() / trace.steps();
  EXPECT_EQ(decode_trace(program, ByteView(bytes).first(step)).value().steps(), 1U);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_EQ(decode_trace(program, ByteView(bytes).first(size)).ok(), size % step == 0) << size;
  Bytes longer = bytes;
  longer.resize(bytes.size() + step);
  EXPECT_FALSE(decode_trace(program, longer));
}

}  // namespace
}  // namespace gemmine::verifier
