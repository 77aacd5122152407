// Kinds 1 and 2: one block of a step against what it is made of (PROTOCOL 12.2, 12.3).
#include <cstring>

#include "kernels/hash/blake3.h"
#include "kernels/hash/tree.h"
#include "verifier/audit/block.h"
#include "verifier/audit/opened.h"
#include "verifier/audit/opening.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/proof/decide.h"
#include "verifier/proof/path.h"
#include "verifier/proof/question.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

using kernels::Blake3Mode;
using kernels::TensorInfo;

namespace {

std::string at_share(const Share& share, uint32_t step) {
  return "share " + std::to_string(share.index) + ", step " + std::to_string(step) + ": ";
}

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

// What the miner signed about the witness of the drawn group.
struct NamedWitness {
  SignedAnswer answer;
  Question question;
  uint32_t witness = 0;
};

Result<NamedWitness> get_named_witness(Reader& in, const kernels::Program& program,
                                       const BlockChoice& choice) {
  NamedWitness out;
  auto answer = get_answer(in);
  if (!answer) return answer.error();
  out.answer = std::move(answer.value());
  const ByteView bytes = out.answer.bytes;
  if (bytes.size() <= kQuestionBytes) return bad_proof("witness", "is no answer to a question");
  auto question = decode<Question>(bytes.first(kQuestionBytes));
  if (!question) return bad_proof("witness", question.error().detail);
  out.question = question.value();
  if (out.question.asked != Asked::witnesses ||
      answer_bytes(program, out.question) != bytes.size() - kQuestionBytes)
    return bad_proof("witness", "the answer is not as long as its question asks");
  const uint32_t number = scale_number(program.tensors()[choice.position], choice);
  if (number < out.question.first || number - out.question.first >= out.question.count)
    return bad_proof("witness", "the answer does not name this group's");
  std::memcpy(&out.witness,
              bytes.data() + kQuestionBytes + (number - out.question.first) * sizeof(uint32_t),
              sizeof(uint32_t));
  return out;
}

struct BlockProof {
  BlockChoice choice;
  ByteView opening_bytes;
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
    auto witness = get_named_witness(in, program, out.choice);
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
  return check.check_delta_block(proof.choice, floats_of(*bytes));
}

}  // namespace

Status decide_block(Reader& in, ProofFinding& out) {
  auto decoded = get_share_case(in);
  if (!decoded) return decoded.error();
  const ShareCase& at = decoded.value();
  accuse_miner(out, at.lease);
  auto read = get_block_proof(in, at);
  if (!read) return read.error();
  BlockProof& proof = read.value();
  if (const std::string doubt = doubt_of(at); !doubt.empty()) return not_proven(out, doubt);
  const uint32_t index = proof.choice.delta ? at.share.steps - 1 : proof.choice.step;
  const uint32_t step = at.share.first_step + index;
  if (proof.named &&
      (proof.named->question.lease_id != at.lease.id || proof.named->question.step != step ||
       proof.named->question.position != proof.choice.position))
    return not_proven(out, "the witness was named for another tensor");
  if (proof.named && !signed_by(proof.named->answer, at.lease))
    return not_proven(out, "the miner did not sign the witness");
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
  return proven(out, at_share(at.share, step) + finding.detail);
}

Status decide_block_by_another(Reader& in, ProofFinding& out) {
  auto decoded = get_share_case(in);
  if (!decoded) return decoded.error();
  const ShareCase& at = decoded.value();
  const kernels::Program& program = at.work.program();
  accuse_miner(out, at.lease);
  const auto index = in.get<uint32_t>();
  const auto position = in.get<uint16_t>();
  const auto chunk = in.get<uint32_t>();
  const BlockChoice first_tile{.step = index, .position = position};
  if (!in.ok() || !choice_ok(program, at.share.steps, false, first_tile))
    return bad_proof("block", "the share has no such tensor");
  const TensorInfo& tensor = program.tensors()[position];
  const uint64_t chunks = (tensor.bytes() + kChunk - 1) / kChunk;
  if (chunk >= chunks) return bad_proof("block", "the tensor has no such chunk");
  const Digest claimed = in.get_digest();
  auto path = get_path(in, chunks, chunk);
  if (!path) return path.error();
  auto opening = decode_opening(program, in.get_blob(kOpeningBytesMax));
  if (!opening) return bad_proof("opening", opening.error().detail);
  if (opening.value().witness != kNoWitness) return bad_proof("opening", "has a witness");
  if (Status end = expect_end(in, "block"); !end) return end;
  if (const std::string doubt = doubt_of(at); !doubt.empty()) return not_proven(out, doubt);
  const uint32_t step = at.share.first_step + index;
  const Blake3Mode mode = Blake3Mode::keyed(step_key(at.lease.id, step));
  if (const Status hashes = verify_opened(at.work, at.lease, at.share, index, opening.value());
      !hashes)
    return not_proven(
        out, "these are not the bytes that the miner committed to: " + hashes.error().detail);
  const Digest root = Reader(opening.value().roots.subspan(size_t{position} * 32)).get_digest();
  if (root_above(mode, chunks, chunk, claimed, path.value()) != root)
    return not_proven(out, "the claimed chunk is not the one that the miner committed to");
  OpenedSource source(opening.value().objects);
  BlockCheck check(program, {at.lease.round, at.lease.slot, step}, source);
  Bytes own;
  const Finding finding = check.derive_chunk(position, chunk, own);
  if (finding.outcome == Outcome::undecided || !source.exhausted())
    return not_proven(out, "it holds other chunks than the block is derived from");
  if (check.blames_data())
    return not_proven(out, "the job's data is at fault, not the miner: " + finding.detail);
  if (finding.outcome == Outcome::invalid)
    return proven(out, at_share(at.share, step) + finding.detail);
  const Digest derived =
      chunks == 1 ? kernels::leaf_root(mode, own) : kernels::leaf_cv(mode, own, chunk);
  if (derived == claimed) return not_proven(out, "the block is what its inputs give");
  return proven(out, at_share(at.share, step) + "chunk " + std::to_string(chunk) + " of " +
                         std::string(kernels::tensor_name(tensor.kind)) + "_" +
                         std::to_string(tensor.layer) + " is not what its inputs give");
}

}  // namespace gemmine::verifier
