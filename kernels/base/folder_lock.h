// One process at a time works in a data folder.
#pragma once

#include <string>
#include <string_view>

#include "kernels/base/fd.h"
#include "kernels/base/result.h"

namespace gemmine {

// Held while it lives, and no longer than its process, however that ends.
class FolderLock {
 public:
  // Locks FOLDER/lock, which it makes; the folder must be there. `program` names who else could
  // have it, for the message. Errors: io, busy (another process has it; the message has its id).
  static Result<FolderLock> take(const std::string& folder, std::string_view program);

 private:
  explicit FolderLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace gemmine
