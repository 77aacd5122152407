// Content-addressed files: FOLDER/ADDRESS, and ADDRESS.tree to send parts of it (pool/blobs).
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine::pool {

// A blob read whole and checked. Any thread. Errors: io (missing), invalid (damaged, too long).
Result<Bytes> read_blob(const std::string& folder, const Digest& address, uint64_t bytes_max);
// The same for what is so many floats, read straight into them. Errors: also out_of_memory.
Result<std::vector<float>> read_floats(const std::string& folder, const Digest& address,
                                       uint64_t floats);
// Makes it a blob with its tree, durable when it returns; does nothing when it is there. Hashes it.
// Any thread. Errors: io.
Result<Digest> put_blob(const std::string& folder, ByteView bytes);

// Removes blobs with their trees; those that are not there are no failure. How many it removed.
// Any thread. Errors: io, after all others were removed.
Result<uint64_t> drop_blobs(const std::string& folder, std::span<const Digest> addresses);
// Removes every blob that is not needed, and trees without a blob; other files stay. How many blobs
// or trees it removed. Nothing else may write to the folder meanwhile. Errors: io.
Result<uint64_t> sweep_blobs(const std::string& folder, const std::set<Digest>& needed);

class Blobs {
 public:
  // Errors: io.
  static Result<Blobs> open(const std::string& folder);

  Result<Digest> put(ByteView bytes) const { return put_blob(folder_, bytes); }
  bool has(const Digest& address) const;
  const std::string& folder() const { return folder_; }

 private:
  explicit Blobs(std::string folder) : folder_(std::move(folder)) {}
  std::string folder_;
};

}  // namespace gemmine::pool
