// What a miner keeps on disk so that a crash costs at most the share it was working on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "verifier/records/records.h"

namespace gemmine::miner {

inline constexpr uint32_t kLeasesKeptMax = 64;

// One folder per lease: `lease`, `share-<i>` (signed, written before it is sent), `state-<i>` (θ
// and moments that share i starts from) and `delta`. Every file is written whole or not at all.
class Checkpoint {
 public:
  // Errors: io.
  static Result<Checkpoint> open(const std::string& folder);

  Status save_lease(const verifier::Lease& lease) const;
  Status save_state(const Digest& lease_id, uint32_t share, std::span<const float> state) const;
  Status save_share(const verifier::Share& share) const;
  Status save_delta(const Digest& lease_id, ByteView delta) const;

  // Errors: io when there is none, malformed.
  Result<verifier::Lease> load_lease(const Digest& lease_id) const;
  Result<verifier::Share> load_share(const Digest& lease_id, uint32_t index) const;
  Result<std::vector<float>> load_state(const Digest& lease_id, uint32_t share,
                                        uint64_t floats) const;
  Result<Bytes> load_delta(const Digest& lease_id) const;

  std::vector<Digest> leases() const;  // at most kLeasesKeptMax, oldest first
  void forget(const Digest& lease_id) const;

 private:
  explicit Checkpoint(std::string folder) : folder_(std::move(folder)) {}
  std::string path(const Digest& lease_id, const std::string& name) const;
  std::string folder_;
};

}  // namespace gemmine::miner
