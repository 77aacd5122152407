// gpu_bench [seconds]: every GPU's int8 products beside cuBLASLt's, its step with proof and
// without, and its BLAKE3; one JSON object a line, `seconds` (1) for each number.
//
// Exit code 77, with the reason, where there is no GPU. Products take turns, so that both sides see
// the same clocks; TOPS count two operations a MAC. No number of it has been read by us yet.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "kernels/cuda/host/plugin_loader.h"
#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "tests/cuda/gpu/peer_products.h"

namespace gemmine::test {
namespace {

namespace cuda = kernels::cuda;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Turns of `queue(times)` and a wait, each long enough that the wait does not count.
Result<double> seconds_each(const std::function<Status(uint32_t)>& turn, double seconds) {
  uint32_t times = 1;
  double took = 0;
  while (times < 1U << 20) {
    const auto began = Clock::now();
    if (Status done = turn(times); !done) return done.error();
    took = seconds_since(began);
    if (took >= 0.05 * seconds) break;
    times *= 2;
  }
  return took / times;
}

Status bench_product(const std::string& device, cuda::DeviceSession& session,
                     const cuda::PeerApi* peer, ProductShape shape, double seconds) {
  const auto products = PeerProducts::make(session, *peer, shape);
  if (!products) return products.error();
  PeerProducts& p = *products.value();
  if (Status same = p.compare(); !same) return same;
  const auto ours = [&p](uint32_t times) {
    p.run_ours(times);
    return p.finish();
  };
  const auto theirs = [&p](uint32_t times) {
    if (Status ran = p.run_peer(times); !ran) return ran;
    return p.finish();
  };
  std::vector<double> our_times;
  std::vector<double> their_times;
  for (const auto began = Clock::now(); our_times.size() < 3 || seconds_since(began) < seconds;) {
    const auto a = seconds_each(ours, seconds);
    if (!a) return a.error();
    const auto b = seconds_each(theirs, seconds);
    if (!b) return b.error();
    our_times.push_back(a.value());
    their_times.push_back(b.value());
  }
  const double tera = 2e-12 * shape.m * shape.n * shape.k;
  std::printf(R"({"device":"%s","product":"%ux%ux%u","tops":%.1f,"cublaslt_tops":%.1f,)"
              R"("ratio":%.3f,"same_sums":true})"
              "\n",
              device.c_str(), shape.m, shape.n, shape.k, tera / median(our_times),
              tera / median(their_times), median(their_times) / median(our_times));
  return Ok{};
}

// A root over 256 MiB on the device, compared with the CPU's.
Status bench_hash(const std::string& device, cuda::DeviceSession& session, double seconds) {
  constexpr uint64_t kBytes = uint64_t{256} << 20;
  constexpr uint32_t kChunks = kBytes / 1024;
  constexpr uint32_t kGroups = kChunks / cuda::kHashGroup;
  const Bytes bytes(kBytes, 7);
  const Digest key;
  auto* const data = session.allocate<uint8_t>(kBytes);
  auto* const device_key = session.allocate<uint32_t>(8);
  auto* const group_cvs = session.allocate<uint32_t>(size_t{kGroups} * 8);
  auto* const scratch = session.allocate<uint32_t>(size_t{kGroups} * 8);
  auto* const root = session.allocate<uint32_t>(8);
  auto* const jobs = session.allocate<cuda::HashJob>(1);
  const cuda::HashJob job{data, kBytes, 0, 0, 0, kChunks, 0};
  session.upload(data, bytes.data(), kBytes);
  session.upload(device_key, key.bytes.data(), key.bytes.size());
  session.upload(jobs, &job, sizeof job);
  Digest got;
  const auto turn = [&](uint32_t times) {
    for (uint32_t i = 0; i < times; ++i) {
      session.run<cuda::kernel::HashGroups>({kGroups, 1}, jobs, device_key, group_cvs, root);
      session.run<cuda::kernel::HashRoots>({1}, jobs, device_key, group_cvs, scratch, root);
    }
    session.download(got.bytes.data(), root, got.bytes.size());
    return session.status();
  };
  const auto took = seconds_each(turn, seconds);
  if (!took) return took.error();
  if (got != kernels::blake3_keyed(key, bytes))
    return Error{Errc::invalid, "the root of 256 MiB differs from the CPU's"};
  std::printf(R"({"device":"%s","blake3_bytes":%llu,"gb_s":%.1f})"
              "\n",
              device.c_str(), static_cast<unsigned long long>(kBytes),
              1e-9 * static_cast<double>(kBytes) / took.value());
  return Ok{};
}

kernels::Program program_of(std::vector<uint32_t> widths, uint32_t batch) {
  kernels::Spec spec{};
  spec.widths = std::move(widths);
  spec.records = 6000;
  spec.feature_scale = 1.0F / 255.0F;
  spec.lr = 0.001F;
  spec.beta1 = 0.9F;
  spec.batch = batch;
  spec.steps_per_lease = 65536;
  spec.slots = 1;
  spec.rounds = 1;
  return kernels::Program::make(spec).value();
}

// GPT-2 small's blocks and context, with the largest vocabulary there may be.
kernels::Program gpt_program(uint32_t blocks, uint32_t batch) {
  kernels::Spec spec{};
  spec.architecture = kernels::Architecture::gpt;
  spec.gpt = {.vocabulary = kernels::kVocabularyMax,
              .width = 768,
              .heads = 12,
              .hidden = 3072,
              .blocks = blocks,
              .context = 1024,
              .token_bytes = 2};
  spec.records = 1 << 20;
  spec.optimiser = kernels::Optimiser::adamw;
  spec.lr = 0.0001F;
  spec.beta1 = 0.9F;
  spec.beta2 = 0.99F;
  spec.eps = 1e-8F;
  spec.clip = 1;
  spec.batch = batch;
  spec.steps_per_lease = 65536;
  spec.slots = 1;
  spec.rounds = 1;
  return kernels::Program::make(spec).value();
}

std::string shape_of(const kernels::Spec& spec) {
  if (spec.architecture == kernels::Architecture::gpt)
    return std::string("gpt ")
        .append(std::to_string(spec.gpt.blocks))
        .append(" of ")
        .append(std::to_string(spec.gpt.width))
        .append(", context ")
        .append(std::to_string(spec.gpt.context));
  std::string widths;
  for (const uint32_t width : spec.widths) {
    if (!widths.empty()) widths += '-';
    widths += std::to_string(width);
  }
  return widths;
}

// Tokens that are all alike would be one block's work in the embedding's gradient.
Bytes data_of(const kernels::Program& program) {
  Bytes data(program.data_bytes(program.spec().records), 0);
  uint32_t x = 7;
  for (size_t i = 0; program.is_gpt() && i < data.size(); i += 2) {
    x = x * 1664525 + 1013904223;
    data[i] = static_cast<uint8_t>(x >> 16);
    data[i + 1] = static_cast<uint8_t>(x >> 24 & (kernels::kVocabularyMax - 1) >> 8);
  }
  return data;
}

// Steps with and without proof in turns.
Status bench_step(const std::string& device, const kernels::Program& program, double seconds) {
  const Bytes records = data_of(program);
  const auto engine = kernels::make_engine(device, program, records, 1);
  if (!engine) return engine.error();
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats(), 0.0F);
  if (Status loaded = engine.value()->load_state(state, 0); !loaded) return loaded;
  std::vector<double> alone;
  std::vector<double> proved;
  const Digest key;
  const auto began = Clock::now();
  for (uint32_t step = 0; step < 20 || seconds_since(began) < seconds; ++step) {
    const bool proves = step % 2 == 1;
    const auto start = Clock::now();
    const auto done = engine.value()->run_step({0, 0, step}, proves ? &key : nullptr);
    if (!done) return done.error();
    if (step >= 4) (proves ? proved : alone).push_back(seconds_since(start));
  }
  const double tera = 2e-12 * static_cast<double>(program.macs_per_step());
  std::printf(R"({"device":"%s","step":"%s","batch":%u,"step_ms":%.4f,"alone_ms":%.4f,)"
              R"("proof_ratio":%.4f,"tops":%.1f})"
              "\n",
              device.c_str(), shape_of(program.spec()).c_str(), program.spec().batch,
              1e3 * median(proved), 1e3 * median(alone), median(proved) / median(alone),
              tera / median(proved));
  return Ok{};
}

Status bench_device(const cuda::DeviceApi& api, uint32_t number, const std::string& device,
                    double seconds) {
  const cuda::PeerApi* const peer = api.peer();
  if (peer->load(nullptr) == cuda::DeviceStatus::ok) {
    for (const ProductShape& shape : kPeerShapes) {
      auto session = cuda::DeviceSession::open(api, number, device);
      if (!session) return session.error();
      if (Status done = bench_product(device, *session.value(), peer, shape, seconds); !done)
        return done;
    }
  } else {
    std::printf(R"({"device":"%s","products":"skipped: %s"})"
                "\n",
                device.c_str(), peer->reason());
  }
  {
    auto session = cuda::DeviceSession::open(api, number, device);
    if (!session) return session.error();
    if (Status done = bench_hash(device, *session.value(), seconds); !done) return done;
  }
  for (const auto& program :
       {program_of({784, 512, 512, 10}, 128), program_of({1024, 4096, 4096, 1000}, 4096),
        gpt_program(1, 1), gpt_program(12, 8)})
    if (Status done = bench_step(device, program, seconds); !done) return done;
  return Ok{};
}

int run(double seconds) {
  constexpr int kSkipped = 77;
  int measured = 0;
  int failed = 0;
  uint32_t number = 0;
  for (const kernels::DeviceReport& device : kernels::list_devices()) {
    if (device.name == "cpu") continue;
    const uint32_t at = number++;
    if (!device.refusal.empty()) {
      std::fprintf(stderr, "%s: SKIPPED, NOT MEASURED: %s\n", device.name.c_str(),
                   device.refusal.c_str());
      continue;
    }
    std::fprintf(stderr, "%s: %s\n", device.name.c_str(), device.description.c_str());
    const Status done =
        bench_device(*kernels::find_cuda_plugin().value(), at, device.name, seconds);
    if (!done)
      std::fprintf(stderr, "%s: FAILED: %s\n", device.name.c_str(), done.error().detail.c_str());
    ++measured;
    failed += done ? 0 : 1;
  }
  if (measured == 0) return kSkipped;
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace gemmine::test

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 1;
  return gemmine::test::run(seconds > 0 ? seconds : 1);
}
