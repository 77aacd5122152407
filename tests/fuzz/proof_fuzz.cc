// Proofs: hostile bytes never crash the judge, and nothing but the true file proves anything.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/base/check.h"
#include "kernels/engines.h"
#include "kernels/hash/blake3.h"
#include "tests/support/toy_job.h"
#include "verifier/audit/opening.h"
#include "verifier/merge/delta.h"
#include "verifier/proof/proof.h"
#include "verifier/proof/write.h"

namespace gv = gemmine::verifier;
using gemmine::Bytes;
using gemmine::ByteView;

namespace {

// A pool with two ledgers that began from other weights than the seed's, and a miner with a forged
// delta: one proof of each.
struct Stage {
  gv::Identity pool = gemmine::test::toy_identity(1);
  gv::Identity miner = gemmine::test::toy_identity(2);
  gv::Work work = gv::Work::make(gemmine::test::toy_job()).value();
  std::vector<Bytes> proofs;

  Stage() {
    std::vector<float> published = gv::initial_published(work.program());
    gv::Lease lease = issue(published);
    delta_proof(lease, published);
    published[9] += 1;
    lease = issue(published);
    proofs.push_back(gv::write_theta0(work, lease, 0, bytes_of(published)));
    gv::SignedHead one{.seq = 3, .time_ms = 4, .head = {}, .signature = {}};
    gv::SignedHead other = one;
    other.head.bytes[0] = 1;
    sign(one, pool);
    sign(other, pool);
    proofs.push_back(gv::write_equivocation(pool.public_key(), {.head = &one}, {.head = &other}));
  }

  static ByteView bytes_of(const std::vector<float>& floats) {
    return gemmine::as_bytes(std::span<const float>(floats));
  }
  gv::Lease issue(const std::vector<float>& published) const {
    gv::Lease lease;
    lease.job_id = work.id();
    lease.miner_key = miner.public_key();
    lease.theta_root = gemmine::kernels::blake3(bytes_of(published));
    lease.steps = work.job().spec.steps_per_lease;
    lease.steps_per_share = lease.steps;
    sign(lease, pool);
    return lease;
  }
  void delta_proof(const gv::Lease& lease, const std::vector<float>& theta) {
    const Bytes train = gemmine::test::toy_train();
    auto engine = std::move(gemmine::kernels::make_engine("cpu", work.program(), train, 1).value());
    std::vector<float> state = theta;
    state.resize(work.program().state_floats());
    const gv::LeaseView at{work, lease, theta};
    gv::ShareRun run = gv::run_share(*engine, at, 0, state).value();
    run.delta.back() ^= 1;
    run.share.delta_root = gemmine::kernels::blake3(run.delta);
    sign(run.share, miner);
    const auto block = static_cast<uint32_t>((theta.size() - 1) / gv::kDeltaBlock);
    const gv::BlockChoice choice{.delta = true, .tile_row = block};
    const Bytes opening =
        gv::make_evidence({at, run, state, run.state_after, train, nullptr, *engine, false}, choice)
            .value();
    proofs.push_back(
        gv::write_block({work, lease, run.share}, choice, opening, bytes_of(theta), nullptr));
  }
  bool convicts(ByteView file) const {
    const auto finding = gv::decide_proof(file, pool.public_key());
    return finding && finding.value().proven;
  }
};

}  // namespace

// Byte 0 chooses a proof, bytes 1 and 2 where the rest of the input is laid over it.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Stage stage;
  const ByteView input(data, size);
  const bool known = std::ranges::any_of(
      stage.proofs, [&](const Bytes& proof) { return std::ranges::equal(proof, input); });
  GEMMINE_CHECK(stage.convicts(input) == known);
  if (size < 4) return 0;
  const Bytes& proof = stage.proofs[data[0] % stage.proofs.size()];
  GEMMINE_CHECK(stage.convicts(proof));
  Bytes mixed = proof;
  const size_t at = (data[1] | data[2] << 8) % mixed.size();
  std::copy_n(data + 3, std::min(size - 3, mixed.size() - at),
              mixed.begin() + static_cast<ptrdiff_t>(at));
  GEMMINE_CHECK(stage.convicts(mixed) == (mixed == proof));
  return 0;
}
