// How often spot checks find a theft: from the tiles that it makes wrong, and by drawing coins and
// opening what they draw.
#pragma once

#include <optional>

#include "tests/thefts/thief.h"
#include "verifier/audit/opening.h"
#include "verifier/records/job.h"

namespace gemmine::thefts {

// A share that a thief has committed to, which is a whole lease.
class StolenShare {
 public:
  StolenShare(const verifier::Job& job, ByteView tokens, const Theft& theft);

  // The checks a coin draws from, as if they were equally long: of all tensors, the delta.
  double checks() const;
  // Probability that one drawn block is wrong, from a look at every tile of every tensor.
  double block_rate() const;
  // What the auditor finds in a drawn block that the thief opened.
  verifier::Outcome open_and_check(const verifier::BlockChoice& choice);
  // The same without opening anything, straight from the thief's memory.
  verifier::Outcome check(const verifier::BlockChoice& choice) const;

  const kernels::Program& program() const { return work_.program(); }
  const verifier::Job& job() const { return work_.job(); }
  const verifier::ShareRun& run() const { return *run_; }
  // The share of an honest miner of the same lease.
  const verifier::ShareRun& honest() const { return *honest_; }

 private:
  double wrong_part(verifier::BlockChoice choice) const;

  const verifier::Work work_;
  const ByteView tokens_;
  const bool in_part_;
  verifier::Lease lease_;
  std::vector<float> theta_;
  std::vector<float> before_;
  std::unique_ptr<Thief> thief_;
  std::optional<verifier::ShareRun> run_;
  std::optional<verifier::ShareRun> honest_;
};

// Of a share, with a rate p of its blocks (PROTOCOL 7.2): found by the spot audit alone, if it
// comes to one.
double spot_rate(double block_rate, uint32_t spot_blocks);
// By replay or spot: what a job's policy gives for a share of a key with a record.
double share_rate(const verifier::AuditPolicy& policy, double block_rate);

}  // namespace gemmine::thefts
