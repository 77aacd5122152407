// Content-addressed files under DATA/blobs: served in verified ranges, taken in verified parts.
#pragma once

#include <list>
#include <map>
#include <optional>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/hash/blake3.h"
#include "pool/wire/messages.h"

namespace gemmine::pool {

inline constexpr size_t kOpenBlobsMax = 16;  // trees and bytes kept at hand

// A blob read whole and checked. Any thread. Errors: io (missing), invalid (damaged, too long).
Result<Bytes> read_blob(const std::string& folder, const Digest& address, uint64_t bytes_max);

class Blobs {
 public:
  // Errors: io.
  static Result<Blobs> open(const std::string& folder);

  // Durable when it returns. Does nothing when the blob is there. Errors: io.
  // Any thread.
  Result<Digest> put(ByteView bytes) const;
  bool has(const Digest& address) const;
  // Errors: io when there is none; invalid_argument when the range is not in it.
  Result<BlobPart> part(const GetBlob& get);
  const std::string& folder() const { return folder_; }

 private:
  struct Open {
    Digest address;
    Bytes bytes;
    kernels::ChunkTree tree;
  };
  Blobs() = default;
  std::string path(const Digest& address) const;
  Result<Open*> at_hand(const Digest& address);

  std::string folder_;
  std::list<Open> open_;  // most recently used first, at most kOpenBlobsMax
};

// Deltas on their way in: kept in memory, every part checked before it counts, all within a bound.
class Uploads {
 public:
  explicit Uploads(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // The whole blob when this part was the last one missing, else nothing. Errors: malformed (the
  // part has other bytes than its place says), invalid (it does not belong to `root`), busy (no
  // memory for one more upload).
  Result<std::optional<Bytes>> take(const DeltaPart& delta, const Digest& root,
                                    uint64_t total_bytes);
  void forget(const Digest& lease_id);
  uint64_t bytes() const { return bytes_; }

 private:
  struct Upload {
    Bytes bytes;
    std::vector<bool> have;  // by group
    size_t missing = 0;
  };
  const uint64_t bytes_max_;
  uint64_t bytes_ = 0;
  std::map<Digest, Upload> uploads_;
};

}  // namespace gemmine::pool
