// Trains a small language model in rounds and prints one JSON object per evaluation: what int8, the
// deltas' compression and the number of miners cost in validation loss (tests/bench/lm_quality.py).
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>

#include <CLI/CLI.hpp>

#include "kernels/engines.h"
#include "verifier/merge/delta.h"

namespace gemmine {
namespace {

using kernels::Program;
using kernels::Spec;
using Floats = std::vector<float>;

struct Options {
  std::string train;
  std::string validation;
  std::string engine = "cpu";
  int threads = 1;
  uint32_t every = 0;            // positions between evaluations; 0: only at the end
  bool compressed = true;        // deltas as the protocol quantises them
  bool moments_survive = false;  // a slot keeps its moments from round to round: not the protocol
  uint32_t rounds = 1;
  uint32_t steps = 600;  // of a lease
  Spec spec;
};

Bytes read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

[[noreturn]] void stop(const Error& error) {
  std::fprintf(stderr, "lm_quality: %s\n", error.detail.c_str());
  std::exit(1);
}

template <class T>
T need(Result<T> result) {
  if (!result) stop(result.error());
  return std::move(result.value());
}
void need(const Status& status) {
  if (!status) stop(status.error());
}

void defaults(Spec& spec) {
  spec.architecture = kernels::Architecture::gpt;
  spec.gpt = {
      .vocabulary = 256, .width = 128, .heads = 4, .hidden = 512, .blocks = 4, .context = 128};
  spec.optimiser = kernels::Optimiser::adamw;
  spec.lr = 2e-3F;
  spec.beta1 = 0.9F;
  spec.beta2 = 0.99F;
  spec.eps = 1e-8F;
  spec.wd = 0.1F;
  spec.warmup = 60;
  spec.clip = 1;
  spec.batch = 16;
  spec.slots = 1;
  spec.init_seed = 1;
  spec.data_seed = 2;
  spec.sr_seed = 3;
}

class Run {
 public:
  Run(const Options& options, const Program& program, ByteView train, ByteView validation)
      : options_(options),
        program_(program),
        validation_(validation),
        engine_(need(kernels::make_engine(options.engine, program, train, options.threads))),
        theta_(program.initial_theta()),
        velocity_(program.parameters(), 0.0F),
        moments_(program.spec().slots) {}

  void train() {
    const auto began = std::chrono::steady_clock::now();
    const Spec& spec = program_.spec();
    uint32_t told = 0;
    for (uint32_t round = 0; round < options_.rounds; ++round) {
      std::vector<Floats> ends;
      double loss = 0;
      for (uint32_t slot = 0; slot < spec.slots; ++slot)
        ends.push_back(lease(round, slot, &loss));
      merge(ends);
      const uint32_t position = (round + 1) * options_.steps;
      const bool last = round + 1 == options_.rounds;
      if (!last && (options_.every == 0 || position < told + options_.every)) continue;
      told = position;
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
      report(position, theta_, loss / (spec.slots * options_.steps), seconds.count());
    }
  }

 private:
  void report(uint32_t position, std::span<const float> theta, double train_loss, double seconds) {
    const auto evaluation = need(kernels::evaluate(program_, theta, validation_, options_.threads));
    std::printf(
        "{\"position\": %u, \"train_loss\": %.5f, \"validation_loss\": %.5f, "
        "\"seconds\": %.1f}\n",
        position, train_loss, evaluation.loss, seconds);
    std::fflush(stdout);
  }

  // With surviving moments the program has one round, which is as long as all of them.
  Floats lease(uint32_t round, uint32_t slot, double* loss) {
    Floats state(program_.state_floats(), 0.0F);
    const bool survive = options_.moments_survive;
    if (survive && !moments_[slot].empty()) state = moments_[slot];
    std::copy(theta_.begin(), theta_.end(), state.begin());
    const uint32_t first = survive ? round * options_.steps : 0;
    need(engine_->load_state(state, first));
    for (uint32_t h = 0; h < options_.steps; ++h) {
      *loss += need(engine_->run_step({survive ? 0 : round, slot, first + h}, nullptr)).loss;
      const bool told = options_.every > 0 && (h + 1) % options_.every == 0;
      if (!told || options_.rounds > 1 || h + 1 == options_.steps) continue;
      need(engine_->read_state(state));
      report(h + 1, std::span(state).first(theta_.size()), *loss / (h + 1), 0);
    }
    need(engine_->read_state(state));
    if (survive) moments_[slot] = state;
    state.resize(theta_.size());
    return state;
  }

  void merge(const std::vector<Floats>& ends) {
    const Spec& spec = program_.spec();
    Floats mean(theta_.size());
    if (options_.compressed) {
      // 8.3 from zero gives the mean of the quantised deltas.
      verifier::Merge merge(theta_.size(), {}, verifier::kDeltaMaxMax);
      for (const Floats& end : ends)
        need(merge.add(need(verifier::make_delta(end, theta_, verifier::kDeltaMaxMax))));
      mean = need(merge.finish(mean, spec.slots));
    } else {
      for (size_t i = 0; i < mean.size(); ++i) {
        double sum = 0;
        for (const Floats& end : ends)
          sum += static_cast<double>(end[i]) - static_cast<double>(theta_[i]);
        mean[i] = static_cast<float>(sum / static_cast<double>(ends.size()));
      }
    }
    for (size_t i = 0; i < mean.size(); ++i) {
      velocity_[i] = spec.outer_momentum * velocity_[i] + mean[i];
      const float step =
          spec.outer_momentum > 0 ? mean[i] + spec.outer_momentum * velocity_[i] : mean[i];
      theta_[i] = theta_[i] + spec.outer_lr * step;
    }
  }

  const Options& options_;
  const Program& program_;
  ByteView validation_;
  std::unique_ptr<kernels::Engine> engine_;
  Floats theta_;
  Floats velocity_;
  std::vector<Floats> moments_;  // whole states, by slot
};

int run(int argc, char** argv) {
  Options options;
  defaults(options.spec);
  Spec& spec = options.spec;
  CLI::App app("Language-model quality runs; see lm_quality.py");
  app.add_option("train", options.train)->required();
  app.add_option("validation", options.validation)->required();
  app.add_option("--engine", options.engine);
  app.add_option("--threads", options.threads);
  app.add_option("--every", options.every);
  app.add_option("--compressed", options.compressed);
  app.add_option("--moments-survive", options.moments_survive);
  app.add_option("--slots", spec.slots);
  app.add_option("--steps", options.steps);
  app.add_option("--rounds", options.rounds);
  app.add_option("--batch", spec.batch);
  app.add_option("--width", spec.gpt.width);
  app.add_option("--heads", spec.gpt.heads);
  app.add_option("--hidden", spec.gpt.hidden);
  app.add_option("--blocks", spec.gpt.blocks);
  app.add_option("--context", spec.gpt.context);
  app.add_option("--lr", spec.lr);
  app.add_option("--warmup", spec.warmup);
  app.add_option("--beta2", spec.beta2);
  app.add_option("--outer-lr", spec.outer_lr);
  app.add_option("--outer-momentum", spec.outer_momentum);
  app.add_option("--seed", spec.init_seed);
  CLI11_PARSE(app, argc, argv);
  const Bytes train = read_file(options.train);
  const Bytes validation = read_file(options.validation);
  spec.records = static_cast<uint32_t>(train.size());
  spec.rounds = options.moments_survive ? 1 : options.rounds;
  spec.steps_per_lease = options.steps * (options.moments_survive ? options.rounds : 1);
  const Program program = need(Program::make(spec));
  Run(options, program, train, validation).train();
  return 0;
}

}  // namespace
}  // namespace gemmine

int main(int argc, char** argv) {
  return gemmine::run(argc, argv);
}
