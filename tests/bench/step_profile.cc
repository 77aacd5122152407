// step_profile MODEL BATCH THREADS STEPS: one training step on synthetic records, with its
// commitments and without, turn by turn, and where its time goes; one JSON object.
//
// MODEL: an MLP's widths, as 784,512,512,10, trained with SGD; or a gpt's numbers, as
// gpt:256,128,4,512,4,128 for vocabulary, width, heads, hidden, blocks and context (RMSNorm, GELU,
// untied), trained with AdamW and a clip; BATCH counts its sequences. Times are milliseconds: of
// this thread's CPU with one thread, else of the wall clock. The machine may be shared, so minima
// and medians. `ops_ms` are means of steps with commitments, in CPU time of the thread that runs
// the step. `memory_mib`: of the engine that commits, by what it is for (PROTOCOL 10.10 names what
// is committed); `other` is what a step needs besides, hash trees and packed operands included.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "kernels/base/cpu.h"
#include "kernels/cpu/gpt_engine.h"
#include "kernels/cpu/mlp_engine.h"

namespace gemmine::kernels {
namespace {

constexpr const char* kOpNames[] = {"input",
                                    "quantise_inputs",
                                    "quantise_weights",
                                    "pack_forward",
                                    "forward",
                                    "attention",
                                    "loss",
                                    "column_sums",
                                    "quantise_gradients",
                                    "pack_input_gradient",
                                    "input_gradient",
                                    "pack_weight_gradient",
                                    "weight_gradient",
                                    "attention_gradient",
                                    "optimiser",
                                    "roots",
                                    "tiles_within"};
static_assert(std::size(kOpNames) == static_cast<size_t>(StepOp::count));

double now_ms(int threads) {
  timespec time{};
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
}

std::vector<uint32_t> numbers(std::string_view text) {
  std::vector<uint32_t> out;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    uint32_t value = 0;
    std::from_chars(text.data(), text.data() + comma, value);
    out.push_back(value);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return out;
}

Bytes records_of(const Program& program) {
  Bytes out(program.data_bytes(program.spec().records));
  uint32_t x = 1;
  for (uint8_t& byte : out)
    byte = static_cast<uint8_t>((x = x * 1664525 + 1013904223) >> 24);
  if (program.is_gpt()) {
    for (uint8_t& byte : out)
      byte = static_cast<uint8_t>(byte % program.spec().gpt.vocabulary);
    return out;
  }
  const uint32_t classes = program.spec().widths.back();
  for (size_t i = program.inputs(0); i < out.size(); i += program.record_bytes()) {
    const uint32_t label = (x = x * 1664525 + 1013904223) % classes;
    for (uint32_t byte = 0; byte < program.label_bytes(); ++byte)
      out[i + byte] = static_cast<uint8_t>(label >> 8 * byte);
  }
  return out;
}

// Of this process, as the system counts it.
double resident_mib() {
  unsigned long long total = 0;
  unsigned long long pages = 0;
  if (FILE* const file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%llu %llu", &total, &pages) != 2) pages = 0;
    std::fclose(file);
  }
  return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1048576.0;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}
double least(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

uint32_t profiled_steps(uint32_t steps) {
  return (steps + 2) / 3;
}

struct Run {
  std::vector<double> alone, proved, ratios;
  double engine_mib = 0;  // of the engine that commits, measured
};

double mib(uint64_t bytes) {
  return static_cast<double>(bytes) / 1048576.0;
}

void print_memory(const Program& program, double engine_mib) {
  double int8 = 0;
  double f32 = 0;
  for (const TensorInfo& tensor : program.tensors())
    (tensor.is_int8() ? int8 : f32) +=
        mib(uint64_t{tensor.rows} * tensor.cols * (tensor.is_int8() ? 1 : sizeof(float)));
  const double state = mib(program.state_floats() * sizeof(float));
  // Without a clip a weight changes while its gradient is in a tile, and nothing is kept.
  const double gradients = program.spec().clip > 0 ? mib(program.parameters() * sizeof(float)) : 0;
  std::printf(R"("memory_mib":{"engine":%.1f,"state":%.1f,"gradients":%.1f,"step":%.1f,)",
              engine_mib, state, gradients, engine_mib - state - gradients);
  std::printf(R"("committed_int8":%.1f,"committed_f32":%.1f,"other":%.1f},)", int8, f32,
              engine_mib - state - gradients - int8 - f32);
}

template <class AnEngine>
bool measure(const Program& program, const Bytes& records, int threads, uint32_t steps, Run& run,
             StepProfile& profile) {
  std::vector<float> state = program.initial_theta();
  state.resize(program.state_floats(), 0.0F);
  const Digest key;
  const double before_mib = resident_mib();
  AnEngine proved(program, records, threads);
  if (!proved.load_state(state, 0) || !proved.run_step({0, 0, 0}, &key)) return false;
  run.engine_mib = resident_mib() - before_mib;
  AnEngine alone(program, records, threads);
  if (!alone.load_state(state, 0) || !proved.load_state(state, 0)) return false;
  const uint32_t warm = steps > 20 ? 10 : 1;
  for (uint32_t step = 0; step < warm + steps; ++step) {
    const double t0 = now_ms(threads);
    if (!alone.run_step({0, 0, step}, nullptr)) return false;
    const double t1 = now_ms(threads);
    if (!proved.run_step({0, 0, step}, &key)) return false;
    const double t2 = now_ms(threads);
    if (step < warm) continue;
    run.alone.push_back(t1 - t0);
    run.proved.push_back(t2 - t1);
    run.ratios.push_back((t2 - t1) / (t1 - t0));
  }
  // The profile's own clock takes time, so it gets steps of its own.
  proved.set_profile(&profile);
  for (uint32_t step = warm + steps; step < warm + steps + profiled_steps(steps); ++step) {
    if (!proved.run_step({0, 0, step}, &key)) return false;
  }
  return true;
}

void print(const Program& program, const char* model, int threads, const Run& run,
           const StepProfile& profile) {
  uint64_t hashed = 0;
  for (const TensorInfo& tensor : program.tensors())
    hashed += tensor.bytes();
  const double macs = static_cast<double>(program.macs_per_step());
  std::printf(R"({"model":"%s","batch":%u,"threads":%d,"path":"%s","steps":%zu,)", model,
              program.spec().batch, threads, std::string(to_text(cpu_path())).c_str(),
              run.alone.size());
  std::printf(R"("alone_ms":%.4f,"alone_median_ms":%.4f,"ms":%.4f,"median_ms":%.4f,)",
              least(run.alone), median(run.alone), least(run.proved), median(run.proved));
  std::printf(R"("proof_ratio":%.4f,"proof_ratio_median":%.4f,"gmac_s":%.1f,)",
              least(run.proved) / least(run.alone), median(run.ratios),
              macs / least(run.proved) * 1e-6);
  std::printf(R"("macs":%llu,"hashed_bytes":%llu,"parameters":%llu,)",
              static_cast<unsigned long long>(program.macs_per_step()),
              static_cast<unsigned long long>(hashed),
              static_cast<unsigned long long>(program.parameters()));
  print_memory(program, run.engine_mib);
  std::printf(R"("ops_ms":{)");
  for (size_t op = 0; op < profile.ns.size(); ++op) {
    std::printf(R"(%s"%s":%.4f)", op == 0 ? "" : ",", kOpNames[op],
                static_cast<double>(profile.ns[op].load()) * 1e-6 /
                    profiled_steps(static_cast<uint32_t>(run.alone.size())));
  }
  std::printf("}}\n");
}

}  // namespace

// Errors: those of Program::make.
Result<Program> program_of(std::string_view model, uint32_t batch) {
  constexpr std::string_view kGpt = "gpt:";
  Spec spec{};
  spec.lr = 0.001F;
  spec.beta1 = 0.9F;
  spec.batch = batch;
  spec.steps_per_lease = 65536;
  spec.slots = 1;
  spec.rounds = 1;
  if (!model.starts_with(kGpt)) {
    spec.widths = numbers(model);
    spec.records = 6000;
    spec.feature_scale = 1.0F / 255.0F;
    spec.optimiser = Optimiser::sgd;
    return Program::make(spec);
  }
  const std::vector<uint32_t> n = numbers(model.substr(kGpt.size()));
  if (n.size() != 6) return Error{Errc::invalid_argument, "a gpt has six numbers"};
  spec.architecture = Architecture::gpt;
  spec.gpt = {.vocabulary = n[0],
              .width = n[1],
              .heads = n[2],
              .hidden = n[3],
              .blocks = n[4],
              .context = n[5],
              .token_bytes = static_cast<uint8_t>(n[0] > 256 ? 2 : 1)};
  spec.records = 100000;
  spec.optimiser = Optimiser::adamw;
  spec.beta2 = 0.99F;
  spec.eps = 1e-8F;
  spec.wd = 0.1F;
  spec.clip = 1;
  return Program::make(spec);
}

int bench(int argc, char** argv) {
  const std::vector<uint32_t> rest =
      argc == 5 ? numbers(std::string(argv[2]) + "," + argv[3] + "," + argv[4])
                : std::vector<uint32_t>{};
  if (rest.size() != 3 || rest[1] < 1 || rest[1] > 64 || rest[2] < 1 || rest[2] > 30000) {
    std::fprintf(
        stderr, "usage: step_profile 784,512,512,10|gpt:256,128,4,512,4,128 BATCH THREADS STEPS\n");
    return 2;
  }
  const Result<Program> program = program_of(argv[1], rest[0]);
  if (!program) {
    std::fprintf(stderr, "step_profile: %s\n", program.error().detail.c_str());
    return 2;
  }
  const auto threads = static_cast<int>(rest[1]);
  Run run;
  StepProfile profile;
  const Bytes records = records_of(program.value());
  const bool done =
      program.value().is_gpt()
          ? measure<GptCpuEngine>(program.value(), records, threads, rest[2], run, profile)
          : measure<CpuEngine>(program.value(), records, threads, rest[2], run, profile);
  if (!done) {
    std::fprintf(stderr, "step_profile: a step failed\n");
    return 1;
  }
  print(program.value(), argv[1], threads, run, profile);
  return 0;
}

}  // namespace gemmine::kernels

int main(int argc, char** argv) {
  return gemmine::kernels::bench(argc, argv);
}
