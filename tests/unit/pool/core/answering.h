// What a miner answers to a challenge about a lease that a FakePool's device computed.
#pragma once

#include <algorithm>

#include "tests/unit/pool/core/scene.h"
#include "verifier/audit/rerun.h"
#include "verifier/thread/prover.h"

namespace gemmine::pool {

// The thread of `seed`. check_own: whether the miner looks at what he is about to sign.
inline Bytes thread_of(FakePool& fake, const verifier::Lease& lease, const FakePool::Work& work,
                       const Digest& seed, kernels::Engine& machine, bool check_own) {
  std::vector<Digest> digests;
  verifier::LeaseTrace trace;
  for (const verifier::ShareRun& run : work.runs) {
    digests.insert(digests.end(), run.step_digests.begin(), run.step_digests.end());
    trace.append(run);
  }
  const std::vector<float> theta = fake.theta_of(lease.theta_root);
  const verifier::ThreadProver prover{
      .engine = machine,
      .theta = theta,
      .train_records = fake.records(),
      .step_digests = digests,
      .kept_step = [&](uint32_t step) -> Result<verifier::KeptStep> {
        return verifier::KeptStep{trace.roots[step], trace.losses[step]};
      },
      .kept_state = {},
      .delta = [&]() -> Result<Bytes> { return work.delta; },
      .miner = miner(),
      .check_own = check_own};
  Bytes out;
  const auto written = verifier::prove_thread(
      {fake.job_work(), lease, work.shares, seed, fake.job().audit.thread_blocks}, prover,
      [&](uint64_t at, ByteView bytes) -> Status {
        if (out.size() < at + bytes.size()) out.resize(at + bytes.size());
        std::ranges::copy(bytes, out.begin() + static_cast<ptrdiff_t>(at));
        return Ok{};
      });
  EXPECT_TRUE(written.ok()) << written.error().detail;
  return out;
}

inline verifier::AnswerBody answer_body(const verifier::Lease& lease, const ChallengeMessage& asked,
                                        const Bytes& answer) {
  verifier::AnswerBody out{.lease_id = lease.id,
                           .challenge = asked.receipt.seq,
                           .address = kernels::blake3(answer),
                           .bytes = answer.size()};
  out.signature = miner().sign(verifier::answer_message(out));
  return out;
}

}  // namespace gemmine::pool
