// gemmine-pool: bring jobs, lease their steps to strangers, check, pay.

#include <CLI/CLI.hpp>

#include "pool/cli/commands.h"
#include "pool/config/pool_config.h"

int main(int argc, char** argv) {
  CLI::App app{
      "gemmine-pool leases the training steps of jobs to miners, checks what they send and pays\n"
      "for it out of the job's escrow.\n\n"
      "Start here:   gemmine-pool init --data pool\n"
      "              gemmine-pool job check configs/jobs/fashion-mnist.toml\n"
      "              gemmine-pool serve --config configs/pool.toml --data pool --fund 1000000\n\n"
      "Exit codes: 0 clean end, 1 internal (disk, port, damaged ledger), 2 command line,\n"
      "3 configuration or job file."};
  app.set_version_flag("--version", "gemmine-pool " GEMMINE_VERSION);
  app.require_subcommand(1);

  namespace pool = gemmine::pool;
  pool::ServeCommand serve;
  auto* serve_command = app.add_subcommand("serve", "run the pool until stopped");
  serve_command->add_option("--config", serve.config, "configuration (TOML)");
  serve_command->add_option("--data", serve.data, "folder of keys, ledger and blobs")->required();
  serve_command
      ->add_option("--share-seconds", serve.share_seconds,
                   "what a share should take its device, instead of the file's (0: shares of the "
                   "job's size)")
      ->check(CLI::Range(0U, gemmine::pool::kShareSecondsMax));
  serve_command->add_option("--listen", serve.listen, "address:port, instead of the file's");
  serve_command->add_option("--job", serve.jobs, "job file; may be given again");
  serve_command->add_option("--fund", serve.fund, "escrow of each job that is new");
  serve_command->add_option("--status-file", serve.status_file, "keep a JSON status here");
  serve_command->add_flag("--exit-when-finished", serve.exit_when_finished,
                          "end when every job has finished");

  std::string data;
  auto* init_command = app.add_subcommand("init", "make keys and certificate, print pin and key");
  init_command->add_option("--data", data, "folder")->required();

  std::string job;
  auto* job_command = app.add_subcommand("job", "job files");
  job_command->require_subcommand(1);
  auto* check_command = job_command->add_subcommand("check", "validate, print id, work and cost");
  check_command->add_option("file", job, "job file (TOML)")->required();

  bool as_json = false;
  auto* report_command = app.add_subcommand("report", "what the ledger says, offline");
  report_command->add_option("--data", data, "folder")->required();
  report_command->add_flag("--json", as_json, "as JSON");

  pool::ExportCommand wanted;
  auto* export_command = app.add_subcommand("export", "write ledger and model to files");
  export_command->add_option("--data", wanted.data, "folder")->required();
  export_command->add_option("--ledger", wanted.ledger, "u32 length and record bytes, repeated");
  export_command->add_option("--model", wanted.model, "current theta (safetensors)");
  export_command->add_option("--bundles", wanted.bundles,
                             "folder for shares to judge offline: wrong ones, and some others");
  export_command->add_option("--job", wanted.job, "id of the model's job, if there are several");

  try {  // boundary: CLI11 throws
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : pool::kExitCommandLine;
  }
  if (serve_command->parsed()) return pool::serve(serve);
  if (init_command->parsed()) return pool::init(data);
  if (check_command->parsed()) return pool::check_job(job);
  if (report_command->parsed()) return pool::report(data, as_json);
  return pool::export_data(wanted);
}
