// What a descent asks a miner about one step of a lease (PROTOCOL 12.11): from what was kept of it,
// and where tensors or a state are wanted by running the lease again up to there.
#include "kernels/base/files.h"
#include "miner/trainer.h"
#include "verifier/audit/rerun.h"
#include "verifier/merge/round.h"
#include "verifier/proof/descent.h"

namespace gemmine::miner {

namespace {

using verifier::Asked;
using verifier::ProverView;
using verifier::Question;
using verifier::ShareRun;

// A share as it was run the first time, without its states.
Result<ShareRun> kept_run(const Checkpoint& checkpoint, const verifier::Lease& lease,
                          const verifier::LeaseTrace& trace, uint32_t index) {
  const auto share = checkpoint.load_share(lease.id, index);
  if (!share) return share.error();
  auto steps = checkpoint.load_steps(lease.id, index);
  if (!steps) return steps.error();
  const auto first = static_cast<ptrdiff_t>(share.value().first_step);
  const auto last = first + static_cast<ptrdiff_t>(share.value().steps);
  return ShareRun{.share = share.value(),
                  .step_digests = std::move(steps.value()),
                  .roots = {trace.roots.begin() + first, trace.roots.begin() + last},
                  .losses = {trace.losses.begin() + first, trace.losses.begin() + last},
                  .state_after = {},
                  .delta = {}};
}

// The device right after a step, with the state that the step's share began with.
struct Standing {
  kernels::Engine& engine;
  const Workload& workload;
  const verifier::LeaseView at;
  bool check_own = true;

  Result<Bytes> answer(const Question& question, const verifier::LeaseTrace& trace, ShareRun& run) {
    const kernels::Program& program = workload.work.program();
    const bool state = question.asked == Asked::state_nodes;
    verifier::LeaseTrace upto = trace;
    const uint32_t steps = state ? run.share.first_step + run.share.steps : question.step + 1;
    upto.roots.resize(steps);
    upto.losses.resize(steps);
    std::vector<float> before = verifier::start_state(program, at.theta);
    Result<Bytes> out = Error{Errc::invalid_argument, "question: about no step of the lease"};
    const auto on_step = [&](uint32_t step) -> Status {
      if (step + 1 == run.share.first_step) return engine.read_state(before);
      if (state || step != question.step) return Ok{};
      out = verifier::answer_question(
          workload.work, question,
          [&](uint32_t) -> Result<ProverView> { return view(run, before); }, run);
      return Ok{};
    };
    if (Status ran = verifier::rerun_lease(engine, at, upto, on_step); !ran) return ran.error();
    if (!state) return out;
    run.state_after.resize(program.state_floats());
    if (Status read = engine.read_state(run.state_after); !read) return read.error();
    return verifier::answer_question(workload.work, question, {}, run);
  }

  ProverView view(const ShareRun& run, std::span<const float> before) const {
    return {.at = at,
            .run = run,
            .state_before = before,
            .state_after = {},
            .train_records = workload.train_records,
            .train_tree = &workload.train_tree,
            .engine = engine,
            .check_own = check_own};
  }
};

}  // namespace

Status Trainer::explain(const AnswerThread& task, const std::string& path) {
  const verifier::Lease& lease = task.lease;
  const Question& question = *task.question;
  if (question.step >= lease.steps)
    return Error{Errc::invalid_argument, "question: about no step of the lease"};
  const verifier::Work& work = task.workload->work;
  const auto trace = checkpoint_.load_trace(work.program(), lease);
  if (!trace) return trace.error();
  auto run = kept_run(checkpoint_, lease, trace.value(), question.step / lease.steps_per_share);
  if (!run) return run.error();
  Result<Bytes> bytes = Error{Errc::undecided, ""};
  if (question.asked == Asked::roots) {
    bytes = verifier::answer_question(work, question, {}, run.value());
  } else {
    const auto engine = this->engine(*task.workload);
    if (!engine) return engine.error();
    Standing standing{
        *engine.value(), *task.workload, {work, lease, task.theta}, options_.check_own};
    bytes = standing.answer(question, trace.value(), run.value());
  }
  if (!bytes) return bytes.error();
  return write_durable(path, bytes.value());
}

}  // namespace gemmine::miner
