#include "pool/auditor/lease_watch.h"

#include <algorithm>

#include "pool/log/events.h"
#include "verifier/merge/round.h"

namespace gemmine::pool {

using verifier::LeaseState;
using verifier::Outcome;

LeaseWatch::LeaseWatch(Fetcher& fetcher, const verifier::LedgerState& ledger, Hooks hooks)
    : fetcher_(fetcher), ledger_(ledger), hooks_(std::move(hooks)) {
  GEMMINE_CHECK(hooks_.replayed && hooks_.unchecked && hooks_.finished);
}

const LeaseState& LeaseWatch::logged(const Digest& lease_id) const {
  return ledger_.leases().at(lease_id);
}

bool LeaseWatch::owes(const Watched& watched) const {
  return watched.next < logged(watched.lease.id).shares.size();
}

size_t LeaseWatch::replays_owed() const {
  size_t out = 0;
  for (const auto& [id, watched] : leases_)
    out += logged(id).shares.size() - watched.next;
  return out;
}

size_t LeaseWatch::downloads() const {
  return static_cast<size_t>(std::ranges::count_if(leases_, [this](const auto& entry) {
    const Stage stage = entry.second.stage;
    return owes(entry.second) && (stage == Stage::waiting || stage == Stage::loading);
  }));
}

size_t LeaseWatch::replaying() const {
  return static_cast<size_t>(std::ranges::count_if(
      leases_, [](const auto& entry) { return entry.second.stage == Stage::replaying; }));
}

void LeaseWatch::watch(const verifier::Lease& lease) {
  GEMMINE_CHECK(replayer_ != nullptr);
  leases_.try_emplace(lease.id, Watched{.lease = lease, .theta = {}, .state = {}});
}

void LeaseWatch::on_logged(const Digest& lease_id) {
  const auto found = leases_.find(lease_id);
  if (found == leases_.end() || drop_if_done(lease_id)) return;
  Watched& watched = found->second;
  if (watched.stage == Stage::ready) return run_next(watched);
  // Its weights are of no use before there is a share to replay.
  if (watched.stage != Stage::waiting || !owes(watched)) return;
  if (std::ranges::find(order_, lease_id) == order_.end()) order_.push_back(lease_id);
  go_on();
}

// Loads what waits, as far as there is room; runs what found the replayer's queue full.
void LeaseWatch::go_on() {
  while (loaded_ < kLoadedLeasesMax && !order_.empty()) {
    const auto found = leases_.find(order_.front());
    order_.pop_front();
    if (found != leases_.end()) load(found->second);
  }
  for (auto& [id, watched] : leases_)
    if (watched.stage == Stage::ready) run_next(watched);
}

void LeaseWatch::load(Watched& watched) {
  GEMMINE_CHECK(watched.stage == Stage::waiting);
  watched.stage = Stage::loading;
  ++loaded_;
  const verifier::Work& work = ledger_.jobs().at(watched.lease.job_id).work;
  const Digest id = watched.lease.id;
  if (records_.contains(work.id())) return fetch_theta(id);
  const uint64_t bytes = work.program().data_bytes(work.job().spec.records);
  fetcher_.fetch(work.job().train_address, bytes, [this, id, &work](Result<Bytes> records) {
    if (!records) return give_up(id, "training data not served", records.error().detail);
    records_.try_emplace(work.id(), std::move(records.value()));
    fetch_theta(id);
  });
}

void LeaseWatch::fetch_theta(const Digest& lease_id) {
  const auto found = leases_.find(lease_id);
  if (found == leases_.end()) return;  // given up meanwhile
  GEMMINE_CHECK(found->second.stage == Stage::loading);
  const verifier::Lease& lease = found->second.lease;
  const kernels::Program& program = ledger_.jobs().at(lease.job_id).work.program();
  fetcher_.fetch(
      lease.theta_root, program.published_floats() * sizeof(float),
      [this, lease_id, &program](Result<Bytes> bytes) {
        if (!bytes) return give_up(lease_id, "weights not served", bytes.error().detail);
        if (!leases_.contains(lease_id)) return;  // given up meanwhile
        Watched& watched = leases_.at(lease_id);
        watched.theta = verifier::floats_of(bytes.value());
        GEMMINE_CHECK(watched.theta.size() >= program.parameters());
        watched.theta.resize(program.parameters());  // a lease starts without the outer velocity
        watched.state = verifier::start_state(program, watched.theta);
        watched.stage = Stage::ready;
        run_next(watched);
      });
}

void LeaseWatch::run_next(Watched& watched) {
  GEMMINE_CHECK(watched.stage == Stage::ready);
  if (!owes(watched)) return;
  const Digest& job_id = watched.lease.job_id;
  ReplayTask task{.work = &ledger_.jobs().at(job_id).work,
                  .train_records = &records_.at(job_id),
                  .lease = &watched.lease,
                  .theta = &watched.theta,
                  .state = watched.state,
                  .index = watched.next,
                  .claimed = logged(watched.lease.id).shares[watched.next].share};
  if (replayer_->post(std::move(task))) watched.stage = Stage::replaying;
}

void LeaseWatch::on_replayed(ReplayDone done) {
  const auto found = leases_.find(done.lease_id);
  if (found == leases_.end()) return;  // given up meanwhile
  GEMMINE_CHECK(found->second.stage == Stage::replaying);
  Watched& watched = found->second;
  GEMMINE_CHECK(done.index == watched.next);
  const Outcome outcome = done.finding.outcome;
  if (outcome == Outcome::undecided) {
    return give_up(done.lease_id, "this machine could not compute it", done.finding.detail);
  }
  watched.stage = Stage::ready;
  watched.next = done.index + 1;
  watched.state = std::move(done.state_after);
  hooks_.replayed(done);  // its weights are still at hand
  // What follows a wrong share starts from a state that nobody has.
  if (outcome != Outcome::valid) {
    leases_.erase(found);
    --loaded_;
    hooks_.finished(done.lease_id);
  } else if (!drop_if_done(done.lease_id)) {
    run_next(watched);
  }
  go_on();
}

const std::vector<float>* LeaseWatch::theta_of(const Digest& lease_id) const {
  const auto found = leases_.find(lease_id);
  return found == leases_.end() || found->second.theta.empty() ? nullptr : &found->second.theta;
}

void LeaseWatch::give_up_all(const std::string& reason) {
  for (auto it = leases_.begin(); it != leases_.end();) {
    const Stage stage = it->second.stage;
    const bool waits = stage == Stage::waiting || stage == Stage::loading;
    if (!waits || !owes(it->second)) {
      ++it;
      continue;
    }
    if (stage == Stage::loading) --loaded_;
    hooks_.unchecked(reason, "lease " + short_hex(it->first) + ": " + reason);
    it = leases_.erase(it);
  }
  order_.clear();
}

void LeaseWatch::give_up(const Digest& lease_id, const std::string& reason,
                         const std::string& why) {
  const auto found = leases_.find(lease_id);
  if (found == leases_.end()) return;  // given up already
  GEMMINE_CHECK(found->second.stage != Stage::waiting);
  leases_.erase(found);
  --loaded_;
  hooks_.unchecked(reason, "lease " + short_hex(lease_id) + ": " + reason + ": " + why);
  go_on();
}

// Closed, and all of its shares replayed.
bool LeaseWatch::drop_if_done(const Digest& lease_id) {
  const auto found = leases_.find(lease_id);
  const Watched& watched = found->second;
  const bool idle = watched.stage == Stage::waiting || watched.stage == Stage::ready;
  if (!idle || !logged(lease_id).closed || owes(watched)) return false;
  if (watched.stage == Stage::ready) --loaded_;
  const Digest id = lease_id;  // which may be the lease's own
  leases_.erase(found);
  hooks_.finished(id);
  return true;
}

}  // namespace gemmine::pool
