// The Merkle tree of a file, kept beside it: PATH.tree holds the chaining values of its groups, 32
// bytes for each 64 KiB. With it any part of the file can be sent without hashing the rest.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "kernels/base/bytes.h"
#include "kernels/base/result.h"
#include "kernels/hash/blake3.h"
#include "kernels/hash/opening.h"
#include "pool/blobs/piece_file.h"

namespace gemmine::pool {

inline constexpr uint64_t kBlobBytesMax = uint64_t{16} << 30;

// Looks at bytes of the file as they go by, in order. Errors end the walk.
using OnPiece = std::function<Status(uint64_t at, ByteView bytes)>;

// Hashes the whole file, piece by piece: takes 1 MiB, and 64 bytes for each 64 KiB of the file.
// Slow: not for the loop's thread. Errors: io, invalid (longer than kBlobBytesMax), on_piece's.
Result<kernels::ChunkTree> hash_file(const PieceFile& file, const OnPiece& on_piece = nullptr);

std::string tree_path(const std::string& path);
// Not synced: a tree that a crash damaged is found by load_tree, and made again. Errors: io.
Status save_tree(const std::string& path, const kernels::ChunkTree& tree);
// Errors: io (there is none), invalid (not the tree of `root`).
Result<kernels::ChunkTree> load_tree(const std::string& path, const Digest& root,
                                     uint64_t total_bytes);

}  // namespace gemmine::pool
