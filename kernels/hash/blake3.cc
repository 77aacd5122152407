#include "kernels/hash/blake3.h"

#include <algorithm>
#include <bit>

#include "kernels/hash/compress.h"
#include "kernels/hash/node.h"
#include "kernels/hash/tree.h"

namespace gemmine::kernels {
namespace {

using blake3_impl::group_cv;
using blake3_impl::kGroupChunks;
using blake3_impl::kIv;
using blake3_impl::leaf_node;
using blake3_impl::Node;
using blake3_impl::parent_node;

std::array<uint32_t, 8> key_words(const Digest& digest) {
  return std::bit_cast<std::array<uint32_t, 8>>(digest.bytes);
}

}  // namespace

Blake3Mode Blake3Mode::plain() {
  return {{kIv[0], kIv[1], kIv[2], kIv[3], kIv[4], kIv[5], kIv[6], kIv[7]}, 0};
}

Blake3Mode Blake3Mode::keyed(const Digest& key) {
  return {key_words(key), blake3_impl::kKeyedHash};
}

Blake3Mode Blake3Mode::derive_key(std::string_view context) {
  Blake3Mode hash_context = plain();
  hash_context.flags = blake3_impl::kDeriveKeyContext;
  const Digest key = blake3_source(hash_context, ChunkSource::of_bytes(as_bytes(context)));
  return {key_words(key), blake3_impl::kDeriveKeyMaterial};
}

Digest blake3(ByteView bytes) {
  return blake3_source(Blake3Mode::plain(), ChunkSource::of_bytes(bytes));
}

Digest blake3_keyed(const Digest& key, ByteView bytes) {
  return blake3_source(Blake3Mode::keyed(key), ChunkSource::of_bytes(bytes));
}

Digest blake3_derive_key(std::string_view context, ByteView material) {
  return blake3_source(Blake3Mode::derive_key(context), ChunkSource::of_bytes(material));
}

void Blake3::push_subtree(const Digest& cv, uint64_t chunks) {
  // More bytes are known to follow, so no complete pair in the stack can be the whole tree.
  GEMMINE_CHECK(stack_size_ < stack_.size());
  stack_[stack_size_++] = cv;
  chunks_ += chunks;
  const auto settled = static_cast<size_t>(std::popcount(chunks_));
  while (stack_size_ > settled) {
    stack_[stack_size_ - 2] = parent_cv(mode_, stack_[stack_size_ - 2], stack_[stack_size_ - 1]);
    --stack_size_;
  }
}

Blake3& Blake3::update(ByteView bytes) {
  while (!bytes.empty()) {
    if (pending_size_ == kChunkBytes) {  // More follows, so the pending chunk is not the last.
      push_subtree(leaf_cv(mode_, pending_, chunks_), 1);
      pending_size_ = 0;
    }
    if (pending_size_ == 0 && bytes.size() > kChunkBytes) {
      // The largest node that fits here and leaves at least a byte for the last chunk.
      const uint64_t fits = std::bit_floor((bytes.size() - 1) / kChunkBytes);
      const uint64_t aligned = chunks_ == 0 ? kGroupChunks : chunks_ & (~chunks_ + 1);
      const uint64_t chunks = std::min({fits, aligned, kGroupChunks});
      const ByteView node = bytes.first(chunks * kChunkBytes);
      push_subtree(group_cv(mode_, ChunkSource::of_bytes(node), {0, chunks}, chunks_), chunks);
      bytes = bytes.subspan(node.size());
      continue;
    }
    const size_t take = std::min(bytes.size(), kChunkBytes - pending_size_);
    std::memcpy(&pending_[pending_size_], bytes.data(), take);
    pending_size_ += take;
    bytes = bytes.subspan(take);
  }
  return *this;
}

Digest Blake3::finish() const {
  Digest digest;
  finish_xof(digest.bytes);
  return digest;
}

void Blake3::finish_xof(std::span<uint8_t> out, uint64_t seek) const {
  Node node = leaf_node(mode_, ByteView(pending_).first(pending_size_), chunks_);
  for (size_t i = stack_size_; i > 0; --i) {
    node = parent_node(mode_, stack_[i - 1], node.chaining_value());
  }
  while (!out.empty()) {
    const std::array<uint8_t, 64> block = node.root_block(seek / 64);
    const size_t skip = seek % 64;
    const size_t take = std::min(out.size(), block.size() - skip);
    std::memcpy(out.data(), &block[skip], take);
    out = out.subspan(take);
    seek += take;
  }
}

}  // namespace gemmine::kernels
