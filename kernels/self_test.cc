#include "kernels/self_test.h"

#include <array>
#include <vector>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"

namespace gemmine::kernels {
namespace {

// BLAKE3 of everything the runs of an architecture said; tests/unit/kernels/self_test_test.cc holds
// every engine to both.
constexpr std::string_view kGoldenMlp =
    "1bd4015c328b9714e1f53ded6cf64b517bdb67724007d013389c108fb2d86f99";
constexpr std::string_view kGoldenGpt =
    "7c70c66e19387794bfcdf77878d705c4807f835f09dcbe3ef7b0e51859c49a0a";

Spec small_spec(Optimiser optimiser) {
  return {
      .widths = {70, 40, 21, 7},
      .records = 50,
      .feature_scale = 0x1p-6F,
      .feature_shift = -0.5F,
      .optimiser = optimiser,
      .lr = optimiser == Optimiser::sgd ? 0.125F : 0.0078125F,
      .beta1 = 0.875F,
      .beta2 = 0.9375F,
      .eps = 0x1p-20F,
      .wd = 0x1p-8F,
      .warmup = 2,
      .batch = 37,
      .steps_per_lease = 3,
      .slots = 2,
      .rounds = 2,
      .init_seed = 0x0123456789abcdef,
      .data_seed = 0xfedcba9876543210,
      .sr_seed = 0x5a5a5a5a12345678,
  };
}

// Heads of 128 features and a context that fills no tile of 64.
Spec wide_gpt() {
  Spec spec = small_spec(Optimiser::adamw);
  spec.architecture = Architecture::gpt;
  spec.widths.clear();
  spec.feature_scale = 0;
  spec.feature_shift = 0;
  spec.gpt = {.vocabulary = 70, .width = 128, .heads = 1, .hidden = 40, .blocks = 1, .context = 96};
  spec.records = 400;
  spec.clip = 0.5F;
  spec.batch = 1;
  spec.steps_per_lease = 2;
  return spec;
}
// The other choice wherever there is one.
Spec tied_gpt() {
  Spec spec = wide_gpt();
  spec.gpt = {.vocabulary = 270,
              .width = 80,
              .heads = 5,
              .hidden = 100,
              .blocks = 2,
              .context = 32,
              .norm = Norm::layer,
              .activation = Activation::silu,
              .tied = true,
              .token_bytes = 2};
  spec.optimiser = Optimiser::sgd;
  spec.clip = 0;
  spec.batch = 3;
  return spec;
}

Bytes small_records(const Program& program) {
  Bytes out;
  uint32_t x = 1;
  const auto next = [&x] {
    x = x * 1664525 + 1013904223;
    return x >> 24;
  };
  for (uint32_t r = 0; r < program.spec().records; ++r) {
    if (program.is_gpt()) {
      const uint32_t token = next() * 2 % program.spec().gpt.vocabulary;
      out.push_back(static_cast<uint8_t>(token));
      if (program.spec().gpt.token_bytes == 2) out.push_back(static_cast<uint8_t>(token >> 8));
      continue;
    }
    for (uint32_t c = 0; c + 1 < program.record_bytes(); ++c)
      out.push_back(static_cast<uint8_t>(next()));
    out.push_back(static_cast<uint8_t>(r % program.spec().widths.back()));
  }
  return out;
}

Status run(std::string_view name, const Spec& spec, int threads, Blake3& said) {
  const Result<Program> made = Program::make(spec);
  GEMMINE_CHECK(made.ok());
  const Program& program = made.value();
  const Bytes records = small_records(program);
  auto engine = make_engine(name, program, records, threads);
  if (!engine) return engine.error();
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats(), 0.0F);
  if (Status status = engine.value()->load_state(state, 0); !status) return status.error();
  for (uint32_t step = 0; step < program.spec().steps_per_lease; ++step) {
    const Digest key = blake3({reinterpret_cast<const uint8_t*>(&step), sizeof step});
    const Result<StepResult> result =
        engine.value()->run_step({.round = 1, .slot = 1, .step = step}, &key);
    if (!result) return result.error();
    for (const Digest& root : result.value().roots)
      said.update(root.view());
    said.update(as_bytes(std::span(&result.value().loss, 1)));
  }
  if (Status status = engine.value()->read_state(state); !status) return status.error();
  said.update(as_bytes(std::span(state)));
  return Ok{};
}

}  // namespace

Status self_test(std::string_view engine, int threads) {
  const struct {
    std::vector<Spec> specs;
    std::string_view golden;
  } architectures[] = {{{small_spec(Optimiser::sgd), small_spec(Optimiser::adamw)}, kGoldenMlp},
                       {{wide_gpt(), tied_gpt()}, kGoldenGpt}};
  for (const auto& [specs, golden] : architectures) {
    Blake3 said;
    for (const Spec& spec : specs) {
      if (Status status = run(engine, spec, threads, said); !status) return status.error();
    }
    const std::string digest = to_hex(said.finish().view());
    if (digest == golden) continue;
    return Error{Errc::invalid, "self-test: engine " + std::string(engine) +
                                    " computes other bits than the protocol (" + digest +
                                    "); do not use it here"};
  }
  return Ok{};
}

}  // namespace gemmine::kernels
