#include <algorithm>
#include <vector>

#include "pool/core/economics.h"
#include "pool/core/terms.h"
#include "tests/sim/market.h"

namespace gemmine::sim {

double best_expected(const JobTerms& terms, double saved, double convicted) {
  pool::PayTerms pay = pool::terms_of(work_of(terms));
  pay.threads_replayed = !terms.asked;
  const double p = terms.asked ? convicted : 1.0;
  const double cost = 1 - saved;
  const uint32_t most = std::max(pay.batch, pay.first_batch);
  using Table = std::vector<std::vector<double>>;  // by leases of the open batch, stolen ones
  const auto settled = [&](uint32_t b, uint32_t k) { return batch_pay(pay, b, k, convicted); };
  Table first(most + 1, std::vector<double>(most + 1, 0.0));
  for (uint32_t b = 0; b <= most; ++b) {
    for (uint32_t k = 0; k <= b; ++k)
      first[b][k] = settled(b, k);
  }
  Table later = first;
  double fresh = 0;
  for (uint32_t left = 1; left <= terms.leases; ++left) {
    // The next lease in a batch that may have `size`: honest, or stolen and perhaps seen at once.
    const auto lease = [&](const Table& after, uint32_t b, uint32_t k, double rate) {
      const double caught = std::max(fresh, after[b][k]);
      const double seen = std::max((1 - p) * after[b + 1][k + 1] + p * caught, caught);
      return std::max(after[b + 1][k] - 1, (1 - rate) * after[b + 1][k + 1] + rate * seen - cost);
    };
    const double opening = lease(first, 0, 0, pay.first_audits > 0 ? 1.0 : pay.now);
    const double again = std::max(opening, lease(later, 0, 0, pay.now));
    const auto step = [&](const Table& table, uint32_t size) {
      Table out = table;
      for (uint32_t b = 0; b <= most; ++b) {
        for (uint32_t k = 0; k <= b; ++k) {
          out[b][k] = settled(b, k) + again;
          if (b < size) out[b][k] = std::max(out[b][k], lease(table, b, k, pay.now));
        }
      }
      return out;
    };
    Table next_first = step(first, pay.first_batch);
    Table next_later = step(later, pay.batch);
    first = std::move(next_first);
    later = std::move(next_later);
    fresh = opening;
  }
  return fresh;
}

}  // namespace gemmine::sim
