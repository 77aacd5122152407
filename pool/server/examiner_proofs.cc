// What an examiner does about what is wrong: the way down to a proof, and files that say they are
// one (PROTOCOL 12).
#include "pool/blobs/piece_file.h"
#include "pool/server/examiner.h"
#include "pool/store/blobs.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"

namespace gemmine::pool {

ProofDone Examiner::decide(const ProofTask& task) const {
  ProofDone out{.from = task.from, .source = task.source, .proven = {}, .why = {}};
  auto finding = verifier::decide_proof(task.file, pool_key_);
  if (!finding || !finding.value().proven || finding.value().against_pool) {
    out.why = !finding                  ? finding.error().detail
              : !finding.value().proven ? "it proves nothing: " + finding.value().words
                                        : "it is against this pool: show it to others";
    return out;
  }
  auto file = keep_proof(task.file, std::move(finding.value()));
  out.failed = !file;
  if (!file)
    out.why = file.error().detail;
  else
    out.proven = std::move(file.value());
  return out;
}

Result<ProvenFile> Examiner::keep_proof(ByteView file, verifier::ProofFinding finding) const {
  const auto put = put_blob(blobs_, file);
  if (!put) return put.error();
  return ProvenFile{std::move(finding), put.value(), static_cast<uint32_t>(file.size())};
}

// Of what a thread found, where it can be cut out of the answer; θ is read whole only then.
std::optional<ProvenFile> Examiner::cut_out(const LoadedJob& job,
                                            const verifier::ThreadCase& thread,
                                            const ThreadDone& done) const {
  const auto floats = published(job, thread.lease.theta_root);
  if (!floats) return {};
  const auto proof = verifier::proof_of_thread(
      thread, done.found, as_bytes(std::span<const float>(floats.value())), job.train_records);
  if (!proof) return {};
  auto finding = verifier::decide_proof(proof.value(), pool_key_);
  GEMMINE_CHECK(finding.ok() && finding.value().proven);  // proof_of_thread() has looked
  auto file = keep_proof(proof.value(), std::move(finding.value()));
  if (!file) return {};
  return std::move(file.value());
}

DescentNext Examiner::accuse(const AtFault& at, kernels::Engine& machine,
                             const verifier::RunAtFault& run,
                             std::span<const verifier::SignedAnswer> answers,
                             const verifier::AnswerSource* thread) const {
  DescentNext out;
  const auto floats = published(at.job, at.lease.theta_root);
  if (!floats) {
    out.failed = floats.error().detail;
    return out;
  }
  const kernels::Program& program = at.job.work.program();
  out.step =
      verifier::descend({.at = {at.job.work, at.lease, verifier::theta_of(program, floats.value())},
                         .shares = at.shares,
                         .claimed = at.claimed,
                         .published = as_bytes(std::span<const float>(floats.value())),
                         .train_records = at.job.train_records,
                         .train_tree = nullptr,
                         .delta =
                             [&] {
                               return read_blob(blobs_, at.claimed.share.delta_root,
                                                verifier::delta_bytes(program.parameters()));
                             }},
                        machine, run.own, run.state_before, answers, thread);
  if (out.step.next != verifier::DescentStep::Next::accuse) return out;
  auto finding = verifier::decide_proof(out.step.proof, pool_key_);
  GEMMINE_CHECK(finding.ok() && finding.value().proven);  // descend() has looked
  auto file = keep_proof(out.step.proof, std::move(finding.value()));
  if (file) {
    out.proven = std::move(file.value());
  } else {
    out.failed = file.error().detail;
  }
  out.step.proof.clear();
  return out;
}

DescentDone Examiner::descend(const DescentTask& task, const std::function<bool()>& stop) {
  DescentDone out{.lease_id = task.lease.id, .next = {}};
  const auto failed = [&](const Error& error) {
    out.next.failed = error.detail;
    return out;
  };
  const auto rerun = prepare(task.lease, {task.shares.at(task.index)});
  if (!rerun) return failed(rerun.error());
  const auto& [job, global, machine, shares] = rerun.value();
  const verifier::ClaimedShare& at_fault = shares.front();
  std::vector<verifier::SignedAnswer> answers;
  std::optional<PieceFile> thread_file;
  for (const DescentAnswer& answer : task.answers) {
    if (answer.what == verifier::Asked::thread) {
      auto file = PieceFile::open(blobs_ + "/" + to_hex(answer.address.bytes));
      if (!file) return failed(file.error());
      thread_file.emplace(std::move(file.value()));
      continue;
    }
    auto bytes = read_blob(blobs_, answer.address, verifier::kAnswerBytesMax);
    if (!bytes) return failed(bytes.error());
    answers.push_back({std::move(bytes.value()), answer.challenge, answer.signature});
  }
  auto run = verifier::run_at_fault(machine, {job.work, task.lease, global}, at_fault, stop);
  if (!run && run.error().code != Errc::invalid) return failed(run.error());
  if (!run) {
    out.next.step.words = "the lease diverges: " + run.error().detail;
    return out;
  }
  const AtFault at{job, task.lease, task.shares, at_fault};
  if (!thread_file) {
    out.next = accuse(at, machine, run.value(), answers, nullptr);
    return out;
  }
  const auto bytes = thread_file->size();
  if (!bytes) return failed(bytes.error());
  const verifier::AnswerSource source{bytes.value(), [&](uint64_t offset, std::span<uint8_t> part) {
                                        return thread_file->read(offset, part);
                                      }};
  out.next = accuse(at, machine, run.value(), answers, &source);
  return out;
}

}  // namespace gemmine::pool
