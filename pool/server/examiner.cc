#include "pool/server/examiner.h"

#include "kernels/base/files.h"
#include "kernels/engines.h"
#include "pool/blobs/piece_file.h"
#include "pool/store/blobs.h"
#include "pool/store/intake.h"
#include "verifier/audit/opening.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"

namespace gemmine::pool {

using verifier::Finding;
using verifier::Outcome;

std::optional<StateCache::Kept> StateCache::take(const Digest& lease_id, uint32_t index) {
  const std::lock_guard lock(mutex_);
  for (auto at = kept_.begin(); at != kept_.end(); ++at) {
    if (at->first != lease_id || at->second.next_share > index) continue;
    Kept out = std::move(at->second);
    bytes_ -= out.state.size() * sizeof(float);
    kept_.erase(at);
    return out;
  }
  return {};
}

void StateCache::keep(const Digest& lease_id, Kept kept) {
  const std::lock_guard lock(mutex_);
  std::erase_if(kept_, [&](const auto& entry) {
    const bool same = entry.first == lease_id;
    if (same) bytes_ -= entry.second.state.size() * sizeof(float);
    return same;
  });
  bytes_ += kept.state.size() * sizeof(float);
  kept_.emplace_front(lease_id, std::move(kept));
  while (bytes_ > bytes_max_ && !kept_.empty()) {
    bytes_ -= kept_.back().second.state.size() * sizeof(float);
    kept_.pop_back();
  }
}

uint64_t StateCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

TaskDone Examiner::run(const Task& task) {
  if (const auto* wanted = std::get_if<ReplayTask>(&task)) return replay(*wanted);
  if (const auto* wanted = std::get_if<SpotTask>(&task)) return spot(*wanted);
  if (const auto* wanted = std::get_if<MergeTask>(&task)) return merge(*wanted);
  return evaluate(std::get<EvaluateTask>(task));
}

Result<std::vector<float>> Examiner::published(const LoadedJob& job, const Digest& root) const {
  return read_floats(blobs_, root, job.work.program().published_floats());
}

Result<std::vector<float>> Examiner::theta(const LoadedJob& job, const Digest& root) const {
  auto out = published(job, root);
  if (out) out.value().resize(job.work.program().parameters());
  return out;
}

Result<kernels::Engine*> Examiner::engine(const Digest& job_id, const LoadedJob& job) {
  auto& slot = engines_[job_id];
  if (slot == nullptr) {
    auto made = kernels::make_engine("cpu", job.work.program(), job.train_records, 1);
    if (!made) return made.error();
    slot = std::move(made.value());
  }
  return slot.get();
}

AuditDone Examiner::replay(const ReplayTask& task) {
  GEMMINE_CHECK(!task.shares.empty());
  AuditDone out;
  out.lease_id = task.lease.id;
  out.index = out.found_index = static_cast<uint32_t>(task.shares.size() - 1);
  const auto undecided = [&](const Error& error) {
    out.finding = {Outcome::undecided, verifier::kNoStep, error.detail};
    return out;
  };
  const auto found = jobs_.find(task.lease.job_id);
  if (found == jobs_.end()) return undecided({Errc::undecided, "the job's data is not here"});
  const LoadedJob& job = found->second;
  const auto global = theta(job, task.lease.theta_root);
  if (!global) return undecided(global.error());
  const auto machine = engine(task.lease.job_id, job);
  if (!machine) return undecided(machine.error());
  StateCache::Kept at;
  if (auto kept = cache_.take(out.lease_id, out.index)) {
    at = std::move(*kept);
  } else {
    at.state = verifier::start_state(job.work.program(), global.value());
  }
  // From what is known on: a share before the one in question may be the wrong one.
  for (uint32_t i = at.next_share; i <= out.index; ++i) {
    auto own =
        verifier::run_share(*machine.value(), {job.work, task.lease, global.value()}, i, at.state);
    if (!own && own.error().code != Errc::invalid) return undecided(own.error());
    out.finding = own ? verifier::compare_share(task.shares[i], own.value())
                      : Finding{Outcome::invalid, verifier::kNoStep, own.error().detail};
    out.found_index = i;
    if (out.finding.outcome != Outcome::valid) return out;
    at.state = std::move(own.value().state_after);
    at.next_share = i + 1;
  }
  cache_.keep(out.lease_id, std::move(at));
  return out;
}

AuditDone Examiner::spot(const SpotTask& task) {
  AuditDone out;
  out.lease_id = task.share.lease_id;
  out.index = out.found_index = task.share.index;
  out.kind = verifier::AuditKind::spot;
  const auto undecided = [&](const std::string& why) {
    out.finding = {Outcome::undecided, verifier::kNoStep, why};
    return out;
  };
  const auto found = jobs_.find(task.lease.job_id);
  if (found == jobs_.end()) return undecided("the job's data is not here");
  const LoadedJob& job = found->second;
  const auto choices = verifier::choose_blocks(job.work.program(), job.work.job().audit, task.seed,
                                               task.share.steps, task.last_share);
  GEMMINE_CHECK(choices.size() == task.blocks);
  std::vector<float> global;
  for (const verifier::BlockChoice& choice : choices) {
    if (!choice.delta || !global.empty()) continue;
    auto read = theta(job, task.lease.theta_root);
    if (!read) return undecided(read.error().detail);
    global = std::move(read.value());
  }
  for (uint32_t i = 0; i < task.blocks; ++i) {
    const std::string path = opening_path(blobs_, out.lease_id, out.index, i);
    const auto opening = read_file(path, verifier::kOpeningBytesMax);
    if (!opening) return undecided(opening.error().detail);
    out.finding = verifier::check_opening({job.work, task.lease, global}, task.share, choices[i],
                                          opening.value());
    if (out.finding.outcome != Outcome::valid) {
      out.finding.detail = "block " + std::to_string(i) + ": " + out.finding.detail;
      break;
    }
  }
  for (uint32_t i = 0; i < task.blocks; ++i)
    remove_file(opening_path(blobs_, out.lease_id, out.index, i));
  return out;
}

MergeDone Examiner::merge(const MergeTask& task) {
  MergeDone out;
  out.job_id = task.job_id;
  out.round = task.round;
  out.lease_ids = task.lease_ids;
  const auto failed = [&](const std::string& why) {
    out.failed = why;
    return out;
  };
  const auto found = jobs_.find(task.job_id);
  if (found == jobs_.end()) return failed("the job's data is not here");
  const LoadedJob& job = found->second;
  const auto global = published(job, task.theta_root);
  if (!global) return failed(global.error().detail);
  const kernels::Program& program = job.work.program();
  GEMMINE_CHECK(task.delta_roots.size() == program.spec().slots);
  const auto next = verifier::redo_round(program, global.value(), [&](uint32_t slot) {
    return read_blob(blobs_, task.delta_roots[slot], verifier::delta_bytes(program.parameters()));
  });
  if (!next) return failed(next.error().detail);
  const std::vector<float>& floats = next.value().published;
  out.theta_root = next.value().theta_root;
  out.start_root = verifier::start_root(program, verifier::theta_of(program, floats));
  const auto put = put_blob(blobs_, as_bytes(std::span(floats)));
  if (!put) return failed(put.error().detail);
  GEMMINE_CHECK(put.value() == out.theta_root);
  return out;
}

EvaluateDone Examiner::evaluate(const EvaluateTask& task) {
  EvaluateDone out{.job_id = task.job_id, .theta_root = task.theta_root, .round = task.round};
  const auto found = jobs_.find(task.job_id);
  if (found == jobs_.end()) return out;
  const auto global = theta(found->second, task.theta_root);
  if (!global) return out;
  const auto result = kernels::evaluate(found->second.work.program(), global.value(),
                                        found->second.test_records, 1);
  if (!result) return out;
  out.correct = result.value().correct;
  out.records = result.value().records;
  out.loss = result.value().loss;
  return out;
}

}  // namespace gemmine::pool
