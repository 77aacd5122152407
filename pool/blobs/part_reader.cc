#include "pool/blobs/part_reader.h"

#include "pool/blobs/tree_file.h"

namespace gemmine::pool {

Result<PartReader> PartReader::open(const std::string& path, const Digest& root) {
  auto file = PieceFile::open(path);
  if (!file) return file.error();
  const auto size = file.value().size();
  if (!size) return size.error();
  auto tree = load_tree(path, root, size.value());
  if (!tree) return tree.error();
  return PartReader(std::move(file.value()), std::move(tree.value()));
}

Result<Part> read_part(const PieceFile& file, const kernels::ChunkTree& tree, GroupRange range) {
  const uint64_t bytes = tree.total_bytes();
  if (!range.is_in(bytes))
    return Error{Errc::invalid_argument,
                 "the blob has " + std::to_string(groups_of(bytes)) + " groups"};
  Part out{bytes, range.first, range.count, {}, Bytes(range.bytes(bytes))};
  if (const Status read = file.read(range.offset(), out.bytes); !read) return read.error();
  const kernels::ChunkRange chunks = range.chunks(bytes);
  auto siblings = tree.open(std::span(&chunks, 1));
  GEMMINE_CHECK(siblings.ok());  // whole groups
  out.siblings = std::move(siblings.value());
  return out;
}

Status make_tree(const std::string& path, const Digest& root) {
  const auto file = PieceFile::open(path);
  if (!file) return file.error();
  const auto tree = hash_file(file.value());
  if (!tree) return tree.error();
  if (tree.value().root() != root)
    return Error{Errc::invalid, "blob " + to_hex(root.bytes) + " is damaged on disk"};
  return save_tree(path, tree.value());
}

}  // namespace gemmine::pool
