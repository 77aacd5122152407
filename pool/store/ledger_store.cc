#include "pool/store/ledger_store.h"

#include <string>

namespace gemmine::pool {

Status fold(LedgerStore& store, verifier::LedgerState& state) {
  const Status replayed =
      store.replay([&](const verifier::Record& record) { return state.apply(record); });
  if (!replayed) return replayed;
  int64_t sum = 0;
  for (const auto& [account, amount] : state.accounts())
    sum += amount;
  if (sum != 0)
    return Error{Errc::invalid, "ledger: the accounts sum to " + std::to_string(sum) + ", not 0"};
  return Ok{};
}

}  // namespace gemmine::pool
