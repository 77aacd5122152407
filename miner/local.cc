#include "miner/local.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "kernels/engines.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"

namespace gemmine::miner {

namespace {

// Deltas of the round under way that are kept for a checkpoint; with more the round begins again.
constexpr uint64_t kKeptDeltaBytesMax = uint64_t{1} << 30;

struct LeaseRun {
  Bytes delta;
  float loss = 0;  // of the last step
};

// What the rounds of one training share.
class Training {
 public:
  Training(kernels::Engine& engine, const pool::LoadedJob& job, const LocalOptions& options,
           const LocalHooks& hooks)
      : engine_(engine),
        job_(job),
        program_(job.work.program()),
        spec_(program_.spec()),
        options_(options),
        hooks_(hooks) {
    if (options.resume != nullptr) {
      at_ = *options.resume;
    } else {
      at_.job_id = job.work.id();
      at_.round = options.first_round;
      at_.published = verifier::initial_published(program_);
      std::copy(options.theta.begin(), options.theta.end(), at_.published.begin());
    }
    const uint32_t left = spec_.rounds - at_.round;
    end_ = at_.round + (options.rounds == 0 ? left : std::min(options.rounds, left));
    const uint64_t in_a_round = uint64_t{spec_.slots} * spec_.steps_per_lease;
    steps_in_all_ = (end_ - at_.round) * in_a_round;
    steps_ = uint64_t{at_.deltas.size()} * spec_.steps_per_lease + at_.steps;
    keeps_deltas_ =
        uint64_t{spec_.slots} * verifier::delta_bytes(program_.parameters()) <= kKeptDeltaBytesMax;
  }

  Result<LocalModel> run();

 private:
  bool stops() const { return hooks_.stop && hooks_.stop(); }
  // Merges a round; false when it was stopped.
  Result<bool> run_round();
  Status end_round(const RoundReport& report);
  Status evaluate();  // what the last round published
  // Of a slot: the kept delta, or its lease. Error closed: it was stopped.
  Result<Bytes> delta_of(uint32_t slot);
  // Empty when it was stopped.
  Result<std::optional<LeaseRun>> run_lease(uint32_t slot);
  void offer_checkpoint(bool round_ended) {
    if (hooks_.checkpoint && hooks_.wants_checkpoint && hooks_.wants_checkpoint(round_ended))
      hooks_.checkpoint(at_);
  }
  // The state of a lease that is stopped after some steps.
  Status keep_lease(uint32_t steps);

  kernels::Engine& engine_;
  const pool::LoadedJob& job_;
  const kernels::Program& program_;
  const kernels::Spec& spec_;
  const LocalOptions& options_;
  const LocalHooks& hooks_;
  LocalCheckpoint at_;
  uint32_t end_ = 0;  // the round after the last one
  uint64_t steps_in_all_ = 0;
  uint64_t steps_ = 0;
  bool keeps_deltas_ = false;
  bool stopped_ = false;
};

Status Training::keep_lease(uint32_t steps) {
  stopped_ = true;
  if (!hooks_.checkpoint) return Ok{};
  at_.steps = steps;
  at_.state.clear();
  if (steps > 0) {
    at_.state.resize(program_.state_floats());
    if (auto read = engine_.read_state(at_.state); !read) return read;
  }
  return Ok{};
}

Result<std::optional<LeaseRun>> Training::run_lease(uint32_t slot) {
  const std::span<const float> theta = verifier::theta_of(program_, at_.published);
  uint32_t step = std::exchange(at_.steps, 0);
  std::vector<float> state =
      step > 0 ? std::exchange(at_.state, {}) : verifier::start_state(program_, theta);
  if (auto loaded = engine_.load_state(state, step); !loaded) return loaded.error();
  LeaseRun out;
  for (; step < spec_.steps_per_lease; ++step) {
    if (stops()) {
      if (auto kept = keep_lease(step); !kept) return kept.error();
      return std::optional<LeaseRun>();
    }
    const auto result = engine_.run_step({at_.round, slot, step}, nullptr);
    if (!result) return result.error();
    out.loss = result.value().loss;
    ++steps_;
    if (hooks_.step_done) hooks_.step_done(steps_, steps_in_all_);
  }
  if (auto read = engine_.read_state(state); !read) return read.error();
  auto delta = verifier::make_delta(std::span(state).first(theta.size()), theta,
                                    job_.work.job().audit.delta_max);
  if (!delta) return delta.error();
  out.delta = std::move(delta.value());
  return std::optional(std::move(out));
}

Result<Bytes> Training::delta_of(uint32_t slot) {
  if (slot < at_.deltas.size()) return at_.deltas[slot];
  auto lease = run_lease(slot);
  if (!lease) return lease.error();
  if (!lease.value()) return Error{Errc::closed, "stopped"};
  Bytes delta = std::move(lease.value()->delta);
  at_.losses.push_back(lease.value()->loss);
  // The last slot's delta ends the round, so nobody needs it twice.
  if (keeps_deltas_ && slot + 1 < spec_.slots) {
    at_.deltas.push_back(delta);
    offer_checkpoint(false);
  }
  return delta;
}

Result<bool> Training::run_round() {
  const auto start = std::chrono::steady_clock::now();
  auto merged = verifier::redo_round(job_.work, at_.published, {spec_.slots, 0},
                                     [&](uint32_t slot) { return delta_of(slot); });
  if (stopped_) {
    if (!keeps_deltas_) {  // the round begins again
      at_.losses.clear();
      at_.steps = 0;
      at_.state.clear();
    }
    if (hooks_.checkpoint) hooks_.checkpoint(at_);
    return false;
  }
  if (!merged) return merged.error();
  RoundReport report;
  for (const float loss : at_.losses)
    report.loss += loss / static_cast<float>(spec_.slots);
  at_.published = std::move(merged.value().published);
  at_.deltas.clear();
  at_.losses.clear();
  report.round = ++at_.round;
  report.theta_root = merged.value().theta_root;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (Status ended = end_round(report); !ended) return ended.error();
  return !stopped_;
}

Status Training::end_round(const RoundReport& report) {
  if (hooks_.merged) hooks_.merged(at_.round, verifier::theta_of(program_, at_.published));
  at_.reports.push_back(report);
  stopped_ = stops();
  if (!stopped_)
    if (Status evaluated = evaluate(); !evaluated) return evaluated;
  if (stopped_ && hooks_.checkpoint) {
    hooks_.checkpoint(at_);
  } else {
    offer_checkpoint(true);
  }
  return Ok{};
}

Status Training::evaluate() {
  RoundReport& report = at_.reports.back();
  if (options_.evaluate) {
    auto evaluation = kernels::evaluate(program_, verifier::theta_of(program_, at_.published),
                                        job_.test_records, options_.threads);
    if (!evaluation) return evaluation.error();
    report.evaluation = evaluation.value();
  }
  if (hooks_.round_done) hooks_.round_done(report);
  return Ok{};
}

Result<LocalModel> Training::run() {
  // It may have been stopped between a merge and its evaluation.
  const bool unseen = !at_.reports.empty() && at_.reports.back().evaluation.records == 0;
  if (unseen && options_.evaluate)
    if (Status evaluated = evaluate(); !evaluated) return evaluated.error();
  while (at_.round < end_) {
    const auto ran = run_round();
    if (!ran) return ran.error();
    if (!ran.value()) break;
  }
  LocalModel out{.theta = std::move(at_.published), .round = at_.round, .stopped = stopped_};
  out.theta.resize(program_.parameters());
  return out;
}

}  // namespace

Result<LocalModel> train_locally(const pool::LoadedJob& job, const EngineFactory& factory,
                                 const LocalOptions& options, const LocalHooks& hooks) {
  const kernels::Program& program = job.work.program();
  GEMMINE_CHECK(options.first_round <= program.spec().rounds);
  GEMMINE_CHECK(options.theta.size() <= program.parameters());
  auto engine = factory(program, job.train_records);
  if (!engine) return engine.error();
  return Training(*engine.value(), job, options, hooks).run();
}

}  // namespace gemmine::miner
