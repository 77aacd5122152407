// The inside of decide_proof(): one function per kind. Each reads all of its fields before it
// judges, fills what the finding says of whom, and leaves `proven` and `words`. Errors: malformed.
#pragma once

#include "kernels/base/bytes.h"
#include "verifier/proof/evidence.h"
#include "verifier/proof/proof.h"

namespace gemmine::verifier {

Status decide_block(Reader& in, ProofFinding& out);
Status decide_block_by_another(Reader& in, ProofFinding& out);
Status decide_update(Reader& in, ProofFinding& out);
Status decide_merge(Reader& in, ProofFinding& out);
Status decide_theta0(Reader& in, ProofFinding& out);
Status decide_equivocation(Reader& in, ProofFinding& out);
Status decide_unfair_coin(Reader& in, ProofFinding& out);
Status decide_false_verdict(Reader& in, ProofFinding& out);
Status decide_unanswered(Reader& in, ProofFinding& out);

// How a coin can be unfair (PROTOCOL 12.8).
enum class CoinCase : uint8_t { secret = 1, used_twice = 2, immediate = 3, draw = 4, redraw = 5 };

// A miner's share, or a pool, as the finding names them. step: of the lease, or its number of steps
// for what comes after the last.
void accuse_miner(ProofFinding& out, const Lease& lease);
void accuse_miner(ProofFinding& out, const ShareCase& at);
void name_step(ProofFinding& out, const Share& share, uint32_t step);
void accuse_pool(ProofFinding& out, const Digest& pool_key);
// "share 3, step 17: ", the step counted in the lease.
std::string place_words(const Share& share, uint32_t step);
// The two ways to end.
Status proven(ProofFinding& out, std::string words);
Status not_proven(ProofFinding& out, std::string words);
// After the last field. Errors: malformed.
Status expect_end(const Reader& in, const std::string& where);

}  // namespace gemmine::verifier
