#include <csignal>
#include <cstdio>
#include <filesystem>

#include "kernels/base/cores.h"
#include "kernels/base/cpu.h"
#include "kernels/base/files.h"
#include "kernels/base/json.h"
#include "kernels/base/output.h"
#include "kernels/base/printable.h"
#include "kernels/base/shell_word.h"
#include "kernels/cli/output.h"
#include "kernels/cli/program.h"
#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "kernels/self_test.h"
#include "miner/cli/commands.h"
#include "miner/local.h"
#include "pool/data/loaded_job.h"
#include "pool/data/model_file.h"
#include "pool/log/console.h"
#include "verifier/merge/safetensors.h"

namespace gemmine::miner {

using cli::fail;

namespace {

// Sets first_round and theta of `local` by the model file.
Status start_from(const std::string& path, const verifier::Work& work, LocalOptions& local) {
  const kernels::Program& program = work.program();
  const auto file = pool::read_model_file(path);
  if (!file) return file.error();
  auto model = pool::parse_model(file.value(), path, program);
  if (!model) return model.error();
  local.theta = std::move(model.value().theta);
  const uint32_t rounds = program.spec().rounds;
  if (model.value().job_id == work.id()) local.first_round = model.value().round;
  if (local.first_round >= rounds)
    return Error{Errc::invalid, path + ": is this job's model after round " +
                                    std::to_string(local.first_round) + " of " +
                                    std::to_string(rounds) +
                                    ": nothing is left to train (raise train.rounds)"};
  std::fprintf(stderr, "Starting from %s at round %u of %u.\n", path.c_str(), local.first_round,
               rounds);
  if (program.spec().outer_momentum > 0)
    std::fprintf(stderr, "The file has no outer momentum: it starts at 0 again.\n");
  return Ok{};
}

// Rows of a round a second: tokens of a gpt, records of an MLP.
double rows_a_second(const kernels::Program& program, const RoundReport& round) {
  const kernels::Spec& spec = program.spec();
  const uint64_t rows = uint64_t{spec.slots} * spec.steps_per_lease * program.rows();
  return round.seconds > 0 ? static_cast<double>(rows) / round.seconds : 0;
}

Json to_json(const verifier::Work& work, const std::vector<RoundReport>& rounds) {
  const kernels::Program& program = work.program();
  Json out;
  out["job"] = work.job().name;
  out["job_id"] = to_hex(work.id().bytes);
  out["rounds"] = Json::array();
  for (const RoundReport& round : rounds)
    out["rounds"].push_back(
        {{"round", round.round},
         {"loss", round.loss},
         {program.is_gpt() ? "validation_loss" : "test_loss", round.evaluation.loss},
         {"correct", round.evaluation.correct},
         {"records", round.evaluation.records},
         {"theta_root", to_hex(round.theta_root.bytes)},
         {"seconds", round.seconds},
         {"rows_per_second", rows_a_second(program, round)}});
  if (!rounds.empty()) out["state_root"] = to_hex(rounds.back().theta_root.bytes);
  return out;
}

void print_round(std::FILE* to, const kernels::Program& program, const RoundReport& round) {
  std::fprintf(to, "round %2u of %u   loss %.4f   ", round.round, program.spec().rounds,
               static_cast<double>(round.loss));
  if (program.is_gpt()) {
    std::fprintf(to, "validation loss %.4f   %.1f s   %.0f tokens/s\n", round.evaluation.loss,
                 round.seconds, rows_a_second(program, round));
  } else {
    std::fprintf(to, "test accuracy %.2f %%   %.1f s\n",
                 100.0 * static_cast<double>(round.evaluation.correct) /
                     static_cast<double>(round.evaluation.records),
                 round.seconds);
  }
  std::fflush(to);
}

// The model file: a round's θ replaces the one before. What keeps only the last bytes written to it
// (a device, a FIFO, standard output) gets the last one alone.
class ModelFile {
 public:
  ModelFile(const std::string& path, const verifier::Work& work) : path_(path), work_(work) {
    std::error_code error;  // a path that cannot be looked at was refused before
    const auto status = std::filesystem::status(path, error);
    each_round_ = !path.empty() && path != "-" &&
                  (!std::filesystem::exists(status) || std::filesystem::is_regular_file(status));
  }

  void after_round(uint32_t round, std::span<const float> theta) {
    if (!each_round_) return;
    if (Status written = write(round, theta); !written)
      std::fprintf(stderr, "\ngemmine train: after round %u: %s; training goes on\n", round,
                   printable(written.error().detail).c_str());
  }
  Status at_end(const LocalModel& model) {
    if (path_.empty() || model.round == kept_) return Ok{};
    return write(model.round, model.theta);
  }
  // Which round is in the file; 0: none yet.
  uint32_t kept() const { return kept_; }
  const std::string& path() const { return path_; }

 private:
  Status write(uint32_t round, std::span<const float> theta) {
    Status written = write_output(
        path_, verifier::encode_safetensors(
                   work_.program(), theta,
                   {.job_name = work_.job().name, .job_id = work_.id(), .round = round}));
    if (written) kept_ = round;
    return written;
  }

  const std::string path_;
  const verifier::Work& work_;
  bool each_round_ = false;
  uint32_t kept_ = 0;
};

// The signal that asked for the end; 0: none yet. A second one ends the process at once.
volatile std::sig_atomic_t stop_signal = 0;

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = [](int signal) { stop_signal = signal; };
  action.sa_flags = SA_RESETHAND;
  for (const int signal : cli::stop_signals())
    ::sigaction(signal, &action, nullptr);
}

std::string where_it_is(const ModelFile& file, const std::string& job) {
  if (file.kept() > 0)
    return file.path() + " holds the model after round " + std::to_string(file.kept()) +
           "; go on with: gemmine train " + shell_word(job) + " --from " + shell_word(file.path()) +
           " --model " + shell_word(file.path());
  return file.path().empty() ? "nothing is kept without --model"
                             : "no round had ended, so no model is kept";
}

}  // namespace

ExitCode train(const TrainOptions& options) {
  if (!options.model.empty()) {
    if (Status usable = check_output_path(options.model); !usable)
      return fail(ExitCode::failed, "--model: " + usable.error().detail);
  }
  const bool to_stdout = is_standard_output(options.model);
  if (to_stdout && options.json)
    return fail(ExitCode::command_line, "--model and --json both write to standard output");
  const auto loaded = pool::load_job(options.job);
  if (!loaded) return fail(ExitCode::bad_input, loaded.error().detail);
  const pool::LoadedJob& job = loaded.value();
  if (auto path = cpu_path_checked(); !path)
    return fail(ExitCode::command_line, path.error().detail);
  const int threads = options.device.threads > 0 ? options.device.threads : usable_cores();
  LocalOptions local{.rounds = options.rounds, .threads = threads};
  if (!options.from.empty()) {
    const Status started = start_from(options.from, job.work, local);
    if (!started) return fail(ExitCode::bad_input, started.error().detail);
  }
  if (auto tested = kernels::self_test(options.device.engine); !tested)
    return fail(cli::code_of_engine(tested.error()),
                "self-test of '" + options.device.engine + "': " + tested.error().detail);

  watch_signals();
  std::FILE* const report_to = to_stdout ? stderr : stdout;
  pool::Console console;
  ModelFile file(options.model, job.work);
  std::vector<RoundReport> reports;
  LocalHooks hooks;
  hooks.step_done = [&](uint64_t done, uint64_t total) {
    console.progress("training", done, total);
  };
  hooks.merged = [&](uint32_t round, std::span<const float> theta) {
    file.after_round(round, theta);
  };
  hooks.round_done = [&](const RoundReport& round) {
    reports.push_back(round);
    console.clear_bar();
    if (!options.json) print_round(report_to, job.work.program(), round);
  };
  hooks.stop = [] { return stop_signal != 0; };
  const auto model = train_locally(
      job,
      [&](const kernels::Program& wanted, ByteView records) {
        return kernels::make_engine(options.device.engine, wanted, records, threads);
      },
      local, hooks);
  console.clear_bar();
  if (!model)
    return fail(ExitCode::failed, model.error().detail + "; " + where_it_is(file, options.job));
  if (Status written = file.at_end(model.value()); !written) {
    // A signal also ends the wait for the reader of a FIFO.
    const ExitCode code = stop_signal != 0 ? stopped_by(stop_signal) : ExitCode::failed;
    return fail(code, written.error().detail);
  }
  if (options.json) {
    cli::print_json(to_json(job.work, reports));
  } else if (!reports.empty()) {
    std::fprintf(report_to, "state root %s\n", to_hex(reports.back().theta_root.bytes).c_str());
  }
  if (!model.value().stopped) return ExitCode::ok;
  return fail(stopped_by(stop_signal), "stopped by signal " + std::to_string(stop_signal) +
                                           " after round " + std::to_string(model.value().round) +
                                           " of " + std::to_string(job.work.job().spec.rounds) +
                                           "; " + where_it_is(file, options.job));
}

}  // namespace gemmine::miner
