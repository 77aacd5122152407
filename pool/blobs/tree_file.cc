#include "pool/blobs/tree_file.h"

#include <algorithm>

#include "kernels/base/files.h"
#include "kernels/hash/opening.h"
#include "kernels/hash/tree.h"
#include "pool/wire/parts.h"

namespace gemmine::pool {
namespace {

using kernels::Blake3Mode;
using kernels::ChunkSource;
using kernels::ChunkTree;

constexpr uint64_t kPieceBytes = 16 * kGroupBytes;

}  // namespace

Result<ChunkTree> hash_file(const PieceFile& file, const OnPiece& on_piece) {
  const auto size = file.size();
  if (!size) return size.error();
  const uint64_t total = size.value();
  if (total > kBlobBytesMax)
    return Error{Errc::invalid, file.path() + " is longer than a blob may be"};
  const Blake3Mode mode = Blake3Mode::plain();
  std::vector<Digest> groups;
  groups.reserve(groups_of(total));
  Bytes piece(std::min(total, kPieceBytes));
  uint64_t at = 0;
  do {
    const std::span<uint8_t> bytes = std::span(piece).first(std::min(kPieceBytes, total - at));
    if (const Status read = file.read(at, bytes); !read) return read.error();
    if (on_piece) {
      if (const Status seen = on_piece(at, bytes); !seen) return seen.error();
    }
    if (total <= kGroupBytes) return ChunkTree::build(mode, ChunkSource::of_bytes(bytes));
    for (uint64_t group = 0; group < bytes.size(); group += kGroupBytes) {
      const ByteView one = bytes.subspan(group, std::min(kGroupBytes, bytes.size() - group));
      groups.push_back(kernels::subtree_cv(mode, one, (at + group) / kernels::kChunkBytes));
    }
    at += bytes.size();
  } while (at < total);
  return ChunkTree::from_groups(mode, total, std::move(groups));
}

std::string tree_path(const std::string& path) {
  return path + ".tree";
}

Status save_tree(const std::string& path, const ChunkTree& tree) {
  if (tree.total_bytes() <= kGroupBytes) return Ok{};  // a lone group has no path to the root
  const std::string to = tree_path(path);
  auto file = PieceFile::open_or_make(to);
  if (!file) return file.error();
  const ByteView bytes = as_bytes(std::span(tree.groups()));
  if (const Status cut = file.value().resize(bytes.size()); !cut) return cut;
  return file.value().write(0, bytes);
}

Result<ChunkTree> load_tree(const std::string& path, const Digest& root, uint64_t total_bytes) {
  if (total_bytes <= kGroupBytes) {
    auto bytes = read_file(path, kGroupBytes);
    if (!bytes) return bytes.error();
    auto tree = ChunkTree::build(Blake3Mode::plain(), ChunkSource::of_bytes(bytes.value()));
    if (tree.root() != root) return Error{Errc::invalid, path + " is damaged on disk"};
    return tree;
  }
  const uint64_t count = groups_of(total_bytes);
  const auto bytes = read_file(tree_path(path), count * sizeof(Digest));
  if (!bytes) return bytes.error();
  std::vector<Digest> groups(bytes.value().size() / sizeof(Digest));
  std::memcpy(groups.data(), bytes.value().data(), groups.size() * sizeof(Digest));
  if (groups.size() != count)
    return Error{Errc::invalid, tree_path(path) + " is the tree of another file"};
  auto tree = ChunkTree::from_groups(Blake3Mode::plain(), total_bytes, std::move(groups));
  if (tree.root() != root)
    return Error{Errc::invalid, tree_path(path) + " is the tree of another file"};
  return tree;
}

}  // namespace gemmine::pool
