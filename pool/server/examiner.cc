#include "pool/server/examiner.h"

#include "kernels/engines.h"
#include "pool/blobs/piece_file.h"
#include "pool/core/kept.h"
#include "pool/store/blobs.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"

namespace gemmine::pool {

using verifier::Outcome;

TaskDone Examiner::run(const Task& task, const std::function<bool()>& stop) {
  if (const auto* wanted = std::get_if<ReplayTask>(&task)) return replay(*wanted, stop);
  if (const auto* wanted = std::get_if<ThreadTask>(&task)) return thread(*wanted);
  if (const auto* wanted = std::get_if<DescentTask>(&task)) return descend(*wanted, stop);
  if (const auto* wanted = std::get_if<DivergenceTask>(&task)) return diverges(*wanted, stop);
  if (const auto* wanted = std::get_if<ProofTask>(&task)) return decide(*wanted);
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

Result<Bytes> Examiner::kept(const Digest& name) {
  if (store_ == nullptr) {
    auto opened = open_();
    if (!opened) return opened.error();
    store_ = std::move(opened.value());
  }
  return store_->kept(name);
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

Result<std::vector<verifier::ClaimedShare>> Examiner::claimed(
    const std::vector<verifier::Share>& shares) {
  std::vector<verifier::ClaimedShare> out;
  for (const verifier::Share& share : shares) {
    const auto steps = kept(verifier::share_id(share));
    if (!steps) return steps.error();
    out.push_back({share, digests_of(steps.value())});
  }
  return out;
}

Result<Examiner::Rerun> Examiner::prepare(const verifier::Lease& lease,
                                          const std::vector<verifier::Share>& shares) {
  const auto found = jobs_.find(lease.job_id);
  if (found == jobs_.end()) return Error{Errc::undecided, "the job's data is not here"};
  const LoadedJob& job = found->second;
  auto global = theta(job, lease.theta_root);
  if (!global) return global.error();
  const auto machine = engine(lease.job_id, job);
  if (!machine) return machine.error();
  auto claims = claimed(shares);
  if (!claims) return claims.error();
  return Rerun{job, std::move(global.value()), *machine.value(), std::move(claims.value())};
}

AuditDone Examiner::replay(const ReplayTask& task, const std::function<bool()>& stop) {
  GEMMINE_CHECK(!task.shares.empty());
  AuditDone out{.lease_id = task.lease.id, .found = {}};
  const auto undecided = [&](const Error& error) {
    out.found.finding = {Outcome::undecided, verifier::kNoStep, error.detail};
    return out;
  };
  const auto rerun = prepare(task.lease, task.shares);
  if (!rerun) return undecided(rerun.error());
  const auto& [job, global, machine, shares] = rerun.value();
  verifier::ShareRun at_fault;
  auto replayed =
      verifier::replay_lease(machine, {job.work, task.lease, global}, shares, stop, &at_fault);
  if (!replayed) return undecided(replayed.error());
  out.found = std::move(replayed.value());
  if (!at_fault.step_digests.empty())
    out.next = accuse({job, task.lease, task.shares, shares[out.found.index]}, machine,
                      {std::move(at_fault), {}}, {}, nullptr);
  return out;
}

// θ and the answer are read where they lie; neither is ever whole in memory.
ThreadDone Examiner::thread(const ThreadTask& task) const {
  ThreadDone out{.lease_id = task.lease.id, .challenge = task.challenge, .found = {}};
  const auto undecided = [&](const std::string& why) {
    out.found = {verifier::ThreadOutcome::undecided, why, verifier::kNoStep, {}, {}};
    return out;
  };
  const auto found = jobs_.find(task.lease.job_id);
  if (found == jobs_.end()) return undecided("the job's data is not here");
  const LoadedJob& job = found->second;
  const auto weights = PieceFile::open(blobs_ + "/" + to_hex(task.lease.theta_root.bytes));
  if (!weights) return undecided(weights.error().detail);
  const auto answer = PieceFile::open(blobs_ + "/" + to_hex(task.address.bytes));
  if (!answer) return undecided(answer.error().detail);
  const auto bytes = answer.value().size();
  if (!bytes) return undecided(bytes.error().detail);
  verifier::PublicData data = verifier::public_data({}, job.train_records);
  data.theta = [&weights](uint64_t first, std::span<float> floats) {
    return weights.value().read(first * sizeof(float),
                                {reinterpret_cast<uint8_t*>(floats.data()), floats.size_bytes()});
  };
  const verifier::AnswerSource source{bytes.value(),
                                      [&answer](uint64_t offset, std::span<uint8_t> part) {
                                        return answer.value().read(offset, part);
                                      }};
  const verifier::ThreadCase thread{job.work, task.lease, task.shares, task.seed,
                                    job.work.job().audit.thread_blocks};
  out.found = verifier::check_thread(thread, source, data);
  if (out.found.outcome == verifier::ThreadOutcome::wrong) out.proven = cut_out(job, thread, out);
  return out;
}

DivergenceDone Examiner::diverges(const DivergenceTask& task, const std::function<bool()>& stop) {
  DivergenceDone out{.lease_id = task.lease.id, .step = task.step, .shares = {}, .failed = {}};
  const auto failed = [&](const Error& error) {
    out.failed = error.detail;
    return out;
  };
  const auto rerun = prepare(task.lease, task.shares);
  if (!rerun) return failed(rerun.error());
  const auto& [job, global, machine, shares] = rerun.value();
  auto seen =
      verifier::find_divergence(machine, {job.work, task.lease, global}, shares, task.step, stop);
  if (!seen) return failed(seen.error());
  out.diverges = seen.value().step == task.step;
  out.shares = std::move(seen.value().shares);
  return out;
}

MergeDone Examiner::merge(const MergeTask& task) {
  MergeDone out;
  out.job_id = task.job_id;
  out.round = task.round;
  out.lease_ids = task.lease_ids;
  out.subtracted = task.subtracted;
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
  std::vector<Digest> roots = task.delta_roots;
  roots.insert(roots.end(), task.subtracted_roots.begin(), task.subtracted_roots.end());
  const verifier::MergeCounts counts{static_cast<uint32_t>(task.delta_roots.size()),
                                     static_cast<uint32_t>(task.subtracted_roots.size())};
  const auto next = verifier::redo_round(job.work, global.value(), counts, [&](uint32_t number) {
    return read_blob(blobs_, roots[number], verifier::delta_bytes(program.parameters()));
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
