// What a miner keeps on disk so that a crash costs at most the share it was working on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "verifier/records/records.h"

namespace gemmine::miner {

inline constexpr uint32_t kLeasesKeptMax = 64;  // of all pools; the oldest go first

// One folder per lease: `lease`, `share-<i>` (signed, written before it is sent), `steps-<i>` (the
// digests of its steps), `state-<i>` (θ and moments that share i starts from, i > 0) and `delta`.
// Every file is written whole or not at all. A lease names its pool, so leases of several pools lie
// side by side.
class Checkpoint {
 public:
  // Makes the folder when there is none. Errors: io.
  static Result<Checkpoint> open(const std::string& folder);

  Status save_lease(const verifier::Lease& lease) const;
  Status save_state(const Digest& lease_id, uint32_t share, std::span<const float> state) const;
  // With the digests of its steps, which are there as soon as the share is.
  Status save_share(const verifier::Share& share, std::span<const Digest> steps) const;
  // With its tree beside it (pool/blobs/tree_file.h). Hashes it.
  Status save_delta(const Digest& lease_id, ByteView delta) const;

  // Errors: io when there is none, malformed.
  Result<verifier::Share> load_share(const Digest& lease_id, uint32_t index) const;
  Result<std::vector<Digest>> load_steps(const Digest& lease_id, uint32_t index) const;
  Result<std::vector<float>> load_state(const Digest& lease_id, uint32_t share,
                                        uint64_t floats) const;
  Result<Bytes> load_delta(const Digest& lease_id) const;
  std::string delta_path(const Digest& lease_id) const;

  uint32_t shares(const Digest& lease_id) const;  // how many of its first shares are here
  void drop_state(const Digest& lease_id, uint32_t share) const;
  void forget(const Digest& lease_id) const;

  // Leases of one pool. Removes what was never written to its end.
  std::vector<Digest> leases(const Digest& pool_key) const;
  std::vector<Digest> thetas() const;  // addresses of the weights that leases here start from

  // Do so many bytes fit on the disk now? Errors: io, with the reason.
  Status room(uint64_t bytes) const;

 private:
  explicit Checkpoint(std::string folder) : folder_(std::move(folder)) {}
  std::string path(const Digest& lease_id, const std::string& name) const;
  std::vector<verifier::Lease> all() const;

  std::string folder_;
};

}  // namespace gemmine::miner
