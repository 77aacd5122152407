#include "pool/store/ledger_store.h"

#include <string>

namespace gemmine::pool {

Status fold(LedgerStore& store, verifier::LedgerState& state,
            const std::function<void(const verifier::SignedRecord&)>& seen) {
  verifier::Signature last{};
  const Status replayed = store.replay([&](const verifier::SignedRecord& record) {
    last = record.signature;
    Status applied = state.apply(record);
    if (applied && seen) seen(record);
    return applied;
  });
  if (!replayed) return replayed;
  int64_t sum = 0;
  for (const auto& [account, amount] : state.accounts())
    sum += amount;
  if (sum != 0)
    return Error{Errc::invalid, "ledger: the accounts sum to " + std::to_string(sum) + ", not 0"};
  return state.next_seq() == 0 ? Status(Ok{}) : verifier::check_signature(state, last);
}

}  // namespace gemmine::pool
