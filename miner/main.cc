// gemmine: mine for a pool, or train a job here.

#include <CLI/CLI.hpp>

#include "miner/cli/commands.h"

int main(int argc, char** argv) {
  CLI::App app{
      "gemmine trains other people's models and is paid for it: the matrix products of each\n"
      "training step are the proof that the step was done.\n\n"
      "Start here:   gemmine devices                     what this machine computes with\n"
      "              gemmine bench                       how fast, and what that earns\n"
      "              gemmine train configs/jobs/fashion-mnist.toml   try a job without a pool\n"
      "              gemmine train configs/jobs/austen-gpt.toml --model austen.safetensors\n"
      "              gemmine sample --model austen.safetensors --prompt \"It is\"\n"
      "              gemmine mine --pool HOST:PORT --pin sha256:... --account NAME\n\n"
      "Exit codes: 0 clean end, 1 internal, 2 command line, 3 job, data or model file, 5 account\n"
      "refused or banned, 6 the pool is another one, 7 wrong numbers on this device, 8 too old "
      "for\n"
      "the pool."};
  app.set_version_flag("--version", "gemmine " GEMMINE_VERSION);
  app.require_subcommand(1);

  gemmine::miner::MineOptions mine;
  auto* mine_command = app.add_subcommand("mine", "work for a pool until stopped");
  gemmine::miner::add_mine_options(*mine_command, mine);

  gemmine::miner::TrainOptions train;
  auto* train_command =
      app.add_subcommand("train", "train a job on this machine alone and print its state root");
  gemmine::miner::add_train_options(*train_command, train);

  gemmine::miner::SampleOptions sample;
  auto* sample_command = app.add_subcommand("sample", "write text with a trained language model");
  gemmine::miner::add_sample_options(*sample_command, sample);

  gemmine::miner::DataOptions data;
  auto* data_command = app.add_subcommand(
      "data", "read a job's data, say what is there, and write it as plain files");
  data_command->add_option("job", data.job, "job file (TOML)")->required();
  data_command->add_option("--out", data.out,
                           "folder for train.bin and validation.bin or test.bin");

  gemmine::miner::DevicesOptions devices;
  auto* devices_command = app.add_subcommand("devices", "list and self-test what can compute here");
  devices_command->add_flag("--json", devices.json, "as JSON");

  gemmine::miner::BenchOptions bench;
  auto* bench_command =
      app.add_subcommand("bench", "how fast each device here works on a job, and what that earns");
  gemmine::miner::add_bench_options(*bench_command, bench);

  try {  // boundary: CLI11 throws
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (mine_command->parsed()) return gemmine::miner::mine(mine);
  if (train_command->parsed()) return gemmine::miner::train(train);
  if (sample_command->parsed()) return gemmine::miner::sample(sample);
  if (data_command->parsed()) return gemmine::miner::data(data);
  if (bench_command->parsed()) return gemmine::miner::bench(bench);
  return gemmine::miner::devices(devices);
}
