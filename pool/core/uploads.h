// Which deltas are on their way in, and how far: their bytes are on disk, here is the count. Pure.
#pragma once

#include <cstdint>
#include <map>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "pool/wire/parts.h"

namespace gemmine::pool {

// Parts of one delta that may wait for the disk. A client's window is smaller (uploader.h).
inline constexpr uint32_t kPartsWaitingMax = 32;
// Bytes of parts and openings of all peers that may wait for the disk.
inline constexpr uint64_t kBytesWaitingMax = uint64_t{128} << 20;

// One upload a lease, and a key has few open leases: that bounds a key.
class Uploads {
 public:
  // bytes_max: of all deltas under way, whole: what their files may grow to.
  explicit Uploads(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  struct Upload {
    Digest root;
    uint64_t total_bytes = 0;
    uint64_t had = 0;      // groups on disk, from the first
    uint64_t taken = 0;    // groups on disk or on the way to it
    uint32_t waiting = 0;  // parts on the way to the disk
    bool whole() const { return had == groups_of(total_bytes); }
  };

  // The upload of the lease; begun when there is none. Errors: busy, when it does not fit beside
  // the others.
  Result<Upload*> begin(const Digest& lease_id, const Digest& root, uint64_t total_bytes);
  Upload* find(const Digest& lease_id);
  void forget(const Digest& lease_id);
  uint64_t bytes() const { return bytes_; }
  const std::map<Digest, Upload>& all() const { return uploads_; }  // by lease

  // Bytes handed to the disk. Errors: busy, when too many wait.
  Status wait_for_disk(uint64_t bytes);
  void waited_for_disk(uint64_t bytes);
  uint64_t bytes_waiting() const { return bytes_waiting_; }

 private:
  const uint64_t bytes_max_;
  uint64_t bytes_ = 0;
  uint64_t bytes_waiting_ = 0;
  std::map<Digest, Upload> uploads_;
};

}  // namespace gemmine::pool
