#include "pool/core/kept.h"

#include <algorithm>
#include <set>

namespace gemmine::pool {

std::vector<Digest> secrets_needed(const verifier::LedgerState& ledger) {
  std::set<Digest> out;
  for (const auto& [id, state] : ledger.leases()) {
    if (!state.closed) out.insert(state.lease.coin_commit);
    const auto batch = ledger.batch_of(state.lease.batch_commit);
    GEMMINE_CHECK(batch);  // every lease has one
    if (!ledger.batch(*batch)->settled) out.insert(state.lease.batch_commit);
  }
  return {out.begin(), out.end()};
}

Bytes bytes_of(std::span<const Digest> steps) {
  Writer out;
  for (const Digest& step : steps)
    out.put_digest(step);
  return out.take();
}

std::vector<Digest> digests_of(ByteView bytes) {
  std::vector<Digest> out(bytes.size() / sizeof(Digest::bytes));
  for (size_t i = 0; i < out.size(); ++i)
    std::ranges::copy(bytes.subspan(i * sizeof(Digest::bytes), sizeof(Digest::bytes)),
                      out[i].bytes.begin());
  return out;
}

}  // namespace gemmine::pool
