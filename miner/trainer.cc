#include "miner/trainer.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <numeric>

#include "kernels/base/random.h"
#include "verifier/merge/round.h"
#include "verifier/records/trace.h"

namespace gemmine::miner {

using verifier::BlockChoice;
using verifier::ShareRun;

namespace {

// boundary: the allocator throws. What does not fit now may fit later, so nothing ends by it.
template <class Work>
auto within_memory(Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return Error{Errc::out_of_memory, "no memory for the work on a share"};
  }
}

// Engines and replays say so when a NaN or infinity appears (PROTOCOL 2.1).
bool is_divergence(const Error& error) {
  return error.code == Errc::invalid;
}

}  // namespace

Trainer::Trainer(EngineFactory factory, const verifier::Identity& identity,
                 const Checkpoint& checkpoint, TrainerOptions options,
                 std::function<void(Report)> on_report)
    : factory_(std::move(factory)),
      identity_(identity),
      checkpoint_(checkpoint),
      options_(options),
      on_report_(std::move(on_report)),
      pace_(options.throttle) {
  GEMMINE_CHECK(factory_ && on_report_);
}

Trainer::~Trainer() {
  pace_.end_all();
}

Status Trainer::start() {
  return tasks_.start(1, [this](Posted posted, int /*worker*/, const std::stop_token& /*stop*/) {
    work(std::move(posted));
  });
}

bool Trainer::post(Task task) {
  if (tasks_.waiting() >= kTasksMax) return false;
  return tasks_.post({std::move(task), ends_});
}

void Trainer::end_shares() {
  ++ends_;
  pace_.end_share();
}

void Trainer::work(Posted posted) {
  trouble_ = Trouble::lease;
  steps_done_ = 0;
  const auto& share = std::get<RunShare>(posted.task);
  GEMMINE_CHECK(share.workload != nullptr && share.index < share.lease.shares());
  pace_.begin_share(share.lease.steps_of(share.index));
  if (posted.ends == ends_) return run(share);
  on_report_(TaskFailed{share.lease.id, share.index, verifier::kNoStep, Trouble::interrupted,
                        Error{Errc::busy, "not begun"}});
}

TaskFailed Trainer::failure(const RunShare& task, const Error& error) {
  TaskFailed failed{task.lease.id, task.index, verifier::kNoStep, trouble_, error};
  if (trouble_ == Trouble::lease && is_divergence(error)) {
    failed.trouble = Trouble::diverged;
    if (steps_done_ < task.lease.steps_of(task.index))
      failed.step = task.lease.first_step(task.index) + steps_done_;
  }
  if (error.code == Errc::out_of_memory) failed.trouble = Trouble::job;
  if (error.code == Errc::closed) failed.trouble = Trouble::lost;
  if (pace_.interrupted()) failed.trouble = Trouble::interrupted;
  return failed;
}

void Trainer::run(const RunShare& task) {
  auto done = within_memory([&] { return run_share(task); });
  if (done) return on_report_(done.value());
  on_report_(failure(task, done.error()));
}

Result<kernels::Engine*> Trainer::engine(const Workload& workload) {
  if (loaded_ != workload.work.id()) {
    loaded_.reset();
    engine_.reset();  // two at once may not fit
    auto made = factory_(workload.work.program(), workload.train_records);
    if (!made) {
      // Made again it would fail again.
      trouble_ = made.error().code == Errc::invalid ? Trouble::wrong_numbers : Trouble::job;
      return made.error();
    }
    engine_ = paced(std::move(made.value()), pace_);
    loaded_ = workload.work.id();
  }
  return engine_.get();
}

Result<std::vector<float>> Trainer::state_before(const Workload& workload,
                                                 const verifier::Lease& lease, uint32_t index,
                                                 std::span<const float> theta) {
  const Digest lease_id = lease.id;
  const uint64_t floats = workload.work.program().state_floats();
  GEMMINE_CHECK(engine_ != nullptr && theta.size() <= floats);
  std::vector<float> state;
  uint32_t from = index;
  for (; from > 0; --from) {
    auto loaded = checkpoint_.load_state(lease_id, from, floats);
    if (!loaded) continue;
    state = std::move(loaded.value());
    break;
  }
  if (from == 0) state = verifier::start_state(workload.work.program(), theta);
  if (from == index) return state;
  if (auto begun = engine_->load_state(state, lease.first_step(from)); !begun) return begun.error();
  for (uint32_t step = lease.first_step(from); step < lease.first_step(index); ++step) {
    const auto result = engine_->run_step({lease.round, lease.slot, step}, nullptr);
    if (!result) return result.error();
  }
  if (auto read = engine_->read_state(state); !read) return read.error();
  return state;
}

Result<ShareDone> Trainer::run_share(const RunShare& task) {
  const auto start = std::chrono::steady_clock::now();
  const Workload& workload = *task.workload;
  auto engine = this->engine(workload);
  if (!engine) return engine.error();
  const auto state = state_before(workload, task.lease, task.index, task.theta);
  if (!state) return state.error();
  auto run = verifier::run_share(*engine.value(), {workload.work, task.lease, task.theta},
                                 task.index, state.value(), &steps_done_);
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
  const bool last = task.index + 1 == task.lease.shares();
  done.steps = run.value().step_digests;
  auto kept = keep(run.value(), last);
  if (kept) kept = checkpoint_.save_share(done.share, done.steps);
  if (!kept) {
    trouble_ = Trouble::disk;
    return kept.error();
  }
  return done;
}

// State first, share second: a share on disk always has the state it ended with beside it.
Status Trainer::keep(const ShareRun& run, bool last) {
  GEMMINE_CHECK(last == !run.delta.empty());
  const Digest lease_id = run.share.lease_id;
  const Status state = checkpoint_.save_state(lease_id, run.share.index + 1, run.state_after);
  if (!state || !last) return state;
  return checkpoint_.save_delta(lease_id, run.delta);
}

// The canary: a share leaves this machine only if a random block of its last step, where the engine
// still stands, checks from its opened bytes. Costs one block, not a step.
Status Trainer::check_own(const RunShare& task, const ShareRun& run,
                          std::span<const float> state_before) {
  if (!options_.check_own) return Ok{};
  const Workload& workload = *task.workload;
  verifier::AuditPolicy policy = workload.work.job().audit;
  policy.thread_blocks = 64;
  const bool last = !run.delta.empty();
  for (const BlockChoice& choice : verifier::choose_blocks(
           workload.work.program(), policy, random_digest(), run.share.steps, last)) {
    const auto& tensors = workload.work.program().tensors();
    const bool here = choice.delta || !verifier::reads_state_before(tensors[choice.position]);
    if (!here) continue;
    BlockChoice block = choice;
    block.step = run.share.steps - 1;
    const auto opening = open_block(workload, task.lease, run, task.theta, state_before, block);
    if (!opening) return opening.error();
    if (opening.value().size() > verifier::kOpeningBytesMax) continue;
    const auto finding = verifier::check_opening({workload.work, task.lease, task.theta}, run.share,
                                                 block, opening.value());
    if (finding.outcome == verifier::Outcome::valid) return Ok{};
    return Error{Errc::invalid, "own share " + std::to_string(task.index) +
                                    " does not check, nothing was sent: " + finding.detail};
  }
  return Ok{};  // 64 draws of such tensors in a row: 1 in 10^30 for the demo's job
}

Result<Bytes> Trainer::open_block(const Workload& workload, const verifier::Lease& lease,
                                  const ShareRun& run, std::span<const float> theta,
                                  std::span<const float> state_before, const BlockChoice& choice) {
  return verifier::make_opening({{workload.work, lease, theta},
                                 run,
                                 state_before,
                                 run.state_after,
                                 workload.train_records,
                                 &workload.train_tree,
                                 *engine_},
                                choice);
}

}  // namespace gemmine::miner
