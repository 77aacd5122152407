#include <CLI/CLI.hpp>

#include "kernels/base/user_folder.h"
#include "kernels/cli/name.h"
#include "kernels/cli/number.h"
#include "miner/cli/commands.h"
#include "miner/pace.h"

namespace gemmine::miner {

namespace {

constexpr int kThreadsMax = 1024;

}  // namespace

void add_device_options(CLI::App& command, DeviceOptions& options) {
  cli::add_name(command, "--engine", options.engine,
                "where to compute: cpu, cuda:0 or another GPU of `gemmine devices`, or check: "
                "before one of them, which runs a slow twin beside it and compares every bit");
  cli::add_number(command, "--threads", options.threads, {0, kThreadsMax},
                  "threads of the cpu engine (0: one per core)");
}

void add_mine_options(CLI::App& command, MineOptions& options) {
  options.data = user_data_folder("gemmine");
  command.footer(
      "Several pools, each with a pin of its own: the first that can be reached is worked for, "
      "and\n"
      "after a loss the list is tried from its beginning.\n"
      "  gemmine mine --account me --pool a.example:4400 --pin sha256:... \\\n"
      "                            --pool b.example:4400 --pin sha256:...\n"
      "A pool that is not the pinned one is told once and tried again after 5 minutes, then less\n"
      "and less often.");
  // One value each time: else CLI11 reads [::1] as a list.
  cli::add_name(command, "--pool", options.pools, "host:port; repeat it for pools to fall back on")
      ->required()
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  cli::add_name(command, "--pin", options.pins,
                "sha256:<hex> of the TLS key of the pool before it; without any, and where it is "
                "the word `system`, the certificate must be one that the system trusts")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  cli::add_name(command, "--pool-key", options.pool_keys,
                "64 hex digits: work for a pool that signs with this key, and no other")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  cli::add_name(command, "--head", options.heads,
                "a signed head that the pool must stand by, as gemmine-verify and gemmine-audit "
                "print it")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  cli::add_name(command, "--account", options.account, "who is paid, 1-64 of A-Z a-z 0-9 . _ -")
      ->required();
  cli::add_name(command, "--data", options.data,
                "folder for keys, downloads (what the pool's jobs need now, and for a "
                "day what they needed) and checkpoints; for one process at a time")
      ->capture_default_str();
  cli::add_name(command, "--relay", options.relay,
                "http://host:port of a `gemmine relay`: what we download comes from there, checked "
                "by its hash, and from the pool when that is gone, slow or wrong")
      ->envname("GEMMINE_RELAY");
  add_device_options(command, options.device);
  cli::add_number(command, "--throttle", options.throttle, {kThrottleMin, kThrottleMax},
                  "use at most this percentage of the device's time; it rests after every step");
  cli::add_number(command, "--keep-mib", options.keep_mib, {0, 1 << 30},
                  "disk for leases that are done and not paid yet, of which a pool may want to see "
                  "a thread; over it the oldest go (4096)");
  command.add_flag("--exit-when-finished", options.exit_when_finished,
                   "end with code 0 when the pool has no unfinished job");
  command.add_flag("--dry-run", options.dry_run,
                   "connect, log in, list the jobs, and end without working");
  command.add_flag("-v,--verbose", options.verbose, "log debug events too");
}

void add_receipts_options(CLI::App& command, ReceiptsOptions& options) {
  options.data = user_data_folder("gemmine");
  command.footer(
      "Each lease has one file: give it to whom it concerns. Anybody checks it with\n"
      "  gemmine-verify receipts FILE --pool-key KEY");
  cli::add_name(command, "--data", options.data, "the miner's folder")->capture_default_str();
  command.add_flag("--json", options.json, "as JSON");
}

void add_train_options(CLI::App& command, TrainOptions& options) {
  cli::add_name(command, "job", options.job, "job file (TOML)")->required();
  cli::add_number(command, "--rounds", options.rounds, {}, "stop after this many rounds (0: all)");
  cli::add_name(command, "--from", options.from,
                "start from this model (safetensors): one of this job goes on where it "
                "stopped, any other of the same shape begins at round 0");
  cli::add_name(command, "--model", options.model,
                "write the model here (safetensors), after each round");
  cli::add_name(command, "--checkpoint", options.checkpoint,
                "keep here how far it is, after each round, every minute within one, and when ^C, "
                "SIGTERM or SIGHUP ends it (exit code 128 + signal); else in FILE.checkpoint "
                "beside the model, until the last round is done");
  command.add_flag("--resume", options.resume,
                   "go on from the checkpoint, with the same bits; begin where there is none yet");
  cli::add_name(command, "--curves", options.curves,
                "write losses and accuracy by round here, a table (.csv) or a picture (.svg); may "
                "be repeated")
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag("--json", options.json, "the result as JSON on stdout");
  add_device_options(command, options.device);
}

void add_bench_options(CLI::App& command, BenchOptions& options) {
  command.footer(
      "For each device it prints:\n"
      "  product   int8 matrix products, C[m][n] = sum over k of A[m][k] * B[n][k], by shape: how\n"
      "            many a training step has, how fast this device multiplies them (GMAC/s: 10^9\n"
      "            multiply-accumulates a second), and what they take of a step\n"
      "  step      the time of a training step, with its proof and without\n"
      "  share     what is sent to the pool at once, as large as a pool makes it for this device\n"
      "  per day   what a day of computing earns at the job's price\n"
      "  digest    of the first steps' proofs; compare it with another machine's\n"
      "Examples:\n"
      "  gemmine bench                                      every device, a small built-in job\n"
      "  gemmine bench --job configs/jobs/austen-gpt.toml --engine cpu --threads 1\n"
      "  gemmine bench --json                               the same numbers for a program\n"
      "Other programs on the machine make it look slower: products are the best of some runs,\n"
      "steps are medians.");
  cli::add_name(command, "--job", options.job,
                "job file (TOML); else a small network, made-up data");
  cli::add_number(command, "--seconds", options.seconds, {1, 600},
                  "how long to measure steps on each device");
  cli::add_number(command, "--share-seconds", options.share_seconds, {0, pool::kShareSecondsMax},
                  "what a share should take a device, as the pool's configuration says it (0: the "
                  "pool leaves shares as the job has them)");
  command.add_flag("--json", options.json, "as JSON, on one line");
  add_device_options(command, options.device);
  command.get_option("--engine")
      ->description("measure this device alone, cpu or cuda:0; else all of `gemmine devices`");
}

void add_sample_options(CLI::App& command, SampleOptions& options) {
  command.footer(
      "Examples:\n"
      "  gemmine train configs/jobs/austen-gpt.toml --model austen.safetensors\n"
      "  gemmine sample --model austen.safetensors --prompt \"It is a truth\"\n"
      "The same model, prompt, options and seed write the same text on one build of gemmine. A\n"
      "model of more than 256 tokens reads and writes their numbers: --prompt \"17 4 99\".");
  cli::add_name(command, "--model", options.model, "a gpt, as `gemmine train --model` writes it")
      ->required();
  command.add_option("--prompt", options.prompt, "the beginning of the text");
  cli::add_number(command, "--tokens", options.tokens, {1, 1'000'000}, "how many to write");
  cli::add_number(command, "--temperature", options.temperature, {0, 100},
                  "below 1 surer, above 1 wilder; 0: always the likeliest");
  cli::add_number(command, "--top-k", options.top_k, {0, 1'000'000},
                  "choose among the k likeliest (0: among all)");
  cli::add_number(command, "--seed", options.seed, {}, "another seed, another text");
}

}  // namespace gemmine::miner
