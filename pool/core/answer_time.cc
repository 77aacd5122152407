#include "pool/core/answer_time.h"

#include <algorithm>

#include "kernels/base/check.h"
#include "verifier/audit/opening.h"

namespace gemmine::pool {

namespace {

// The honest path of one challenge, in shares: the run for the roots, and the walk.
constexpr uint64_t kSharesPerAnswer = 2;
constexpr uint64_t kSharesAtHand = 1;

// Of an opening: a tile's operands are rows as wide as the widest matrix, and paths of hashes.
uint64_t opening_bytes(const kernels::Spec& spec) {
  uint64_t widest = 1;
  for (const uint32_t width : spec.widths)
    widest = std::max<uint64_t>(widest, width);
  if (spec.architecture == kernels::Architecture::gpt)
    widest = std::max({uint64_t{spec.gpt.vocabulary}, uint64_t{spec.gpt.hidden},
                       uint64_t{spec.gpt.width}, uint64_t{spec.gpt.context}});
  constexpr uint64_t kRows = 192;
  constexpr uint64_t kPaths = 64 << 10;
  return std::min<uint64_t>(verifier::kOpeningBytesMax, widest * kRows + kPaths);
}

}  // namespace

uint64_t opening_line_ms(const verifier::Work& work) {
  return opening_bytes(work.job().spec) / kSlowLineBytesPerMs + 1;
}

uint64_t answer_time_ms(const verifier::Work& work, const std::deque<Pace>& paces,
                        uint64_t share_macs, uint32_t waiting) {
  GEMMINE_CHECK(waiting >= 1);
  GEMMINE_CHECK(paces.size() <= kPacesMax);
  const verifier::AuditPolicy& policy = work.job().audit;
  double ms_per_mac = 0;
  for (const Pace& pace : paces)
    ms_per_mac = std::max(ms_per_mac, static_cast<double>(pace.ms) /
                                          static_cast<double>(std::max<uint64_t>(pace.macs, 1)));
  const double shares = static_cast<double>(kSharesAtHand + kSharesPerAnswer * waiting);
  const double path =
      static_cast<double>(kAnswerSlack) * shares * ms_per_mac * static_cast<double>(share_macs);
  const uint64_t line = uint64_t{policy.spot_blocks} * opening_line_ms(work);
  const uint64_t most = std::max<uint64_t>(policy.answer_ms, policy.lease_ms);
  const double wanted = static_cast<double>(policy.answer_ms + line) + path;
  return wanted < static_cast<double>(most) ? static_cast<uint64_t>(wanted) : most;
}

uint64_t share_target_ms(const verifier::Job& job, uint64_t share_ms) {
  const uint32_t steps = job.spec.steps_per_lease;
  const uint32_t shares = verifier::share_count(steps, largest_share(steps, job.steps_per_share));
  GEMMINE_CHECK(shares >= 1);
  const uint64_t parts = std::max<uint64_t>(shares, kSharesAtHand + kSharesPerAnswer);
  return std::min<uint64_t>(share_ms, std::max<uint64_t>(job.audit.lease_ms / parts, 1));
}

}  // namespace gemmine::pool
