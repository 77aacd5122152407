#include "miner/leases.h"

#include <algorithm>

#include "kernels/hash/opening.h"
#include "miner/answers.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"

namespace gemmine::miner {

namespace {

// Why a lease cannot be worked on; null when it can.
const char* objection(const State& state, const verifier::Lease& lease) {
  const bool ours = lease.miner_key == state.key && lease.pool_key == state.pool_key &&
                    verifier::signed_by_pool(lease);
  if (!ours) return "its signature or keys are wrong";
  const auto job = state.jobs.find(lease.job_id);
  if (job == state.jobs.end() || !job->second.offered || job->second.refused)
    return "its job is not for us";
  const kernels::Spec& spec = job->second.work->job().spec;
  const bool fits =
      lease.steps == spec.steps_per_lease && lease.round < spec.rounds && lease.slot < spec.slots;
  return fits ? nullptr : "it does not fit its job";
}

void abandon(State& state, const Digest& lease_id, const std::string& reason) {
  const bool asked = reason == state.ending.reason;  // by its owner, who stops
  state.note(asked ? Level::info : Level::warning, "lease_abandoned",
             {{"lease", short_hex(lease_id)}, {"reason", reason}});
  const LeaseWork* const lease = state.find(lease_id);
  state.out.emplace_back(
      GiveBack{lease_id, lease != nullptr ? lease->diverged : verifier::kNoStep});
  state.given_back.insert(lease_id);
  close(state, lease_id);
}

// What the state before and after a share, and the delta, take on disk.
uint64_t bytes_of_lease(const kernels::Program& program) {
  return 3 * program.state_floats() * sizeof(float) + verifier::delta_bytes(program.parameters());
}

// On disk before anything of it is run. Null when that failed.
LeaseWork* hold(State& state, const verifier::Lease& lease, uint64_t now_ms) {
  GEMMINE_CHECK(state.jobs.contains(lease.job_id));
  if (auto saved = state.checkpoint.save_lease(lease); !saved) {
    disk_trouble(state, saved.error().detail, now_ms);
    return nullptr;
  }
  if (auto begun = state.receipts.begin(lease); !begun) {
    disk_trouble(state, begun.error().detail, now_ms);
    return nullptr;
  }
  const Digest id = lease.id;
  LeaseWork& work = state.leases[id];
  work.id = id;
  work.lease = lease;
  work.job = &state.jobs.at(lease.job_id);
  return &work;
}

void send_shares(State& state, LeaseWork& lease) {
  GEMMINE_CHECK(lease.accepted <= lease.lease.shares() && lease.run <= lease.lease.shares());
  for (uint32_t i = lease.accepted; i < lease.run; ++i) {
    const auto share = state.checkpoint.load_share(lease.id, i);
    auto steps = state.checkpoint.load_steps(lease.id, i);
    if (share && steps)
      state.send(pool::ShareMessage{verifier::encode(share.value()), std::move(steps.value())});
  }
  lease.sent = lease.run;
  if (lease.run == lease.lease.shares() && !lease.delta_stored)
    state.out.emplace_back(SendDelta{lease.id});
}

// One lease's next step, whatever it is.
void drive(State& state, LeaseWork& lease, uint64_t now_ms) {
  if (!lease.give_back.empty()) return abandon(state, lease.id, lease.give_back);
  if (!lease.job->workload) return need_data(state, *lease.job, now_ms);
  if (lease.theta.empty()) {
    if (lease.fetching || !lease.pause.over(now_ms)) return;
    lease.fetching = true;
    state.out.emplace_back(
        Fetch{Fetch::What::weights, lease.id, lease.lease.theta_root,
              lease.job->workload->work.program().published_floats() * sizeof(float)});
    return;
  }
  const bool works = !state.stop_by_ms && !state.disk.full;
  if (works && !lease.busy && lease.run < lease.lease.shares())
    lease.busy =
        post(state, RunShare{lease.job->workload.get(), lease.lease, lease.run, lease.theta});
}

void look_at_disk(State& state, uint64_t now_ms) {
  if (!state.disk.full || !state.disk.pause.over(now_ms)) return;
  uint64_t bytes = 1 << 16;
  for (const auto& [id, job] : state.jobs) {
    if (job.offered && job.workload && !job.finished)
      bytes = std::max(bytes, bytes_of_lease(job.workload->work.program()));
  }
  if (const Status room = state.checkpoint.room(bytes); !room) {
    state.disk.pause.trouble(now_ms);
    return state.note(Level::debug, "disk_still_full", {{"reason", room.error().detail}});
  }
  state.disk.full = false;  // the pause is healed by a share that could be kept
  state.note(Level::info, "disk_has_room", {{"bytes", std::to_string(bytes)}});
}

void resend(State& state, uint64_t now_ms) {
  if (state.resend_at_ms == 0 || now_ms < state.resend_at_ms || !state.connected) return;
  state.resend_at_ms = 0;
  for (auto& [id, lease] : state.leases) {
    if (lease.sent > lease.accepted) send_shares(state, lease);
  }
}

// One lease in work at a time: the next one when the last share of this one is computed.
void want_lease(State& state, uint64_t now_ms) {
  const bool may = state.connected && !state.asked && !state.disk.full && !state.stop_by_ms &&
                   now_ms >= state.ask_at_ms && state.ask_pause.over(now_ms) &&
                   !state.options.dry_run;
  if (!may) return;
  for (const auto& [id, work] : state.leases) {
    if (work.run < work.lease.shares()) return;
  }
  // From the job on that gave the last one; a job that has none makes way for the others.
  auto at = state.none_here ? state.jobs.upper_bound(state.asked_job)
                            : state.jobs.lower_bound(state.asked_job);
  for (size_t i = 0; i < state.jobs.size(); ++i, ++at) {
    if (at == state.jobs.end()) at = state.jobs.begin();
    auto& [id, job] = *at;
    if (!job.offered || job.finished || job.refused || !job.pause.over(now_ms)) continue;
    if (!job.workload) {
      need_data(state, job, now_ms);
      continue;
    }
    state.asked = true;
    state.asked_job = id;
    return state.send(pool::GetLease{id});
  }
}

// Everything that can be done here is done: a job is finished, or not for us.
void look_at_end(State& state) {
  if (!state.options.exit_when_finished || !state.connected || !state.answers.empty()) return;
  bool any = false;
  bool left = false;
  for (const auto& [id, job] : state.jobs) {
    if (!job.offered) continue;
    any = true;
    if (!job.finished && !job.refused) return;
    left = left || !job.finished;
  }
  if (!any) return;
  if (left) {
    state.leave(ExitCode::no_device, "the pool's jobs that are left cannot be worked on here");
  } else {
    state.leave(ExitCode::ok, "every job of the pool is finished");
  }
}

// Ends when nothing is owed: leases with work left are given back by then, and what is computed is
// with the pool.
void look_at_stop(State& state, uint64_t now_ms) {
  if (!state.stop_by_ms) return;
  // A lease may be on its way, and is given back as well; how one ended belongs to its receipts.
  const bool left = state.asked || !state.given_back.empty() ||
                    std::any_of(state.leases.begin(), state.leases.end(), [](const auto& entry) {
                      const LeaseWork& lease = entry.second;
                      return lease.sent > lease.accepted || !lease.give_back.empty() ||
                             (lease.run == lease.lease.shares() && !lease.delta_stored);
                    });
  const bool owed = !state.answers.empty();
  if ((left || owed) && state.connected && now_ms < *state.stop_by_ms) return;
  state.leave(state.ending.code, state.ending.reason);
}

void on_data(State& state, JobWork& job, Result<Bytes> data, uint64_t now_ms) {
  job.fetching = false;
  if (!data) {
    const Error& error = data.error();
    if (error.code == Errc::io) disk_trouble(state, error.detail, now_ms);
    if (error.code == Errc::io || error.code == Errc::busy) return job.pause.trouble(now_ms);
    job.refused = job.no_data = true;
    return state.note(Level::error, "job_data_missing",
                      {{"job", job.work->job().name}, {"reason", error.detail}});
  }
  const verifier::Work& work = *job.work;
  auto tree = kernels::ChunkTree::build(kernels::Blake3Mode::plain(),
                                        kernels::ChunkSource::of_bytes(data.value()));
  job.workload =
      std::make_unique<Workload>(Workload{work, std::move(data.value()), std::move(tree)});
  state.note(Level::info, "job_ready",
             {{"job", work.job().name},
              {"parameters", std::to_string(work.program().parameters())},
              {"records", std::to_string(work.job().spec.records)}});
}

void on_weights(State& state, LeaseWork& lease, const Result<Bytes>& bytes, uint64_t now_ms) {
  lease.fetching = false;
  if (!bytes) {
    const Error& error = bytes.error();
    if (error.code == Errc::io) disk_trouble(state, error.detail, now_ms);
    lease.pause.trouble(now_ms);
    lease.job->pause.trouble(now_ms);
    return give_back(
        lease, "the weights of round " + std::to_string(lease.lease.round) + ": " + error.detail);
  }
  // A lease starts without the outer velocity.
  const uint64_t parameters = lease.job->workload->work.program().parameters();
  GEMMINE_CHECK(bytes.value().size() >= parameters * sizeof(float));
  lease.theta = verifier::floats_of(ByteView(bytes.value()).first(parameters * sizeof(float)));
}

}  // namespace

void need_data(State& state, JobWork& job, uint64_t now_ms) {
  if (job.workload || job.fetching || job.refused || !job.pause.over(now_ms)) return;
  job.fetching = true;
  const verifier::Work& work = *job.work;
  state.out.emplace_back(Fetch{Fetch::What::data, job.id, work.job().train_address,
                               work.program().data_bytes(work.job().spec.records)});
}

bool post(State& state, Task task) {
  GEMMINE_CHECK(state.tasks <= Trainer::kTasksMax);
  if (state.tasks >= Trainer::kTasksMax) return false;
  ++state.tasks;
  state.out.emplace_back(std::move(task));
  return true;
}

void give_back(LeaseWork& lease, const std::string& reason) {
  GEMMINE_CHECK(!reason.empty());  // by which it is known to be
  if (lease.give_back.empty()) lease.give_back = reason;
}

void disk_trouble(State& state, const std::string& reason, uint64_t now_ms) {
  const bool told = state.disk.full || state.disk.pause.failures() > 0;
  state.disk.full = true;
  state.disk.pause.trouble(now_ms);
  state.note(told ? Level::debug : Level::error, "disk",
             {{"reason", reason},
              {"effect", "no lease is asked for until it takes files again; looked at regularly"}});
}

LeaseWork* take(State& state, const verifier::Lease& lease, uint64_t now_ms) {
  const Digest id = lease.id;
  if (const char* wrong = objection(state, lease)) {
    state.ask_pause.trouble(now_ms);
    state.note(Level::error, "lease_refused", {{"lease", short_hex(id)}, {"reason", wrong}});
    return nullptr;
  }
  LeaseWork* const work = hold(state, lease, now_ms);
  if (work == nullptr) {
    abandon(state, id, "it cannot be written to disk");
  } else {
    state.ask_pause.heal();
  }
  return work;
}

void resume(State& state, const verifier::Lease& lease, uint32_t accepted, bool delta_stored,
            uint64_t now_ms) {
  const Digest id = lease.id;
  LeaseWork* known = state.find(id);
  if (known == nullptr) {
    const char* const wrong = objection(state, lease);
    // Of a lease with shares the pool may want to know something: it ends by its deadline.
    if (wrong != nullptr && accepted > 0)
      return state.note(Level::error, "lease_left", {{"lease", short_hex(id)}, {"reason", wrong}});
    if (wrong != nullptr) return abandon(state, id, wrong);
    const uint32_t run = state.checkpoint.shares(id);
    known = hold(state, lease, now_ms);
    if (known == nullptr && accepted == 0)
      return abandon(state, id, "it cannot be written to disk");
    if (known == nullptr) return;  // comes again with the next connection
    known->run = std::min(run, lease.shares());
    state.note(Level::info, "lease_resumed",
               {{"lease", short_hex(id)}, {"shares", std::to_string(known->run)}});
    if (run < accepted)
      state.note(Level::warning, "lease_computed_again",
                 {{"lease", short_hex(id)},
                  {"reason", "the pool has " + std::to_string(accepted) +
                                 " shares of it, and this machine has lost some of them"}});
  }
  known->accepted = std::min(accepted, lease.shares());
  known->delta_stored = delta_stored;
  send_shares(state, *known);
}

void retire(State& state, const Digest& lease_id) {
  const auto node = state.leases.extract(lease_id);
  state.checkpoint.retire(lease_id);
  if (const size_t gone = state.checkpoint.forget_retired(state.options.kept_bytes); gone > 0)
    state.note(Level::warning, "leases_forgotten",
               {{"leases", std::to_string(gone)},
                {"hint",
                 "they are not paid yet, and a pool that asks about them gets no answer: give "
                 "--keep-mib more"}});
  if (!node.empty()) state.out.emplace_back(Prune{{node.mapped().lease.theta_root}});
}

void close(State& state, const Digest& lease_id) {
  std::erase_if(state.answers,
                [&](const auto& entry) { return entry.second.lease.id == lease_id; });
  const auto node = state.leases.extract(lease_id);
  std::erase_if(state.answers,
                [&](const auto& entry) { return entry.second.lease.id == lease_id; });
  state.checkpoint.forget(lease_id);
  if (!node.empty()) state.out.emplace_back(Prune{{node.mapped().lease.theta_root}});
}

void on_fetched(State& state, const Fetch& fetch, Result<Bytes> bytes, uint64_t now_ms) {
  if (fetch.what == Fetch::What::data)
    return on_data(state, state.jobs.at(fetch.id), std::move(bytes), now_ms);
  if (fetch.what == Fetch::What::answer) return on_answer_weights(state, fetch, bytes, now_ms);
  LeaseWork* const lease = state.find(fetch.id);
  if (lease != nullptr && lease->theta.empty()) on_weights(state, *lease, bytes, now_ms);
}

void ask_to_stop(State& state, const std::string& reason, uint64_t now_ms) {
  if (state.ended) return;
  if (state.stop_by_ms) return state.leave(state.ending.code, state.ending.reason);
  state.ending.reason = reason;
  for (auto& [id, lease] : state.leases) {
    if (lease.run < lease.lease.shares()) give_back(lease, reason);
  }
  // What is done is paid sooner when nobody waits for more.
  for (const auto& [id, job] : state.jobs) {
    if (job.offered && !job.finished && state.connected) state.send(pool::Settle{id});
  }
  state.stop_by_ms = now_ms + kStopMs;
}

void advance(State& state, uint64_t now_ms) {
  if (state.ended) return;
  look_at_disk(state, now_ms);
  if (state.connected) {
    std::vector<Digest> ids;
    for (const auto& [id, lease] : state.leases)
      ids.push_back(id);
    for (const Digest& id : ids)
      drive(state, state.leases.at(id), now_ms);
    drive_answers(state, now_ms);
    for (auto& [id, job] : state.jobs) {
      if (job.offered && !job.finished && !state.options.dry_run) need_data(state, job, now_ms);
    }
  }
  resend(state, now_ms);
  want_lease(state, now_ms);
  look_at_stop(state, now_ms);
  if (!state.ended) look_at_end(state);
}

std::vector<Digest> needed_blobs(const State& state) {
  std::vector<Digest> out = state.checkpoint.thetas();  // of leases, also of other pools
  for (const auto& [id, job] : state.jobs) {
    if (job.finished || job.refused) continue;
    out.push_back(job.work->job().train_address);
    if (job.offered) out.push_back(job.theta_root);
  }
  for (const auto& [seq, answer] : state.answers)
    out.push_back(answer.lease.theta_root);
  return out;
}

}  // namespace gemmine::miner
