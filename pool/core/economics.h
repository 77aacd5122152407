// What theft, silence and audits are worth: the closed forms of settlement in batches, behind
// `gemmine-pool job check` (PROTOCOL 13). Unit: one lease's pay. Pure.
//
// A thief has free keys, sees the tickets of a batch before it answers, and leaves whenever it
// likes. A lease costs its whole pay to compute, which is the worst case: a stolen lease that costs
// nothing is then one more, and takes no honest one's place. Since every batch is drawn after its
// last lease is committed, and pays at most what was computed for it, what no single batch gives no
// strategy gives: the sum over batches of (pay − work) can only fall, wherever it is stopped.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace gemmine::pool {

struct Theft {
  std::string_view name;
  double saved = 0;      // of a lease's work, 0 … 1
  double convicted = 0;  // probability, by one thread ticket that is answered; a replay always does
};
// Every theft we know, measured (theft_table.cc).
std::span<const Theft> known_thefts();

// How a job settles.
struct PayTerms {
  uint32_t batch = 1;             // leases
  uint32_t first_batch = 1;       // of a key's first batch in the job
  uint32_t threads = 0;           // thread tickets of a batch
  bool threads_replayed = false;  // a replay is the cheaper answer to them: the pool takes it
  double replays = 0;             // 1.25: one for certain, and one more with probability 1/4
  double fine = 1;                // part of its batch that a single failed ticket costs
  uint32_t first_audits = 0;      // leases of a key that are audited at once
  double now = 0;                 // probability that a later one is
};

// The most that a thief can expect of a batch of `leases` of which `stolen` are: over every choice
// of tickets to leave unanswered. 0 ≤ stolen ≤ leases.
double batch_pay(const PayTerms& terms, uint32_t leases, uint32_t stolen, double convicted);

// The batch that pays a thief most beyond its work: over all sizes up to the terms', and all parts
// of it that are stolen. gain ≤ 0: this theft does not pay.
struct BatchTheft {
  double gain = 0;
  uint32_t leases = 0;
  uint32_t stolen = 0;
};
BatchTheft best_batch(const PayTerms& terms, const Theft& theft);

// The best theft there is, by one thief who has the whole job.
struct BestTheft {
  Theft theft;
  BatchTheft batch;
  double gain = 0;  // of the job, in leases' pay; 0: none pays
};
BestTheft best_theft(const PayTerms& terms, uint64_t leases);

// The least number of replays a batch, in hundredths, with which no theft pays; at most
// kReplaysMax, else none: the fine is too small.
inline constexpr uint32_t kReplaysMax = 8;
std::optional<double> least_replays(PayTerms terms);

// Above it a job pays thieves.
inline constexpr double kTheftLeasesMax = 0.05;

// Who mines and who audits, as far as a job file can tell.
struct Crowd {
  uint64_t leases = 0;  // of the job
  uint32_t miners = 1;
  uint32_t auditors = 1;   // replays at a time
  double lease_s = 0;      // that a lease takes a device, the auditors' too
  double idle_s = 0;       // after which a batch that nobody adds to is drawn
  double answer_s = 0;     // that an answer has at most
  double thread_cost = 0;  // the pool's compute for one answered thread, in leases
  double silent_part = 0;  // of the challenges, left unanswered
};

// Audits as parts of the job's compute.
struct AuditCost {
  double pool = 0;
  double miner = 0;  // at most: a miner that keeps what a thread asks for computes nothing again
};
AuditCost audit_cost(const PayTerms& terms, const Crowd& crowd);

// When pay is final, in seconds: with the audits of the batch, silence and its replay included.
struct PayTimes {
  double mean = 0;     // after a lease, while mining, when every ticket is answered at once
  double longest = 0;  // of a miner that works on
  double idle = 0;     // of one that stops in the middle of a batch
  double last = 0;     // after the last merge, the last coin
};
PayTimes pay_times(const PayTerms& terms, const Crowd& crowd);

// Leases of nothing that a fresh key gets merged before it is caught, on average; its audited ones
// are honest.
double sabotage_leases(const PayTerms& terms);

}  // namespace gemmine::pool
