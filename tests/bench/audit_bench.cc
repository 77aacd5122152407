// What looking costs beside doing: admission, opened blocks, replay and rerun of one share of the
// demo's MLP (784-512-512-10, batch 128), and the bytes that each needs.
//
// Counters: x_share, the part of the share's own computing time (design: ≤ 1/1000); bytes.
#include <algorithm>
#include <chrono>
#include <memory>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "verifier/audit/opening.h"
#include "verifier/audit/rerun.h"

namespace gemmine::verifier {
namespace {

using kernels::Program;

constexpr uint32_t kStepsPerShare = 25;

kernels::Spec demo_spec() {
  return {.widths = {784, 512, 512, 10},
          .records = 6000,
          .feature_scale = 1.0F / 255.0F,
          .feature_shift = 0.0F,
          .optimiser = kernels::Optimiser::sgd,
          .lr = 0.01F,
          .beta1 = 0.9F,
          .beta2 = 0.0F,
          .eps = 0.0F,
          .wd = 1e-4F,
          .warmup = 0,
          .batch = 128,
          .steps_per_lease = kStepsPerShare,
          .slots = 1,
          .rounds = 1,
          .init_seed = 1,
          .data_seed = 2,
          .sr_seed = 3};
}

Bytes noise(const kernels::Spec& spec) {
  const uint32_t features = spec.widths.front();
  Bytes out(size_t{spec.records} * (features + 1));
  uint32_t x = 1;
  for (uint8_t& byte : out) {
    x = x * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(x >> 24);
  }
  for (size_t i = features; i < out.size(); i += features + 1)
    out[i] %= 10;
  return out;
}

Job demo_job(ByteView records) {
  Job job;
  job.name = "bench";
  job.spec = demo_spec();
  job.steps_per_share = kStepsPerShare;
  job.audit.thread_blocks = 4;
  job.train_address = kernels::blake3(records);
  return job;
}

template <class T>
T need(Result<T> result) {
  GEMMINE_CHECK(result.ok());
  return std::move(result.value());
}

// One share, run once for all benchmarks here, on one thread.
struct Stage {
  Bytes records = noise(demo_spec());
  Work work = need(Work::make(demo_job(records)));
  Program program = work.program();
  std::vector<float> theta = program.initial_theta();
  std::vector<float> state;
  std::unique_ptr<kernels::Engine> engine;
  Job job = work.job();
  Identity miner = Identity::from_seed(Digest{});
  Lease lease;
  ShareRun run;
  double share_seconds = 0;

  LeaseView at() const { return {work, lease, theta}; }

  Stage() {
    state = theta;
    state.resize(program.state_floats(), 0.0F);
    engine = need(kernels::make_engine("cpu", program, records, 1));
    lease.job_id = work.id();
    lease.miner_key = miner.public_key();
    lease.steps = program.spec().steps_per_lease;
    lease.steps_per_share = kStepsPerShare;
    sign(lease, miner);
    std::vector<double> seconds;
    for (int i = 0; i < 3; ++i) {
      const auto began = std::chrono::steady_clock::now();
      run = need(run_share(*engine, at(), 0, state));
      seconds.push_back(
          std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    }
    std::sort(seconds.begin(), seconds.end());
    share_seconds = seconds[1];
    sign(run.share, miner);
  }

  // The openings of challenge number `seed`; all blocks moved to the last step, where the engine
  // stands, except those that only the first step has.
  std::vector<std::pair<BlockChoice, Bytes>> openings(uint8_t seed) {
    Digest digest;
    digest.bytes[0] = seed;
    std::vector<std::pair<BlockChoice, Bytes>> out;
    const ProverView view{at(), run, state, run.state_after, records, nullptr, *engine};
    for (BlockChoice choice : choose_blocks(program, job.audit, digest, kStepsPerShare, true)) {
      const bool weights =
          !choice.delta && program.tensors()[choice.position].kind == kernels::TensorKind::w;
      if (weights) continue;
      choice.step = kStepsPerShare - 1;
      out.emplace_back(choice, need(make_opening(view, choice)));
    }
    return out;
  }
};

Stage& stage() {
  static Stage only;
  return only;
}

void bm_admission(benchmark::State& state) {
  Stage& s = stage();
  const Bytes bytes = encode(s.run.share);
  for (auto _ : state) {
    const auto share = decode_share(bytes);
    GEMMINE_CHECK(share.ok());
    const auto refusal =
        admit_share(s.lease, share.value(), 0, s.run.share.state_before, s.program.macs_per_step());
    GEMMINE_CHECK(!refusal);
  }
  state.counters["bytes"] = static_cast<double>(bytes.size());
}
BENCHMARK(bm_admission)->Unit(benchmark::kMicrosecond);

// The mean over eight draws, scaled to as many blocks as one thread opens (thread_blocks).
void bm_opened_blocks(benchmark::State& state) {
  Stage& s = stage();
  std::vector<std::pair<BlockChoice, Bytes>> all;
  for (uint8_t seed = 0; seed < 8; ++seed)
    for (auto& opening : s.openings(seed))
      all.push_back(std::move(opening));
  double bytes = 0;
  double seconds = 0;
  for (const auto& [choice, opening] : all)
    bytes += static_cast<double>(opening.size());
  for (auto _ : state) {
    const auto began = std::chrono::steady_clock::now();
    for (const auto& [choice, opening] : all) {
      const Finding finding = check_opening(s.at(), s.run.share, choice, opening);
      GEMMINE_CHECK(finding.outcome == Outcome::valid);
    }
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  }
  const double audits = static_cast<double>(all.size()) / s.job.audit.thread_blocks;
  const double audit = seconds / static_cast<double>(state.iterations()) / audits;
  state.counters["audit_us"] = audit * 1e6;
  state.counters["x_share"] = audit / s.share_seconds;
  state.counters["bytes"] = bytes / audits;
}
BENCHMARK(bm_opened_blocks)->Unit(benchmark::kMillisecond);

void bm_replay(benchmark::State& state) {
  Stage& s = stage();
  for (auto _ : state) {
    const ShareRun own = need(run_share(*s.engine, s.at(), 0, s.state));
    GEMMINE_CHECK(compare_share(s.run.share, own).outcome == Outcome::valid);
  }
  state.counters["share_ms"] = s.share_seconds * 1e3;
  state.counters["steps"] = kStepsPerShare;
  state.counters["bytes"] = 0;  // the miner sends nothing for it
}
BENCHMARK(bm_replay)->Unit(benchmark::kMillisecond)->UseRealTime();

// A miner's tensors once more, without a root: what answering costs him beside the lease itself.
void bm_rerun(benchmark::State& state) {
  Stage& s = stage();
  LeaseTrace trace;
  trace.append(s.run);
  double seconds = 0;
  for (auto _ : state) {
    const auto began = std::chrono::steady_clock::now();
    const Status walked = rerun_lease(*s.engine, s.at(), trace, [](uint32_t) { return Ok{}; });
    GEMMINE_CHECK(walked.ok());
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  }
  state.counters["x_share"] = seconds / static_cast<double>(state.iterations()) / s.share_seconds;
  state.counters["kept_bytes"] = static_cast<double>(lease_trace_bytes(s.program));
}
BENCHMARK(bm_rerun)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace gemmine::verifier
