// Kind 1: one block of a step against what it is made of (PROTOCOL 12.2).
#include <algorithm>

#include "verifier/audit/block.h"
#include "verifier/audit/opened.h"
#include "verifier/audit/opening.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/proof/decide.h"
#include "verifier/proof/named_witness.h"

namespace gemmine::verifier {

namespace {

// Where a block lies; its own fields, since an opening has no room for them.
BlockChoice get_choice(Reader& in, bool& ok) {
  BlockChoice choice;
  choice.step = in.get<uint32_t>();
  const auto delta = in.get<uint8_t>();
  choice.delta = delta == 1;
  choice.position = in.get<uint16_t>();
  choice.tile_row = in.get<uint32_t>();
  choice.tile_col = in.get<uint32_t>();
  choice.group = in.get<uint32_t>();
  ok = in.ok() && delta <= 1;
  return choice;
}

struct BlockProof {
  BlockChoice choice;
  Opening opening;
  std::optional<OpenedObject> theta;
  std::optional<NamedWitness> named;
};

Result<BlockProof> get_block_proof(Reader& in, const ShareCase& at) {
  const kernels::Program& program = at.work.program();
  BlockProof out;
  bool ok = false;
  out.choice = get_choice(in, ok);
  const bool last = at.share.index + 1 == at.lease.shares();
  if (!ok || !choice_ok(program, at.share.steps, last, out.choice))
    return bad_proof("block", "the share has no such block");
  auto opening = decode_opening(program, in.get_blob(kOpeningBytesMax));
  if (!opening) return bad_proof("opening", opening.error().detail);
  out.opening = std::move(opening.value());
  if (out.choice.delta) {
    auto theta = get_chunks(in, program.published_floats() * sizeof(float));
    if (!theta) return bad_proof("theta", theta.error().detail);
    out.theta = std::move(theta.value());
  }
  const auto named = in.get<uint8_t>();
  const bool quantised = !out.choice.delta && program.tensors()[out.choice.position].is_int8();
  if (named > 1 || (named == 1 && !quantised)) return bad_proof("witness", "has no place here");
  if (named == 1) {
    const kernels::TensorInfo& tensor = program.tensors()[out.choice.position];
    auto witness = get_named_witness(in, program, scale_number(tensor, out.choice));
    if (!witness) return witness.error();
    out.named = std::move(witness.value());
  } else if (!out.choice.delta && out.choice.group != 0) {
    return bad_proof("block", "a group without a witness");
  }
  if (out.opening.witness != (out.named ? out.named->witness : kNoWitness))
    return bad_proof("opening", "its witness is not the one that was signed");
  if (Status end = expect_end(in, "block"); !end) return end.error();
  return out;
}

// The delta's block against θ, of which its own floats are enough.
Finding judge_delta(const ShareCase& at, BlockProof& proof, BlockCheck& check) {
  const uint64_t first = uint64_t{proof.choice.tile_row} * kDeltaBlock;
  const uint64_t count = std::min<uint64_t>(kDeltaBlock, at.work.program().parameters() - first);
  auto theta = OpenedBlob::make(at.lease.theta_root, std::move(*proof.theta));
  if (!theta) return {Outcome::undecided, kNoStep, "theta: " + theta.error().detail};
  const auto bytes = theta.value().read(first * sizeof(float), count * sizeof(float));
  if (!bytes || !theta.value().exhausted())
    return {Outcome::undecided, kNoStep, "theta: other chunks than the block's were opened"};
  return check.check_delta_block(proof.choice, floats_of(*bytes), at.work.job().audit.delta_max);
}

}  // namespace

Status decide_block(Reader& in, ProofFinding& out) {
  auto decoded = get_share_case(in);
  if (!decoded) return decoded.error();
  const ShareCase& at = decoded.value();
  accuse_miner(out, at);
  auto read = get_block_proof(in, at);
  if (!read) return read.error();
  BlockProof& proof = read.value();
  if (const std::string doubt = doubt_of(at); !doubt.empty()) return not_proven(out, doubt);
  const uint32_t index = proof.choice.delta ? at.share.steps - 1 : proof.choice.step;
  const uint32_t step = at.share.first_step + index;
  name_step(out, at.share, step);
  if (proof.named) {
    const std::string doubt = doubt_of(*proof.named, at.lease, step, proof.choice.position);
    if (!doubt.empty()) return not_proven(out, doubt);
  }
  if (const Status hashes = verify_opened(at.work, at.lease, at.share, index, proof.opening);
      !hashes)
    return not_proven(
        out, "these are not the bytes that the miner committed to: " + hashes.error().detail);
  OpenedSource source(proof.opening.objects);
  BlockCheck check(at.work.program(), {at.lease.round, at.lease.slot, step}, source);
  const auto witness = proof.named ? std::optional<uint32_t>(proof.named->witness) : std::nullopt;
  const Finding finding =
      proof.choice.delta ? judge_delta(at, proof, check) : check.check(proof.choice, witness);
  if (finding.outcome == Outcome::valid)
    return not_proven(out, "the block is what its inputs give");
  if (finding.outcome != Outcome::invalid) return not_proven(out, finding.detail);
  if (!source.exhausted())
    return not_proven(out, "it holds other chunks than the block is derived from");
  if (check.blames_data())
    return not_proven(out, "the job's data is at fault, not the miner: " + finding.detail);
  return proven(out, place_words(at.share, step) + finding.detail);
}

}  // namespace gemmine::verifier
