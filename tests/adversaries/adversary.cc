// gemmine-adversary: a miner that cheats. For the demo and the end-to-end tests.
#include <cstdio>

#include <CLI/CLI.hpp>

#include "miner/cli/commands.h"
#include "tests/adversaries/cheat.h"

int main(int argc, char** argv) {
  CLI::App app{"a miner that cheats, to see it caught"};
  app.require_subcommand(1);
  gemmine::miner::MineOptions options;
  auto* mine = app.add_subcommand("mine", "as gemmine mine, dishonestly");
  gemmine::miner::add_mine_options(*mine, options);
  std::string cheat = "wrong-gradient";
  gemmine::adversaries::CheatPlan plan;
  mine->add_option("--cheat", cheat, "what it does wrong")->capture_default_str();
  mine->add_option("--fraction", plan.fraction, "of the steps")->check(CLI::Range(0.0, 1.0));
  mine->add_option("--honest-leases", plan.honest_leases, "leases it plays straight first");
  CLI11_PARSE(app, argc, argv);
  const auto parsed = gemmine::adversaries::parse_cheat(cheat);
  if (!parsed) {
    std::fprintf(stderr, "gemmine-adversary: %s\n", parsed.error().detail.c_str());
    return 2;
  }
  plan.cheat = parsed.value();
  gemmine::miner::MineHooks hooks;
  hooks.check_own = false;
  hooks.wrap = [&plan](std::unique_ptr<gemmine::kernels::Engine> inner,
                       const gemmine::kernels::Program& program) {
    return gemmine::adversaries::make_cheating_engine(std::move(inner), program, plan);
  };
  return gemmine::miner::mine(options, hooks);
}
