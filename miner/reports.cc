#include "miner/reports.h"

#include <algorithm>
#include <cstdio>
#include <type_traits>

#include "miner/answers.h"
#include "miner/leases.h"

namespace gemmine::miner {

namespace {

std::string two_decimals(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

void on_share_done(State& state, const ShareDone& done) {
  const verifier::Share& share = done.share;
  LeaseWork* const work = state.find(share.lease_id);
  if (work == nullptr) return;  // closed meanwhile
  work->busy = false;
  work->run = std::max(work->run, share.index + 1);
  work->job->pause.heal();
  work->job->diverges = false;
  state.disk.pause.heal();
  const double giga_macs = static_cast<double>(done.macs) * 1e-9;
  state.note(Level::info, "share",
             {{"lease", short_hex(share.lease_id)},
              {"index", std::to_string(share.index)},
              {"loss", two_decimals(share.loss)},
              {"gmacs", two_decimals(giga_macs)},
              {"gmac_per_s", two_decimals(giga_macs / done.seconds)}});
  if (share.index >= work->accepted) {  // else one that was lost and computed again
    state.send(pool::ShareMessage{verifier::encode(share), done.steps});
    work->sent = std::max(work->sent, share.index + 1);
  }
  if (work->run == work->lease.shares() && !work->delta_stored)
    state.out.emplace_back(SendDelta{work->id});
}

// Training that went off its rails does so again, here and elsewhere: the job's owner has to mend
// it. Told once; the job is left alone longer each time.
void on_divergence(State& state, JobWork& job, const TaskFailed& failed) {
  if (!job.diverges)
    state.note(Level::error, "job_diverges",
               {{"job", job.work->job().name},
                {"round", std::to_string(job.round)},
                {"reason", failed.error.detail},
                {"hint",
                 "its owner should lower lr or set clip; this miner asks for its leases less and "
                 "less often"}});
  job.diverges = true;
}

void on_share_failed(State& state, LeaseWork& work, const TaskFailed& failed, uint64_t now_ms) {
  const std::string& reason = failed.error.detail;
  switch (failed.trouble) {
    case Trouble::interrupted:
      return;  // run again, unless the program ends
    case Trouble::disk:
      disk_trouble(state, reason, now_ms);
      break;
    case Trouble::diverged:
      on_divergence(state, *work.job, failed);
      work.diverged = failed.step;
      work.job->pause.trouble(now_ms);
      break;
    case Trouble::job:
      // What ran before may run again, when other programs leave it the memory.
      work.job->refused = work.run == 0;
      work.job->pause.trouble(now_ms);
      if (work.job->refused)
        state.note(Level::error, "job_refused",
                   {{"job", work.job->work->job().name}, {"reason", reason}});
      break;
    case Trouble::lease:
    case Trouble::lost:
    case Trouble::wrong_numbers:
      work.job->pause.trouble(now_ms);
      break;
  }
  give_back(work, reason);
}

// Whether it says nothing of the device, and nothing of other leases' folders.
bool of_lease(Trouble trouble) {
  return trouble == Trouble::lease || trouble == Trouble::diverged || trouble == Trouble::disk ||
         trouble == Trouble::interrupted;
}

// A device that cannot run a share gives the lease back: another one will do it. One that is gone
// or has wrong numbers must not go on: it would only lose its owner's money.
void on_task_failed(State& state, const TaskFailed& failed, uint64_t now_ms) {
  LeaseWork* const work = state.find(failed.lease_id);
  // Of a lease that is closed the folder is gone, under a share of it that still runs.
  const bool closed = work == nullptr && of_lease(failed.trouble);
  const bool known =
      closed || failed.trouble == Trouble::interrupted || failed.trouble == Trouble::diverged;
  state.note(known ? Level::debug : Level::error, "share_failed",
             {{"lease", short_hex(failed.lease_id)},
              {"index", std::to_string(failed.index)},
              {"reason", failed.error.detail}});
  if (work != nullptr) {
    work->busy = false;
    on_share_failed(state, *work, failed, now_ms);
  }
  if (failed.trouble != Trouble::lost && failed.trouble != Trouble::wrong_numbers) return;
  const ExitCode code =
      failed.trouble == Trouble::lost ? ExitCode::no_device : ExitCode::wrong_numbers;
  state.ending.code = code;
  if (work != nullptr) {
    give_back(*work, failed.error.detail);
    advance(state, now_ms);  // what can be given back is
  }
  if (!state.ended) state.leave(code, failed.error.detail);
}

}  // namespace

void on_report(State& state, Report report, uint64_t now_ms) {
  GEMMINE_CHECK(state.tasks > 0);
  --state.tasks;
  std::visit(
      [&](auto& said) {
        using T = std::decay_t<decltype(said)>;
        if constexpr (std::is_same_v<T, ShareDone>) {
          on_share_done(state, said);
        } else if constexpr (std::is_same_v<T, ThreadAnswered>) {
          on_answered(state, said);
        } else if constexpr (std::is_same_v<T, AnswerFailed>) {
          on_answer_failed(state, said, now_ms);
        } else {
          on_task_failed(state, said, now_ms);
        }
      },
      report);
}

}  // namespace gemmine::miner
