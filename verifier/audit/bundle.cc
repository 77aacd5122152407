#include "verifier/audit/bundle.h"

#include <algorithm>

#include "kernels/hash/blake3.h"
#include "verifier/audit/opening.h"
#include "verifier/merge/round.h"

namespace gemmine::verifier {

namespace {

Error malformed(std::string what) {
  return {Errc::malformed, "bundle: " + std::move(what)};
}

class Findings {
 public:
  // Returns whether it holds.
  bool expect(std::string check, bool holds, std::string otherwise) {
    if (holds) {
      out_.push_back({std::move(check), {Outcome::valid, kNoStep, ""}});
    } else {
      out_.push_back({std::move(check), {Outcome::invalid, kNoStep, std::move(otherwise)}});
    }
    return holds;
  }
  void add(std::string check, Finding finding) {
    out_.push_back({std::move(check), std::move(finding)});
  }
  std::vector<BundleFinding> take() { return std::move(out_); }

 private:
  std::vector<BundleFinding> out_;
};

void check_openings(const Bundle& bundle, std::span<const float> theta, Findings& out) {
  if (!bundle.seed) {
    if (!bundle.openings.empty())
      out.add("openings", {Outcome::undecided, kNoStep, "the challenge's seed is not included"});
    return;
  }
  const bool last = bundle.share.index + 1 == bundle.lease.shares();
  const auto choices = choose_blocks(bundle.work.program(), bundle.work.job().audit, *bundle.seed,
                                     bundle.share.steps, last);
  if (!out.expect("openings", bundle.openings.size() == choices.size(),
                  std::to_string(bundle.openings.size()) + " of " + std::to_string(choices.size()) +
                      " blocks are answered"))
    return;
  for (size_t i = 0; i < choices.size(); ++i) {
    const std::string name = "opening " + std::to_string(i);
    if (choices[i].delta && theta.empty()) {
      out.add(name, {Outcome::undecided, kNoStep, "a delta block needs theta"});
    } else {
      out.add(name, check_opening({bundle.work, bundle.lease, theta}, bundle.share, choices[i],
                                  bundle.openings[i]));
    }
  }
}

void check_verdicts(const Bundle& bundle, Findings& out) {
  const Digest id = share_id(bundle.share);
  for (size_t i = 0; i < bundle.verdicts.size(); ++i) {
    const Verdict& verdict = bundle.verdicts[i];
    const std::string name = "verdict " + std::to_string(i);
    if (!out.expect(name, verdict.share_id == id && signed_by_auditor(verdict),
                    "is on another share, or not signed by its auditor"))
      continue;
    out.add(name + " says", {verdict.outcome, verdict.step, verdict.detail});
  }
}

}  // namespace

Bytes encode_bundle(const Bundle& bundle) {
  GEMMINE_CHECK(bundle.openings.size() <= kBundleOpeningsMax);
  GEMMINE_CHECK(bundle.verdicts.size() <= kBundleVerdictsMax);
  for (const Bytes& opening : bundle.openings)
    GEMMINE_CHECK(opening.size() <= kOpeningBytesMax);
  Writer out;
  out.put_raw(as_bytes(kBundleMagic)).put_blob(bundle.work.bytes());
  out.put_blob(encode(bundle.lease)).put_blob(encode(bundle.share));
  out.put(uint64_t{bundle.theta.size()}).put_raw(bundle.theta);
  out.put(static_cast<uint8_t>(bundle.seed ? 1 : 0));
  if (bundle.seed) out.put_digest(*bundle.seed);
  out.put(static_cast<uint16_t>(bundle.openings.size()));
  for (const Bytes& opening : bundle.openings)
    out.put_blob(opening);
  out.put(static_cast<uint16_t>(bundle.verdicts.size()));
  for (const Verdict& verdict : bundle.verdicts)
    out.put_blob(encode(verdict));
  return out.take();
}

Result<Bundle> decode_bundle(ByteView bytes) {
  Reader in(bytes);
  if (!std::ranges::equal(in.get_raw(kBundleMagic.size()), as_bytes(kBundleMagic)))
    return malformed("this is no share bundle");
  const auto keep = [](ByteView view) { return Bytes(view.begin(), view.end()); };
  auto work = Work::decode(in.get_blob(kJobBytesMax));
  if (!work) return malformed(work.error().detail);
  auto lease = decode_lease(in.get_blob(kLeaseBytes));
  auto share = decode_share(in.get_blob(kShareBytes));
  if (!lease || !share) return malformed("the lease or the share does not decode");
  Bundle out{.work = std::move(work.value()),
             .lease = lease.value(),
             .share = share.value(),
             .theta = {},
             .seed = {},
             .openings = {},
             .verdicts = {}};
  out.theta = keep(in.get_raw(in.get<uint64_t>()));
  const auto with_seed = in.get<uint8_t>();
  if (with_seed > 1) return malformed("a flag is neither 0 nor 1");
  if (with_seed == 1) out.seed = in.get_digest();
  const auto openings = in.get<uint16_t>();
  if (openings > kBundleOpeningsMax) return malformed("more than 64 openings");
  for (uint16_t i = 0; i < openings && in.ok(); ++i)
    out.openings.push_back(keep(in.get_blob(kOpeningBytesMax)));
  const auto verdicts = in.get<uint16_t>();
  if (verdicts > kBundleVerdictsMax) return malformed("more than 64 verdicts");
  for (uint16_t i = 0; i < verdicts && in.ok(); ++i) {
    auto verdict = decode_verdict(in.get_blob(kVerdictBytesMax));
    if (!verdict) return malformed("verdict " + std::to_string(i) + " does not decode");
    out.verdicts.push_back(std::move(verdict.value()));
  }
  if (!in.done()) return malformed("ends early or has trailing bytes");
  return out;
}

Result<std::vector<float>> bundle_theta(const Bundle& bundle) {
  const kernels::Program& program = bundle.work.program();
  if (bundle.theta.empty()) return Error{Errc::undecided, "theta is not included"};
  if (bundle.theta.size() != program.published_floats() * sizeof(float))
    return Error{Errc::invalid, "theta has another length than what the job publishes"};
  if (kernels::blake3(bundle.theta) != bundle.lease.theta_root)
    return Error{Errc::invalid, "theta is not the lease's"};
  std::vector<float> out = floats_of(bundle.theta);
  out.resize(program.parameters());  // without an outer velocity
  return out;
}

std::vector<BundleFinding> check_bundle(const Bundle& bundle) {
  Findings out;
  out.expect("job", true, "");  // a Work is one
  const kernels::Program& program = bundle.work.program();
  const kernels::Spec& spec = program.spec();
  const Lease& lease = bundle.lease;
  if (!out.expect("lease is of the job",
                  lease.job_id == bundle.work.id() && lease.round < spec.rounds &&
                      lease.slot < spec.slots && lease.steps == spec.steps_per_lease,
                  "its job, round, slot or steps are others"))
    return out.take();
  out.expect("lease is signed by the pool", signed_by_pool(lease), "the signature is wrong");
  const auto refusal = admit_share(lease, bundle.share, bundle.share.index,
                                   bundle.share.state_before, program.macs_per_step());
  if (!out.expect("share is admissible", !refusal, refusal ? refusal->detail : ""))
    return out.take();
  std::vector<float> theta;
  if (!bundle.theta.empty()) {
    auto floats = bundle_theta(bundle);
    out.expect("theta", floats.ok(), floats ? "" : floats.error().detail);
    if (floats) theta = std::move(floats.value());
    if (!theta.empty() && bundle.share.index == 0)
      out.expect("share starts from theta", bundle.share.state_before == start_root(program, theta),
                 "state_before is another state");
  }
  check_openings(bundle, theta, out);
  check_verdicts(bundle, out);
  return out.take();
}

}  // namespace gemmine::verifier
