// Proofs of wrong bits: one file that anybody decides offline, alone with a pool's public key, and
// that says who signed what is not so (PROTOCOL 12). Silence and lateness prove nothing wrong; a
// proof of kind `unanswered` only shows, by ledger time, that nothing was said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/base/bytes.h"
#include "verifier/records/job.h"
#include "verifier/records/proof_kind.h"
#include "verifier/records/records.h"

namespace gemmine::verifier {

inline constexpr std::string_view kProofMagic = "gemmine proof 2\n";

// A word of the pool's about a lease that only a replay decides (replayed.h).
struct ToReplay {
  enum class Said : uint8_t { wrong, right, diverges };  // a share; the lease; at a step
  Said said = Said::wrong;
  Work work;
  Lease lease;
  Share share = {};         // that was found wrong; of a lease that was found right the last
  uint32_t step = kNoStep;  // of the lease
  Digest digest = {};       // what the pool's replay got there
};

struct ProofFinding {
  ProofKind kind = ProofKind::block;
  bool proven = false;
  Digest pool_key;                 // whose signatures it rests on
  Digest accused;                  // the pool's key or a miner's
  bool against_pool = false;       // which of the two
  Digest job_id;                   // zero where no job is named
  Digest lease_id;                 // likewise
  Digest share_id;                 // against a miner: of the share that he signed; else zero
  uint32_t index = 0;              // of that share in the lease
  uint32_t step = kNoStep;         // of the lease, if it is one of the share's
  std::string words;               // what is proven, or why nothing is: for a person
  std::optional<ToReplay> replay;  // where nothing is proven yet, and a replay decides
};

// Pure; reads nothing outside its arguments. Without a key the file's own pool is taken at its
// word. Errors: malformed (not a proof file; the detail says where and what).
Result<ProofFinding> decide_proof(ByteView file, const std::optional<Digest>& pool_key);

std::string_view to_string(ProofKind kind);

}  // namespace gemmine::verifier
