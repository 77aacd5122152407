// What the device thread reports.
#include <type_traits>

#include "miner/miner.h"

namespace gemmine::miner {

namespace {

// Exit codes, of one table for all programs.
constexpr int kNoDevice = 4;
constexpr int kWrongNumbers = 7;

std::string two_decimals(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

}  // namespace

void Miner::on_report(Report report) {
  std::visit(
      [this](const auto& said) {
        using T = std::decay_t<decltype(said)>;
        if constexpr (std::is_same_v<T, ShareDone>) {
          on_share_done(said);
        } else if constexpr (std::is_same_v<T, ChallengeAnswered>) {
          on_challenge_answered(said);
        } else {
          on_task_failed(said);
        }
      },
      report);
}

void Miner::on_share_done(const ShareDone& done) {
  LeaseWork* work = find(done.share.lease_id);
  if (work == nullptr) return;  // closed meanwhile
  work->busy = false;
  work->run = done.share.index + 1;
  events_.event(
      Level::info, "share",
      {{"lease", short_hex(done.share.lease_id)},
       {"index", std::to_string(done.share.index)},
       {"loss", two_decimals(done.share.loss)},
       {"gmacs", two_decimals(static_cast<double>(done.macs) * 1e-9)},
       {"gmac_per_s", two_decimals(static_cast<double>(done.macs) * 1e-9 / done.seconds)}});
  send_share(*work, done.share.index);
  if (!done.delta.empty()) send_delta(*work);
  run_next(*work);
  want_lease();
}

void Miner::on_challenge_answered(const ChallengeAnswered& answered) {
  size_t bytes = 0;
  for (size_t block = 0; block < answered.openings.size(); ++block) {
    bytes += answered.openings[block].size();
    session_->send(
        pool::MessageType::opening,
        pool::encode(pool::OpeningMessage{answered.lease_id, answered.index,
                                          static_cast<uint32_t>(block), answered.openings[block]}));
  }
  events_.event(Level::info, "answered",
                {{"lease", short_hex(answered.lease_id)},
                 {"index", std::to_string(answered.index)},
                 {"blocks", std::to_string(answered.openings.size())},
                 {"bytes", std::to_string(bytes)}});
}

// A device that cannot run a share gives the lease back: another one will do it. One that is gone
// or has wrong numbers must not go on: it would only lose its owner's money.
void Miner::on_task_failed(const TaskFailed& failed) {
  events_.event(Level::error, failed.challenge ? "challenge_failed" : "share_failed",
                {{"lease", short_hex(failed.lease_id)},
                 {"index", std::to_string(failed.index)},
                 {"reason", failed.error.detail}});
  const bool device_ends =
      failed.trouble == Trouble::lost || failed.trouble == Trouble::wrong_numbers;
  const LeaseWork* const work = find(failed.lease_id);
  if (work == nullptr ? !device_ends : failed.challenge && !device_ends) return;
  JobWork* const job = work != nullptr ? work->job : nullptr;
  if (work != nullptr) abandon(failed.lease_id, failed.error.detail);
  if (device_ends) {
    ending_ = {failed.trouble == Trouble::lost ? kNoDevice : kWrongNumbers, failed.error.detail};
    stop(failed.error.detail);
    return;
  }
  if (failed.trouble == Trouble::lease) {
    retry_->start(5'000);
    return;
  }
  job->refused = true;
  events_.event(Level::error, "job_refused",
                {{"job", job->job.name}, {"reason", failed.error.detail}});
  want_lease();
  check_finished();
}

}  // namespace gemmine::miner
