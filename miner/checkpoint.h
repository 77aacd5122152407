// What a miner keeps on disk so that a crash costs at most the share it was working on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "verifier/audit/rerun.h"
#include "verifier/records/records.h"

namespace gemmine::miner {

// Of all pools, those that are not retired; the oldest go first.
inline constexpr uint32_t kLeasesKeptMax = 64;

// One folder per lease: `lease`, `share-<i>` (signed, written before it is sent), `steps-<i>` (the
// digests of its steps), `trace-<i>` (the roots and losses of its steps), `state-<i>` (θ and
// moments that share i starts from, i > 0) and `delta`. Every file is written whole or not at all.
// A lease names its pool, so leases of several pools lie side by side. A lease that is `retired` is
// done, and kept without its states and its delta, since a thread of it may be asked for until it
// is settled; `answer-<seq>` is what the challenge of that record asks for.
class Checkpoint {
 public:
  // Makes the folder when there is none. Errors: io.
  static Result<Checkpoint> open(const std::string& folder);

  Status save_lease(const verifier::Lease& lease) const;
  Status save_state(const Digest& lease_id, uint32_t share, std::span<const float> state) const;
  // With the digests of its steps, which are there as soon as the share is.
  Status save_share(const verifier::Share& share, std::span<const Digest> steps) const;
  // Of one share.
  Status save_trace(const Digest& lease_id, uint32_t share,
                    const verifier::LeaseTrace& trace) const;
  // With its tree beside it (pool/blobs/tree_file.h). Hashes it.
  Status save_delta(const Digest& lease_id, ByteView delta) const;

  // Errors: io when there is none, malformed.
  Result<verifier::Lease> load_lease(const Digest& lease_id) const;
  Result<verifier::Share> load_share(const Digest& lease_id, uint32_t index) const;
  Result<std::vector<Digest>> load_steps(const Digest& lease_id, uint32_t index) const;
  Result<std::vector<float>> load_state(const Digest& lease_id, uint32_t share,
                                        uint64_t floats) const;
  // Of all its shares.
  Result<verifier::LeaseTrace> load_trace(const kernels::Program& program,
                                          const verifier::Lease& lease) const;
  Result<Bytes> load_delta(const Digest& lease_id) const;
  std::string delta_path(const Digest& lease_id) const;
  std::string answer_path(const Digest& lease_id, uint64_t challenge) const;

  uint32_t shares(const Digest& lease_id) const;  // how many of its first shares are here
  void drop_state(const Digest& lease_id, uint32_t share) const;
  // Only what answers need stays of it.
  void retire(const Digest& lease_id) const;
  bool retired(const Digest& lease_id) const;
  // The oldest of those that are retired go until the others take no more than so many bytes.
  // Returns how many went.
  size_t forget_retired(uint64_t bytes_max) const;
  void forget_answer(const Digest& lease_id, uint64_t challenge) const;
  void forget(const Digest& lease_id) const;

  // Leases of one pool, the newest first. Removes what was never written to its end.
  std::vector<Digest> leases(const Digest& pool_key) const;
  // Addresses of the weights that leases here start from, but for those that are retired: theirs
  // are asked for again when a thread is.
  std::vector<Digest> thetas() const;

  // Do so many bytes fit on the disk now? Errors: io, with the reason.
  Status room(uint64_t bytes) const;

 private:
  explicit Checkpoint(std::string folder) : folder_(std::move(folder)) {}
  std::string path(const Digest& lease_id, const std::string& name) const;
  // A lease that is here, and the bytes that stay of it if it is retired.
  struct Kept {
    verifier::Lease lease;
    std::optional<uint64_t> retired;
  };
  std::vector<Kept> all() const;  // the newest first
  uint64_t bytes_of(const Digest& lease_id) const;

  std::string folder_;
};

}  // namespace gemmine::miner
