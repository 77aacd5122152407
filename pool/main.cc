// gemmine-pool: bring jobs, lease their steps to strangers, check, pay.
#include <CLI/CLI.hpp>

#include "kernels/cli/name.h"
#include "kernels/cli/number.h"
#include "kernels/cli/program.h"
#include "pool/cli/commands.h"
#include "pool/config/pool_config.h"

namespace {

namespace pool = gemmine::pool;

constexpr const char* kAbout =
    "gemmine-pool leases the training steps of jobs to miners, checks what they send and pays\n"
    "for it out of the job's escrow.\n\n"
    "Start here:   gemmine-pool init --data pool\n"
    "              gemmine-pool job check configs/jobs/fashion-mnist.toml\n"
    "              gemmine-pool serve --config configs/pool.toml --data pool --fund 1000000";

void add_serve_options(CLI::App& command, pool::ServeCommand& serve) {
  gemmine::cli::add_name(command, "--config", serve.config, "configuration (TOML)");
  gemmine::cli::add_name(command, "--data", serve.data, "folder of keys, ledger and blobs")
      ->required();
  gemmine::cli::add_number(command, "--share-seconds", serve.share_seconds,
                           {0, pool::kShareSecondsMax},
                           "what a share should take its device, instead of the file's (0: shares "
                           "of the job's size)");
  gemmine::cli::add_name(command, "--listen", serve.listen,
                         "address:port, instead of the file's; *:4400 is every address");
  gemmine::cli::add_name(command, "--job", serve.jobs, "job file; may be given again");
  gemmine::cli::add_number(command, "--fund", serve.fund, {},
                           "fill the escrow of every unfinished job up to this, at each start;\n"
                           "what is in it counts, what was spent does not");
  gemmine::cli::add_name(command, "--status-file", serve.status_file, "keep a JSON status here");
  command.add_flag("--exit-when-finished", serve.exit_when_finished,
                   "end when every job has finished");
}

void add_check_options(CLI::App& command, pool::CheckCommand& check) {
  constexpr uint32_t kMany = 1'000'000;
  gemmine::cli::add_name(command, "file", check.job, "job file (TOML)")->required();
  gemmine::cli::add_number(command, "--miners", check.miners, {1, kMany},
                           "how many share the job (default: one for each slot)");
  gemmine::cli::add_number(command, "--auditors", check.auditors, {1, kMany},
                           "replays that run at a time");
  gemmine::cli::add_number(command, "--lease-seconds", check.lease_seconds, {1, kMany},
                           "what a lease takes a device (default: half of lease_ms)");
  gemmine::cli::add_number(command, "--share-seconds", check.share_seconds,
                           {0, pool::kShareSecondsMax},
                           "the pool's share_seconds (0: nobody knows how quick devices are)");
}

void add_export_options(CLI::App& command, pool::ExportCommand& wanted) {
  gemmine::cli::add_name(command, "--data", wanted.data, "folder")->required();
  gemmine::cli::add_name(command, "--ledger", wanted.ledger,
                         "the file (PROTOCOL 8.1), for `gemmine-verify ledger`");
  gemmine::cli::add_name(command, "--model", wanted.model, "current theta (safetensors)");
  gemmine::cli::add_name(command, "--bundles", wanted.bundles,
                         "folder for shares to judge offline: wrong ones, and some others");
  gemmine::cli::add_name(command, "--job", wanted.job,
                         "id of the model's job, if there are several");
}

}  // namespace

int main(int argc, char** argv) {
  using gemmine::ExitCode;
  gemmine::cli::prepare_process();
  gemmine::cli::Program program(
      "gemmine-pool", kAbout,
      {ExitCode::ok, ExitCode::failed, ExitCode::command_line, ExitCode::bad_input});

  pool::ServeCommand serve;
  add_serve_options(
      program.command("serve", "run the pool until stopped", [&] { return pool::serve(serve); }),
      serve);

  std::string data;
  bool new_tls = false;
  CLI::App& init_command = program.command("init", "make a pool's folder, print its pin and key",
                                           [&] { return pool::init(data, new_tls); });
  gemmine::cli::add_name(init_command, "--data", data, "folder")->required();
  init_command.add_flag(
      "--new-tls", new_tls,
      "only a new certificate, for a pool that is there; miners need the new pin");

  pool::CheckCommand check;
  CLI::App& jobs = program.group("job", "job files");
  add_check_options(
      program.command_of(jobs, "check", "validate; print id, work, cost, and what theft would pay",
                         [&] { return pool::check_job(check); }),
      check);

  bool as_json = false;
  CLI::App& report_command = program.command("report", "what the ledger says, offline",
                                             [&] { return pool::report(data, as_json); });
  gemmine::cli::add_name(report_command, "--data", data, "folder")->required();
  report_command.add_flag("--json", as_json, "as JSON");

  std::string to;
  CLI::App& backup_command = program.command("backup",
                                             "copy the folder of a pool, also of one that runs (a "
                                             "copy of ledger.sqlite alone is not whole)",
                                             [&] { return pool::backup(data, to); });
  gemmine::cli::add_name(backup_command, "data", data, "folder of the pool")->required();
  gemmine::cli::add_name(backup_command, "to", to,
                         "folder to make: it can be served in the other's place")
      ->required();

  pool::ExportCommand wanted;
  add_export_options(program.command("export", "write ledger and model to files",
                                     [&] { return pool::export_data(wanted); }),
                     wanted);

  return program.main(argc, argv);
}
