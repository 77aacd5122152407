#include <algorithm>

#include "tests/sim/market.h"

namespace gemmine::sim {
namespace {

bool proven(const Seen& seen) {
  return seen.done >= std::max<uint32_t>(1, seen.policy->first_audits);
}
bool any_stolen(const Seen& seen) {
  return std::ranges::find(seen.batch, true) != seen.batch.end();
}

Strategy after_honest(const std::string& name, uint32_t stolen) {
  return {name, [stolen](const Seen& seen) {
            const uint32_t honest = std::max<uint32_t>(1, seen.policy->first_audits);
            if (seen.done < honest) return Act::work;
            return seen.done < honest + stolen ? Act::steal : Act::fresh_key;
          }};
}
Strategy mixed(const std::string& name, uint64_t per_mille, double saved = 1) {
  return {name,
          [per_mille](const Seen& seen) {
            return proven(seen) && seen.random->chance(per_mille) ? Act::steal : Act::work;
          },
          saved};
}
Strategy last_leases(const std::string& name, uint32_t count) {
  return {name, [count](const Seen& seen) {
            return seen.left <= count && proven(seen) ? Act::steal : Act::work;
          }};
}

}  // namespace

std::vector<Strategy> strategies() {
  std::vector<Strategy> out;
  out.push_back({"honest", [](const Seen&) { return Act::work; }});
  out.push_back({"always steal", [](const Seen&) { return Act::steal; }});
  out.push_back({"honest until proven, then steal",
                 [](const Seen& seen) { return proven(seen) ? Act::steal : Act::work; }});
  out.push_back(after_honest("steal one when proven, then a new key", 1));
  out.push_back(after_honest("steal two when proven, then a new key", 2));
  out.push_back(mixed("one in twenty stolen", 50));
  out.push_back(mixed("three in ten stolen", 300));
  out.push_back(last_leases("only the last lease of the job", 1));
  out.push_back(last_leases("only the last two leases of the job", 2));
  out.push_back({"throw-away keys, one stolen lease each",
                 [](const Seen& seen) { return seen.done == 0 ? Act::steal : Act::fresh_key; }});
  out.push_back({"every tenth stolen", [](const Seen& seen) {
                   return proven(seen) && seen.done % 10 == 9 ? Act::steal : Act::work;
                 }});
  out.push_back({"the first of a batch stolen", [](const Seen& seen) {
                   return proven(seen) && seen.batch.size() <= 1 ? Act::steal : Act::work;
                 }});
  out.push_back({"the last of a batch stolen", [](const Seen& seen) {
                   return proven(seen) && seen.batch.size() + 1 >= seen.size ? Act::steal
                                                                             : Act::work;
                 }});
  out.push_back({"steal once, then a new key at once", [](const Seen& seen) {
                   if (!proven(seen)) return Act::work;
                   return any_stolen(seen) ? Act::fresh_key : Act::steal;
                 }});
  out.push_back({"steal once, then settle", [](const Seen& seen) {
                   if (!proven(seen)) return Act::work;
                   return any_stolen(seen) ? Act::settle : Act::steal;
                 }});
  out.push_back({"every other one stolen, settled early", [](const Seen& seen) {
                   if (!proven(seen)) return Act::work;
                   if (seen.batch.size() >= std::max<uint32_t>(2, seen.size / 2))
                     return Act::settle;
                   return seen.batch.size() % 2 == 1 ? Act::steal : Act::work;
                 }});
  out.push_back({"all but the first of a batch stolen",
                 [](const Seen& seen) { return seen.batch.empty() ? Act::work : Act::steal; }});
  out.push_back({"settle after every lease, one in three stolen", [](const Seen& seen) {
                   if (!seen.batch.empty()) return Act::settle;
                   return seen.random->chance(333) ? Act::steal : Act::work;
                 }});
  out.push_back(mixed("half saved of every lease", 1000, 0.5));
  out.push_back(mixed("half saved of one lease in five", 200, 0.5));
  out.push_back(mixed("three in five parts saved of every lease", 1000, 0.61));
  return out;
}

std::vector<Strategy> answering_strategies() {
  const auto silent = [](Strategy strategy) {
    strategy.silent = true;
    return strategy;
  };
  std::vector<Strategy> out;
  out.push_back(silent({"all stolen, silent when it is seen",
                        [](const Seen& seen) { return proven(seen) ? Act::steal : Act::work; }}));
  out.push_back(silent(mixed("half of all stolen, silent when it is seen", 500)));
  out.push_back(silent(mixed("one in ten stolen, silent when it is seen", 100)));
  out.push_back(silent({"the last of a batch stolen, silent when it is seen", [](const Seen& seen) {
                          return proven(seen) && seen.batch.size() + 1 >= seen.size ? Act::steal
                                                                                    : Act::work;
                        }}));
  Strategy half = mixed("half saved of every lease, a thread sees it in 31 of 100", 1000, 0.5);
  half.convicted = 0.31;
  out.push_back(half);
  Strategy more = mixed("three in five parts saved, a thread sees it in 11 of 100", 1000, 0.61);
  more.convicted = 0.11;
  out.push_back(more);
  out.push_back(silent(half));
  out.back().name += ", silent when it is of such a lease";
  return out;
}

}  // namespace gemmine::sim
