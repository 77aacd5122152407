// The relay's folder: blobs with their trees, and halves of them (pool/blobs), within a bound. What
// was longest not asked for goes first. Knows nothing that is not in the folder, so that a kill at
// any moment costs nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine::pool {

class Shelf {
 public:
  // bytes_max: what the folder may take, trees and halves included.
  Shelf(std::string folder, uint64_t bytes_max)
      : folder_(std::move(folder)), bytes_max_(bytes_max) {}

  // Room for a blob of so many bytes that is on its way from now on, until done(). Others go for
  // it, but none that is on its way. Errors: io (it does not fit: the bound, or the disk, is too
  // small for it).
  Status make_room(const Digest& address, uint64_t bytes);
  void done(const Digest& address) { coming_.erase(address); }

  // It was asked for now: it goes later than others. Any thread.
  static void touch(const std::string& folder, const Digest& address);
  // A blob that cannot be used, with its tree. Any thread.
  static void remove(const std::string& folder, const Digest& address);
  static std::string path(const std::string& folder, const Digest& address);

 private:
  const std::string folder_;
  const uint64_t bytes_max_;
  std::map<Digest, uint64_t> coming_;  // what each will take when it is here
};

}  // namespace gemmine::pool
