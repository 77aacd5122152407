#include "verifier/proof/proof.h"

#include <algorithm>

#include "verifier/proof/decide.h"

namespace gemmine::verifier {

void accuse_miner(ProofFinding& out, const Lease& lease) {
  out.pool_key = lease.pool_key;
  out.accused = lease.miner_key;
  out.against_pool = false;
  out.job_id = lease.job_id;
  out.lease_id = lease.id;
}

void accuse_miner(ProofFinding& out, const ShareCase& at) {
  accuse_miner(out, at.lease);
  out.share_id = share_id(at.share);
  out.index = at.share.index;
}

void name_step(ProofFinding& out, const Share& share, uint32_t step) {
  const bool within = step >= share.first_step && step - share.first_step < share.steps;
  out.step = within ? step : kNoStep;
}

void accuse_pool(ProofFinding& out, const Digest& pool_key) {
  out.pool_key = pool_key;
  out.accused = pool_key;
  out.against_pool = true;
}

std::string place_words(const Share& share, uint32_t step) {
  return "share " + std::to_string(share.index) + ", step " + std::to_string(step) + ": ";
}

Status proven(ProofFinding& out, std::string words) {
  out.proven = true;
  out.words = std::move(words);
  return Ok{};
}

Status not_proven(ProofFinding& out, std::string words) {
  out.proven = false;
  out.words = std::move(words);
  return Ok{};
}

Status expect_end(const Reader& in, const std::string& where) {
  if (in.done()) return Ok{};
  return bad_proof(where, in.ok() ? "has trailing bytes" : "is cut short or over a bound");
}

std::string_view to_string(ProofKind kind) {
  switch (kind) {
    case ProofKind::block:
      return "block";
    case ProofKind::block_by_another:
      return "block by another";
    case ProofKind::update:
      return "update";
    case ProofKind::merge:
      return "merge";
    case ProofKind::theta0:
      return "theta of round 0";
    case ProofKind::equivocation:
      return "equivocation";
    case ProofKind::unfair_coin:
      return "unfair coin";
    case ProofKind::false_verdict:
      return "false verdict";
    case ProofKind::unanswered:
      return "unanswered challenge";
  }
  return "unknown";
}

namespace {

Status decide_kind(Reader& in, ProofFinding& out) {
  switch (out.kind) {
    case ProofKind::block:
      return decide_block(in, out);
    case ProofKind::block_by_another:
      return decide_block_by_another(in, out);
    case ProofKind::update:
      return decide_update(in, out);
    case ProofKind::merge:
      return decide_merge(in, out);
    case ProofKind::theta0:
      return decide_theta0(in, out);
    case ProofKind::equivocation:
      return decide_equivocation(in, out);
    case ProofKind::unfair_coin:
      return decide_unfair_coin(in, out);
    case ProofKind::false_verdict:
      return decide_false_verdict(in, out);
    case ProofKind::unanswered:
      return decide_unanswered(in, out);
    default:
      return bad_proof("kind",
                       "is none that we know: " + std::to_string(static_cast<unsigned>(out.kind)));
  }
}

}  // namespace

Result<ProofFinding> decide_proof(ByteView file, const std::optional<Digest>& pool_key) {
  if (file.size() > kProofBytesMax) return bad_proof("file", "is longer than 2 MiB");
  Reader in(file);
  const ByteView magic = in.get_raw(kProofMagic.size());
  if (!std::ranges::equal(magic, as_bytes(kProofMagic)))
    return bad_proof("file", "does not begin as a proof does");
  ProofFinding out;
  out.kind = in.get<ProofKind>();
  if (Status status = decide_kind(in, out); !status) return status.error();
  if (pool_key && *pool_key != out.pool_key) {
    out.proven = false;
    out.words = "it is about another pool, " + short_key(out.pool_key);
  }
  return out;
}

}  // namespace gemmine::verifier
