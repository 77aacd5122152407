#include "verifier/audit/opening.h"

#include <algorithm>
#include <functional>

#include "verifier/audit/block.h"
#include "verifier/audit/opened.h"
#include "verifier/audit/opening_codec.h"
#include "verifier/audit/whole.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

namespace {

Finding malformed(std::string detail) {
  return {Outcome::malformed, kNoStep, "opening: " + std::move(detail)};
}

Finding invalid(uint32_t step, std::string detail) {
  return {Outcome::invalid, step, std::move(detail)};
}

// The step whose tensors a choice looks at, counted in the lease.
uint32_t lease_step(const Share& share, const BlockChoice& choice) {
  return share.first_step + (choice.delta ? share.steps - 1 : choice.step);
}

// Looks at a block, reading all that the opening has to hold.
using LookAtBlock = std::function<Finding(BlockCheck&)>;

void check_view(const ProverView& view) {
  const Share& share = view.run.share;
  const kernels::Program& program = view.at.work.program();
  GEMMINE_CHECK(share.lease_id == view.at.lease.id && view.at.lease.job_id == view.at.work.id());
  GEMMINE_CHECK(view.run.roots.size() == share.steps && view.run.losses.size() == share.steps);
  for (const std::span<const float> state : {view.state_before, view.state_after})
    GEMMINE_CHECK(state.empty() || state.size() == program.state_floats());
}

// Without a witness, and whatever the outcome.
Result<Bytes> make_exhibit(const ProverView& view, uint32_t index, const LookAtBlock& look) {
  check_view(view);
  const uint32_t step = view.run.share.first_step + index;
  WholeSource source(view);
  BlockCheck check(view.at.work.program(), {view.at.lease.round, view.at.lease.slot, step}, source);
  source.recording = true;
  const Finding finding = look(check);
  source.recording = false;
  if (finding.outcome == Outcome::undecided) return Error{Errc::undecided, finding.detail};
  return open_touched(view, source, index, kNoWitness);
}

}  // namespace

Result<Bytes> make_opening(const ProverView& view, const BlockChoice& choice) {
  check_view(view);
  const Share& share = view.run.share;
  GEMMINE_CHECK(choice.delta || choice.step < share.steps);
  const Lease& lease = view.at.lease;
  const uint32_t step = lease_step(share, choice);
  WholeSource source(view);
  BlockCheck check(view.at.work.program(), {lease.round, lease.slot, step}, source);
  uint32_t named = 0;
  if (!choice.delta) {
    auto witness = check.find_witness(choice);
    if (!witness && view.check_own) return witness.error();
    named = witness ? witness.value() : 0;
  }
  source.recording = true;
  const Finding finding =
      choice.delta ? check.check_delta(choice, view.at.theta, view.at.work.job().audit.delta_max)
                   : check.check(choice, named);
  source.recording = false;
  if (finding.outcome != Outcome::valid && view.check_own)
    return Error{Errc::invalid, finding.detail};
  return open_touched(view, source, step - share.first_step, named);
}

Result<Bytes> make_evidence(const ProverView& view, const BlockChoice& choice) {
  GEMMINE_CHECK(choice.delta || choice.step < view.run.share.steps);
  return make_exhibit(view, lease_step(view.run.share, choice) - view.run.share.first_step,
                      [&](BlockCheck& check) {
                        const int delta_max = view.at.work.job().audit.delta_max;
                        return choice.delta ? check.check_delta(choice, view.at.theta, delta_max)
                                            : check.check(choice, {});
                      });
}

Result<Bytes> make_inputs(const ProverView& view, uint32_t step, uint32_t position,
                          uint64_t chunk) {
  return make_exhibit(view, step, [&](BlockCheck& check) {
    Bytes derived;
    return check.derive_chunk(position, chunk, derived);
  });
}

Result<Bytes> make_scale_evidence(const ProverView& view, uint32_t step, uint32_t position,
                                  uint32_t number, uint32_t index) {
  return make_exhibit(view, step, [&](BlockCheck& check) {
    return check.check_scale(position, number, index, true);
  });
}

Finding check_opening(const LeaseView& view, const Share& share, const BlockChoice& choice,
                      ByteView bytes) {
  const kernels::Program& program = view.work.program();
  const Lease& lease = view.lease;
  // The share was admitted and the choice drawn before anybody was asked for an opening.
  GEMMINE_CHECK(choice.delta || choice.step < share.steps);
  if (bytes.size() > kOpeningBytesMax) return malformed("longer than 2 MiB");
  const auto decoded = decode_opening(program, bytes);
  if (!decoded) return malformed(decoded.error().detail);
  const Opening& opening = decoded.value();
  const uint32_t step = lease_step(share, choice);
  const uint32_t index = step - share.first_step;

  // Is it the opening that was asked for? Looked for first (PROTOCOL 6.5).
  const uint64_t digest_bytes = uint64_t{share.steps} * 32;
  const uint64_t first = uint64_t{index / 32} * kChunk;
  if (opening.step_chunk.size() != std::min<uint64_t>(kChunk, digest_bytes - first))
    return malformed("the step digests have another length");
  OpenedSource source(opening.objects);
  BlockCheck check(program, {lease.round, lease.slot, step}, source);
  if (choice.delta && opening.witness != 0) return malformed("a delta has no witness");
  const int delta_max = view.work.job().audit.delta_max;
  Finding finding = choice.delta ? check.check_delta(choice, view.theta, delta_max)
                                 : check.check(choice, opening.witness);
  if (finding.outcome == Outcome::undecided || !source.exhausted())
    return malformed("it holds other chunks than the block is derived from");
  if (finding.outcome == Outcome::malformed) return malformed(finding.detail);

  // Are they the bytes that were committed to?
  if (const Status hashes = verify_opened(view.work, lease, share, index, opening); !hashes)
    return invalid(step, hashes.error().detail);
  if (finding.outcome == Outcome::invalid) finding.step = step;
  return finding;
}

}  // namespace gemmine::verifier
