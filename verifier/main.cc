// gemmine-verify: judges shares and ledgers from files. The exit status is the verdict.
#include <CLI/CLI.hpp>

#include "kernels/cli/name.h"
#include "kernels/cli/number.h"
#include "kernels/cli/output.h"
#include "kernels/cli/program.h"
#include "verifier/cli/commands.h"

namespace {

namespace gv = gemmine::verifier;

void add_ledger(gemmine::cli::Program& program, gv::LedgerOptions& ledger) {
  CLI::App& ledger_command =
      program.command("ledger", "fold an exported ledger", [&] { return gv::run_ledger(ledger); });
  gemmine::cli::add_name(ledger_command, "FILE", ledger.file, "exported ledger")->required();
  gemmine::cli::add_name(ledger_command, "--blobs", ledger.blobs,
                         "folder of deltas and thetas by hex address: redo the merges");
  gemmine::cli::add_name(ledger_command, "--pool-key", ledger.pool_keys,
                         "64 hex digits: a ledger of this pool, and no other");
  gemmine::cli::add_name(ledger_command, "--head", ledger.heads,
                         "a signed head that the ledger must hold, as this program prints it");
  gemmine::cli::add_name(ledger_command, "--receipts", ledger.receipts,
                         "a file of a miner's receipts, which the ledger must hold");
  ledger_command.add_flag("--json", ledger.json, "print JSON");
}

void add_proof(gemmine::cli::Program& program, gv::ProofOptions& proof) {
  CLI::App& proof_command =
      program.command("proof",
                      "whether a file proves that somebody signed what is not so\n(exit code 10: "
                      "proven; 0: it proves nothing; 11: no proof file)",
                      [&] { return gv::run_proof(proof); });
  gemmine::cli::add_name(proof_command, "FILE", proof.file, "proof file")->required();
  gemmine::cli::add_name(proof_command, "--pool-key", proof.pool_key,
                         "the pool's signing key, 64 hex digits");
  gemmine::cli::add_name(proof_command, "--blobs", proof.blobs,
                         "folder of blobs: what a file cannot decide alone is replayed from them");
  gemmine::cli::add_name(proof_command, "--engine", proof.engine, "engine that replays (cpu)");
  proof_command.add_flag("--json", proof.json, "print JSON");
}

}  // namespace

int main(int argc, char** argv) {
  using gemmine::ExitCode;
  gemmine::cli::prepare_process();
  gemmine::cli::Program program("gemmine-verify",
                                "Checks what a gemmine pool and its miners claim.",
                                {ExitCode::ok, ExitCode::failed, ExitCode::command_line,
                                 ExitCode::invalid, ExitCode::malformed, ExitCode::undecided});

  gv::FileOptions digest;
  CLI::App& digest_command = program.command("digest", "BLAKE3 of a file, as b3sum prints it",
                                             [&] { return gv::run_digest(digest); });
  gemmine::cli::add_name(digest_command, "FILE", digest.file, "any file")->required();

  gv::FileOptions share;
  CLI::App& share_command = program.command("share", "check a share bundle without running it",
                                            [&] { return gv::run_share(share); });
  gemmine::cli::add_name(share_command, "FILE", share.file, "share bundle")->required();
  gemmine::cli::add_name(share_command, "--pool-key", share.pool_key,
                         "64 hex digits: of a lease by this pool, and no other");
  share_command.add_flag("--json", share.json, "print JSON");

  gv::FileOptions receipts;
  CLI::App& receipts_command =
      program.command("receipts", "check what a miner keeps of a pool's words about a lease",
                      [&] { return gv::run_receipts(receipts); });
  gemmine::cli::add_name(receipts_command, "FILE", receipts.file, "a file of the miner's receipts")
      ->required();
  gemmine::cli::add_name(receipts_command, "--pool-key", receipts.pool_key,
                         "64 hex digits: of this pool, and no other");
  receipts_command.add_flag("--json", receipts.json, "print JSON");

  gv::ReplayOptions replay;
  CLI::App& replay_command = program.command("replay", "run a share again and compare",
                                             [&] { return gv::run_replay(replay); });
  gemmine::cli::add_name(replay_command, "BUNDLE", replay.bundle, "share bundle with theta")
      ->required();
  gemmine::cli::add_name(replay_command, "--data", replay.data, "the job's training records")
      ->required();
  gemmine::cli::add_name(replay_command, "--engine", replay.engine, "where to compute")
      ->capture_default_str();
  gemmine::cli::add_number(replay_command, "--threads", replay.threads, {1, 1024},
                           "threads of the cpu engine");
  gemmine::cli::add_name(replay_command, "--pool-key", replay.pool_key,
                         "64 hex digits: of a lease by this pool, and no other");
  replay_command.add_flag("--json", replay.json, "print JSON");

  gv::LedgerOptions ledger;
  add_ledger(program, ledger);

  gv::ProofOptions proof;
  add_proof(program, proof);

  return program.main(argc, argv);
}
