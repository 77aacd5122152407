// What a miner keeps of the pool's words, so that it can show them to anybody later: the lease, the
// acknowledgements, the verdicts and the end of each, the draw, settlement and pay of its batch
// (verifier/proof/kept_words.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "verifier/proof/kept_words.h"

namespace gemmine::miner {

inline constexpr size_t kReceiptLeasesMax = 4096;  // the oldest go first
inline constexpr uint64_t kReceiptBytesMax = uint64_t{64} << 20;

// FOLDER/<lease id>, one file a lease, of all pools; about 400 bytes a share. Bounded by the two
// numbers above: looked at when a lease begins.
class Receipts {
 public:
  // The folder is made with the first lease.
  explicit Receipts(std::string folder) : folder_(std::move(folder)) {}

  // The first word about a lease; what is there of it stays. Errors: io.
  Status begin(const verifier::Lease& lease) const;
  // Whether there are words about the lease, which may have ended long ago.
  bool knows(const Digest& lease_id) const;
  // Another word. Not synced: a crash costs the last ones. Errors: io, also when it is not begun.
  Status add(const Digest& lease_id, const verifier::Statement& word) const;

  struct Kept {
    std::string path;
    Digest lease_id;
    uint64_t time_ms = 0;  // of the file: when it was last added to
    uint64_t bytes = 0;
  };
  // The leases that there are words about, those added to last at the end.
  std::vector<Kept> list() const;
  // The leases for which `fits` holds of what is kept. Reads every file.
  std::vector<Digest> find(
      const std::function<bool(const verifier::Lease&, const verifier::KeptWords&)>& fits) const;

 private:
  std::string path(const Digest& lease_id) const;
  void make_room() const;

  std::string folder_;
};

}  // namespace gemmine::miner
