#include "verifier/thread/claim.h"

#include <algorithm>

#include "kernels/hash/opening.h"
#include "verifier/audit/opened.h"

namespace gemmine::verifier {

namespace {

Finding malformed(std::string detail) {
  return {Outcome::malformed, kNoStep, std::move(detail)};
}

Finding finding_of(const Error& error) {
  const bool own = error.code != Errc::malformed;
  return {own ? Outcome::undecided : Outcome::malformed, kNoStep, error.detail};
}

// Digests of the links, out of the chunks of their string.
class OpenedDigests {
 public:
  static Result<OpenedDigests> make(const Digest& root, uint64_t count, ByteView bytes) {
    Reader in(bytes);
    auto chunks = get_chunks(in, count * 32);
    if (!chunks) return chunks.error();
    if (!in.done()) return Error{Errc::malformed, "trailing bytes behind the digests"};
    const auto good = kernels::verify_chunks(root, kernels::Blake3Mode::plain(), count * 32,
                                             chunks.value().ranges, chunks.value().bytes,
                                             chunks.value().siblings);
    if (!good) return Error{Errc::malformed, "the digests are not those that were signed"};
    OpenedDigests out;
    out.chunks_ = std::move(chunks.value());
    return out;
  }
  // Null when it was not opened.
  const uint8_t* find(uint64_t number) const {
    const uint64_t chunk = number / 32;
    uint64_t before = 0;
    for (const kernels::ChunkRange& range : chunks_.ranges) {
      if (chunk >= range.first && chunk < range.last)
        return chunks_.bytes.data() + (before + chunk - range.first) * kChunk + number % 32 * 32;
      before += range.last - range.first;
    }
    return nullptr;
  }
  bool has(uint64_t number, const Digest& digest) const {
    const uint8_t* const at = find(number);
    return at != nullptr && std::equal(digest.bytes.begin(), digest.bytes.end(), at);
  }

 private:
  OpenedObject chunks_;
};

// Everything about a claim that has been found to be what the miner signed and committed to.
struct Case {
  const ThreadCase& thread;
  const ThreadPlan& plan;
  const UpdateClaim& claim;
  const OpenedDigests& digests;
  const PublicData& data;

  const kernels::Program& program() const { return thread.program(); }
  const Chain& chain() const { return plan.chains()[claim.link.chain]; }
  bool at_end() const { return claim.step == thread.lease.steps; }
};

// Whether such a link exists in the plan.
bool exists(const ThreadCase& thread, const ThreadPlan& plan, uint32_t step, Link link) {
  if (link.chain >= plan.chains().size()) return false;
  if (step == thread.lease.steps) return link.chain < plan.draw().fibres.size() && link.piece == 0;
  return step < plan.chains()[link.chain].steps && link.piece < plan.chains()[link.chain].pieces;
}

Result<std::optional<ScaleBound>> bound_at(const Case& at) {
  std::optional<ScaleBound> out;
  const Fibre& fibre = at.chain().fibre;
  if (!linear_of(at.program(), fibre) || !ScaleBound::exists(at.program())) return out;
  auto bound = ScaleBound::make(at.program(), fibre, at.data.theta);
  if (!bound) return bound.error();
  for (uint32_t step = 0; step < at.claim.step; ++step)
    bound.value().advance(at.program(), at.thread.key(step));
  out = std::move(bound.value());
  return out;
}

// The state of the peer, as the miner signed for it.
Result<std::optional<FibreState>> peer_state(const Case& at) {
  std::optional<FibreState> out;
  const uint32_t peer = at.at_end() || at.claim.link.piece > 0
                            ? kNoChain
                            : peer_of(at.plan, at.claim.link.chain, at.claim.step);
  if (peer == kNoChain) return out;
  const Chain& chain = at.plan.chains()[peer];
  const uint64_t number = at.claim.step < chain.steps
                              ? at.plan.digest_number(at.claim.step, {peer, 0})
                              : at.plan.last_digest(peer);
  if (!at.digests.has(number, kernels::blake3(at.claim.peer)))
    return Error{Errc::malformed, "the other fibre's state is not the one that was signed"};
  auto state = link_state(at.program(), chain.fibre, 0, at.claim.peer);
  if (!state) return state.error();
  out = std::move(state.value().state);
  return out;
}

Finding check_link(const Case& at, const LinkState& before, BlockSource& source) {
  const auto bound = bound_at(at);
  if (!bound) return finding_of(bound.error());
  const auto peer = peer_state(at);
  if (!peer) return finding_of(peer.error());
  const kernels::StepKey key = at.thread.key(at.claim.step);
  const auto tokens = step_tokens(at.program(), key, at.data.train);
  if (!tokens) return finding_of(tokens.error());
  StepLinks links(at.program(), key, source, tokens.value());
  const StepRates rates = rates_of(at.program(), key);
  const LinkEnd end =
      follow_link(at.program(), at.plan, key, at.claim.link,
                  {before.state, before.sums, rates, peer.value() ? &*peer.value() : nullptr,
                   bound.value() ? &*bound.value() : nullptr},
                  links);
  if (links.missing()) return malformed("the part lacks chunks that the link is made of");
  if (!links.objection().empty()) return {Outcome::invalid, at.claim.step, links.objection()};
  if (end.finding.outcome != Outcome::valid) return end.finding;
  const Digest after = kernels::blake3(end.moved ? link_bytes(end.state, nullptr)
                                                 : link_bytes(before.state, &end.sums));
  if (at.digests.has(at.plan.next_digest(at.claim.step, at.claim.link), after))
    return {Outcome::valid, kNoStep, {}};
  if (at.digests.find(at.plan.next_digest(at.claim.step, at.claim.link)) == nullptr)
    return malformed("the digest after the link is not there");
  return {Outcome::invalid, at.claim.step,
          name_of(at.program(), at.chain().fibre) + " does not move as its gradient says"};
}

Finding check_last(const Case& at, const LinkState& end, BlockSource& source) {
  const auto start = start_of(at.program(), at.chain().fibre, at.data.theta);
  if (!start) return finding_of(start.error());
  BlockReader reader(at.program(), source);
  Finding out = check_end(at.thread.work, at.chain().fibre, end.state, start.value().w, reader);
  if (reader.missing()) return malformed("the part lacks chunks that the end is made of");
  if (!reader.objection().empty()) return {Outcome::invalid, at.claim.step, reader.objection()};
  if (out.outcome == Outcome::invalid) out.step = at.claim.step;
  return out;
}

Finding check_opened(const Case& at, const Share& share) {
  const uint64_t number = at.at_end() ? at.plan.last_digest(at.claim.link.chain)
                                      : at.plan.digest_number(at.claim.step, at.claim.link);
  if (at.claim.step == 0 && at.claim.link.piece == 0) {
    const auto start = start_of(at.program(), at.chain().fibre, at.data.theta);
    if (!start) return finding_of(start.error());
    if (at.digests.find(number) == nullptr) return malformed("the digest is not there");
    if (!at.digests.has(number, kernels::blake3(link_bytes(start.value(), nullptr))))
      return {Outcome::invalid, 0,
              name_of(at.program(), at.chain().fibre) + " does not start from θ"};
  }
  if (!at.digests.has(number, kernels::blake3(at.claim.state)))
    return malformed("the state is not the one that was signed");
  const auto before =
      link_state(at.program(), at.chain().fibre, at.claim.link.piece, at.claim.state);
  if (!before) return finding_of(before.error());
  const auto opening = decode_opening(at.program(), at.claim.part);
  if (!opening) return finding_of(opening.error());
  if (opening.value().witness != 0) return malformed("a part has no witness");
  const uint32_t index = at.at_end() ? share.steps - 1 : at.claim.step - share.first_step;
  const auto committed =
      verify_opened(at.thread.work, at.thread.lease, share, index, opening.value());
  if (!committed) return malformed(committed.error().detail);
  OpenedSource source(opening.value().objects);
  return at.at_end() ? check_last(at, before.value(), source)
                     : check_link(at, before.value(), source);
}

}  // namespace

Finding check_part(const ThreadCase& thread, const Share& share, const UpdateClaim& claim,
                   const PublicData& data) {
  const auto header = decode_thread_header(claim.header);
  if (!header) return finding_of(header.error());
  if (claim.header.size() != header.value().bytes()) return malformed("trailing bytes");
  if (header.value().lease_id != thread.lease.id || header.value().seed != thread.seed)
    return malformed("the answer is to another challenge");
  if (!signed_by(header.value(), thread.lease.miner_key))
    return malformed("the answer is not signed by the miner");
  auto plan = ThreadPlan::make(thread, data);
  if (!plan) return finding_of(plan.error());
  const auto named = plan.value().set_witnesses(header.value().features);
  if (!named) return finding_of(named.error());
  if (!exists(thread, plan.value(), claim.step, claim.link)) return malformed("no such link");
  const bool at_end = claim.step == thread.lease.steps;
  const bool of_share =
      at_end ? share.index + 1 == thread.lease.shares()
             : claim.step >= share.first_step && claim.step - share.first_step < share.steps;
  if (!of_share || share.lease_id != thread.lease.id)
    return malformed("the share does not have the step");
  const auto digests =
      OpenedDigests::make(header.value().digests_root, plan.value().digests(), claim.digests);
  if (!digests) return finding_of(digests.error());
  return check_opened({thread, plan.value(), claim, digests.value(), data}, share);
}

}  // namespace gemmine::verifier
