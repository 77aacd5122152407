#include <cstdio>
#include <optional>

#include "kernels/blake3.h"
#include "kernels/cpu/cpu.h"
#include "kernels/self_test.h"
#include "miner/cli/commands.h"
#include "miner/cli/console.h"
#include "miner/local.h"
#include "pool/dataset.h"
#include "pool/files.h"
#include "verifier/safetensors.h"

namespace gemmine::miner {

namespace {

int fail(int code, const std::string& text) {
  std::fprintf(stderr, "gemmine train: %s\n", text.c_str());
  return code;
}

// What a job file says and what it names are one thing to its author: both are 3.
Result<pool::LoadedJob> load(const std::string& path, int* exit_code) {
  *exit_code = 3;
  auto toml = pool::Toml::load(path);
  if (!toml) return toml.error();
  auto file = pool::parse_job_file(std::move(toml.value()));
  if (!file) return file.error();
  return pool::load_job(file.value());
}

void print_json(const pool::LoadedJob& job, const std::vector<RoundReport>& rounds) {
  std::printf("{\"job\":\"%s\",\"job_id\":\"%s\",\"rounds\":[", job.job.name.c_str(),
              to_hex(job.id.bytes).c_str());
  const char* comma = "";
  for (const RoundReport& round : rounds) {
    std::printf(
        "%s{\"round\":%u,\"loss\":%.6f,\"correct\":%llu,\"records\":%llu,"
        "\"theta_root\":\"%s\",\"seconds\":%.3f}",
        comma, round.round, static_cast<double>(round.loss),
        static_cast<unsigned long long>(round.evaluation.correct),
        static_cast<unsigned long long>(round.evaluation.records),
        to_hex(round.theta_root.bytes).c_str(), round.seconds);
    comma = ",";
  }
  std::printf("],\"state_root\":\"%s\"}\n", to_hex(rounds.back().theta_root.bytes).c_str());
}

void print_round(const RoundReport& round, uint32_t rounds) {
  std::printf("round %2u of %u   loss %.4f   test accuracy %.2f %%   %.1f s\n", round.round, rounds,
              static_cast<double>(round.loss),
              100.0 * static_cast<double>(round.evaluation.correct) /
                  static_cast<double>(round.evaluation.records),
              round.seconds);
  std::fflush(stdout);
}

}  // namespace

int train(const TrainOptions& options) {
  int exit_code = 0;
  const auto loaded = load(options.job, &exit_code);
  if (!loaded) return fail(exit_code, loaded.error().detail);
  const pool::LoadedJob& job = loaded.value();
  if (auto path = kernels::cpu_path_checked(); !path) return fail(2, path.error().detail);
  if (auto tested = kernels::self_test(options.device.engine); !tested)
    return fail(7, "self-test of '" + options.device.engine + "': " + tested.error().detail);
  const int threads = options.device.threads > 0 ? options.device.threads : default_threads();

  Console console(false);
  LocalOptions local{options.rounds, threads, true};
  const uint32_t rounds = options.rounds == 0 ? job.job.spec.rounds : options.rounds;
  std::vector<RoundReport> reports;
  const auto theta = train_locally(
      job.job, job.train_records, job.test_records,
      [&](const kernels::Program& program, ByteView records) {
        return kernels::make_engine(options.device.engine, program, records, threads);
      },
      local, [&](uint64_t done, uint64_t total) { console.progress("training", done, total); },
      [&](const RoundReport& round) {
        reports.push_back(round);
        if (!options.json) print_round(round, rounds);
      });
  if (!theta) return fail(1, theta.error().detail);
  if (options.json) {
    print_json(job, reports);
  } else {
    std::printf("state root %s\n", to_hex(reports.back().theta_root.bytes).c_str());
  }
  if (options.model.empty()) return 0;
  const auto program = kernels::Program::make(job.job.spec).value();
  const auto written = pool::write_durable(
      options.model, verifier::encode_safetensors(program, theta.value(), job.job.name, job.id));
  return written ? 0 : fail(1, written.error().detail);
}

}  // namespace gemmine::miner
