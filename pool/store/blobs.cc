#include "pool/store/blobs.h"

#include <algorithm>
#include <sys/stat.h>

#include "kernels/base/files.h"

namespace gemmine::pool {
namespace {

constexpr uint64_t kBlobBytesMax = uint64_t{16} << 30;
constexpr uint64_t kGroupChunks = kBlobGroup / kernels::kChunkBytes;

uint64_t groups_of(uint64_t bytes) {
  return std::max<uint64_t>(1, (bytes + kBlobGroup - 1) / kBlobGroup);
}

uint64_t chunks_of(uint64_t bytes) {
  return std::max<uint64_t>(1, (bytes + kernels::kChunkBytes - 1) / kernels::kChunkBytes);
}

kernels::ChunkRange chunks_of_part(uint64_t first_group, uint64_t groups, uint64_t total) {
  return {first_group * kGroupChunks,
          std::min(chunks_of(total), (first_group + groups) * kGroupChunks)};
}

}  // namespace

Result<Bytes> read_blob(const std::string& folder, const Digest& address, uint64_t bytes_max) {
  auto bytes = read_file(folder + "/" + to_hex(address.bytes), bytes_max);
  if (!bytes) return bytes;
  if (kernels::blake3(bytes.value()) != address)
    return Error{Errc::invalid, "blob " + to_hex(address.bytes) + " is damaged on disk"};
  return bytes;
}

Result<Blobs> Blobs::open(const std::string& folder) {
  if (const Status made = make_folder(folder); !made) return made.error();
  Blobs out;
  out.folder_ = folder;
  return out;
}

std::string Blobs::path(const Digest& address) const {
  return folder_ + "/" + to_hex(address.bytes);
}

bool Blobs::has(const Digest& address) const {
  struct stat info {};
  return ::stat(path(address).c_str(), &info) == 0;
}

Result<Digest> Blobs::put(ByteView bytes) const {
  const Digest address = kernels::blake3(bytes);
  if (has(address)) return address;
  if (const Status written = write_durable(path(address), bytes); !written) return written.error();
  return address;
}

Result<Blobs::Open*> Blobs::at_hand(const Digest& address) {
  const auto found = std::ranges::find(open_, address, &Open::address);
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
    return &open_.front();
  }
  auto bytes = read_file(path(address), kBlobBytesMax);
  if (!bytes) return bytes.error();
  auto tree = kernels::ChunkTree::build(kernels::Blake3Mode::plain(),
                                        kernels::ChunkSource::of_bytes(bytes.value()));
  if (tree.root() != address)
    return Error{Errc::io, "blob " + to_hex(address.bytes) + " is damaged on disk"};
  open_.push_front({address, std::move(bytes.value()), std::move(tree)});
  if (open_.size() > kOpenBlobsMax) open_.pop_back();
  return &open_.front();
}

Result<BlobPart> Blobs::part(const GetBlob& get) {
  auto opened = at_hand(get.address);
  if (!opened) return opened.error();
  const Open& blob = *opened.value();
  const uint64_t groups = groups_of(blob.bytes.size());
  if (get.first_group >= groups || get.groups > groups - get.first_group)
    return Error{Errc::invalid_argument, "the blob has " + std::to_string(groups) + " groups"};
  const kernels::ChunkRange range = chunks_of_part(get.first_group, get.groups, blob.bytes.size());
  const auto source = kernels::ChunkSource::of_bytes(blob.bytes);
  auto siblings = blob.tree.open(std::span(&range, 1), &source);
  if (!siblings) return siblings.error();
  auto bytes = kernels::opened_bytes(source, std::span(&range, 1));
  if (!bytes) return bytes.error();
  return BlobPart{get.address,
                  {blob.bytes.size(), get.first_group, get.groups, std::move(siblings.value()),
                   std::move(bytes.value())}};
}

Result<std::optional<Bytes>> Uploads::take(const DeltaPart& delta, const Digest& root,
                                           uint64_t total_bytes) {
  const Part& part = delta.part;
  const uint64_t groups = groups_of(total_bytes);
  if (part.total_bytes != total_bytes || part.first_group >= groups ||
      part.groups > groups - part.first_group)
    return Error{Errc::malformed, "the delta has " + std::to_string(total_bytes) + " bytes"};
  const kernels::ChunkRange range = chunks_of_part(part.first_group, part.groups, total_bytes);
  if (const Status checked =
          kernels::verify_chunks(root, kernels::Blake3Mode::plain(), total_bytes,
                                 std::span(&range, 1), part.bytes, part.siblings);
      !checked)
    return checked.error();
  auto found = uploads_.find(delta.lease_id);
  if (found == uploads_.end()) {
    if (total_bytes > bytes_max_ - bytes_)
      return Error{Errc::busy, "too many deltas are on their way"};
    found = uploads_.try_emplace(delta.lease_id).first;
    found->second.bytes.resize(total_bytes);
    found->second.have.assign(groups, false);
    found->second.missing = groups;
    bytes_ += total_bytes;
  }
  Upload& upload = found->second;
  std::copy(part.bytes.begin(), part.bytes.end(),
            upload.bytes.begin() + static_cast<ptrdiff_t>(part.first_group * kBlobGroup));
  for (uint64_t i = part.first_group; i < part.first_group + part.groups; ++i) {
    if (!upload.have[i]) --upload.missing;
    upload.have[i] = true;
  }
  if (upload.missing > 0) return std::optional<Bytes>{};
  std::optional<Bytes> whole = std::move(upload.bytes);
  bytes_ -= total_bytes;
  uploads_.erase(found);
  return whole;
}

void Uploads::forget(const Digest& lease_id) {
  const auto found = uploads_.find(lease_id);
  if (found == uploads_.end()) return;
  bytes_ -= found->second.bytes.size();
  uploads_.erase(found);
}

}  // namespace gemmine::pool
