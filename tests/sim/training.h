// What honest work gives, computed once a lease: for miners, cheaters and auditors of a world.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "kernels/engine.h"
#include "tests/unit/pool/core/fake_pool.h"
#include "verifier/audit/replay.h"

namespace gemmine::sim {

// SplitMix64: a seed is all that a world needs to happen again.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t n) { return next() % n; }
  uint64_t between(uint64_t low, uint64_t high) { return low + below(high - low + 1); }
  bool chance(uint64_t per_mille) { return below(1000) < per_mille; }

 private:
  uint64_t state_;
};

// What is trained, and how much of it a share should be.
struct Setting {
  bool gpt = false;       // with an outer step that has momentum; else an MLP
  uint64_t share_ms = 0;  // what a share should take a device; 0: the job's size
  // Devices that are slow and fail, an answer_ms that none of them can keep, and an owner who fills
  // the escrow for a lease or two at a time.
  bool hard = false;
};
// Three rounds of three slots of two shares, or of a gpt four of four; the seed decides how much is
// audited.
verifier::Job sim_job(const Setting& setting, Random& random);
Bytes sim_records(const Setting& setting);

struct Leased {
  std::vector<verifier::ShareRun> runs;
  std::vector<std::vector<float>> states;  // before each share
  Bytes delta;
};

class Training {
 public:
  Training(const Setting& setting, Random& random);

  const verifier::Work& work() const { return work_; }
  const verifier::Job& job() const { return work_.job(); }
  const kernels::Program& program() const { return work_.program(); }
  const Bytes& records() const { return records_; }

  // published: the bytes that lease.theta_root names.
  const Leased& run(const verifier::Lease& lease, const Bytes& published);
  // The root that the job must end with; it depends on no lease.
  Digest honest_root();

 private:
  const Bytes records_;
  const verifier::Work work_;
  std::unique_ptr<kernels::Engine> engine_;
  std::map<Digest, Leased> leased_;
};

}  // namespace gemmine::sim
