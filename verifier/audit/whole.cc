#include "verifier/audit/whole.h"

#include <algorithm>

#include "kernels/hash/opening.h"
#include "verifier/audit/opened.h"
#include "verifier/audit/opening_codec.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

using kernels::Blake3Mode;
using kernels::ChunkRange;
using kernels::ChunkSource;

ByteView WholeSource::chunk(ObjectId object, uint64_t index) {
  if (recording) touched[object].insert(index);
  const ByteView all = bytes(object);
  if (index * kChunk >= all.size()) return {};
  return all.subspan(index * kChunk, std::min(kChunk, all.size() - index * kChunk));
}

ByteView WholeSource::bytes(ObjectId object) {
  switch (object.origin) {
    case Origin::tensor:
      return tensor(object.position);
    case Origin::state_before:
      return as_bytes(view_.state_before);
    case Origin::state_after:
      return as_bytes(view_.state_after);
    case Origin::train:
      return view_.train_records;
    case Origin::delta:
      return view_.run.delta;
  }
  return {};
}

ByteView WholeSource::tensor(uint16_t position) {
  const auto found = tensors_.find(position);
  if (found != tensors_.end()) return found->second;
  auto read = view_.engine.read_tensor(position);
  return tensors_.emplace(position, read ? std::move(read.value()) : Bytes{}).first->second;
}

namespace {

std::vector<ChunkRange> to_ranges(const std::set<uint64_t>& chunks) {
  std::vector<ChunkRange> out;
  for (const uint64_t chunk : chunks) {
    if (!out.empty() && out.back().last == chunk) {
      ++out.back().last;
    } else {
      out.push_back({chunk, chunk + 1});
    }
  }
  return out;
}

Bytes digest_string(std::span<const Digest> digests) {
  Writer out;
  for (const Digest& digest : digests)
    out.put_digest(digest);
  return out.take();
}

Result<OpenedObject> open_object(const ProverView& view, WholeSource& source, ObjectId id,
                                 const std::set<uint64_t>& chunks, const Digest& key_of_step,
                                 Bytes& storage) {
  OpenedObject object;
  object.id = id;
  object.ranges = to_ranges(chunks);
  const ByteView all = source.bytes(id);
  object.total_bytes = all.size();
  const ChunkSource chunk_source = ChunkSource::of_bytes(all);
  auto siblings =
      id.origin == Origin::train && view.train_tree != nullptr
          ? view.train_tree->open(object.ranges, &chunk_source)
          : kernels::open_chunks(object_mode(id, key_of_step), chunk_source, object.ranges);
  if (!siblings) return siblings.error();
  object.siblings = std::move(siblings.value());
  for (const uint64_t chunk : chunks) {
    const ByteView bytes = source.chunk(id, chunk);
    storage.insert(storage.end(), bytes.begin(), bytes.end());
  }
  object.bytes = storage;
  return object;
}

}  // namespace

Result<Bytes> open_touched(const ProverView& view, WholeSource& source, uint32_t index,
                           uint32_t witness) {
  const Share& share = view.run.share;
  const Digest key = step_key(share.lease_id, share.first_step + index);
  Opening opening;
  opening.witness = witness;
  const Bytes digests = digest_string(view.run.step_digests);
  const ChunkRange digest_chunk{index / 32, index / 32 + 1};
  auto step_siblings =
      kernels::open_chunks(Blake3Mode::keyed(share_key(share.lease_id, share.first_step)),
                           ChunkSource::of_bytes(digests), std::span(&digest_chunk, 1));
  if (!step_siblings) return step_siblings.error();
  opening.step_siblings = std::move(step_siblings.value());
  const size_t offset = digest_chunk.first * kChunk;
  opening.step_chunk = ByteView(digests).subspan(offset, std::min(kChunk, digests.size() - offset));
  const Bytes roots =
      Writer().put_raw(digest_string(view.run.roots[index])).put_f32(view.run.losses[index]).take();
  opening.roots = roots;
  const auto touched = source.touched;
  std::vector<Bytes> storage(touched.size());
  size_t at = 0;
  for (const auto& [id, chunks] : touched) {
    auto object = open_object(view, source, id, chunks, key, storage[at++]);
    if (!object) return object.error();
    opening.objects.push_back(std::move(object.value()));
  }
  return encode_opening(opening);
}

}  // namespace gemmine::verifier
