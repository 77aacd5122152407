// gemmine: mine for a pool, or train a job here.
#include <CLI/CLI.hpp>

#include "kernels/cli/program.h"
#include "miner/cli/commands.h"

namespace {

constexpr const char* kAbout =
    "gemmine trains other people's models and is paid for it: the matrix products of each\n"
    "training step are the proof that the step was done.\n\n"
    "Start here:   gemmine devices                     what this machine computes with\n"
    "              gemmine bench                       how fast, and what that earns\n"
    "              gemmine train configs/jobs/fashion-mnist.toml   try a job without a pool\n"
    "              gemmine train configs/jobs/austen-gpt.toml --model austen.safetensors\n"
    "              gemmine sample --model austen.safetensors --prompt \"It is\"\n"
    "              gemmine mine --pool HOST:PORT --pin sha256:... --account NAME";

}  // namespace

int main(int argc, char** argv) {
  using gemmine::ExitCode;
  namespace miner = gemmine::miner;
  gemmine::cli::prepare_process();
  gemmine::cli::Program program(
      "gemmine", kAbout,
      {ExitCode::ok, ExitCode::failed, ExitCode::command_line, ExitCode::bad_input,
       ExitCode::no_device, ExitCode::refused, ExitCode::other_pool, ExitCode::wrong_numbers,
       ExitCode::too_old, ExitCode::invalid});

  miner::MineOptions mine;
  miner::add_mine_options(
      program.command("mine", "work for a pool until stopped", [&] { return miner::mine(mine); }),
      mine);

  miner::RelayOptions relay;
  miner::add_relay_options(
      program.command("relay", "download what a farm's miners need once, and hand it to all",
                      [&] { return miner::relay(relay); }),
      relay);

  miner::ReceiptsOptions receipts;
  miner::add_receipts_options(
      program.command("receipts", "list what pools have signed about this miner's leases",
                      [&] { return miner::receipts(receipts); }),
      receipts);

  miner::TrainOptions train;
  miner::add_train_options(
      program.command("train", "train a job on this machine alone and print its state root",
                      [&] { return miner::train(train); }),
      train);

  miner::SampleOptions sample;
  miner::add_sample_options(program.command("sample", "write text with a trained language model",
                                            [&] { return miner::sample(sample); }),
                            sample);

  miner::PredictOptions predict;
  miner::add_predict_options(program.command("predict", "what a trained model says of your rows",
                                             [&] { return miner::predict(predict); }),
                             predict);

  miner::EvaluateOptions evaluate;
  miner::add_evaluate_options(
      program.command("evaluate", "how well a trained model does on your rows or text",
                      [&] { return miner::evaluate(evaluate); }),
      evaluate);

  miner::DataOptions data;
  miner::add_data_options(
      program.command("data", "read a job's data, say what is there, and write it as plain files",
                      [&] { return miner::data(data); }),
      data);

  miner::DevicesOptions devices;
  program
      .command("devices", "list and self-test what can compute here",
               [&] { return miner::devices(devices); })
      .add_flag("--json", devices.json, "as JSON");

  miner::BenchOptions bench;
  miner::add_bench_options(
      program.command("bench", "how fast each device here works on a job, and what that earns",
                      [&] { return miner::bench(bench); }),
      bench);

  return program.main(argc, argv);
}
