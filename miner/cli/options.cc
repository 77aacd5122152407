#include <cstdlib>

#include <CLI/CLI.hpp>

#include "miner/cli/commands.h"

namespace gemmine::miner {

void add_device_options(CLI::App& command, DeviceOptions& options) {
  command.add_option("--engine", options.engine,
                     "where to compute: cpu, or check:cpu (runs a slow twin beside it and compares "
                     "every bit)");
  command.add_option("--threads", options.threads, "threads of the cpu engine (0: one per core)")
      ->check(CLI::Range(0, 1024));
}

void add_mine_options(CLI::App& command, MineOptions& options) {
  const char* home = std::getenv("HOME");
  options.data = std::string(home == nullptr ? "." : home) + "/.local/share/gemmine";
  command.add_option("--pool", options.pools, "host:port; repeat for a fallback list")->required();
  command.add_option("--pin", options.pin,
                     "sha256:<hex> of the pool's TLS key; without it the certificate must be one "
                     "the system trusts");
  command.add_option("--account", options.account, "who is paid, 1-64 of A-Z a-z 0-9 . _ -")
      ->required();
  command.add_option("--data", options.data, "keys, downloads and checkpoints")
      ->capture_default_str();
  add_device_options(command, options.device);
  command.add_flag("--exit-when-finished", options.exit_when_finished,
                   "end with code 0 when the pool has no unfinished job");
  command.add_flag("--dry-run", options.dry_run,
                   "connect, log in, list the jobs, and end without working");
  command.add_flag("-v,--verbose", options.verbose, "log debug events too");
}

}  // namespace gemmine::miner
