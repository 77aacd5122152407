// One owner of as many keys as it likes, at a real pool: lease after lease to the end of a job, and
// what that earned it beyond its work. Nothing is trained: shares are made up, and the market knows
// which of them are stolen, as whoever runs them again would.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/sim/training.h"
#include "verifier/records/job.h"

namespace gemmine::sim {

enum class Act { work, steal, fresh_key, settle };

// What the owner knows when it decides about the next lease.
struct Seen {
  uint32_t left = 0;        // leases of the job that are not complete
  uint32_t done = 0;        // complete ones of this key
  std::vector<bool> batch;  // of the key's open batch: which are stolen
  uint32_t size = 0;        // leases that fill it
  const verifier::AuditPolicy* policy = nullptr;
  Random* random = nullptr;
};
struct Strategy {
  std::string name;
  std::function<Act(const Seen&)> next;
  double saved = 1;      // of a stolen lease's work
  double convicted = 1;  // by a thread of a stolen lease that is answered; a replay always does
  bool silent = false;   // answers no thread of a batch as soon as one is of a stolen lease
};
// economics.md §4, and the thefts that save only a part.
std::vector<Strategy> strategies();
// Where threads are asked for: those who are silent, and those whom a thread sees badly.
std::vector<Strategy> answering_strategies();

// Ways to break the pool that the market must find (economics.md §2, "Wrong variants").
enum class Leak {
  none,
  early_draw,  // the secret of the draw is out before the batch's last lease is committed
  busy_skips,  // audits that wait for others are waved through
  any_lease,   // a silent ticket is answered by a replay of any lease of the batch
};

struct JobTerms {
  std::string name;
  uint32_t leases = 0;
  verifier::AuditPolicy audit;
  bool asked = false;  // threads are asked of the miner; else the pool replays their leases
};
// A job of so many rounds of one slot, with these terms.
verifier::Work work_of(const JobTerms& terms);

// Pay less work, in leases' pay; a lease costs its whole pay to compute.
double play(const JobTerms& terms, const Strategy& strategy, uint64_t seed, Leak leak = Leak::none);

struct Sample {
  double mean = 0;
  double error = 0;  // standard, of the mean
};
Sample play_often(const JobTerms& terms, const Strategy& strategy, int jobs,
                  Leak leak = Leak::none);

// The best that any strategy can expect of a job of so many leases: a dynamic programme over leases
// left, leases and stolen leases of the open batch, and whether it is the key's first.
// convicted: by an answered thread.
double best_expected(const JobTerms& terms, double saved, double convicted);

}  // namespace gemmine::sim
