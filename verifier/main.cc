// gemmine-verify: judges shares, ledgers and pools. The exit status is the verdict.
#include <CLI/CLI.hpp>

#include "verifier/cli/commands.h"
#include "verifier/cli/report.h"
#include "verifier/cli/watch.h"

namespace {

namespace gv = gemmine::verifier;

void add_file(CLI::App& command, gv::FileOptions& options, const char* what) {
  command.add_option("FILE", options.file, what)->required();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "Checks what a gemmine pool and its miners claim.\n"
      "Exit status: 0 valid, 10 invalid, 11 malformed, 12 undecided, 2 wrong usage.",
      "gemmine-verify"};
  app.set_version_flag("--version", std::string("gemmine-verify " GEMMINE_VERSION));
  app.require_subcommand(1);

  gv::FileOptions digest_options;
  CLI::App* const digest = app.add_subcommand("digest", "BLAKE3 of a file, as b3sum prints it");
  add_file(*digest, digest_options, "any file");

  gv::FileOptions share_options;
  CLI::App* const share = app.add_subcommand("share", "check a share bundle without running it");
  add_file(*share, share_options, "share bundle");
  share->add_flag("--json", share_options.json, "print JSON");

  gv::ReplayOptions replay_options;
  CLI::App* const replay = app.add_subcommand("replay", "run a share again and compare");
  replay->add_option("BUNDLE", replay_options.bundle, "share bundle with theta")->required();
  replay->add_option("--data", replay_options.data, "the job's training records")->required();
  replay->add_option("--engine", replay_options.engine, "where to compute")->capture_default_str();
  replay->add_option("--threads", replay_options.threads, "threads of the cpu engine")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  replay->add_flag("--json", replay_options.json, "print JSON");

  gv::LedgerOptions ledger_options;
  CLI::App* const ledger = app.add_subcommand("ledger", "fold an exported ledger");
  ledger->add_option("FILE", ledger_options.file, "exported ledger")->required();
  ledger->add_option("--blobs", ledger_options.blobs,
                     "folder of deltas and thetas by hex address: redo the merges");
  ledger->add_flag("--json", ledger_options.json, "print JSON");

  gv::WatchOptions watch_options;
  CLI::App* const watch = app.add_subcommand("watch", "audit a pool while it runs");
  gv::add_watch_options(*watch, watch_options);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // boundary: CLI11 throws
    return app.exit(error) == 0 ? gv::kExitValid : gv::kExitUsage;
  }
  if (digest->parsed()) return gv::run_digest(digest_options);
  if (share->parsed()) return gv::run_share(share_options);
  if (replay->parsed()) return gv::run_replay(replay_options);
  if (ledger->parsed()) return gv::run_ledger(ledger_options);
  return gv::watch(watch_options);
}
