#include "miner/bench/bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "pool/core/share_size.h"

namespace gemmine::miner {

namespace {

using kernels::Program;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

// The best of some runs: how fast the device is, not how busy. A run is long enough for a clock,
// and for a device that is told of work in advance.
Result<ProductSpeed> time_product(const std::string& device, const kernels::StepProduct& product,
                                  int threads, uint32_t wanted_ms) {
  constexpr double kRunMs = 2;
  constexpr uint32_t kTimesMax = 1U << 20;
  auto made = make_device_product(device, product, threads);
  if (!made) return made.error();
  kernels::DeviceProduct& ready = *made.value();
  double best_ms = HUGE_VAL;
  uint32_t times = 1;
  const auto began = Clock::now();
  for (int runs = 0; runs < 3 || ms_since(began) < wanted_ms; ++runs) {
    const auto start = Clock::now();
    if (Status ran = ready.run(times); !ran) return ran.error();
    const double took_ms = ms_since(start);
    best_ms = std::min(best_ms, took_ms / times);
    if (took_ms < kRunMs && times < kTimesMax) times *= 2;
  }
  if (Status right = ready.check(); !right) return right.error();
  return ProductSpeed{product, static_cast<double>(product.macs()) / best_ms * 1e-6,
                      best_ms * product.times};
}

Status time_products(const std::string& device, const Program& program, int threads,
                     uint32_t product_ms, DeviceSpeed* speed) {
  for (const kernels::StepProduct& product : products_of(program)) {
    const auto timed = time_product(device, product, threads, product_ms);
    if (timed) {
      speed->products.push_back(timed.value());
    } else if (timed.error().code == Errc::unsupported) {
      speed->products_refusal = timed.error().detail;
      return Ok{};
    } else {
      return timed.error();
    }
  }
  return Ok{};
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
Status time_steps(kernels::Engine& engine, const Program& program, uint32_t wanted_ms,
                  DeviceSpeed* speed) {
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats(), 0.0F);
  if (Status loaded = engine.load_state(state, 0); !loaded) return loaded;
  const uint32_t lease = program.spec().steps_per_lease;
  uint32_t step = std::min(kDigestSteps, lease);
  if (Status ran = run_digest(engine, step, &speed->digest); !ran) return ran;
  std::vector<double> alone;
  std::vector<double> proved;
  std::vector<double> ratios;
  const Digest key;
  const auto began = Clock::now();
  while (proved.size() < 2 || ms_since(began) < wanted_ms) {
    for (const bool proves : {false, true}) {
      if (step == lease) {  // Leases of a few steps begin again.
        if (Status loaded = engine.load_state(state, 0); !loaded) return loaded;
        step = 0;
      }
      const auto start = Clock::now();
      const auto done = engine.run_step({0, 0, step++}, proves ? &key : nullptr);
      if (!done) return done.error();
      (proves ? proved : alone).push_back(ms_since(start));
    }
    ratios.push_back(proved.back() / alone.back());
  }
  speed->alone_ms = median(alone);
  speed->step_ms = median(proved);
  speed->proof_ratio = median(ratios);
  speed->steps = alone.size() + proved.size();
  return Ok{};
}

}  // namespace

Result<DeviceSpeed> measure_device(const std::string& device, const Program& program,
                                   ByteView train_records, int threads, BenchTimes times) {
  DeviceSpeed speed;
  if (Status timed = time_products(device, program, threads, times.product_ms, &speed); !timed)
    return timed.error();
  const auto engine = kernels::make_engine(device, program, train_records, threads);
  if (!engine) return engine.error();
  if (Status timed = time_steps(*engine.value(), program, times.steps_ms, &speed); !timed)
    return timed.error();
  return speed;
}

Earnings earnings_of(const verifier::Job& job, uint64_t macs_per_step, double step_ms,
                     uint32_t share_seconds) {
  constexpr double kDayMs = 86'400'000;
  constexpr double kPaceMs = 1e6;  // so long that the pool's whole milliseconds say it exactly
  const uint32_t lease = job.spec.steps_per_lease;
  Earnings out;
  const double steps_seen = std::max(1.0, std::floor(kPaceMs / step_ms));
  const pool::Pace pace{static_cast<uint64_t>(std::llround(step_ms * steps_seen)),
                        static_cast<uint64_t>(steps_seen) * macs_per_step};
  out.share_steps = pool::choose_share_size({pace}, uint64_t{share_seconds} * 1000, lease,
                                            macs_per_step, job.steps_per_share);
  out.share_seconds = out.share_steps * step_ms * 1e-3;
  if (share_seconds == 0) {
    out.rule = ShareRule::job;
  } else if (out.share_steps == pool::largest_share(lease, job.steps_per_share)) {
    out.rule = ShareRule::largest;
  } else if (out.share_seconds > 1.001 * share_seconds) {
    out.rule = ShareRule::fewest;
  }
  const double steps = kDayMs / step_ms;
  const uint32_t shares_per_lease = verifier::share_count(lease, out.share_steps);
  out.shares_per_day = steps / lease * shares_per_lease;
  out.tmacs_per_day = steps * static_cast<double>(macs_per_step) * 1e-12;
  out.units_per_day = out.tmacs_per_day * static_cast<double>(job.price_per_tmac);
  out.paid_per_day = out.units_per_day * (1 - job.fee_ppm * 1e-6);
  return out;
}

}  // namespace gemmine::miner
