#include "pool/store/blob_reader.h"

#include <algorithm>

namespace gemmine::pool {

std::string BlobReader::path(const Digest& address) const {
  return blobs_ + "/" + to_hex(address.bytes);
}

Result<const PartReader*> BlobReader::at_hand(const Digest& address) {
  const auto found = std::ranges::find(open_, address, &PartReader::root);
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
    return &open_.front();
  }
  if (const auto there = PieceFile::open(path(address)); !there) return there.error();
  auto opened = PartReader::open(path(address), address);
  if (!opened) return Error{Errc::undecided, opened.error().detail};
  open_.push_front(std::move(opened.value()));
  tree_bytes_ += open_.front().tree_bytes();
  while (open_.size() > 1 && (open_.size() > kOpenBlobsMax || tree_bytes_ > kOpenTreeBytesMax)) {
    tree_bytes_ -= open_.back().tree_bytes();
    open_.pop_back();
  }
  return &open_.front();
}

Result<Part> BlobReader::read(const GetBlob& get) {
  const auto blob = at_hand(get.address);
  if (!blob) return blob.error();
  auto part = blob.value()->part({get.first_group, get.groups});
  if (!part) return part;
  // Away from the loop a hash costs nobody anything, and finds what the disk has damaged.
  const Status checked = check_part(part.value(), get.address, part.value().total_bytes);
  if (!checked) return Error{Errc::invalid, path(get.address) + " is damaged on disk"};
  return part;
}

}  // namespace gemmine::pool
