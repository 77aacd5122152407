#include "miner/words.h"

#include <utility>

#include "verifier/ledger/ledger.h"

namespace gemmine::miner {

void keep_word(State& state, const Digest& lease_id, const verifier::Statement& word) {
  const Status kept = state.receipts.add(lease_id, word);
  if (kept || std::exchange(state.receipts_lost, true)) return;
  state.note(Level::warning, "receipt_not_kept", {{"reason", kept.error().detail}});
}

bool vouched(State& state, std::string_view what, std::span<const Digest> lease_ids,
             const verifier::Receipt& receipt, verifier::RecordKind kind, const Bytes& body) {
  const auto head = verifier::head_of(receipt, static_cast<uint8_t>(kind), body);
  if (verifier::signed_by(head, state.pool_key)) {
    for (const Digest& lease_id : lease_ids)
      if (state.receipts.knows(lease_id)) keep_word(state, lease_id, {kind, body, receipt});
    const auto conflict = state.heads.saw(head);
    if (!conflict) return true;
    state.note(Level::error, "pool_contradicts_itself",
               {{"what", conflict->words}, {"proof", conflict->evidence}});
    state.out.emplace_back(Distrust{.reason = conflict->words});
    return false;
  }
  const std::string reason = "the pool's receipt for " + std::string(what) + " of record " +
                             std::to_string(receipt.seq) +
                             " is not signed by its key, or is for something else";
  state.note(Level::error, "receipt_wrong", {{"reason", reason}});
  state.out.emplace_back(Distrust{.reason = reason});
  return false;
}

}  // namespace gemmine::miner
