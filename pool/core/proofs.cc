#include "pool/core/proofs.h"

#include <algorithm>
#include <limits>

#include "pool/core/verdicts.h"

namespace gemmine::pool {

using verifier::LeaseState;
using verifier::RecordKind;

namespace {

constexpr uint64_t kWaits = std::numeric_limits<uint64_t>::max();

// Who is one for this purpose: keys are free.
std::string source_of(const Peer& peer) {
  return peer.neighbourhood.empty() ? to_hex(peer.key.bytes) : peer.neighbourhood;
}

size_t waiting(const PoolState& pool) {
  return static_cast<size_t>(std::ranges::count_if(
      pool.accusing, [](const auto& entry) { return entry.second == kWaits; }));
}

// The lease, if the share that the file is about is one of its logged ones.
const LeaseState* accused(const PoolState& pool, const verifier::ProofFinding& finding) {
  const LeaseState* const state = pool.lease(finding.lease_id);
  const bool logged = state != nullptr && finding.index < state->shares.size() &&
                      state->shares[finding.index].id == finding.share_id;
  return logged ? state : nullptr;
}

}  // namespace

void on_accuse(PoolState& pool, const Peer& peer, AccuseMessage& message, uint32_t seq,
               uint64_t now) {
  std::erase_if(pool.accusing, [&](const auto& entry) { return now >= entry.second; });
  const std::string source = source_of(peer);
  if (const auto found = pool.accusing.find(source); found != pool.accusing.end()) {
    const uint64_t left = found->second == kWaits ? kAccusationsFullMs : found->second - now;
    return pool.refuse(peer.id, seq, WireError::busy, "another file of yours comes first",
                       static_cast<uint32_t>(left));
  }
  if (waiting(pool) >= kAccusationsMax)
    return pool.refuse(peer.id, seq, WireError::busy, "other files come first", kAccusationsFullMs);
  pool.accusing[source] = kWaits;
  pool.out.tasks.emplace_back(ProofTask{{peer.id, seq}, source, std::move(message.proof)});
}

void on_proof_done(PoolState& pool, const ProofDone& done, uint64_t now) {
  GEMMINE_CHECK(pool.accusing.erase(done.source) == 1);
  const auto refuse = [&](WireError code, const std::string& why) {
    pool.accusing[done.source] = now + kAccuseAgainMs;
    pool.refuse(done.from.id, done.from.seq, code, why);
  };
  if (done.failed)
    return pool.refuse(done.from.id, done.from.seq, WireError::busy, done.why, kAccusationsFullMs);
  if (!done.proven) return refuse(WireError::not_proven, done.why);
  if (accused(pool, done.proven->finding) == nullptr)
    return refuse(WireError::unknown_lease, "no such share is logged here");
  log_proof(pool, *done.proven, nullptr, now);
}

bool log_proof(PoolState& pool, const ProvenFile& file, const verifier::ChallengeState* asked,
               uint64_t now) {
  const verifier::ProofFinding& finding = file.finding;
  GEMMINE_CHECK(finding.proven && !finding.against_pool);
  const LeaseState* const state = accused(pool, finding);
  if (state == nullptr) {
    pool.out.note("proof_refused",
                  {{"lease", short_hex(finding.lease_id)},
                   {"reason", "it is about a share that is not logged"}},
                  Level::warning);
    return false;
  }
  if (state->proof) return true;
  if (!pool.ledger().proofs().contains(file.address)) {
    const auto logged =
        pool.book.append(RecordKind::proof,
                         verifier::encode(verifier::ProofBody{.kind = finding.kind,
                                                              .lease_id = finding.lease_id,
                                                              .address = file.address,
                                                              .bytes = file.bytes}),
                         now);
    if (!logged) {
      pool.out.note("proof_refused", {{"reason", logged.error().detail}}, Level::error);
      return false;
    }
    pool.out.note("proof",
                  {{"lease", short_hex(finding.lease_id)},
                   {"miner", short_hex(finding.accused)},
                   {"file", to_hex(file.address.bytes)},
                   {"bytes", std::to_string(file.bytes)},
                   {"proves", finding.words}},
                  Level::warning);
  }
  log_conviction(pool, *state, finding, file.address, asked, now);
  pool.due.wrong.insert(finding.lease_id);
  return true;
}

}  // namespace gemmine::pool
