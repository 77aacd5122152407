// thread_bench V,D,A,F,L,C BATCH STEPS [THREADS]: what a thread of a lease of a language model
// costs its miner and its auditor, beside running the lease; one JSON object. Times are of all
// threads; the auditor has one.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "verifier/merge/round.h"
#include "verifier/thread/checker.h"
#include "verifier/thread/cost.h"
#include "verifier/thread/prover.h"

namespace gemmine::verifier {
namespace {

double now_s() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

template <class T>
T need(Result<T> result) {
  if (!result) std::fprintf(stderr, "thread_bench: %s\n", result.error().detail.c_str());
  GEMMINE_CHECK(result.ok());
  return std::move(result.value());
}

Job job_of(const std::vector<uint32_t>& n, uint32_t batch, uint32_t steps) {
  Job job;
  job.name = "thread";
  kernels::Spec& spec = job.spec;
  spec.architecture = kernels::Architecture::gpt;
  spec.gpt = {.vocabulary = n[0],
              .width = n[1],
              .heads = n[2],
              .hidden = n[3],
              .blocks = n[4],
              .context = n[5],
              .token_bytes = static_cast<uint8_t>(n[0] > 256 ? 2 : 1)};
  spec.records = 200000;
  job.test_records = 20000;
  spec.optimiser = kernels::Optimiser::adamw;
  spec.lr = 0.001F;
  spec.beta1 = 0.9F;
  spec.beta2 = 0.99F;
  spec.eps = 1e-8F;
  spec.wd = 0.1F;
  spec.clip = 1;
  spec.batch = batch;
  spec.steps_per_lease = steps;
  spec.slots = spec.rounds = 1;
  job.steps_per_share = std::max(1U, steps / 4);
  return job;
}

Bytes tokens_of(const kernels::Spec& spec) {
  Bytes out;
  uint64_t x = 1;
  for (uint32_t i = 0; i < spec.records; ++i) {
    x = x * 6364136223846793005 + 1442695040888963407;
    const auto token = static_cast<uint32_t>((x >> 40) * (x >> 40) % spec.gpt.vocabulary);
    out.push_back(static_cast<uint8_t>(token));
    if (spec.gpt.token_bytes == 2) out.push_back(static_cast<uint8_t>(token >> 8));
  }
  return out;
}

struct Lap {
  double from = now_s();
  double take() {
    const double to = now_s();
    const double out = to - from;
    from = to;
    return out;
  }
};

}  // namespace

int bench(const std::vector<uint32_t>& shape, uint32_t batch, uint32_t steps, int threads) {
  Job job = job_of(shape, batch, steps);
  const Bytes tokens = tokens_of(job.spec);
  job.train_address = kernels::blake3(tokens);
  const Work work = need(Work::make(job));
  const kernels::Program& program = work.program();
  const Identity miner = Identity::from_seed({});
  Lease lease;
  lease.job_id = work.id();
  lease.miner_key = miner.public_key();
  lease.steps = steps;
  lease.steps_per_share = job.steps_per_share;
  lease.id = lease_id(lease);
  const auto engine = need(kernels::make_engine("cpu", program, tokens, threads));
  const std::vector<float> theta = program.initial_theta();
  std::vector<float> state = start_state(program, theta);
  std::vector<Share> shares;
  std::vector<ShareRun> runs;
  std::vector<Digest> digests;
  Lap lap;
  for (uint32_t i = 0; i < lease.shares(); ++i) {
    runs.push_back(need(run_share(*engine, {work, lease, theta}, i, state)));
    state = runs.back().state_after;
    shares.push_back(runs.back().share);
    digests.insert(digests.end(), runs.back().step_digests.begin(), runs.back().step_digests.end());
  }
  const double lease_s = lap.take();
  need(engine->load_state(start_state(program, theta), 0));
  for (uint32_t h = 0; h < steps; ++h)
    need(engine->run_step({0, 0, h}, nullptr));
  const double rerun_s = lap.take();
  const uint16_t blocks = full_thread_blocks(program);
  const ThreadCase ticket{work, lease, shares, kernels::blake3({}), blocks};
  Bytes answer;
  const ThreadProver prover{.engine = *engine,
                            .theta = theta,
                            .train_records = tokens,
                            .train_tree = nullptr,
                            .step_digests = digests,
                            .kept_step = [&](uint32_t step) -> Result<KeptStep> {
                              const ShareRun& run = runs[step / lease.steps_per_share];
                              return KeptStep{run.roots[step % lease.steps_per_share],
                                              run.losses[step % lease.steps_per_share]};
                            },
                            .kept_state = {},
                            .delta = [&]() -> Result<Bytes> { return runs.back().delta; },
                            .miner = miner};
  lap.take();
  need(prove_thread(ticket, prover, [&](uint64_t offset, ByteView bytes) -> Status {
    if (answer.size() < offset + bytes.size()) answer.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), answer.begin() + static_cast<ptrdiff_t>(offset));
    return Ok{};
  }));
  const double prove_s = lap.take();
  const auto finding = check_thread(ticket, answer_of(answer), public_data(theta, tokens));
  const double check_s = lap.take();
  if (finding.outcome != ThreadOutcome::valid) {
    std::fprintf(stderr, "thread_bench: %s\n", finding.detail.c_str());
    return 1;
  }
  std::printf(R"({"parameters":%llu,"steps":%u,"blocks":%u,"lease_s":%.3f,"rerun_s":%.3f,)"
              R"("prove_s":%.3f,"check_s":%.4f,"lease_over_check":%.0f,"answer_bytes":%zu,)"
              R"("expected_bytes":%llu,"bytes_max":%llu,"work_over":%.0f,"pays":%d})"
              "\n",
              static_cast<unsigned long long>(program.parameters()), steps, blocks, lease_s,
              rerun_s, prove_s, check_s, lease_s / check_s, answer.size(),
              static_cast<unsigned long long>(thread_bytes(program, steps, blocks)),
              static_cast<unsigned long long>(thread_bytes_max(program, steps, blocks)),
              static_cast<double>(program.macs_per_step()) * steps /
                  static_cast<double>(thread_work(program, steps, blocks)),
              thread_pays(program, steps) ? 1 : 0);
  return 0;
}

}  // namespace gemmine::verifier

int main(int argc, char** argv) {
  std::vector<uint32_t> shape;
  if (argc >= 4)
    for (const char* at = argv[1]; *at != '\0';) {
      char* end = nullptr;
      shape.push_back(static_cast<uint32_t>(std::strtoul(at, &end, 10)));
      at = *end == ',' ? end + 1 : end;
      if (end == argv[1]) break;
    }
  if (shape.size() != 6) {
    std::fprintf(stderr, "usage: thread_bench V,D,A,F,L,C BATCH STEPS [THREADS]\n");
    return 2;
  }
  return gemmine::verifier::bench(shape, static_cast<uint32_t>(std::atoi(argv[2])),
                                  static_cast<uint32_t>(std::atoi(argv[3])),
                                  argc > 4 ? std::atoi(argv[4]) : 1);
}
