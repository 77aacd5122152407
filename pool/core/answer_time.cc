#include "pool/core/answer_time.h"

#include <algorithm>
#include <string>

#include "kernels/base/check.h"

namespace gemmine::pool {

uint64_t line_ms(uint64_t bytes) {
  return bytes / kSlowLineBytesPerMs + 1;
}

uint64_t answer_time_ms(const verifier::Job& job, const std::deque<Pace>& paces,
                        const Question& question) {
  GEMMINE_CHECK(question.waiting >= 1);
  GEMMINE_CHECK(paces.size() <= kPacesMax);
  double ms_per_mac = 0;
  for (const Pace& pace : paces)
    ms_per_mac = std::max(ms_per_mac, static_cast<double>(pace.ms) /
                                          static_cast<double>(std::max<uint64_t>(pace.macs, 1)));
  if (question.lease_macs > 0)
    ms_per_mac = std::min(ms_per_mac, static_cast<double>(job.audit.lease_ms) /
                                          static_cast<double>(question.lease_macs));
  const double macs =
      static_cast<double>(question.share_macs) +
      static_cast<double>(question.waiting) * static_cast<double>(question.lease_macs);
  const auto path = static_cast<uint64_t>(static_cast<double>(kAnswerSlack) * ms_per_mac * macs);
  return job.audit.answer_ms + path + question.waiting * line_ms(question.answer_bytes);
}

Status check_lease_time(const verifier::Job& job, uint64_t share_ms) {
  const uint32_t steps = job.spec.steps_per_lease;
  const uint32_t shares = verifier::share_count(steps, job.steps_per_share);
  const uint64_t least = share_ms * shares * 3 / 2;
  if (job.audit.lease_ms >= least) return Ok{};
  return Error{Errc::invalid_argument,
               "lease_ms = " + std::to_string(job.audit.lease_ms) +
                   " is too short for an honest device: a lease is " + std::to_string(shares) +
                   " shares of steps_per_share = " + std::to_string(job.steps_per_share) +
                   ", one may take it share_seconds = " + std::to_string(share_ms / 1000) +
                   ", and it needs half as much again to be safe: at least " +
                   std::to_string(least)};
}

}  // namespace gemmine::pool
