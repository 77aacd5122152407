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

constexpr int kShareUrgency = 0;
constexpr int kChallengeUrgency = 1;

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
  const auto* challenge = std::get_if<AnswerChallenge>(&task);
  const int urgency = challenge != nullptr ? kChallengeUrgency : kShareUrgency;
  if (challenge != nullptr)
    pace_.challenge_waits(Pace::Clock::now() + std::chrono::milliseconds(challenge->answer_ms));
  return tasks_.post({std::move(task), ends_}, urgency);
}

void Trainer::end_shares() {
  ++ends_;
  pace_.end_share();
}

void Trainer::work(Posted posted) {
  trouble_ = Trouble::lease;
  if (const auto* challenge = std::get_if<AnswerChallenge>(&posted.task)) {
    GEMMINE_CHECK(challenge->workload != nullptr && challenge->index < challenge->lease.shares());
    pace_.challenge_taken();
    pace_.begin_answer();
    return on_report_(answer(*challenge));
  }
  const auto& share = std::get<RunShare>(posted.task);
  GEMMINE_CHECK(share.workload != nullptr && share.index < share.lease.shares());
  pace_.begin_share(share.lease.steps_of(share.index));
  if (posted.ends == ends_) return run(share, posted.ends);
  on_report_(TaskFailed{share.lease.id, share.index, false, Trouble::interrupted,
                        Error{Errc::busy, "not begun"}});
}

TaskFailed Trainer::failure(const Digest& lease_id, uint32_t index, bool challenge,
                            const Error& error) {
  TaskFailed failed{lease_id, index, challenge, trouble_, error};
  if (trouble_ == Trouble::lease && is_divergence(error)) failed.trouble = Trouble::diverged;
  if (error.code == Errc::out_of_memory) failed.trouble = Trouble::job;
  if (error.code == Errc::closed) failed.trouble = Trouble::lost;
  if (pace_.interrupted()) failed.trouble = Trouble::interrupted;
  return failed;
}

// A share that gave way to a challenge waits for its next turn.
void Trainer::run(const RunShare& task, uint64_t ends) {
  auto done = within_memory([&] { return run_share(task); });
  if (done) return on_report_(done.value());
  if (pace_.gave_way() && tasks_.post({task, ends}, kShareUrgency)) return;
  on_report_(failure(task.lease.id, task.index, false, done.error()));
}

Report Trainer::answer(const AnswerChallenge& task) {
  const Digest lease_id = task.lease.id;
  auto openings = within_memory([&] { return make_openings(task); });
  if (openings) return ChallengeAnswered{lease_id, task.index, std::move(openings.value())};
  return failure(lease_id, task.index, true, openings.error());
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
                                 task.index, state.value());
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
  auto kept = keep(std::move(run.value()), last);
  if (kept) kept = checkpoint_.save_share(done.share);
  if (!kept) {
    trouble_ = Trouble::disk;
    return kept.error();
  }
  return done;
}

// State first, share second: a share on disk always has the state it ended with beside it.
Status Trainer::keep(ShareRun run, bool last) {
  GEMMINE_CHECK(last == !run.delta.empty());
  const Digest lease_id = run.share.lease_id;
  const Status state = checkpoint_.save_state(lease_id, run.share.index + 1, run.state_after);
  if (!state) return state;
  if (last) {
    if (Status delta = checkpoint_.save_delta(lease_id, run.delta); !delta) return delta;
  }
  run.state_after = {};
  run.delta = {};
  kept_.push_back(std::move(run));
  if (kept_.size() > kRunsKeptMax) kept_.pop_front();
  return Ok{};
}

// The canary: a share leaves this machine only if a random block of its last step, where the engine
// still stands, checks from its opened bytes. Costs one block, not a step.
Status Trainer::check_own(const RunShare& task, const ShareRun& run,
                          std::span<const float> state_before) {
  if (!options_.check_own) return Ok{};
  const Workload& workload = *task.workload;
  verifier::AuditPolicy policy = workload.work.job().audit;
  policy.spot_blocks = verifier::kSpotBlocksMax;
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
    if (opening.value().size() > verifier::kOpeningBytesMax) continue;  // a job without spot audits
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

// The share as it was run: of what is kept, else all of it once more.
Result<ShareRun> Trainer::run_again(const AnswerChallenge& task,
                                    std::span<const float> state_before) {
  const Workload& workload = *task.workload;
  const Digest lease_id = task.lease.id;
  const auto kept = std::find_if(kept_.begin(), kept_.end(), [&](const ShareRun& run) {
    return run.share.lease_id == lease_id && run.share.index == task.index;
  });
  const bool last = task.index + 1 == task.lease.shares();
  if (kept != kept_.end()) {
    auto after =
        checkpoint_.load_state(lease_id, task.index + 1, workload.work.program().state_floats());
    auto delta = last ? checkpoint_.load_delta(lease_id) : Bytes{};
    if (after && delta) {
      ShareRun run = *kept;
      run.state_after = std::move(after.value());
      run.delta = std::move(delta.value());
      return run;
    }
  }
  return verifier::run_share(*engine_, {workload.work, task.lease, task.theta}, task.index,
                             state_before);
}

Result<std::vector<Bytes>> Trainer::make_openings(const AnswerChallenge& task) {
  const Workload& workload = *task.workload;
  auto engine = this->engine(workload);
  if (!engine) return engine.error();
  const auto state = state_before(workload, task.lease, task.index, task.theta);
  if (!state) return state.error();
  const auto run = run_again(task, state.value());
  if (!run) return run.error();
  return open_blocks(task, run.value(), state.value());
}

// Walks the steps once, in order, and opens each block when the engine stands right after its step.
Result<std::vector<Bytes>> Trainer::open_blocks(const AnswerChallenge& task, const ShareRun& run,
                                                std::span<const float> state_before) {
  const Workload& workload = *task.workload;
  const verifier::Lease& lease = task.lease;
  const bool last = task.index + 1 == lease.shares();
  const std::vector<BlockChoice> choices = verifier::choose_blocks(
      workload.work.program(), workload.work.job().audit, task.seed, run.share.steps, last);
  std::vector<size_t> order(choices.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return choices[a].step < choices[b].step; });

  auto loaded = engine_->load_state(state_before, run.share.first_step);
  if (!loaded) return loaded.error();
  const Digest lease_id = run.share.lease_id;
  uint32_t steps_done = 0;
  std::vector<Bytes> out(choices.size());
  for (const size_t at : order) {
    while (steps_done <= choices[at].step) {
      const uint32_t step = run.share.first_step + steps_done++;
      const Digest key = verifier::step_key(lease_id, step);
      const auto result = engine_->run_step({lease.round, lease.slot, step}, &key);
      if (!result) return result.error();
    }
    auto opening = open_block(workload, lease, run, task.theta, state_before, choices[at]);
    if (!opening) return opening.error();
    out[at] = std::move(opening.value());
  }
  return out;
}

}  // namespace gemmine::miner
