// Files that must survive a crash: written whole or not at all, read with a bound.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"

namespace gemmine {

// Writes PATH.tmp, syncs it, renames it to PATH and syncs the folder. A crash leaves the old file
// or the new one. Errors: io, naming the path and the reason (disk full, permission).
Status write_durable(const std::string& path, ByteView bytes);

// Errors: io (missing, unreadable), invalid (longer than bytes_max).
Result<Bytes> read_file(const std::string& path, uint64_t bytes_max);

// mkdir -p, mode 0700. Errors: io.
Status make_folder(const std::string& path);

// The 32-byte secret in PATH; made from the system's randomness, mode 0600, when there is none.
Result<Digest> load_or_make_secret(const std::string& path);

}  // namespace gemmine
