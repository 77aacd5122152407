// A lease that somebody ran, and his answers to threads of it.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "kernels/engines.h"
#include "tests/support/toy_gpt_job.h"
#include "tests/support/toy_job.h"
#include "verifier/merge/round.h"
#include "verifier/thread/checker.h"
#include "verifier/thread/prover.h"

namespace gemmine::test {

class ThreadStage {
 public:
  // Runs a lease on `engine`; without one, honestly.
  ThreadStage(verifier::Work terms, verifier::Lease of, Bytes train, verifier::Identity key,
              std::unique_ptr<kernels::Engine> engine = {})
      : work(std::move(terms)), lease(of), train_(std::move(train)), miner_(std::move(key)) {
    theta = program().initial_theta();
    engine_ = engine ? std::move(engine) : honest_engine();
    std::vector<float> state = verifier::start_state(program(), theta);
    for (uint32_t i = 0; i < lease.shares(); ++i) {
      auto run = verifier::run_share(*engine_, {work, lease, theta}, i, state).value();
      state = run.state_after;
      digests.insert(digests.end(), run.step_digests.begin(), run.step_digests.end());
      shares.push_back(run.share);
      runs.push_back(std::move(run));
    }
  }
  // Lease (round 0, slot 0) of a job, in shares of job.steps_per_share.
  ThreadStage(const verifier::Job& job, Bytes train, std::unique_ptr<kernels::Engine> engine = {})
      : ThreadStage(verifier::Work::make(job).value(), lease_of(job), std::move(train),
                    toy_identity(7), std::move(engine)) {}

  std::unique_ptr<kernels::Engine> honest_engine() const {
    return std::move(kernels::make_engine("cpu", program(), train_, 1).value());
  }
  const kernels::Program& program() const { return work.program(); }
  verifier::ThreadCase ticket(const Digest& seed, uint16_t blocks) const {
    return {work, lease, shares, seed, blocks};
  }
  verifier::PublicData data() const { return verifier::public_data(theta, train_); }

  // check_own false: the answer is made whether it checks or not.
  Result<Bytes> prove(const verifier::ThreadCase& ticket, bool check_own = true) {
    Bytes out;
    const verifier::ThreadProver prover{
        .engine = *engine_,
        .theta = theta,
        .train_records = train_,
        .train_tree = nullptr,
        .step_digests = digests,
        .kept_step = [this](uint32_t step) -> Result<verifier::KeptStep> {
          const verifier::ShareRun& run = runs[step / lease.steps_per_share];
          return verifier::KeptStep{run.roots[step % lease.steps_per_share],
                                    run.losses[step % lease.steps_per_share]};
        },
        .kept_state = {},
        .delta = [this]() -> Result<Bytes> { return runs.back().delta; },
        .miner = miner_,
        .check_own = check_own};
    const auto written =
        verifier::prove_thread(ticket, prover, [&out](uint64_t offset, ByteView bytes) -> Status {
          if (out.size() < offset + bytes.size()) out.resize(offset + bytes.size());
          std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<ptrdiff_t>(offset));
          return Ok{};
        });
    if (!written) return written.error();
    GEMMINE_CHECK(written.value().bytes == out.size());
    return out;
  }
  verifier::ThreadFinding check(const verifier::ThreadCase& ticket, ByteView answer) const {
    return verifier::check_thread(ticket, verifier::answer_of(answer), data());
  }

  const verifier::Identity& miner() const { return miner_; }

  verifier::Work work;
  verifier::Lease lease;
  std::vector<float> theta;
  std::vector<verifier::ShareRun> runs;
  std::vector<verifier::Share> shares;
  std::vector<Digest> digests;

 private:
  static verifier::Lease lease_of(const verifier::Job& job) {
    verifier::Lease out;
    out.job_id = verifier::Work::make(job).value().id();
    out.miner_key = toy_identity(7).public_key();
    out.steps = job.spec.steps_per_lease;
    out.steps_per_share = job.steps_per_share;
    out.id = verifier::lease_id(out);
    return out;
  }

  Bytes train_;
  verifier::Identity miner_;
  std::unique_ptr<kernels::Engine> engine_;
};

inline Digest thread_seed(uint32_t number) {
  return kernels::blake3(Writer().put(number).bytes());
}

}  // namespace gemmine::test
