// gemmine-adversary: a miner that cheats. For the demo and the end-to-end tests.
#include <CLI/CLI.hpp>

#include "kernels/cli/number.h"
#include "kernels/cli/output.h"
#include "kernels/cli/program.h"
#include "miner/cli/commands.h"
#include "tests/adversaries/cheat.h"

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

}  // namespace

int main(int argc, char** argv) {
  gemmine::cli::prepare_process();
  gemmine::cli::Program program("gemmine-adversary", "A miner that cheats, to see it caught.", {});
  Options options;
  CLI::App& command =
      program.command("mine", "as gemmine mine, dishonestly", [&] { return mine(options); });
  gemmine::miner::add_mine_options(command, options.mine);
  command.add_option("--cheat", options.cheat, "what it does wrong")->capture_default_str();
  gemmine::cli::add_number(command, "--fraction", options.plan.fraction, {0, 1}, "of the steps");
  gemmine::cli::add_number(command, "--honest-leases", options.plan.honest_leases, {},
                           "leases it plays straight first");
  return program.main(argc, argv);
}
