// gemmine-adversary: a miner that cheats. For the demo and the end-to-end tests.
#include <CLI/CLI.hpp>

#include "kernels/cli/number.h"
#include "kernels/cli/output.h"
#include "kernels/cli/program.h"
#include "miner/cli/commands.h"
#include "tests/adversaries/cheat.h"
#include "tests/adversaries/crowd.h"

namespace {

struct Options {
  gemmine::miner::MineOptions mine;
  std::string cheat = "wrong-gradient";
  gemmine::adversaries::CheatPlan plan;
};

gemmine::ExitCode mine(Options& options) {
  const auto parsed = gemmine::adversaries::parse_cheat(options.cheat);
  if (!parsed) return gemmine::cli::fail(gemmine::ExitCode::command_line, parsed.error().detail);
  options.plan.cheat = parsed.value();
  gemmine::miner::MineHooks hooks;
  hooks.check_own = false;
  hooks.wrap = [&options](std::unique_ptr<gemmine::kernels::Engine> inner,
                          const gemmine::kernels::Program& program) {
    return gemmine::adversaries::make_cheating_engine(std::move(inner), program, options.plan);
  };
  return gemmine::miner::mine(options.mine, hooks);
}

struct CrowdOptions {
  std::string pool;
  std::string pin;
  std::string weapon = "mixed";
  gemmine::adversaries::CrowdPlan plan;
};

gemmine::ExitCode crowd(CrowdOptions& options) {
  const auto pools = gemmine::pool::parse_pools({&options.pool, 1}, {&options.pin, 1});
  if (!pools) return gemmine::cli::fail(gemmine::ExitCode::command_line, pools.error().detail);
  const auto weapon = gemmine::adversaries::parse_weapon(options.weapon);
  if (!weapon) return gemmine::cli::fail(gemmine::ExitCode::command_line, weapon.error().detail);
  options.plan.pool = pools.value().front();
  options.plan.weapon = weapon.value();
  return gemmine::adversaries::run_crowd(options.plan);
}

}  // namespace

int main(int argc, char** argv) {
  gemmine::cli::prepare_process();
  gemmine::cli::Program program("gemmine-adversary", "Who cheats, to see it caught.", {});
  Options options;
  CLI::App& command =
      program.command("mine", "as gemmine mine, dishonestly", [&] { return mine(options); });
  gemmine::miner::add_mine_options(command, options.mine);
  command.add_option("--cheat", options.cheat, "what it does wrong")->capture_default_str();
  gemmine::cli::add_number(command, "--fraction", options.plan.fraction, {0, 1}, "of the steps");
  gemmine::cli::add_number(command, "--honest-leases", options.plan.honest_leases, {},
                           "leases it plays straight first");
  CrowdOptions many;
  CLI::App& all =
      program.command("crowd", "a stranger with a thousand keys, and what it does to a pool",
                      [&] { return crowd(many); });
  all.add_option("--pool", many.pool, "host:port")->required();
  all.add_option("--pin", many.pin, "of its TLS key")->required();
  all.add_option("--weapon", many.weapon, "hoard, garbage, accuse or mixed")->capture_default_str();
  gemmine::cli::add_number(all, "--keys", many.plan.keys, {1, 1'000'000}, "how many keys");
  gemmine::cli::add_number(all, "--at-once", many.plan.at_once, {1, 10'000}, "of them connected");
  return program.main(argc, argv);
}
