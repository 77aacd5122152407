#include "miner/local.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "kernels/engines.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"

namespace gemmine::miner {

namespace {

struct LeaseRun {
  Bytes delta;
  float loss = 0;  // of the last step
};

// What the rounds of one training share.
class Training {
 public:
  Training(kernels::Engine& engine, const verifier::Work& work, const LocalHooks& hooks,
           uint32_t rounds)
      : engine_(engine),
        program_(work.program()),
        delta_max_(work.job().audit.delta_max),
        hooks_(hooks),
        steps_in_all_(uint64_t{rounds} * program_.spec().slots * program_.spec().steps_per_lease) {}

  bool stops() const { return hooks_.stop && hooks_.stop(); }
  // Empty when it was stopped.
  Result<std::optional<LeaseRun>> run_lease(std::span<const float> theta, uint32_t round,
                                            uint32_t slot);

 private:
  kernels::Engine& engine_;
  const kernels::Program& program_;
  const int delta_max_;
  const LocalHooks& hooks_;
  const uint64_t steps_in_all_;
  uint64_t steps_ = 0;
};

Result<std::optional<LeaseRun>> Training::run_lease(std::span<const float> theta, uint32_t round,
                                                    uint32_t slot) {
  std::vector<float> state = verifier::start_state(program_, theta);
  if (auto loaded = engine_.load_state(state, 0); !loaded) return loaded.error();
  LeaseRun out;
  for (uint32_t step = 0; step < program_.spec().steps_per_lease; ++step) {
    if (stops()) return std::optional<LeaseRun>();
    const auto result = engine_.run_step({round, slot, step}, nullptr);
    if (!result) return result.error();
    out.loss = result.value().loss;
    ++steps_;
    if (hooks_.step_done) hooks_.step_done(steps_, steps_in_all_);
  }
  if (auto read = engine_.read_state(state); !read) return read.error();
  auto delta = verifier::make_delta(std::span(state).first(theta.size()), theta, delta_max_);
  if (!delta) return delta.error();
  out.delta = std::move(delta.value());
  return std::optional(std::move(out));
}

}  // namespace

Result<LocalModel> train_locally(const pool::LoadedJob& job, const EngineFactory& factory,
                                 const LocalOptions& options, const LocalHooks& hooks) {
  const kernels::Program& program = job.work.program();
  const kernels::Spec& spec = program.spec();
  GEMMINE_CHECK(options.first_round <= spec.rounds);
  GEMMINE_CHECK(options.theta.size() <= program.parameters());
  auto engine = factory(program, job.train_records);
  if (!engine) return engine.error();
  const uint32_t left = spec.rounds - options.first_round;
  const uint32_t rounds = options.rounds == 0 ? left : std::min(options.rounds, left);
  Training training(*engine.value(), job.work, hooks, rounds);

  std::vector<float> published = verifier::initial_published(program);
  std::copy(options.theta.begin(), options.theta.end(), published.begin());
  LocalModel out{.theta = {}, .round = options.first_round};
  while (out.round < options.first_round + rounds && !out.stopped) {
    const auto start = std::chrono::steady_clock::now();
    RoundReport report;
    auto merged = verifier::redo_round(
        job.work, published, {spec.slots, 0}, [&](uint32_t slot) -> Result<Bytes> {
          auto lease = training.run_lease(verifier::theta_of(program, published), out.round, slot);
          if (!lease) return lease.error();
          out.stopped = !lease.value();
          if (out.stopped) return Error{Errc::closed, "stopped"};
          report.loss += lease.value()->loss / static_cast<float>(spec.slots);
          return std::move(lease.value()->delta);
        });
    if (out.stopped) break;
    if (!merged) return merged.error();
    published = std::move(merged.value().published);
    report.round = ++out.round;
    report.theta_root = merged.value().theta_root;
    report.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const std::span<const float> theta = verifier::theta_of(program, published);
    if (hooks.merged) hooks.merged(out.round, theta);
    out.stopped = training.stops();
    if (options.evaluate && !out.stopped) {
      auto evaluation = kernels::evaluate(program, theta, job.test_records, options.threads);
      if (!evaluation) return evaluation.error();
      report.evaluation = evaluation.value();
    }
    if (hooks.round_done && !out.stopped) hooks.round_done(report);
  }
  published.resize(program.parameters());
  out.theta = std::move(published);
  return out;
}

}  // namespace gemmine::miner
