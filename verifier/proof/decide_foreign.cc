// Kind 2: a block, or a scale, shown by somebody who has its inputs and not the block (PROTOCOL
// 12.3).
#include "kernels/hash/blake3.h"
#include "kernels/hash/tree.h"
#include "verifier/audit/block.h"
#include "verifier/audit/opened.h"
#include "verifier/audit/opening.h"
#include "verifier/proof/decide.h"
#include "verifier/proof/named_witness.h"
#include "verifier/proof/path.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

using kernels::Blake3Mode;
using kernels::TensorInfo;

namespace {

struct ForeignProof {
  uint32_t index = 0;  // of the step in the share
  uint16_t position = 0;
  bool of_scale = false;
  uint32_t chunk = 0;  // of the tensor, as the miner committed to it
  uint64_t chunks = 0;
  Digest claimed;
  std::vector<Digest> path;
  uint32_t scale = 0;    // or a scale of it,
  uint32_t element = 0;  // and an index of its group
  std::optional<NamedWitness> named;
  Opening opening;
};

Status get_claimed_chunk(Reader& in, const TensorInfo& tensor, ForeignProof& out) {
  out.chunk = in.get<uint32_t>();
  out.chunks = node_count(tensor.bytes(), 0);
  if (out.chunk >= out.chunks) return bad_proof("block", "the tensor has no such chunk");
  out.claimed = in.get_digest();
  auto path = get_path(in, out.chunks, out.chunk);
  if (!path) return path.error();
  out.path = std::move(path.value());
  return Ok{};
}

Status get_scale(Reader& in, const kernels::Program& program, ForeignProof& out) {
  out.scale = in.get<uint32_t>();
  out.element = in.get<uint32_t>();
  const auto named = in.get<uint8_t>();
  const TensorInfo& tensor = program.tensors()[out.position];
  if (!in.ok() || named > 1 || !tensor.is_int8() ||
      out.scale >= program.tensors()[out.position + 1].bytes() / sizeof(float))
    return bad_proof("scale", "the tensor has no such scale");
  if (named == 0) return Ok{};
  auto witness = get_named_witness(in, program, out.scale);
  if (!witness) return witness.error();
  out.named = std::move(witness.value());
  if (out.named->witness != out.element)
    return bad_proof("scale", "its element is not the one that was named");
  return Ok{};
}

Result<ForeignProof> get_foreign_proof(Reader& in, const ShareCase& at) {
  const kernels::Program& program = at.work.program();
  ForeignProof out;
  out.index = in.get<uint32_t>();
  out.position = in.get<uint16_t>();
  const auto form = in.get<uint8_t>();
  const BlockChoice first_tile{.step = out.index, .position = out.position};
  if (!in.ok() || form > 1 || !choice_ok(program, at.share.steps, false, first_tile))
    return bad_proof("block", "the share has no such tensor");
  out.of_scale = form == 1;
  Status part = out.of_scale ? get_scale(in, program, out)
                             : get_claimed_chunk(in, program.tensors()[out.position], out);
  if (!part) return part.error();
  auto opening = decode_opening(program, in.get_blob(kOpeningBytesMax));
  if (!opening) return bad_proof("opening", opening.error().detail);
  out.opening = std::move(opening.value());
  if (out.opening.witness != kNoWitness) return bad_proof("opening", "has a witness");
  if (Status end = expect_end(in, "block"); !end) return end.error();
  return out;
}

// Why these are not the miner's own bytes and words; empty when they are.
std::string doubt_of(const ForeignProof& proof, const ShareCase& at) {
  if (std::string doubt = doubt_of(at); !doubt.empty()) return doubt;
  const uint32_t step = at.share.first_step + proof.index;
  if (proof.named) {
    std::string doubt = doubt_of(*proof.named, at.lease, step, proof.position);
    if (!doubt.empty()) return doubt;
  }
  const Status hashes = verify_opened(at.work, at.lease, at.share, proof.index, proof.opening);
  if (!hashes)
    return "these are not the bytes that the miner committed to: " + hashes.error().detail;
  if (proof.of_scale) return {};
  const Blake3Mode mode = Blake3Mode::keyed(step_key(at.lease.id, step));
  const Digest root = Reader(proof.opening.roots.subspan(size_t{proof.position} * 32)).get_digest();
  if (root_above(mode, proof.chunks, proof.chunk, proof.claimed, proof.path) != root)
    return "the claimed chunk is not the one that the miner committed to";
  return {};
}

}  // namespace

Status decide_block_by_another(Reader& in, ProofFinding& out) {
  auto decoded = get_share_case(in);
  if (!decoded) return decoded.error();
  const ShareCase& at = decoded.value();
  accuse_miner(out, at);
  auto read = get_foreign_proof(in, at);
  if (!read) return read.error();
  const ForeignProof& proof = read.value();
  if (const std::string doubt = doubt_of(proof, at); !doubt.empty()) return not_proven(out, doubt);
  const uint32_t step = at.share.first_step + proof.index;
  name_step(out, at.share, step);
  OpenedSource source(proof.opening.objects);
  BlockCheck check(at.work.program(), {at.lease.round, at.lease.slot, step}, source);
  Bytes own;
  const Finding finding = proof.of_scale ? check.check_scale(proof.position, proof.scale,
                                                             proof.element, proof.named.has_value())
                                         : check.derive_chunk(proof.position, proof.chunk, own);
  if (finding.outcome == Outcome::malformed) return not_proven(out, finding.detail);
  if (finding.outcome == Outcome::undecided || !source.exhausted())
    return not_proven(out, "it holds other chunks than the block is derived from");
  if (check.blames_data())
    return not_proven(out, "the job's data is at fault, not the miner: " + finding.detail);
  const std::string place = place_words(at.share, step);
  if (finding.outcome == Outcome::invalid) return proven(out, place + finding.detail);
  if (proof.of_scale) return not_proven(out, "the element fits its scale");
  const Blake3Mode mode = Blake3Mode::keyed(step_key(at.lease.id, step));
  const Digest derived =
      proof.chunks == 1 ? kernels::leaf_root(mode, own) : kernels::leaf_cv(mode, own, proof.chunk);
  if (derived == proof.claimed) return not_proven(out, "the block is what its inputs give");
  const TensorInfo& tensor = at.work.program().tensors()[proof.position];
  return proven(out, place + "chunk " + std::to_string(proof.chunk) + " of " +
                         kernels::tensor_name(tensor.kind) + "_" + std::to_string(tensor.layer) +
                         " is not what its inputs give");
}

}  // namespace gemmine::verifier
