#include "tests/sim/history.h"

#include "tests/sim/actors.h"

namespace gemmine::sim {

namespace {

constexpr uint64_t kEndMs = 4 * 3'600'000;  // virtual; a job takes minutes

void check_money(World& world, Outcome& out) {
  int64_t sum = 0;
  int64_t earned = 0;
  for (const auto& [account, amount] : world.pool()->ledger().accounts()) {
    sum += amount;
    if (account.starts_with("account:") || account.starts_with("fee:")) earned += amount;
    const bool open = account.starts_with("escrow:") || account.starts_with("vesting:");
    if (open && amount != 0) out.failures.push_back(account + " is not empty in the end");
  }
  const auto spent = -world.pool()->ledger().accounts().at("external");
  if (sum != 0) out.failures.emplace_back("the accounts do not sum to zero");
  if (earned != spent || earned <= 0)
    out.failures.emplace_back("the escrow spent another sum than was credited");
}

void check_acknowledged(const Miner& miner, Outcome& out) {
  for (const auto& share : miner.acknowledged()) {
    if (!miner.is_logged(share))
      out.failures.emplace_back("an acknowledged share is not in the ledger");
  }
}

}  // namespace

Outcome simulate(uint64_t seed, Plant plant) {
  Random random(seed);
  constexpr Cheat kCheats[] = {Cheat::trace, Cheat::loss,    Cheat::state,
                               Cheat::delta, Cheat::silence, Cheat::forgery};
  const Cheat cheat = kCheats[random.below(std::size(kCheats))];
  std::vector<Digest> listed;
  if (random.chance(500))
    listed.push_back(verifier::Identity::from_seed(pool::filled(40)).public_key());
  World world(seed, plant, listed, random);
  Watcher auditor(world, 40, false);
  Watcher slanderer(world, 41, true);
  Miner cheater(world, 20, cheat);
  std::vector<std::unique_ptr<Miner>> miners;
  for (uint64_t i = 0; i < 2 + seed % 3; ++i)
    miners.push_back(std::make_unique<Miner>(world, static_cast<uint8_t>(21 + i), Cheat::none));
  cheater.begin(1);
  auditor.begin(1);
  slanderer.begin(500);
  // The cheater in every history gets to cheat: before the last round, which a finish seals.
  const auto seen = [&] { return auditor.quiet() && (!cheater.cheated() || cheater.banned()); };
  cheater.may_finish = seen;
  for (const auto& miner : miners) {
    miner->may_finish = seen;
    miner->begin(1'500);
  }

  const auto banned = [&](const Client& who) {
    const auto& members = world.pool()->ledger().members();
    const auto found = members.find(who.key());
    return found != members.end() && found->second.banned;
  };
  const auto done = [&] {
    if (world.pool() == nullptr || !world.pool()->all_finished()) return false;
    const bool caught = !cheater.cheated() || banned(cheater);
    return caught && auditor.quiet() && world.pool()->ledger().next_seq() == world.disk().size();
  };
  const uint64_t end = world.now() + kEndMs;
  while (world.failures.empty() && world.now() < end && !done())
    world.step();

  Outcome out{world.failures, cheater.cheated(), false, world.crashes()};
  if (!out.failures.empty()) return out;
  if (!done()) {
    out.failures.emplace_back("the job did not come to its end");
    return out;
  }
  const auto& job = world.pool()->ledger().jobs().begin()->second;
  if (job.theta_roots.back() != world.training().honest_root())
    out.failures.emplace_back("the job ended with other weights than honest work gives");
  for (const auto& miner : miners) {
    if (banned(*miner)) out.failures.emplace_back("an honest miner was banned");
    check_acknowledged(*miner, out);
  }
  check_acknowledged(cheater, out);
  check_money(world, out);
  if (auditor.ledger().head() != world.pool()->ledger().head())
    out.failures.emplace_back("the auditor has another ledger than the pool");
  for (const verifier::Record& record : world.disk())
    out.rolled_back |= record.kind == verifier::RecordKind::rollback;
  return out;
}

}  // namespace gemmine::sim
