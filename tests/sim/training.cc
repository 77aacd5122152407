#include "tests/sim/training.h"

#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "tests/support/toy_gpt.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/records/trace.h"

namespace gemmine::sim {

namespace {

// As small as a gpt may be, nearly.
kernels::Spec small_gpt() {
  kernels::Spec spec = testing::toy_gpt();
  spec.gpt = {.vocabulary = 16, .width = 64, .heads = 2, .hidden = 16, .blocks = 1, .context = 32};
  spec.records = 500;
  spec.outer_lr = 0.7F;
  spec.outer_momentum = 0.9F;
  spec.batch = 1;
  spec.steps_per_lease = 8;
  spec.slots = 4;
  spec.rounds = 4;
  return spec;
}

}  // namespace

Bytes sim_records(const Setting& setting) {
  if (setting.gpt) return testing::toy_tokens(small_gpt());
  Bytes out;
  for (int i = 0; i < 20; ++i)
    for (const int value : {i * 7, i * 31, 255 - i, i * i, i % 3})
      out.push_back(static_cast<uint8_t>(value));
  return out;
}

verifier::Job sim_job(const Setting& setting, Random& random) {
  verifier::Job job = pool::toy_job(sim_records(setting));
  job.spec.slots = 3;
  job.spec.rounds = 3;
  if (setting.gpt) {
    job.spec = small_gpt();
    job.test_records = job.spec.records;
  }
  job.audit.batch_leases = static_cast<uint32_t>(random.between(1, 3));
  job.audit.first_batch = static_cast<uint32_t>(random.between(1, job.audit.batch_leases));
  job.audit.replays_ppm = random.chance(300) ? 2'000'000 : 1'000'000;
  job.audit.first_audits = static_cast<uint8_t>(random.between(0, 2));
  job.audit.now_ppm = setting.gpt || random.chance(400) ? 1'000'000 : 0;
  job.audit.lease_ms = 120'000;
  job.audit.answer_ms = setting.hard ? 100 : 5'000;
  return job;
}

Training::Training(const Setting& setting, Random& random)
    : records_(sim_records(setting)),
      work_(verifier::Work::make(sim_job(setting, random)).value()),
      engine_(std::move(kernels::make_engine("cpu", program(), records_, 1).value())) {}

const Leased& Training::run(const verifier::Lease& lease, const Bytes& published) {
  const Digest id = lease.id;
  const auto [at, fresh] = leased_.try_emplace(id);
  Leased& out = at->second;
  if (!fresh) return out;
  std::vector<float> global = verifier::floats_of(published);
  global.resize(program().parameters());  // a lease starts without the outer velocity
  std::vector<float> state = global;
  state.resize(program().state_floats());
  for (uint32_t i = 0; i < lease.shares(); ++i) {
    out.states.push_back(state);
    out.runs.push_back(verifier::run_share(*engine_, {work_, lease, global}, i, state).value());
    state = out.runs.back().state_after;
  }
  out.delta = out.runs.back().delta;
  return out;
}

Digest Training::honest_root() {
  std::vector<float> published = verifier::initial_published(program());
  for (uint32_t round = 0; round < job().spec.rounds; ++round) {
    verifier::Merge merge(work_);
    const ByteView bytes = as_bytes(std::span<const float>(published));
    for (uint32_t slot = 0; slot < job().spec.slots; ++slot) {
      verifier::Lease lease;
      lease.round = round;
      lease.slot = slot;
      lease.steps = lease.steps_per_share = job().spec.steps_per_lease;
      lease.id = verifier::lease_id(lease);
      const Leased& work = run(lease, Bytes(bytes.begin(), bytes.end()));
      GEMMINE_CHECK(merge.add(work.delta).ok());
    }
    published = merge.finish(published, job().spec.slots).value();
  }
  return kernels::blake3(as_bytes(std::span<const float>(published)));
}

}  // namespace gemmine::sim
