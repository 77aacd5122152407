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
    if (account.starts_with("escrow:") && amount != 0)
      out.failures.push_back(account + " is not empty in the end");
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

// Who mines, and when each begins.
struct Guest {
  Habits habits;
  uint64_t begins_ms;
};
std::vector<Guest> guests(const Setting& setting, uint64_t seed) {
  if (setting.hard)
    return {{{}, 1'500}, {{.step_ms = 4'000}, 1'500}, {{.step_ms = 500, .failures = 6}, 1'500}};
  if (!setting.gpt) return std::vector<Guest>(2 + seed % 3, Guest{{}, 1'500});
  return {{{.step_ms = kFastStepMs}, 1'500},
          {{.step_ms = kMiddleStepMs}, 1'500},
          {{.step_ms = kSlowStepMs}, 1'500},
          // Never in time. It gives up after a while, or the others would wait for ever.
          {{.step_ms = 60'000, .leases_max = 2}, 1'000},
          {{.step_ms = 700, .leases_max = 1}, 1'500},
          {{.step_ms = 900, .leases_max = 2, .vanishes = true}, 1'500},
          {{.step_ms = 500}, 60'000}};
}

void look_at_leases(const World& world, const std::vector<std::unique_ptr<Miner>>& miners,
                    Outcome& out) {
  std::map<uint64_t, const verifier::LeaseState*> by_serial;
  for (const auto& [id, state] : world.pool()->ledger().leases())
    by_serial[state.lease.serial] = &state;
  std::set<std::pair<uint32_t, uint32_t>> slots;
  for (const auto& [serial, state] : by_serial) {
    out.expired += state->closed == verifier::CloseReason::expired ? 1 : 0;
    out.given_back += state->closed == verifier::CloseReason::abandoned ? 1 : 0;
    out.leased_again += slots.insert({state->lease.round, state->lease.slot}).second ? 0 : 1;
    if (!verifier::share_size_ok(state->lease.steps, state->lease.steps_per_share))
      out.failures.emplace_back("a lease's shares are out of their bounds");
    for (const auto& miner : miners)
      if (miner->key() == state->lease.miner_key)
        out.share_sizes[miner->habits().step_ms].push_back(state->lease.steps_per_share);
  }
}

// In which order the deltas of merged rounds came.
void look_at_arrivals(const World& world, Outcome& out) {
  std::string order;
  for (const verifier::Record& record : world.disk()) {
    Reader body(record.body);
    if (record.kind == verifier::RecordKind::delta)
      order += std::to_string(world.pool()->ledger().leases().at(body.get_digest()).lease.slot);
    if (record.kind == verifier::RecordKind::merge) {
      out.arrivals.insert(order);
      order.clear();
    }
  }
}

void look_at_records(const World& world, Outcome& out) {
  for (const verifier::Record& record : world.disk()) {
    out.settled += record.kind == verifier::RecordKind::settle ? 1 : 0;
    out.fundings += record.kind == verifier::RecordKind::fund ? 1 : 0;
  }
}

}  // namespace

Outcome simulate(uint64_t seed, Plant plant, const Setting& setting) {
  Random random(seed);
  constexpr Cheat kCheats[] = {Cheat::trace, Cheat::loss, Cheat::state, Cheat::delta};
  const Cheat cheat = kCheats[random.below(std::size(kCheats))];
  std::vector<Digest> listed;
  if (random.chance(500))
    listed.push_back(verifier::Identity::from_seed(pool::filled(40)).public_key());
  World world(seed, plant, setting, listed, random);
  Watcher auditor(world, 40, false);
  Watcher slanderer(world, 41, true);
  Miner cheater(world, 20, cheat, {.step_ms = setting.gpt ? 500U : 0U});
  std::vector<std::unique_ptr<Miner>> miners;
  const std::vector<Guest> crowd = guests(setting, seed);
  for (size_t i = 0; i < crowd.size(); ++i)
    miners.push_back(
        std::make_unique<Miner>(world, static_cast<uint8_t>(21 + i), Cheat::none, crowd[i].habits));
  cheater.begin(1);
  auditor.begin(1);
  slanderer.begin(500);
  // The cheater in every history gets to cheat: before the last round, which a finish seals.
  const auto seen = [&] { return auditor.quiet() && cheater.caught(); };
  cheater.may_finish = seen;
  for (size_t i = 0; i < crowd.size(); ++i) {
    miners[i]->may_finish = seen;
    miners[i]->begin(crowd[i].begins_ms);
  }

  const auto banned = [&](const Client& who) {
    const auto& members = world.pool()->ledger().members();
    const auto found = members.find(who.key());
    return found != members.end() && found->second.banned;
  };
  const auto done = [&] {
    if (world.pool() == nullptr || !world.pool()->all_finished()) return false;
    return cheater.caught() && auditor.quiet() &&
           world.pool()->ledger().next_seq() == world.disk().size();
  };
  const uint64_t end = world.now() + kEndMs;
  while (world.failures.empty() && world.now() < end && !done())
    world.step();

  Outcome out;
  out.failures = world.failures;
  out.cheated = cheater.cheated();
  out.crashes = world.crashes();
  if (!out.failures.empty()) return out;
  if (!done()) {
    out.failures.emplace_back("the job did not come to its end");
    return out;
  }
  const auto& job = world.pool()->ledger().jobs().begin()->second;
  out.theta_root = job.theta_roots.back();
  bool merged_wrong = false;
  for (const auto& [id, state] : world.pool()->ledger().leases()) {
    merged_wrong |= state.merged && (state.wrong || state.subtracted);
    if (state.merged && state.wrong && !state.subtracted)
      out.failures.emplace_back("a wrong lease stays in the weights");
    out.subtracted += state.subtracted ? 1 : 0;
    if (state.wrong && state.lease.miner_key != cheater.key())
      out.failures.emplace_back("an honest lease was found wrong");
  }
  if (!merged_wrong && job.theta_roots.back() != world.training().honest_root())
    out.failures.emplace_back("the job ended with other weights than honest work gives");
  for (const auto& miner : miners) {
    // However slow, failing or absent: time and trouble prove nothing.
    if (banned(*miner)) out.failures.emplace_back("an honest miner was banned");
    check_acknowledged(*miner, out);
  }
  check_acknowledged(cheater, out);
  check_money(world, out);
  look_at_leases(world, miners, out);
  look_at_arrivals(world, out);
  if (auditor.ledger().head() != world.pool()->ledger().head())
    out.failures.emplace_back("the auditor has another ledger than the pool");
  look_at_records(world, out);
  return out;
}

}  // namespace gemmine::sim
