#include "pool/auditor/replayer.h"

#include <utility>

#include "kernels/engines.h"
#include "verifier/records/trace.h"

namespace gemmine::pool {

Replayer::Replayer(Loop& loop, std::string engine, int threads,
                   std::function<void(ReplayDone)> on_done)
    : engine_name_(std::move(engine)),
      threads_(threads),
      on_done_(std::move(on_done)),
      mailbox_(loop, kReplaysMax,
               [this](ReplayDone done) {
                 GEMMINE_CHECK(under_way_ > 0);
                 --under_way_;
                 on_done_(std::move(done));
               }),
      queue_(kReplaysMax) {
  GEMMINE_CHECK(threads_ >= 1 && on_done_ != nullptr);
}

Result<std::unique_ptr<Replayer>> Replayer::start(Loop& loop, std::string engine, int threads,
                                                  std::function<void(ReplayDone)> on_done) {
  std::unique_ptr<Replayer> out(new Replayer(loop, std::move(engine), threads, std::move(on_done)));
  const Status started =
      out->queue_.start(1, [made = out.get()](const ReplayTask& task, int, const std::stop_token&) {
        made->work(task);
      });
  if (!started) return started.error();
  return out;
}

bool Replayer::post(ReplayTask task) {
  GEMMINE_CHECK(task.work != nullptr && task.train_records != nullptr && task.lease != nullptr &&
                task.theta != nullptr && task.index < task.lease->shares());
  GEMMINE_CHECK(task.state.size() == task.work->program().state_floats());
  if (under_way_ >= kReplaysMax) return false;
  ++under_way_;
  GEMMINE_CHECK(queue_.post(std::move(task)));  // it has as many places
  return true;
}

void Replayer::work(const ReplayTask& task) {
  ReplayDone done{.lease_id = task.lease->id,
                  .index = task.index,
                  .finding = {},
                  .digest = {},
                  .state_after = {}};
  done.finding = replay(task, done);
  GEMMINE_CHECK(mailbox_.post(std::move(done)));  // so has the mailbox
}

verifier::Finding Replayer::replay(const ReplayTask& task, ReplayDone& done) {
  using verifier::Outcome;
  if (loaded_ != task.work) {
    loaded_ = nullptr;
    auto made =
        kernels::make_engine(engine_name_, task.work->program(), *task.train_records, threads_);
    if (!made) return {Outcome::undecided, verifier::kNoStep, made.error().detail};
    engine_ = std::move(made.value());
    loaded_ = task.work;
  }
  auto run =
      verifier::run_share(*engine_, {*task.work, *task.lease, *task.theta}, task.index, task.state);
  if (run) {
    const verifier::Finding finding = compare_share(task.claimed, run.value());
    done.digest = verifier::digest_of(finding, task.claimed, run.value());
    done.state_after = std::move(run.value().state_after);
    return finding;
  }
  // A share whose honest run diverges cannot be valid, whatever it claims. A device that fails, or
  // has too little memory, has decided nothing.
  const bool diverged = run.error().code == Errc::invalid;
  if (diverged) done.digest = verifier::state_root(task.state);
  if (!diverged) loaded_ = nullptr;
  return {diverged ? Outcome::invalid : Outcome::undecided, verifier::kNoStep, run.error().detail};
}

}  // namespace gemmine::pool
