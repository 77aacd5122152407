#include "pool/store/blob_reader.h"

#include <algorithm>
#include <cerrno>
#include <unistd.h>

#include "pool/blobs/tree_file.h"

namespace gemmine::pool {
namespace {

uint64_t bytes_of(const kernels::ChunkTree& tree) {
  return tree.groups().size() * 2 * sizeof(Digest);
}

}  // namespace

std::string BlobReader::path(const Digest& address) const {
  return blobs_ + "/" + to_hex(address.bytes);
}

Result<const kernels::ChunkTree*> BlobReader::at_hand(const Digest& address,
                                                      const PieceFile& file) {
  const auto found = std::ranges::find(trees_, address, &kernels::ChunkTree::root);
  if (found != trees_.end()) {
    trees_.splice(trees_.begin(), trees_, found);
    return &trees_.front();
  }
  const auto size = file.size();
  if (!size) return size.error();
  auto tree = load_tree(file.path(), address, size.value());
  if (!tree) return Error{Errc::undecided, tree.error().detail};
  trees_.push_front(std::move(tree.value()));
  tree_bytes_ += bytes_of(trees_.front());
  while (trees_.size() > 1 && (trees_.size() > kOpenTreesMax || tree_bytes_ > kOpenTreeBytesMax)) {
    tree_bytes_ -= bytes_of(trees_.back());
    trees_.pop_back();
  }
  return &trees_.front();
}

Result<Part> BlobReader::read(const GetBlob& get) {
  auto part = read_at(get);
  if (part) return part;
  Error error = part.error();
  const std::string place = path(get.address);
  if (::access(place.c_str(), F_OK) != 0 && errno == ENOENT)
    return Error{error.code, "no such blob"};
  for (size_t at = 0; (at = error.detail.find(blobs_ + "/")) != std::string::npos;)
    error.detail.erase(at, blobs_.size() + 1);
  return error;
}

Result<Part> BlobReader::read_at(const GetBlob& get) {
  const auto file = PieceFile::open(path(get.address));
  if (!file) return file.error();
  const auto tree = at_hand(get.address, file.value());
  if (!tree) return tree.error();
  auto part = read_part(file.value(), *tree.value(), {get.first_group, get.groups});
  if (!part) return part;
  // Away from the loop a hash costs nobody anything, and finds what the disk has damaged.
  const Status checked = check_part(part.value(), get.address, part.value().total_bytes);
  if (!checked)
    return Error{Errc::invalid, "blob " + to_hex(get.address.bytes) + " is damaged on disk"};
  return part;
}

}  // namespace gemmine::pool
