#include "verifier/audit/opened.h"

#include <algorithm>
#include <cstring>

#include "kernels/hash/opening.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

using kernels::Blake3Mode;
using kernels::ChunkRange;

ByteView OpenedSource::chunk(ObjectId object, uint64_t index) {
  const auto found =
      std::lower_bound(objects_.begin(), objects_.end(), object,
                       [](const OpenedObject& opened, ObjectId id) { return opened.id < id; });
  if (found == objects_.end() || found->id != object) return {};
  uint64_t before = 0;
  for (const ChunkRange& range : found->ranges) {
    if (index >= range.first && index < range.last) {
      touched_[object].insert(index);
      const uint64_t offset = (before + index - range.first) * kChunk;
      return found->bytes.subspan(offset, std::min<uint64_t>(kChunk, found->bytes.size() - offset));
    }
    before += range.last - range.first;
  }
  return {};
}

bool OpenedSource::exhausted() const {
  for (const OpenedObject& object : objects_) {
    uint64_t opened = 0;
    for (const ChunkRange& range : object.ranges)
      opened += range.last - range.first;
    const auto found = touched_.find(object.id);
    if (found == touched_.end() || found->second.size() != opened) return false;
  }
  return true;
}

Blake3Mode object_mode(ObjectId object, const Digest& key_of_step) {
  switch (object.origin) {
    case Origin::tensor:
      return Blake3Mode::keyed(key_of_step);
    case Origin::state_before:
    case Origin::state_after:
      return Blake3Mode::keyed(kernels::blake3_derive_key(domain::kState, {}));
    case Origin::train:
    case Origin::delta:
      break;
  }
  return Blake3Mode::plain();
}

namespace {

// The root an object must have, as far as lease, share, job and step digest say.
Digest object_root(const Job& job, const Share& share, ObjectId object,
                   std::span<const Digest> roots) {
  switch (object.origin) {
    case Origin::tensor:
      GEMMINE_CHECK(object.position < roots.size());  // decode_opening knows the tensors
      return roots[object.position];
    case Origin::state_before:
      return share.state_before;
    case Origin::state_after:
      return share.state_after;
    case Origin::train:
      return job.train_address;
    case Origin::delta:
      break;
  }
  return share.delta_root;
}

}  // namespace

Status verify_opened(const Work& work, const Lease& lease, const Share& share, uint32_t index,
                     const Opening& opening) {
  const kernels::Program& program = work.program();
  const Digest key = step_key(lease.id, share.first_step + index);
  const ChunkRange digest_chunk{index / 32, index / 32 + 1};
  Status proof = kernels::verify_chunks(share.trace_root,
                                        Blake3Mode::keyed(share_key(lease.id, share.first_step)),
                                        uint64_t{share.steps} * 32, std::span(&digest_chunk, 1),
                                        opening.step_chunk, opening.step_siblings);
  if (!proof) return Error{Errc::invalid, "step digest: " + proof.error().detail};
  std::vector<Digest> roots(program.tensors().size());
  Reader reader(opening.roots);
  for (Digest& root : roots)
    root = reader.get_digest();
  const Digest own = step_digest(key, roots, reader.get_f32());
  if (std::memcmp(own.bytes.data(), opening.step_chunk.data() + size_t{index % 32} * 32, 32) != 0)
    return Error{Errc::invalid, "the tensor roots are not the ones of the step digest"};
  for (const OpenedObject& object : opening.objects) {
    proof = kernels::verify_chunks(object_root(work.job(), share, object.id, roots),
                                   object_mode(object.id, key), object_bytes(program, object.id),
                                   object.ranges, object.bytes, object.siblings);
    if (!proof) return Error{Errc::invalid, "object: " + proof.error().detail};
  }
  return Ok{};
}

}  // namespace gemmine::verifier
