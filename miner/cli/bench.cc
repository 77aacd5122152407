// gemmine bench: MAC/s of a job's products, its step with and without proof, and what that earns.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "kernels/blake3.h"
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/matmul.h"
#include "kernels/self_test.h"
#include "miner/cli/commands.h"
#include "miner/cli/console.h"
#include "pool/dataset.h"

namespace gemmine::miner {

namespace {

using kernels::Program;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kDigestSteps = 4;  // the digest is of the roots and losses of so many steps

struct Product {
  const char* kind;
  size_t m, n, k;
  double gmac_s = 0;
};

struct Report {
  std::vector<Product> products;
  double alone_ms = 0;
  double proved_ms = 0;
  size_t steps = 0;
  Digest digest;
};

int fail(int code, const std::string& text) {
  std::fprintf(stderr, "gemmine bench: %s\n", text.c_str());
  return code;
}

double ms_since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// The demo's network on bytes of a fixed generator, so that machines can be compared without data.
pool::LoadedJob built_in() {
  pool::LoadedJob out;
  out.job.name = "built-in";
  kernels::Spec& spec = out.job.spec;
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
  out.job.steps_per_share = 1000;
  out.job.price_per_tmac = 1'000'000;
  out.train_records.resize(size_t{spec.records} * (spec.widths[0] + 1));
  uint32_t x = 1;
  for (uint8_t& byte : out.train_records)
    byte = static_cast<uint8_t>((x = x * 1664525 + 1013904223) >> 24);
  for (size_t i = spec.widths[0]; i < out.train_records.size(); i += spec.widths[0] + 1)
    out.train_records[i] = static_cast<uint8_t>(out.train_records[i] % spec.widths.back());
  return out;
}

Result<pool::LoadedJob> load(const std::string& path) {
  if (path.empty()) return built_in();
  auto toml = pool::Toml::load(path);
  if (!toml) return toml.error();
  auto file = pool::parse_job_file(std::move(toml.value()));
  if (!file) return file.error();
  return pool::load_job(file.value());
}

// The best of some runs: how fast the machine is, not how busy.
void time_product(Product& product, int threads) {
  kernels::ThreadPool pool(threads);
  const std::vector<int8_t> a(product.m * product.k, 3);
  const std::vector<int8_t> b(product.n * product.k, 5);
  std::vector<int32_t> c(product.m * product.n);
  const double macs = static_cast<double>(product.m * product.n) * static_cast<double>(product.k);
  const auto began = Clock::now();
  for (int run = 0; run < 3 || (ms_since(began) < 100 && run < 1000); ++run) {
    const auto start = Clock::now();
    kernels::matmul(kernels::by_rows(a.data(), product.k), kernels::by_rows(b.data(), product.k),
                    product.m, product.n, product.k, c.data(), product.n, pool);
    product.gmac_s = std::max(product.gmac_s, macs / ms_since(start) * 1e-6);
  }
}

// The shapes of every product of a step, each once.
std::vector<Product> products_of(const Program& program) {
  std::vector<Product> out;
  const size_t batch = program.spec().batch;
  for (uint32_t l = 0; l < program.layers(); ++l) {
    const size_t k = program.inputs(l);
    const size_t n = program.outputs(l);
    out.push_back({"forward", batch, n, k});
    if (l > 0) out.push_back({"input_gradient", batch, k, n});
    out.push_back({"weight_gradient", n, k, batch});
  }
  return out;
}

// The same first steps on every machine: their roots and losses must have the same hash.
Status run_digest(kernels::Engine& engine, uint32_t steps, Digest* digest) {
  kernels::Blake3 hash;
  const Digest key;
  for (uint32_t step = 0; step < steps; ++step) {
    const auto done = engine.run_step({0, 0, step}, &key);
    if (!done) return done.error();
    for (const Digest& root : done.value().roots)
      hash.update(root.bytes);
    uint8_t loss[4];
    std::memcpy(loss, &done.value().loss, sizeof loss);
    hash.update(loss);
  }
  *digest = hash.finish();
  return Ok{};
}

// Steps with and without proof take turns, so that a busy machine slows both.
Status time_steps(kernels::Engine& engine, const Program& program, uint32_t seconds,
                  Report* report) {
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats(), 0.0F);
  if (auto loaded = engine.load_state(state, 0); !loaded) return loaded.error();
  const uint32_t lease = program.spec().steps_per_lease;
  if (auto ran = run_digest(engine, std::min(kDigestSteps, lease), &report->digest); !ran)
    return ran.error();
  std::vector<double> alone;
  std::vector<double> proved;
  const Digest key;
  uint32_t step = std::min(kDigestSteps, lease);
  const auto began = Clock::now();
  while (alone.size() < 2 || proved.size() < 2 || ms_since(began) < 1000.0 * seconds) {
    if (step == lease) {  // Leases of a few steps begin again.
      if (auto loaded = engine.load_state(state, 0); !loaded) return loaded.error();
      step = 0;
    }
    const bool commits = proved.size() < alone.size();
    const auto start = Clock::now();
    const auto done = engine.run_step({0, 0, step++}, commits ? &key : nullptr);
    if (!done) return done.error();
    (commits ? proved : alone).push_back(ms_since(start));
  }
  report->alone_ms = median(alone);
  report->proved_ms = median(proved);
  report->steps = alone.size() + proved.size();
  return Ok{};
}

struct Earnings {
  double shares_per_day;
  double tokens_per_day;  // before the pool's fee and if no share fails
};

Earnings earnings_of(const verifier::Job& job, const Program& program, double step_ms) {
  const double steps = 86'400'000.0 / step_ms;
  const double tmacs = steps * static_cast<double>(program.macs_per_step()) * 1e-12;
  return {steps / std::max(1U, job.steps_per_share),
          tmacs * static_cast<double>(job.price_per_tmac)};
}

void print_json(const BenchOptions& options, int threads, const verifier::Job& job,
                const Program& program, const Report& report) {
  const Earnings earned = earnings_of(job, program, report.proved_ms);
  std::printf("{\"device\":\"%s\",\"path\":\"%s\",\"threads\":%d,\"products\":[",
              options.device.engine.c_str(),
              std::string(kernels::to_text(kernels::cpu_path())).c_str(), threads);
  const char* comma = "";
  for (const Product& p : report.products) {
    std::printf("%s{\"product\":\"%s\",\"m\":%zu,\"n\":%zu,\"k\":%zu,\"gmac_s\":%.1f}", comma,
                p.kind, p.m, p.n, p.k, p.gmac_s);
    comma = ",";
  }
  std::printf("],\"macs_per_step\":%llu,\"steps\":%zu,\"step_ms\":%.4f,\"alone_ms\":%.4f,",
              static_cast<unsigned long long>(program.macs_per_step()), report.steps,
              report.proved_ms, report.alone_ms);
  std::printf("\"proof_ratio\":%.4f,\"shares_per_day\":%.1f,\"units_per_day\":%.0f,",
              report.proved_ms / report.alone_ms, earned.shares_per_day, earned.tokens_per_day);
  std::printf("\"digest\":\"%s\"}\n", to_hex(report.digest.bytes).c_str());
}

void print_text(const BenchOptions& options, int threads, const verifier::Job& job,
                const Program& program, const Report& report) {
  const Earnings earned = earnings_of(job, program, report.proved_ms);
  std::printf("%s, %s, %d threads\n", options.device.engine.c_str(),
              std::string(kernels::to_text(kernels::cpu_path())).c_str(), threads);
  for (const Product& p : report.products)
    std::printf("  %-16s %5zu x %5zu x %5zu   %8.1f GMAC/s\n", p.kind, p.m, p.n, p.k, p.gmac_s);
  std::printf("step       %.3f ms (%.3f ms without its proof: %+.1f %%), %.1f GMAC/s\n",
              report.proved_ms, report.alone_ms, 100.0 * (report.proved_ms / report.alone_ms - 1.0),
              static_cast<double>(program.macs_per_step()) / report.proved_ms * 1e-6);
  std::printf("per day    %.0f shares, %.0f token units at %llu a TMAC, before the pool's fee\n",
              earned.shares_per_day, earned.tokens_per_day,
              static_cast<unsigned long long>(job.price_per_tmac));
  std::printf("digest     %s\n           the same on every machine for the same job\n",
              to_hex(report.digest.bytes).c_str());
}

}  // namespace

int bench(const BenchOptions& options) {
  if (auto path = kernels::cpu_path_checked(); !path) return fail(2, path.error().detail);
  if (auto tested = kernels::self_test(options.device.engine); !tested)
    return fail(7, "self-test of '" + options.device.engine + "': " + tested.error().detail);
  const auto job = load(options.job);
  if (!job) return fail(3, job.error().detail);
  const auto program = Program::make(job.value().job.spec);
  if (!program) return fail(3, program.error().detail);
  const int threads = options.device.threads > 0 ? options.device.threads : default_threads();
  const auto engine = kernels::make_engine(options.device.engine, program.value(),
                                           job.value().train_records, threads);
  if (!engine) return fail(1, engine.error().detail);
  Report report;
  if (options.device.engine == "cpu") report.products = products_of(program.value());
  for (Product& product : report.products)
    time_product(product, threads);
  if (auto timed = time_steps(*engine.value(), program.value(), options.seconds, &report); !timed)
    return fail(1, timed.error().detail);
  (options.json ? print_json : print_text)(options, threads, job.value().job, program.value(),
                                           report);
  return 0;
}

}  // namespace gemmine::miner
