// What an audit thread does with one task: replay, divergence, merge, evaluation. No thread in
// here.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/engine.h"
#include "pool/core/actions.h"
#include "pool/data/loaded_job.h"
#include "pool/store/ledger_store.h"

namespace gemmine::pool {

using JobTable = std::map<Digest, LoadedJob>;  // not changed while threads look at it

// The pool's store, to read what is kept beside the ledger (pool/core/kept.h). Errors: io.
using OpenStore = std::function<Result<std::unique_ptr<LedgerStore>>()>;

class Examiner {
 public:
  // jobs outlives it. blobs: the folder of blobs. open: for a reader of its own. pool_key: whose
  // words a proof rests on.
  Examiner(const JobTable& jobs, std::string blobs, OpenStore open, const Digest& pool_key)
      : jobs_(jobs), blobs_(std::move(blobs)), open_(std::move(open)), pool_key_(pool_key) {}

  // stop is asked between the steps of a replay: it ends undecided.
  TaskDone run(const Task& task, const std::function<bool()>& stop);

 private:
  AuditDone replay(const ReplayTask& task, const std::function<bool()>& stop);
  ThreadDone thread(const ThreadTask& task) const;
  DescentDone descend(const DescentTask& task, const std::function<bool()>& stop);
  // What a lease is run again with.
  struct Rerun {
    const LoadedJob& job;
    std::vector<float> theta;
    kernels::Engine& machine;
    std::vector<verifier::ClaimedShare> shares;
  };
  // Errors: undecided, when the job's data is not here; of reading, and of the engine.
  Result<Rerun> prepare(const verifier::Lease& lease, const std::vector<verifier::Share>& shares);
  // What is found wrong, and what it is found in.
  struct AtFault {
    const LoadedJob& job;
    const verifier::Lease& lease;
    const std::vector<verifier::Share>& shares;
    const verifier::ClaimedShare& claimed;
  };
  // `machine` stands where the run ended.
  DescentNext accuse(const AtFault& at, kernels::Engine& machine, const verifier::RunAtFault& run,
                     std::span<const verifier::SignedAnswer> answers,
                     const verifier::AnswerSource* thread) const;
  std::optional<ProvenFile> cut_out(const LoadedJob& job, const verifier::ThreadCase& thread,
                                    const ThreadDone& done) const;
  DivergenceDone diverges(const DivergenceTask& task, const std::function<bool()>& stop);
  ProofDone decide(const ProofTask& task) const;
  Result<ProvenFile> keep_proof(ByteView file, verifier::ProofFinding finding) const;
  // Memory: 17 bytes a parameter, 25 with an outer momentum: θ, the sums, a delta at a time, next
  // θ.
  MergeDone merge(const MergeTask& task);
  EvaluateDone evaluate(const EvaluateTask& task);
  Result<std::vector<float>> published(const LoadedJob& job, const Digest& root) const;
  // Of what was published, without the outer velocity.
  Result<std::vector<float>> theta(const LoadedJob& job, const Digest& root) const;
  Result<Bytes> kept(const Digest& name);
  Result<std::vector<verifier::ClaimedShare>> claimed(const std::vector<verifier::Share>& shares);
  Result<kernels::Engine*> engine(const Digest& job_id, const LoadedJob& job);

  const JobTable& jobs_;
  const std::string blobs_;
  const OpenStore open_;
  const Digest pool_key_;
  std::unique_ptr<LedgerStore> store_;  // once it was needed
  std::map<Digest, std::unique_ptr<kernels::Engine>> engines_;
};

}  // namespace gemmine::pool
