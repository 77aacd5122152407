// What somebody who ran a lease again and got something else does next (PROTOCOL 12.11): asks the
// miner, at most three times, or ends with a proof. Pure, and without a memory of its own: the same
// run and the same answers lead to the same step, so that a restarted accuser goes on where it was.
#pragma once

#include <optional>

#include "verifier/proof/descent.h"
#include "verifier/thread/checker.h"

namespace gemmine::verifier {

// The lease and what is public of it. All outlive what is made from them.
struct AccusedLease {
  LeaseView at;
  std::span<const Share> shares;  // all that are logged
  const ClaimedShare& claimed;    // the one at fault, with the digests of its steps
  ByteView published;             // what the lease's round publishes
  ByteView train_records;
  const kernels::ChunkTree* train_tree = nullptr;  // built on demand when null
  std::function<Result<Bytes>()> delta;            // the miner's; asked for when it is at fault
};

struct DescentStep {
  enum class Next : uint8_t {
    nothing,  // no proof comes from here: words say why
    ask,      // `question`
    thread,  // the thread of `seed`, of the whole lease: one of its fibres is not what it should be
    accuse   // `proof` convicts the miner: words say of what
  };
  Next next = Next::nothing;
  Question question;
  Digest seed;
  Bytes proof;
  std::string words;
};

// own: our run of the share at fault up to the first step that differs, right after which `engine`
// stands. state_before: of that share; may be empty while there are no answers. answers: to the
// questions so far, in order; thread: to the thread, if that was asked for.
DescentStep descend(const AccusedLease& lease, kernels::Engine& engine, const ShareRun& own,
                    std::span<const float> state_before, std::span<const SignedAnswer> answers,
                    const AnswerSource* thread);

// A seed whose thread has a fibre through this parameter of the lease. Nothing when none of the
// 2^18 that are tried has (a rare token's row). Errors: those of `train`.
Result<std::optional<Digest>> seed_through(const Work& work, const Lease& lease,
                                           const Descent::FibrePlace& place,
                                           const ReadBytes& train);

// The proof of what a thread found wrong. Errors: undecided (a block: its opening shows a witness,
// which no proof can hold him to); those of write_update().
Result<Bytes> proof_of_thread(const ThreadCase& thread, const ThreadFinding& finding,
                              ByteView published, ByteView train_records);

}  // namespace gemmine::verifier
