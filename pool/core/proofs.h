// Proofs that become records: files that strangers send (ACCUSE), and what the pool's own audits
// found (PROTOCOL 5.8, 12). Pure: a worker decides a file, and makes it a blob when it convicts.
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

inline constexpr size_t kAccusationsMax = 16;          // files that wait to be decided
inline constexpr uint64_t kAccuseAgainMs = 5'000;      // after a file that proved nothing
inline constexpr uint32_t kAccusationsFullMs = 2'000;  // after which somebody comes again

// A file that accuses a miner: to a worker, one of a neighbourhood (or key) at a time.
void on_accuse(PoolState& pool, const Peer& peer, AccuseMessage& message, uint32_t seq,
               uint64_t now);
void on_proof_done(PoolState& pool, const ProofDone& done, uint64_t now);

// Logs the proof and the verdict that names it; what follows is due. The file is a blob. False,
// with the reason noted: it is about nothing that this pool has logged. A lease has one proof; a
// further one is true and changes nothing.
// asked: the challenge whose answer it was cut out of; null: none.
bool log_proof(PoolState& pool, const ProvenFile& file, const verifier::ChallengeState* asked,
               uint64_t now);

}  // namespace gemmine::pool
