// gemmine bench: MAC/s of a job's products, its step with and without proof, and what that earns.
#include <cstdio>

#include "kernels/base/cores.h"
#include "kernels/base/cpu.h"
#include "kernels/cli/output.h"
#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/self_test.h"
#include "miner/bench/report.h"
#include "miner/cli/commands.h"
#include "pool/data/loaded_job.h"

namespace gemmine::miner {

using cli::fail;

namespace {

// The demo's network on bytes of a fixed generator, so that machines can be compared without data.
Result<pool::LoadedJob> built_in() {
  verifier::Job job;
  job.name = "built-in";
  kernels::Spec& spec = job.spec;
  spec.widths = {784, 512, 512, 10};
  spec.records = 6000;
  spec.feature_scale = 1.0F / 255.0F;
  spec.lr = 0.01F;
  spec.beta1 = 0.9F;
  spec.batch = 128;
  spec.steps_per_lease = 65536;
  spec.slots = 1;
  spec.rounds = 1;
  spec.init_seed = 1;
  spec.data_seed = 2;
  spec.sr_seed = 3;
  job.steps_per_share = 1000;
  job.price_per_tmac = 1'000'000;
  auto work = verifier::Work::make(job);
  if (!work) return work.error();
  pool::LoadedJob out{std::move(work.value()), {}, {}};
  out.train_records.resize(size_t{spec.records} * (spec.widths[0] + 1));
  uint32_t x = 1;
  for (uint8_t& byte : out.train_records)
    byte = static_cast<uint8_t>((x = x * 1664525 + 1013904223) >> 24);
  for (size_t i = spec.widths[0]; i < out.train_records.size(); i += spec.widths[0] + 1)
    out.train_records[i] = static_cast<uint8_t>(out.train_records[i] % spec.widths.back());
  return out;
}

// Without --engine: everything that `gemmine devices` lists.
std::vector<DeviceResult> asked_for(const BenchOptions& options, int threads) {
  std::vector<DeviceResult> out;
  for (const kernels::DeviceReport& device : kernels::list_devices()) {
    if (!options.device.engine.empty() && device.name != options.device.engine) continue;
    std::string description = device.description;
    if (device.name == "cpu") description += ", " + std::to_string(threads) + " threads";
    out.push_back({device.name, description, device.refusal, {}, {}});
  }
  if (out.empty()) out.push_back({options.device.engine, {}, {}, {}, {}});
  return out;
}

// Not ok: the reason is in the result.
ExitCode measure(const pool::LoadedJob& job, const BenchOptions& options, int threads,
                 DeviceResult& result) {
  const kernels::Program& program = job.work.program();
  if (Status tested = kernels::self_test(result.device); !tested) {
    result.refusal = "self-test: " + tested.error().detail;
    return cli::code_of_engine(tested.error());
  }
  const BenchTimes times{.steps_ms = options.seconds * 1000, .product_ms = options.product_ms};
  auto speed = measure_device(result.device, program, job.train_records, threads, times);
  if (!speed) {
    result.refusal = speed.error().detail;
    return ExitCode::failed;
  }
  result.speed = std::move(speed.value());
  result.earnings = earnings_of(job.work.job(), program.macs_per_step(), result.speed.step_ms,
                                options.share_seconds);
  return ExitCode::ok;
}

}  // namespace

ExitCode bench(const BenchOptions& options) {
  if (auto path = cpu_path_checked(); !path)
    return fail(ExitCode::command_line, path.error().detail);
  const auto job = options.job.empty() ? built_in() : pool::load_job(options.job);
  if (!job) return fail(ExitCode::bad_input, job.error().detail);
  const verifier::Work& work = job.value().work;
  const int threads = options.device.threads > 0 ? options.device.threads : usable_cores();
  BenchReport report{.model = describe_model(work.job().spec),
                     .job = work.job(),
                     .macs_per_step = work.program().macs_per_step(),
                     .share_seconds = options.share_seconds,
                     .devices = asked_for(options, threads)};
  ExitCode code = ExitCode::ok;
  for (DeviceResult& result : report.devices) {
    if (!result.refusal.empty()) continue;  // It was listed as unusable, which is no failure.
    const ExitCode failed = measure(job.value(), options, threads, result);
    if (failed != ExitCode::ok) code = fail(failed, result.device + ": " + result.refusal);
  }
  if (!options.device.engine.empty() && code == ExitCode::ok && !report.devices[0].refusal.empty())
    return fail(ExitCode::failed, options.device.engine + ": " + report.devices[0].refusal);
  if (code != ExitCode::ok && report.devices.size() == 1) return code;
  std::fputs((options.json ? bench_json(report) + "\n" : bench_text(report)).c_str(), stdout);
  return code;
}

}  // namespace gemmine::miner
