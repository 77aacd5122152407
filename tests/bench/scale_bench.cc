// scale_bench [largest]: how a gpt's shares, openings, audits, merges and blobs grow with its
// parameters; one JSON object a line. Shapes up to `largest` (20) million parameters are run, the
// others are left out: verifier/README.md computes them.
//
// Every lease is one step of one sequence of 256 tokens, so that a challenge's blocks are all of
// the step where the engine stands. Times are CPU time of one thread.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "verifier/audit/opening.h"
#include "verifier/merge/delta.h"

namespace gemmine::verifier {
namespace {

struct Shape {
  uint32_t width, heads, blocks;
};
constexpr Shape kShapes[] = {{128, 2, 4}, {384, 6, 5}, {1024, 16, 8}};

double now_ms() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
}

Job job_of(const Shape& shape) {
  Job job;
  job.name = "scale";
  kernels::Spec& spec = job.spec;
  spec.architecture = kernels::Architecture::gpt;
  spec.gpt = {.vocabulary = 256,
              .width = shape.width,
              .heads = shape.heads,
              .hidden = 4 * shape.width,
              .blocks = shape.blocks,
              .context = 256};
  spec.records = 100000;
  spec.optimiser = kernels::Optimiser::adamw;
  spec.lr = 0.001F;
  spec.beta1 = 0.9F;
  spec.beta2 = 0.99F;
  spec.eps = 1e-8F;
  spec.clip = 1;
  spec.batch = spec.steps_per_lease = spec.slots = spec.rounds = 1;
  job.steps_per_share = 1;
  job.audit.thread_blocks = 64;
  return job;
}

struct Openings {
  size_t count = 0;
  size_t bytes = 0;
  size_t largest = 0;
  double check_ms = 0;
};

Status open_all(const ProverView& view, Openings& out) {
  for (const BlockChoice& choice :
       choose_blocks(view.at.work.program(), view.at.work.job().audit, Digest{}, 1, true)) {
    const auto opening = make_opening(view, choice);
    if (!opening) return opening.error();
    const double began = now_ms();
    const Finding finding = check_opening(view.at, view.run.share, choice, opening.value());
    out.check_ms += now_ms() - began;
    if (finding.outcome != Outcome::valid) return Error{Errc::invalid, finding.detail};
    ++out.count;
    out.bytes += opening.value().size();
    out.largest = std::max(out.largest, opening.value().size());
  }
  return Ok{};
}

// Errors: those of its parts; a shape that cannot run is a bug of this bench.
Status measure(const Shape& shape, double largest) {
  Job job = job_of(shape);
  Bytes tokens(job.spec.records);
  for (size_t i = 0; i < tokens.size(); ++i)
    tokens[i] = static_cast<uint8_t>(i * i >> 7);
  job.train_address = kernels::blake3(tokens);
  const auto work = Work::make(job);
  if (!work) return work.error();
  const kernels::Program& program = work.value().program();
  if (static_cast<double>(program.parameters()) > largest) return Ok{};
  Lease lease;
  lease.job_id = work.value().id();
  lease.steps = 1;
  auto engine = kernels::make_engine("cpu", program, tokens, 1);
  if (!engine) return engine.error();
  const std::vector<float> theta = program.initial_theta();
  std::vector<float> before = theta;
  before.resize(program.state_floats());
  const LeaseView at{work.value(), lease, theta};
  const double t0 = now_ms();
  const auto run = run_share(*engine.value(), at, 0, before);
  const double share_ms = now_ms() - t0;
  if (!run) return run.error();
  Openings openings;
  if (Status opened = open_all(
          {at, run.value(), before, run.value().state_after, tokens, nullptr, *engine.value()},
          openings);
      !opened)
    return opened;
  const double t1 = now_ms();
  Merge merge(work.value());
  if (Status added = merge.add(run.value().delta); !added) return added;
  if (const auto merged = merge.finish(theta, 1); !merged) return merged.error();
  const double merge_ms = now_ms() - t1;
  uint64_t hashed = 0;
  for (const kernels::TensorInfo& tensor : program.tensors())
    hashed += tensor.bytes();
  std::printf(R"({"parameters":%llu,"share_bytes":%zu,"opening_mean_bytes":%zu,)"
              R"("opening_max_bytes":%zu,"check_mean_ms":%.3f,"share_of_one_step_ms":%.1f,)"
              R"("merge_ms":%.2f,"delta_bytes":%zu,"theta_bytes":%llu,"hashed_bytes_a_step":%llu})"
              "\n",
              static_cast<unsigned long long>(program.parameters()), kShareBytes,
              openings.bytes / openings.count, openings.largest,
              openings.check_ms / static_cast<double>(openings.count), share_ms, merge_ms,
              run.value().delta.size(),
              static_cast<unsigned long long>(4 * program.published_floats()),
              static_cast<unsigned long long>(hashed));
  std::fflush(stdout);
  return Ok{};
}

}  // namespace

int bench(int argc, char** argv) {
  const double largest = 1e6 * (argc > 1 ? std::atof(argv[1]) : 20.0);
  for (const Shape& shape : kShapes)
    if (const Status done = measure(shape, largest); !done) {
      std::fprintf(stderr, "scale_bench: width %u: %s\n", shape.width, done.error().detail.c_str());
      return 1;
    }
  return 0;
}

}  // namespace gemmine::verifier

int main(int argc, char** argv) {
  return gemmine::verifier::bench(argc, argv);
}
