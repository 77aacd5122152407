#include "verifier/proof/accuser.h"

#include <algorithm>

#include "kernels/hash/blake3.h"
#include "verifier/proof/write.h"

namespace gemmine::verifier {

namespace {

constexpr uint32_t kSeedsMax = 1 << 18;  // a fraction of a second

DescentStep nothing(std::string why) {
  DescentStep out;
  out.words = std::move(why);
  return out;
}

bool holds(const Range& range, uint32_t value) {
  return value >= range.first && value < range.end();
}

DescentStep check_answered_thread(const AccusedLease& lease, const Digest& seed,
                                  const AnswerSource& source) {
  const ThreadCase thread{.work = lease.at.work,
                          .lease = lease.at.lease,
                          .shares = lease.shares,
                          .seed = seed,
                          .blocks = thread_blocks(lease.at.work.job())};
  const ThreadFinding found =
      check_thread(thread, source, public_data(lease.at.theta, lease.train_records));
  if (found.outcome != ThreadOutcome::wrong)
    return nothing(found.outcome == ThreadOutcome::valid
                       ? "the thread that was asked for is right"
                       : "the thread that was asked for is of no use: " + found.detail);
  DescentStep out;
  auto proof = proof_of_thread(thread, found, lease.published, lease.train_records);
  if (!proof) return nothing(proof.error().detail);
  out.next = DescentStep::Next::accuse;
  out.proof = std::move(proof.value());
  out.words = found.detail;
  return out;
}

DescentStep ask_thread(const AccusedLease& lease, const Descent& descent,
                       const AnswerSource* thread) {
  if (lease.shares.size() != lease.at.lease.shares())
    return nothing("a thread is of a whole lease");
  const PublicData data = public_data(lease.at.theta, lease.train_records);
  const auto seed = seed_through(lease.at.work, lease.at.lease, descent.fibre(), data.train);
  if (!seed) return nothing(seed.error().detail);
  if (!seed.value()) return nothing("no thread goes through the parameters that moved");
  if (thread != nullptr) return check_answered_thread(lease, *seed.value(), *thread);
  if (descent.questions_asked() >= kDescentQuestionsMax)
    return nothing("it would take more questions than may be asked");
  DescentStep out;
  out.next = DescentStep::Next::thread;
  out.seed = *seed.value();
  return out;
}

}  // namespace

Result<std::optional<Digest>> seed_through(const Work& work, const Lease& lease,
                                           const Descent::FibrePlace& place,
                                           const ReadBytes& train) {
  const kernels::Program& program = work.program();
  const auto through = [&](const Fibre& fibre) {
    return fibre.parameter == place.parameter && holds(fibre.rows, place.row) &&
           holds(fibre.cols, place.col);
  };
  for (uint32_t i = 0; i < kSeedsMax; ++i) {
    const Digest seed = kernels::blake3_keyed(
        lease.id, Writer().put(place.parameter).put(place.row).put(place.col).put(i).bytes());
    const auto draw = draw_thread(program, seed, lease.round, lease.slot, lease.steps, train);
    if (!draw) return draw.error();
    if (std::ranges::any_of(draw.value().fibres, through)) return std::optional<Digest>(seed);
  }
  return std::optional<Digest>();
}

Result<Bytes> proof_of_thread(const ThreadCase& thread, const ThreadFinding& finding,
                              ByteView published, ByteView train_records) {
  GEMMINE_CHECK(finding.outcome == ThreadOutcome::wrong);
  if (!finding.update)
    return Error{Errc::undecided, "a block that is wrong by its witness: " + finding.detail};
  const uint32_t step = std::min(finding.update->step, thread.lease.steps - 1);
  auto proof = write_update({thread.work, thread.lease, thread.share_of(step)}, *finding.update,
                            published, train_records);
  if (!proof) return proof;
  const auto decided = decide_proof(proof.value(), thread.lease.pool_key);
  if (!decided) return decided.error();
  if (!decided.value().proven) return Error{Errc::undecided, decided.value().words};
  return proof;
}

DescentStep descend(const AccusedLease& lease, kernels::Engine& engine, const ShareRun& own,
                    std::span<const float> state_before, std::span<const SignedAnswer> answers,
                    const AnswerSource* thread) {
  const Share& share = lease.claimed.share;
  // An opening is of a share with all its steps, of which it looks at one.
  ShareRun whole = own;
  whole.step_digests.resize(share.steps);
  whole.roots.resize(share.steps);
  whole.losses.resize(share.steps);
  const auto stand = [&](uint32_t step) -> Result<ProverView> {
    GEMMINE_CHECK(step + 1 == own.step_digests.size());
    return ProverView{.at = lease.at,
                      .run = whole,
                      .state_before = state_before,
                      .state_after = own.state_after,
                      .train_records = lease.train_records,
                      .train_tree = lease.train_tree,
                      .engine = engine,
                      .check_own = false};
  };
  Bytes delta;
  const bool only_delta = own.step_digests.size() == share.steps &&
                          own.share.state_after == share.state_after &&
                          own.share.delta_root != share.delta_root;
  if (only_delta && lease.delta) {
    auto bytes = lease.delta();
    if (!bytes) return nothing(bytes.error().detail);
    delta = std::move(bytes.value());
  }
  Descent descent({.at = lease.at,
                   .share = share,
                   .digests = lease.claimed.steps,
                   .own = own,
                   .stand = stand,
                   .published = lease.published,
                   .delta = delta});
  for (const SignedAnswer& answer : answers) {
    if (descent.stage() != Descent::Stage::asking) break;
    if (const Status taken = descent.take(answer); !taken) return nothing(taken.error().detail);
  }
  DescentStep out;
  out.words = descent.why();
  switch (descent.stage()) {
    case Descent::Stage::asking:
      if (descent.questions_asked() > kDescentQuestionsMax)
        return nothing("it would take more questions than may be asked");
      out.next = DescentStep::Next::ask;
      out.question = descent.question();
      break;
    case Descent::Stage::proven:
      out.next = DescentStep::Next::accuse;
      out.proof = descent.proof();
      break;
    case Descent::Stage::fibre:
      return ask_thread(lease, descent, thread);
    case Descent::Stage::helpless:
      break;
  }
  return out;
}

}  // namespace gemmine::verifier
