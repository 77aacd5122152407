#include "miner/trainer.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "kernels/base/random.h"
#include "verifier/records/coin.h"
#include "verifier/records/trace.h"

namespace gemmine::miner {

using verifier::BlockChoice;
using verifier::ShareRun;

Trainer::Trainer(EngineFactory factory, const verifier::Identity& identity,
                 const Checkpoint& checkpoint, bool check_own,
                 std::function<void(Report)> on_report)
    : factory_(std::move(factory)),
      identity_(identity),
      checkpoint_(checkpoint),
      check_own_(check_own),
      on_report_(std::move(on_report)),
      thread_([this] { work(); }) {}

Trainer::~Trainer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

bool Trainer::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (tasks_.size() >= kTasksMax) return false;
    const auto is_share = [](const Task& t) { return std::holds_alternative<RunShare>(t); };
    const auto at =
        is_share(task) ? tasks_.end() : std::find_if(tasks_.begin(), tasks_.end(), is_share);
    tasks_.insert(at, std::move(task));
  }
  wake_.notify_one();
  return true;
}

void Trainer::work() {
  while (true) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (stopping_) return;
    const Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    trouble_ = Trouble::lease;
    if (const auto* share = std::get_if<RunShare>(&task)) {
      on_report_(run(*share));
    } else {
      on_report_(answer(std::get<AnswerChallenge>(task)));
    }
  }
}

TaskFailed Trainer::failure(const Digest& lease_id, uint32_t index, bool challenge,
                            const Error& error) {
  TaskFailed failed{lease_id, index, challenge, trouble_, error};
  if (error.code == Errc::out_of_memory) failed.trouble = Trouble::job;
  if (error.code == Errc::closed) failed.trouble = Trouble::lost;
  return failed;
}

Report Trainer::run(const RunShare& task) {
  auto done = run_share(task);
  if (done) return std::move(done.value());
  return failure(verifier::lease_id(task.lease), task.index, false, done.error());
}

Report Trainer::answer(const AnswerChallenge& task) {
  const Digest lease_id = verifier::lease_id(task.lease);
  auto openings = make_openings(task);
  if (openings) return ChallengeAnswered{lease_id, task.index, std::move(openings.value())};
  return failure(lease_id, task.index, true, openings.error());
}

Result<kernels::Engine*> Trainer::engine(const Workload& workload) {
  if (loaded_ != &workload) {
    auto made = factory_(workload.program, workload.train_records);
    if (!made) {
      // Made again it would fail again.
      trouble_ = made.error().code == Errc::invalid ? Trouble::wrong_numbers : Trouble::job;
      return made.error();
    }
    engine_ = std::move(made.value());
    loaded_ = &workload;
  }
  return engine_.get();
}

Result<std::vector<float>> Trainer::state_before(const Workload& workload, const Digest& lease_id,
                                                 uint32_t index, std::span<const float> theta) {
  if (index > 0) {
    return checkpoint_.load_state(lease_id, index, workload.program.state_floats());
  }
  std::vector<float> state(workload.program.state_floats(), 0.0F);
  std::copy(theta.begin(), theta.end(), state.begin());
  return state;
}

Result<ShareDone> Trainer::run_share(const RunShare& task) {
  const auto start = std::chrono::steady_clock::now();
  const Workload& workload = *task.workload;
  const Digest lease_id = verifier::lease_id(task.lease);
  auto engine = this->engine(workload);
  if (!engine) return engine.error();
  const auto state = state_before(workload, lease_id, task.index, task.theta);
  if (!state) return state.error();
  auto run = verifier::run_share(*engine.value(), workload.program, workload.job, task.lease,
                                 task.index, task.theta, state.value());
  if (!run) return run.error();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (auto checked = check_own(task, run.value(), state.value()); !checked) {
    trouble_ = Trouble::wrong_numbers;
    return checked.error();
  }

  ShareDone done;
  done.share = run.value().share;
  verifier::sign(done.share, identity_);
  done.macs = done.share.macs;
  done.seconds = seconds;
  done.delta = std::move(run.value().delta);
  // State first, share second: a share on disk always has the state it ended with beside it.
  if (done.delta.empty()) {
    auto saved = checkpoint_.save_state(lease_id, task.index + 1, run.value().state_after);
    if (!saved) return saved.error();
  } else if (auto saved = checkpoint_.save_delta(lease_id, done.delta); !saved) {
    return saved.error();
  }
  if (auto saved = checkpoint_.save_share(done.share); !saved) return saved.error();
  return done;
}

// The canary: a share leaves this machine only if a random block of its last step, where the engine
// still stands, checks from its opened bytes. Costs one block, not a step.
Status Trainer::check_own(const RunShare& task, const ShareRun& run,
                          std::span<const float> state_before) {
  if (!check_own_) return Ok{};
  const Workload& workload = *task.workload;
  verifier::AuditPolicy policy = workload.job.audit;
  policy.spot_blocks = verifier::kSpotBlocksMax;
  const bool last = !run.delta.empty();
  for (const BlockChoice& choice :
       verifier::choose_blocks(workload.program, policy, random_digest(), run.share.steps, last)) {
    const auto& tensors = workload.program.tensors();
    const bool here = choice.delta || !verifier::reads_state_before(tensors[choice.position]);
    if (!here) continue;
    BlockChoice block = choice;
    block.step = run.share.steps - 1;
    const auto opening = open_block(workload, task.lease, run, task.theta, state_before, block);
    if (!opening) return opening.error();
    if (opening.value().size() > verifier::kOpeningBytesMax) continue;  // a job without spot audits
    const auto finding = verifier::check_opening(workload.job, workload.program, task.lease,
                                                 run.share, block, opening.value(), task.theta);
    if (finding.outcome == verifier::Outcome::valid) return Ok{};
    return Error{Errc::invalid, "own share " + std::to_string(task.index) +
                                    " does not check, nothing was sent: " + finding.detail};
  }
  return Ok{};  // 64 draws of such tensors in a row: 1 in 10^30 for the demo's job
}

Result<Bytes> Trainer::open_block(const Workload& workload, const verifier::Lease& lease,
                                  const ShareRun& run, std::span<const float> theta,
                                  std::span<const float> state_before, const BlockChoice& choice) {
  return verifier::make_opening(
      {workload.job, workload.program, lease, run, theta, state_before, run.state_after,
       workload.train_records, &workload.train_tree, *engine_},
      choice);
}

Result<std::vector<Bytes>> Trainer::make_openings(const AnswerChallenge& task) {
  const Workload& workload = *task.workload;
  auto engine = this->engine(workload);
  if (!engine) return engine.error();
  const auto state = state_before(workload, verifier::lease_id(task.lease), task.index, task.theta);
  if (!state) return state.error();
  const auto run = verifier::run_share(*engine.value(), workload.program, workload.job, task.lease,
                                       task.index, task.theta, state.value());
  if (!run) return run.error();
  const bool last = task.index + 1 == task.lease.shares();
  const auto choices = verifier::choose_blocks(workload.program, workload.job.audit, task.seed,
                                               run.value().share.steps, last);
  return open_blocks(workload, task.lease, run.value(), task.theta, state.value(), choices);
}

// Walks the steps once, in order, and opens each block when the engine stands right after its step.
Result<std::vector<Bytes>> Trainer::open_blocks(const Workload& workload,
                                                const verifier::Lease& lease, const ShareRun& run,
                                                std::span<const float> theta,
                                                std::span<const float> state_before,
                                                std::span<const BlockChoice> choices) {
  const Digest lease_id = verifier::lease_id(lease);
  std::vector<size_t> order(choices.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return choices[a].step < choices[b].step; });

  kernels::Engine& engine = *engine_;
  auto loaded = engine.load_state(state_before, run.share.first_step);
  if (!loaded) return loaded.error();
  uint32_t steps_done = 0;
  std::vector<Bytes> out(choices.size());
  for (const size_t at : order) {
    while (steps_done <= choices[at].step) {
      const uint32_t step = run.share.first_step + steps_done++;
      const Digest key = verifier::step_key(lease_id, step);
      const auto result = engine.run_step({lease.round, lease.slot, step}, &key);
      if (!result) return result.error();
    }
    auto opening = open_block(workload, lease, run, theta, state_before, choices[at]);
    if (!opening) return opening.error();
    out[at] = std::move(opening.value());
  }
  return out;
}

}  // namespace gemmine::miner
