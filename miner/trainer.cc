#include "miner/trainer.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <numeric>

#include "kernels/base/random.h"
#include "pool/blobs/tree_file.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/records/trace.h"
#include "verifier/thread/prover.h"

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

// Of the lease whose last step the engine has just run.
Result<Bytes> delta_of(kernels::Engine& engine, const verifier::Work& work,
                       std::span<const float> theta) {
  std::vector<float> state(work.program().state_floats());
  if (auto read = engine.read_state(state); !read) return read.error();
  return verifier::make_delta(std::span<const float>(state).first(theta.size()), theta,
                              work.job().audit.delta_max);
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
  const auto* const answer = std::get_if<AnswerThread>(&task);
  if (answer == nullptr) return tasks_.post({std::move(task), ends_});
  pace_.challenge_waits(Pace::Clock::now() + std::chrono::milliseconds(answer->within_ms),
                        answer->lease.steps);
  const bool posted = tasks_.post({std::move(task), ends_}, 1);
  if (!posted) pace_.challenge_taken();
  return posted;
}

void Trainer::end_shares() {
  ++ends_;
  pace_.end_share();
}

void Trainer::work(Posted posted) {
  trouble_ = Trouble::lease;
  steps_done_ = 0;
  if (const auto* const thread = std::get_if<AnswerThread>(&posted.task)) return run(*thread);
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

void Trainer::run(const AnswerThread& task) {
  pace_.challenge_taken();
  pace_.begin_answer();
  const auto start = std::chrono::steady_clock::now();
  auto answered = within_memory([&] { return answer(task); });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  if (answered) return on_report_(ThreadAnswered{answered.value(), took.count()});
  AnswerFailed failed{task.lease.id, task.challenge, trouble_, answered.error()};
  // A loss that is not the one that was kept, or a fibre that does not check.
  if (failed.error.code == Errc::invalid) failed.trouble = Trouble::wrong_numbers;
  if (failed.error.code == Errc::closed) failed.trouble = Trouble::lost;
  if (pace_.interrupted()) failed.trouble = Trouble::interrupted;
  on_report_(failed);
}

// A file that has its name is whole: made before a crash it is sent as it is.
Result<verifier::AnswerBody> Trainer::answer(const AnswerThread& task) {
  const std::string path = checkpoint_.answer_path(task.lease.id, task.challenge);
  if (!pool::PieceFile::open(path)) {
    const Status made = task.question ? explain(task, path) : prove(task, path);
    if (!made) return made.error();
  }
  const auto file = pool::PieceFile::open(path);
  if (!file) return file.error();
  const auto tree = pool::hash_file(file.value());
  if (!tree) return tree.error();
  if (auto saved = pool::save_tree(path, tree.value()); !saved) return saved.error();
  verifier::AnswerBody body{.lease_id = task.lease.id,
                            .challenge = task.challenge,
                            .address = tree.value().root(),
                            .bytes = tree.value().total_bytes()};
  body.signature = identity_.sign(verifier::answer_message(body));
  return body;
}

Status Trainer::prove(const AnswerThread& task, const std::string& path) {
  const verifier::Lease& lease = task.lease;
  const verifier::Work& work = task.workload->work;
  std::vector<verifier::Share> shares;
  std::vector<Digest> digests;
  for (uint32_t i = 0; i < lease.shares(); ++i) {
    auto share = checkpoint_.load_share(lease.id, i);
    if (!share) return share.error();
    shares.push_back(share.value());
    const auto steps = checkpoint_.load_steps(lease.id, i);
    if (!steps) return steps.error();
    digests.insert(digests.end(), steps.value().begin(), steps.value().end());
  }
  const auto trace = checkpoint_.load_trace(work.program(), lease);
  if (!trace) return trace.error();
  if (digests.size() != lease.steps)
    return Error{Errc::malformed, "the digests of a lease: not of all its steps"};
  const auto engine = this->engine(*task.workload);
  if (!engine) return engine.error();
  pool::remove_file(path + ".part");
  auto file = pool::PieceFile::open_or_make(path + ".part");
  if (!file) return file.error();
  const verifier::ThreadProver prover{
      .engine = *engine.value(),
      .theta = task.theta,
      .train_records = task.workload->train_records,
      .train_tree = &task.workload->train_tree,
      .step_digests = digests,
      .kept_step = [&](uint32_t step) -> Result<verifier::KeptStep> {
        return verifier::KeptStep{trace.value().roots[step], trace.value().losses[step]};
      },
      .kept_state = {},
      .delta = [&] { return delta_of(*engine.value(), work, task.theta); },
      .miner = identity_,
      .check_own = options_.check_own};
  const auto written = verifier::prove_thread(
      {work, lease, shares, task.seed, work.job().audit.thread_blocks}, prover,
      [&](uint64_t at, ByteView bytes) { return file.value().write(at, bytes); });
  if (!written) return written.error();
  if (auto synced = file.value().sync(); !synced) return synced;
  return pool::rename_durable(path + ".part", path);
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
  auto kept = keep(task, run.value(), last);
  if (kept) kept = checkpoint_.save_share(done.share, done.steps);
  if (!kept) {
    trouble_ = Trouble::disk;
    return kept.error();
  }
  return done;
}

// State first, share second: a share on disk always has the state it ended with beside it.
Status Trainer::keep(const RunShare& task, const ShareRun& run, bool last) {
  GEMMINE_CHECK(last == !run.delta.empty());
  const Digest lease_id = run.share.lease_id;
  const verifier::LeaseTrace trace{run.roots, run.losses};
  if (auto kept = checkpoint_.save_trace(lease_id, task.index, trace); !kept) return kept;
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
