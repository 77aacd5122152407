#include "miner/local.h"

#include <algorithm>
#include <chrono>

#include "kernels/hash/blake3.h"
#include "verifier/merge/delta.h"

namespace gemmine::miner {

namespace {

struct LeaseRun {
  Bytes delta;
  float loss = 0;  // of the last step
};

Result<LeaseRun> run_lease(kernels::Engine& engine, const kernels::Program& program,
                           std::span<const float> theta, uint32_t round, uint32_t slot,
                           const std::function<void()>& step_done) {
  std::vector<float> state(program.state_floats(), 0.0F);
  std::copy(theta.begin(), theta.end(), state.begin());
  if (auto loaded = engine.load_state(state, 0); !loaded) return loaded.error();
  LeaseRun out;
  for (uint32_t step = 0; step < program.spec().steps_per_lease; ++step) {
    const auto result = engine.run_step({round, slot, step}, nullptr);
    if (!result) return result.error();
    out.loss = result.value().loss;
    step_done();
  }
  if (auto read = engine.read_state(state); !read) return read.error();
  auto delta = verifier::make_delta(std::span(state).first(theta.size()), theta);
  if (!delta) return delta.error();
  out.delta = std::move(delta.value());
  return out;
}

}  // namespace

Result<std::vector<float>> train_locally(
    const verifier::Job& job, ByteView train_records, ByteView test_records,
    const EngineFactory& factory, const LocalOptions& options,
    const std::function<void(uint64_t, uint64_t)>& step_done,
    const std::function<void(const RoundReport&)>& round_done) {
  const auto program = kernels::Program::make(job.spec);
  if (!program) return program.error();
  auto engine = factory(program.value(), train_records);
  if (!engine) return engine.error();
  GEMMINE_CHECK(options.first_round <= job.spec.rounds);
  const uint32_t left = job.spec.rounds - options.first_round;
  const uint32_t rounds = options.rounds == 0 ? left : std::min(options.rounds, left);
  const uint64_t steps_in_all = uint64_t{rounds} * job.spec.slots * job.spec.steps_per_lease;
  uint64_t steps = 0;

  std::vector<float> published = verifier::initial_published(program.value());
  std::copy(options.theta.begin(), options.theta.end(), published.begin());
  for (uint32_t round = options.first_round; round < options.first_round + rounds; ++round) {
    const std::span<const float> theta = verifier::theta_of(program.value(), published);
    const auto start = std::chrono::steady_clock::now();
    verifier::Merge merge(program.value());
    RoundReport report;
    for (uint32_t slot = 0; slot < job.spec.slots; ++slot) {
      auto lease = run_lease(*engine.value(), program.value(), theta, round, slot,
                             [&] { step_done(++steps, steps_in_all); });
      if (!lease) return lease.error();
      if (auto added = merge.add(lease.value().delta); !added) return added.error();
      report.loss += lease.value().loss / static_cast<float>(job.spec.slots);
    }
    auto merged = merge.finish(published, job.spec.slots);
    if (!merged) return merged.error();
    published = std::move(merged.value());
    report.round = round + 1;
    report.theta_root = kernels::blake3(as_bytes(std::span<const float>(published)));
    report.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (options.evaluate) {
      auto evaluation =
          kernels::evaluate(program.value(), verifier::theta_of(program.value(), published),
                            test_records, options.threads);
      if (!evaluation) return evaluation.error();
      report.evaluation = evaluation.value();
    }
    round_done(report);
  }
  published.resize(program.value().parameters());
  return published;
}

}  // namespace gemmine::miner
