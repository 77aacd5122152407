#include <cstdio>
#include <optional>

#include "kernels/base/cores.h"
#include "kernels/base/cpu.h"
#include "kernels/base/files.h"
#include "kernels/hash/blake3.h"
#include "kernels/self_test.h"
#include "miner/cli/commands.h"
#include "miner/local.h"
#include "pool/data/dataset.h"
#include "pool/data/model_file.h"
#include "pool/log/console.h"
#include "verifier/merge/safetensors.h"

namespace gemmine::miner {

namespace {

int fail(int code, const std::string& text) {
  std::fprintf(stderr, "gemmine train: %s\n", text.c_str());
  return code;
}

// Fills in where to begin.
Status start_from(const std::string& path, const pool::LoadedJob& job,
                  const kernels::Program& program, LocalOptions& local) {
  const auto file = read_file(path, pool::kModelBytesMax);
  if (!file) return file.error();
  auto model = pool::parse_model(file.value(), path, program);
  if (!model) return model.error();
  local.theta = std::move(model.value().theta);
  const uint32_t rounds = job.job.spec.rounds;
  if (model.value().job_id == job.id) local.first_round = model.value().round;
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

void print_json(const pool::LoadedJob& job, const kernels::Program& program,
                const std::vector<RoundReport>& rounds) {
  std::printf("{\"job\":\"%s\",\"job_id\":\"%s\",\"rounds\":[", job.job.name.c_str(),
              to_hex(job.id.bytes).c_str());
  const char* comma = "";
  for (const RoundReport& round : rounds) {
    std::printf(
        "%s{\"round\":%u,\"loss\":%.6f,\"%s\":%.6f,\"correct\":%llu,\"records\":%llu,"
        "\"theta_root\":\"%s\",\"seconds\":%.3f,\"rows_per_second\":%.1f}",
        comma, round.round, static_cast<double>(round.loss),
        program.is_gpt() ? "validation_loss" : "test_loss", round.evaluation.loss,
        static_cast<unsigned long long>(round.evaluation.correct),
        static_cast<unsigned long long>(round.evaluation.records),
        to_hex(round.theta_root.bytes).c_str(), round.seconds, rows_a_second(program, round));
    comma = ",";
  }
  std::printf("],\"state_root\":\"%s\"}\n", to_hex(rounds.back().theta_root.bytes).c_str());
}

void print_round(const kernels::Program& program, const RoundReport& round) {
  std::printf("round %2u of %u   loss %.4f   ", round.round, program.spec().rounds,
              static_cast<double>(round.loss));
  if (program.is_gpt()) {
    std::printf("validation loss %.4f   %.1f s   %.0f tokens/s\n", round.evaluation.loss,
                round.seconds, rows_a_second(program, round));
  } else {
    std::printf("test accuracy %.2f %%   %.1f s\n",
                100.0 * static_cast<double>(round.evaluation.correct) /
                    static_cast<double>(round.evaluation.records),
                round.seconds);
  }
  std::fflush(stdout);
}

}  // namespace

int train(const TrainOptions& options) {
  const auto loaded = pool::load_job(options.job);
  if (!loaded) return fail(3, loaded.error().detail);
  const pool::LoadedJob& job = loaded.value();
  const auto program = kernels::Program::make(job.job.spec);
  if (!program) return fail(3, program.error().detail);
  if (auto path = cpu_path_checked(); !path) return fail(2, path.error().detail);
  const int threads = options.device.threads > 0 ? options.device.threads : usable_cores();
  LocalOptions local{.rounds = options.rounds, .threads = threads};
  if (!options.from.empty()) {
    const Status started = start_from(options.from, job, program.value(), local);
    if (!started) return fail(3, started.error().detail);
  }
  if (auto tested = kernels::self_test(options.device.engine); !tested)
    return fail(7, "self-test of '" + options.device.engine + "': " + tested.error().detail);

  pool::Console console;
  std::vector<RoundReport> reports;
  const auto theta = train_locally(
      job.job, job.train_records, job.test_records,
      [&](const kernels::Program& wanted, ByteView records) {
        return kernels::make_engine(options.device.engine, wanted, records, threads);
      },
      local, [&](uint64_t done, uint64_t total) { console.progress("training", done, total); },
      [&](const RoundReport& round) {
        reports.push_back(round);
        console.clear_bar();
        if (!options.json) print_round(program.value(), round);
      });
  if (!theta) return fail(1, theta.error().detail);
  if (options.json) {
    print_json(job, program.value(), reports);
  } else {
    std::printf("state root %s\n", to_hex(reports.back().theta_root.bytes).c_str());
  }
  if (options.model.empty()) return 0;
  const auto written = write_durable(
      options.model,
      verifier::encode_safetensors(
          program.value(), theta.value(),
          {.job_name = job.job.name, .job_id = job.id, .round = reports.back().round}));
  return written ? 0 : fail(1, written.error().detail);
}

}  // namespace gemmine::miner
