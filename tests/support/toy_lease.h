// Runs the leases of the toy job as a miner does, to stand where the golden files stand.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/engines.h"
#include "tests/support/golden.h"
#include "tests/support/golden_gpt.h"
#include "tests/support/toy.h"
#include "verifier/audit/replay.h"
#include "verifier/merge/delta.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"

namespace gemmine::test {

inline std::string lease_name(uint32_t round, uint32_t slot) {
  return std::to_string(round) + " " + std::to_string(slot);
}

// A toy job of a golden file, and what each round run so far published.
struct Toy {
  explicit Toy(const std::string& file)
      : golden(file),
        work(verifier::Work::decode(golden.bytes("job")).value()),
        job(work.job()),
        program(work.program()),
        train(program.is_gpt() ? golden_train(job.spec) : toy_train()) {
    thetas.push_back(verifier::initial_published(program));
  }

  verifier::Lease lease(uint32_t round, uint32_t slot) const {
    return verifier::decode_lease(golden.bytes("lease " + lease_name(round, slot))).value();
  }
  std::unique_ptr<kernels::Engine> engine() const {
    return std::move(kernels::make_engine("cpu", program, train, 1).value());
  }
  // State before share `index` is the zero-moment start, or state_after of the share before.
  std::vector<verifier::ShareRun> run_lease(kernels::Engine& engine, uint32_t round, uint32_t slot,
                                            uint32_t shares) const {
    std::vector<verifier::ShareRun> runs;
    std::vector<float> state = start(round);
    const verifier::Lease terms = lease(round, slot);
    const std::vector<float> global = theta(round);
    for (uint32_t i = 0; i < shares; ++i) {
      auto run = verifier::run_share(engine, {work, terms, global}, i, state);
      if (!run.ok()) {
        ADD_FAILURE() << lease_name(round, slot) << ": " << run.error().detail;
        return runs;
      }
      state = run.value().state_after;
      runs.push_back(std::move(run.value()));
    }
    return runs;
  }
  std::vector<float> start(uint32_t round) const {
    std::vector<float> state = theta(round);
    state.resize(program.state_floats());
    return state;
  }
  std::vector<float> theta(uint32_t round) const {
    const auto floats = verifier::theta_of(program, thetas.at(round));
    return {floats.begin(), floats.end()};
  }
  // Runs every lease of the current round and merges them; returns the runs by slot.
  std::vector<std::vector<verifier::ShareRun>> run_round() {
    const auto round = static_cast<uint32_t>(thetas.size() - 1);
    std::vector<std::vector<verifier::ShareRun>> out;
    verifier::Merge merge(work);
    for (uint32_t slot = 0; slot < job.spec.slots; ++slot) {
      const auto own = engine();
      out.push_back(run_lease(*own, round, slot, lease(round, slot).shares()));
      EXPECT_TRUE(merge.add(out.back().back().delta).ok());
    }
    thetas.push_back(merge.finish(thetas.back(), job.spec.slots).value());
    return out;
  }

  Golden golden;
  verifier::Work work;
  verifier::Job job;         // of work, to be changed at will
  kernels::Program program;  // of work
  Bytes train;
  std::vector<std::vector<float>> thetas;
};

}  // namespace gemmine::test
