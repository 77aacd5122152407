#include "pool/core/terms.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "pool/core/answer_time.h"
#include "pool/wire/messages.h"
#include "verifier/thread/cost.h"

namespace gemmine::pool {
namespace {

constexpr double kPpm = 1e-6;
// Multiply-accumulates that a core does in a lease while another checks a byte of an answer, whose
// bytes are mostly hashed: tests/bench/thread_bench says 210 to 250.
constexpr uint64_t kMacsPerHashedByte = 256;

std::string percent(double part) {
  return std::to_string(std::lround(100 * part)) + " %";
}

std::string tenths(double value) {
  return std::to_string(std::lround(std::floor(value))) + "." +
         std::to_string(std::lround(std::floor(value * 10)) % 10);
}

Status check_theft(const verifier::Work& work) {
  const PayTerms terms = terms_of(work);
  const kernels::Spec& spec = work.job().spec;
  const BestTheft best = best_theft(terms, uint64_t{spec.rounds} * spec.slots);
  if (best.gain < kTheftLeasesMax) return Ok{};
  const auto least = least_replays(terms);
  const bool replayed = terms.threads == 0 || terms.threads_replayed;
  const std::string found =
      replayed ? "a replay finds it always"
               : "one answered thread finds it in " + percent(best.theft.convicted);
  const std::string help = least
                               ? "set replays_ppm to " + std::to_string(std::lround(*least * 1e6)) +
                                     " at least, or raise fail_ppm"
                               : "no replays_ppm helps: raise fail_ppm";
  return Error{Errc::invalid_argument,
               "theft pays in this job: " + std::string(best.theft.name) + " saves " +
                   percent(best.theft.saved) + " of a lease, and " + found + "; with " +
                   std::to_string(best.batch.stolen) + " of a batch of " +
                   std::to_string(best.batch.leases) + " stolen it is worth " + tenths(best.gain) +
                   " leases' pay; " + help};
}

}  // namespace

bool replays_threads(const verifier::Work& work) {
  return !verifier::thread_pays(work.program(), work.job().spec.steps_per_lease);
}

double thread_cost(const verifier::Work& work) {
  const uint32_t steps = work.job().spec.steps_per_lease;
  const uint16_t blocks = work.job().audit.thread_blocks;
  const uint64_t lease = work.program().macs_per_step() * steps;
  const uint64_t thread = verifier::thread_work(work.program(), steps, blocks) +
                          kMacsPerHashedByte * answer_bytes_mean(work);
  return std::min(1.0, static_cast<double>(thread) / static_cast<double>(lease));
}

uint64_t answer_bytes_mean(const verifier::Work& work) {
  return verifier::thread_bytes(work.program(), work.job().spec.steps_per_lease,
                                work.job().audit.thread_blocks);
}

uint64_t answer_bytes_max(const verifier::Work& work) {
  return verifier::thread_bytes_max(work.program(), work.job().spec.steps_per_lease,
                                    work.job().audit.thread_blocks);
}

PayTerms terms_of(const verifier::Work& work) {
  const verifier::AuditPolicy& audit = work.job().audit;
  return {.batch = audit.batch_leases,
          .first_batch = audit.first_batch,
          .threads = audit.threads,
          .threads_replayed = replays_threads(work),
          .replays = audit.replays_ppm * kPpm,
          .fine = audit.fail_ppm * kPpm,
          .first_audits = audit.first_audits,
          .now = audit.now_ppm * kPpm};
}

Status check_terms(const verifier::Work& work, uint64_t share_ms) {
  const uint32_t steps = std::min(work.job().steps_per_share, work.job().spec.steps_per_lease);
  if (steps > kStepsPerShareMax)
    return Error{Errc::invalid_argument, "steps_per_share is over " +
                                             std::to_string(kStepsPerShareMax) +
                                             ": the digests of its steps fit no message"};
  if (const Status time = check_lease_time(work.job(), share_ms); !time) return time;
  return check_theft(work);
}

}  // namespace gemmine::pool
