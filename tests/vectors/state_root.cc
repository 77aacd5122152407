// Runs a small fixed job and prints its parameters, losses and roots: one text for every build.
//
//   state_root [--threads N] [--engine NAME]
//
// tests/builds.py compares its output between compilers, levels, CPU paths and thread counts; the
// Python reference computes the same lines from PROTOCOL.md alone. Floats are printed as their
// bits. Leases all start from the initial θ with zero moments (nothing is merged), and one share
// covers a lease. lease_id is 32 bytes: round, slot, optimiser, then zeros.
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <string>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/engines.h"
#include "kernels/hash/blake3.h"

namespace gemmine::kernels {
namespace {

constexpr std::string_view kDomain = "gemmine 2026-11-22 ";
constexpr const char* kKindNames[] = {"X", "sx", "W", "sw", "b", "G1", "s1", "G2", "s2"};

const char* name_of(TensorKind kind) {
  if (kind == TensorKind::bias_parts) return "PB";
  GEMMINE_CHECK(static_cast<size_t>(kind) < std::size(kKindNames));
  return kKindNames[static_cast<size_t>(kind)];
}

Spec toy_spec(Optimiser optimiser) {
  return {
      .widths = {37, 48, 24, 10},
      .records = 200,
      .feature_scale = 1.0F / 128.0F,
      .feature_shift = -1.0F,
      .optimiser = optimiser,
      .lr = optimiser == Optimiser::sgd ? 0.1F : 0.01F,
      .beta1 = 0.9F,
      .beta2 = 0.999F,
      .eps = 1e-8F,
      .wd = 0.001F,
      .warmup = 3,
      .batch = 33,
      .steps_per_lease = 5,
      .slots = 2,
      .rounds = 2,
      .init_seed = 11,
      .data_seed = 22,
      .sr_seed = 0x123456789abcdef0,
  };
}

// Feature byte i of all records' features: (i·i·7 + i·13 + (i >> 8)·31) mod 256; label of record
// r: (r·7 + r div 10) mod classes.
Bytes toy_records(const Program& program) {
  Bytes out;
  uint64_t i = 0;
  for (uint32_t r = 0; r < program.spec().records; ++r) {
    for (uint32_t c = 0; c < program.inputs(0); ++c, ++i)
      out.push_back(static_cast<uint8_t>(i * i * 7 + i * 13 + (i >> 8) * 31));
    out.push_back(static_cast<uint8_t>((r * 7 + r / 10) % program.spec().widths.back()));
  }
  return out;
}

void print(const char* name, float value) {
  std::printf("%s %08x\n", name, std::bit_cast<uint32_t>(value));
}

void print(const char* name, const Digest& digest) {
  std::printf("%s %s\n", name, to_hex(digest.view()).c_str());
}

void print_spec(const Spec& spec) {
  std::printf("widths");
  for (const uint32_t width : spec.widths)
    std::printf(" %u", width);
  std::printf("\nrecords %u\n", spec.records);
  print("feature_scale", spec.feature_scale);
  print("feature_shift", spec.feature_shift);
  std::printf("optimiser %u\n", static_cast<unsigned>(spec.optimiser));
  print("lr", spec.lr);
  print("beta1", spec.beta1);
  print("beta2", spec.beta2);
  print("eps", spec.eps);
  print("wd", spec.wd);
  std::printf("warmup %u\nbatch %u\nsteps_per_lease %u\nslots %u\nrounds %u\n", spec.warmup,
              spec.batch, spec.steps_per_lease, spec.slots, spec.rounds);
  std::printf("init_seed %llu\ndata_seed %llu\nsr_seed %llu\n",
              static_cast<unsigned long long>(spec.init_seed),
              static_cast<unsigned long long>(spec.data_seed),
              static_cast<unsigned long long>(spec.sr_seed));
}

Digest derive(std::string_view word, ByteView material) {
  return blake3_derive_key(std::string(kDomain) + std::string(word), material);
}

bool fail(const Error& error) {
  std::fprintf(stderr, "state_root: %s\n", error.detail.c_str());
  return false;
}

bool run_lease(const Program& program, Engine& engine, uint32_t round, uint32_t slot) {
  Digest lease_id;
  lease_id.bytes[0] = static_cast<uint8_t>(round);
  lease_id.bytes[1] = static_cast<uint8_t>(slot);
  lease_id.bytes[2] = static_cast<uint8_t>(program.spec().optimiser);
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats(), 0.0F);
  if (Status status = engine.load_state(state, 0); !status) return fail(status.error());
  std::printf("lease %u %u\n", round, slot);
  Bytes digests;
  for (uint32_t h = 0; h < program.spec().steps_per_lease; ++h) {
    const Digest key = derive("trace step", Writer().put_digest(lease_id).put(h).bytes());
    const Result<StepResult> step = engine.run_step({round, slot, h}, &key);
    if (!step) return fail(step.error());
    Writer trace;
    for (size_t i = 0; i < step.value().roots.size(); ++i) {
      const TensorInfo& tensor = program.tensors()[i];
      std::printf("root %u %s_%u %s\n", h, name_of(tensor.kind), tensor.layer,
                  to_hex(step.value().roots[i].view()).c_str());
      trace.put_digest(step.value().roots[i]);
    }
    const Digest digest = blake3_keyed(key, trace.put_f32(step.value().loss).bytes());
    print("loss", step.value().loss);
    print("step_digest", digest);
    digests.insert(digests.end(), digest.bytes.begin(), digest.bytes.end());
  }
  const Digest share = derive("trace share", Writer().put_digest(lease_id).put(0U).bytes());
  print("trace_root", blake3_keyed(share, digests));
  if (Status status = engine.read_state(state); !status) return fail(status.error());
  print("state_root", blake3_keyed(derive("state", {}), as_bytes(std::span(state))));
  return true;
}

bool run_job(Optimiser optimiser, std::string_view name, int threads) {
  const Result<Program> program = Program::make(toy_spec(optimiser));
  if (!program) return fail(program.error());
  print_spec(program.value().spec());
  const Bytes records = toy_records(program.value());
  const std::vector<float> theta = program.value().initial_theta();
  print("records_digest", blake3(records));
  print("theta_digest", blake3(as_bytes(std::span(theta))));
  const Result<Evaluation> score = evaluate(program.value(), theta, records, threads);
  if (!score) return fail(score.error());
  std::printf("correct %llu\n", static_cast<unsigned long long>(score.value().correct));
  auto engine = make_engine(name, program.value(), records, threads);
  if (!engine) return fail(engine.error());
  for (uint32_t round = 0; round < program.value().spec().rounds; ++round) {
    for (uint32_t slot = 0; slot < program.value().spec().slots; ++slot) {
      if (!run_lease(program.value(), *engine.value(), round, slot)) return false;
    }
  }
  return true;
}

int run(int argc, char** argv) {
  int threads = 1;
  std::string_view engine = "cpu";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view value = argv[i + 1];
    if (std::strcmp(argv[i], "--engine") == 0) engine = value;
    if (std::strcmp(argv[i], "--threads") == 0)
      std::from_chars(value.data(), value.data() + value.size(), threads);
  }
  const bool ok =
      run_job(Optimiser::sgd, engine, threads) && run_job(Optimiser::adamw, engine, threads);
  return ok ? 0 : 1;
}

}  // namespace
}  // namespace gemmine::kernels

int main(int argc, char** argv) {
  return gemmine::kernels::run(argc, argv);
}
