#include <csignal>
#include <cstdio>
#include <optional>

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
#include "miner/cli/train_files.h"
#include "miner/local.h"
#include "pool/data/loaded_job.h"
#include "pool/data/model_file.h"
#include "pool/log/console.h"

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

// The signal that asked for the end; 0: none yet. A second one ends the process at once.
volatile std::sig_atomic_t stop_signal = 0;

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = [](int signal) { stop_signal = signal; };
  action.sa_flags = SA_RESETHAND;
  for (const int signal : cli::stop_signals())
    ::sigaction(signal, &action, nullptr);
}

// What is on disk, and how to go on from it.
std::string where_it_is(const TrainOptions& options, const ModelFile& model,
                        const CheckpointFile& checkpoint) {
  std::string out = model.kept() > 0 ? model.path() + " holds the model after round " +
                                           std::to_string(model.kept())
                    : model.path().empty() ? "nothing is kept without --model"
                                           : "no round had ended, so no model is kept";
  if (!checkpoint.written()) return out;
  out += "; go on with: gemmine train " + shell_word(options.job);
  if (!options.model.empty()) out += " --model " + shell_word(options.model);
  if (!options.checkpoint.empty()) out += " --checkpoint " + shell_word(options.checkpoint);
  return out + " --resume";
}

// Every path that will be written is tried before anything is read.
Status check_outputs(const TrainOptions& options, const std::string& checkpoint) {
  if (!options.model.empty())
    if (Status usable = check_output_path(options.model); !usable)
      return Error{Errc::io, "--model: " + usable.error().detail};
  if (!checkpoint.empty())
    if (Status usable = check_output_path(checkpoint); !usable)
      return Error{Errc::io, "--checkpoint: " + usable.error().detail};
  if (Status usable = CurveFiles::check(options.curves); !usable)
    return Error{usable.error().code, "--curves: " + usable.error().detail};
  return Ok{};
}

// Sets where `local` begins: a model, a checkpoint (kept in `held`), or the job's beginning.
Status choose_start(const TrainOptions& options, const CheckpointFile& file,
                    const verifier::Work& work, std::optional<LocalCheckpoint>& held,
                    LocalOptions& local) {
  if (!options.from.empty()) return start_from(options.from, work, local);
  if (!options.resume) {
    if (!file.exists()) return Ok{};
    return Error{Errc::invalid, file.path() +
                                    ": a training that has not ended left it here; go on with "
                                    "--resume, or remove it to begin again"};
  }
  if (!file.exists()) {
    std::fprintf(stderr, "There is no checkpoint %s yet: beginning at round 0.\n",
                 printable(file.path()).c_str());
    return Ok{};
  }
  auto checkpoint = read_local_checkpoint(file.path(), work);
  if (!checkpoint) return checkpoint.error();
  held = std::move(checkpoint.value());
  local.resume = &*held;
  const kernels::Spec& spec = work.program().spec();
  std::fprintf(
      stderr, "Going on from %s: round %u of %u, %llu of its %llu steps done.\n",
      printable(file.path()).c_str(), held->round, spec.rounds,
      static_cast<unsigned long long>(held->deltas.size() * spec.steps_per_lease + held->steps),
      static_cast<unsigned long long>(uint64_t{spec.slots} * spec.steps_per_lease));
  return Ok{};
}

// A training that goes on when a file of it cannot be written.
class Files {
 public:
  Files(const TrainOptions& options, CheckpointFile& checkpoint, const pool::LoadedJob& job,
        pool::Console& console)
      : console_(console),
        model_(options.model, job),
        checkpoint_(checkpoint),
        curves_(options.curves, job.work.program().is_gpt(), job.work.job().name) {}

  ModelFile& model() { return model_; }
  void merged(uint32_t round, std::span<const float> theta) {
    warn("model_not_written", model_.after_round(round, theta));
  }
  void drawn(const std::vector<RoundReport>& reports) {
    warn("curves_not_written", curves_.write(reports));
  }
  void kept(const LocalCheckpoint& checkpoint) {
    warn("checkpoint_not_written", checkpoint_.write(checkpoint));
  }

 private:
  void warn(const char* event, const Status& status) {
    if (!status)
      console_.event(pool::Level::warning, event,
                     {{"reason", status.error().detail}, {"note", "training goes on"}});
  }

  pool::Console& console_;
  ModelFile model_;
  CheckpointFile& checkpoint_;
  CurveFiles curves_;
};

LocalHooks hooks_of(const TrainOptions& options, const kernels::Program& program,
                    pool::Console& console, Files& files, CheckpointFile& checkpoint,
                    std::vector<RoundReport>& reports) {
  std::FILE* const report_to = is_standard_output(options.model) ? stderr : stdout;
  LocalHooks hooks;
  hooks.step_done = [&](uint64_t done, uint64_t total) {
    console.progress("training", done, total);
  };
  hooks.merged = [&](uint32_t round, std::span<const float> theta) { files.merged(round, theta); };
  hooks.round_done = [&, report_to](const RoundReport& round) {
    reports.push_back(round);
    console.clear_bar();
    if (!options.json) print_round(report_to, program, round);
    files.drawn(reports);
  };
  hooks.stop = [] { return stop_signal != 0; };
  if (!checkpoint.path().empty()) {
    hooks.wants_checkpoint = [&](bool round_ended) { return checkpoint.wants(round_ended); };
    hooks.checkpoint = [&](const LocalCheckpoint& at) { files.kept(at); };
  }
  return hooks;
}

std::string why_it_failed(const Error& error) {
  if (error.code != Errc::invalid) return error.detail;
  return error.detail +
         ": the training diverged. Try a smaller train.lr, a longer train.warmup or train.clip";
}

// Where a checkpoint goes: where it was asked for, or beside the model.
std::string checkpoint_path(const TrainOptions& options) {
  if (!options.checkpoint.empty()) return options.checkpoint;
  return keeps_a_file(options.model) ? options.model + ".checkpoint" : std::string();
}

// Ends with the model written, and the result said.
ExitCode finish(const TrainOptions& options, const pool::LoadedJob& job, const LocalModel& model,
                const std::vector<RoundReport>& reports, ModelFile& file,
                const CheckpointFile& checkpoint) {
  if (Status written = file.at_end(model.round, model.theta); !written) {
    // A signal also ends the wait for the reader of a FIFO.
    const ExitCode code = stop_signal != 0 ? stopped_by(stop_signal) : ExitCode::failed;
    return fail(code, written.error().detail);
  }
  if (options.json) {
    cli::print_json(to_json(job.work, reports));
  } else if (!reports.empty()) {
    std::fprintf(is_standard_output(options.model) ? stderr : stdout, "state root %s\n",
                 to_hex(reports.back().theta_root.bytes).c_str());
  }
  const uint32_t rounds = job.work.job().spec.rounds;
  if (!model.stopped) {
    if (model.round == rounds) checkpoint.remove();
    return ExitCode::ok;
  }
  return fail(stopped_by(stop_signal), "stopped by signal " + std::to_string(stop_signal) +
                                           " after round " + std::to_string(model.round) + " of " +
                                           std::to_string(rounds) + "; " +
                                           where_it_is(options, file, checkpoint));
}

}  // namespace

ExitCode train(const TrainOptions& options) {
  CheckpointFile checkpoint(checkpoint_path(options));
  if (Status usable = check_outputs(options, checkpoint.path()); !usable)
    return fail(usable.error().code == Errc::io ? ExitCode::failed : ExitCode::command_line,
                usable.error().detail);
  if (is_standard_output(options.model) && options.json)
    return fail(ExitCode::command_line, "--model and --json both write to standard output");
  if (options.resume && checkpoint.path().empty())
    return fail(ExitCode::command_line, "--resume: say which with --model or --checkpoint");
  if (options.resume && !options.from.empty())
    return fail(ExitCode::command_line, "--resume and --from both say where to begin");
  const auto loaded = pool::load_job(options.job);
  if (!loaded) return fail(ExitCode::bad_input, loaded.error().detail);
  const pool::LoadedJob& job = loaded.value();
  if (auto path = cpu_path_checked(); !path)
    return fail(ExitCode::command_line, path.error().detail);
  const int threads = options.device.threads > 0 ? options.device.threads : usable_cores();
  LocalOptions local{.rounds = options.rounds, .threads = threads};
  std::optional<LocalCheckpoint> held;
  if (Status started = choose_start(options, checkpoint, job.work, held, local); !started)
    return fail(ExitCode::bad_input, started.error().detail);
  if (auto tested = kernels::self_test(options.device.engine); !tested)
    return fail(cli::code_of_engine(tested.error()),
                "self-test of '" + options.device.engine + "': " + tested.error().detail);

  watch_signals();
  pool::Console console;
  Files files(options, checkpoint, job, console);
  std::vector<RoundReport> reports = held ? held->reports : std::vector<RoundReport>();
  // A round that was merged and not yet looked at comes again.
  if (!reports.empty() && reports.back().evaluation.records == 0) reports.pop_back();
  const LocalHooks hooks =
      hooks_of(options, job.work.program(), console, files, checkpoint, reports);
  const auto model = train_locally(
      job,
      [&](const kernels::Program& wanted, ByteView records) {
        return kernels::make_engine(options.device.engine, wanted, records, threads);
      },
      local, hooks);
  console.clear_bar();
  if (!model)
    return fail(ExitCode::failed, why_it_failed(model.error()) + "; " +
                                      where_it_is(options, files.model(), checkpoint));
  return finish(options, job, model.value(), reports, files.model(), checkpoint);
}

}  // namespace gemmine::miner
