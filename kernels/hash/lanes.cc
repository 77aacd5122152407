#include "kernels/hash/lanes.h"

#include <algorithm>

#include "kernels/base/cpu.h"

namespace gemmine::kernels::blake3_impl {
namespace {

void hash_lanes(CpuPath path, const Batch& batch) {
#if defined(__x86_64__)
  if (path == CpuPath::avx512) return hash_lanes_avx512(batch);
  if (path == CpuPath::avx2) return hash_lanes_avx2(batch);
#endif
  hash_lanes_portable(batch);
}

size_t width_of(CpuPath path) {
  return path == CpuPath::avx2 ? 8 : kLanesMax;
}

}  // namespace

Batch leaf_batch(const Blake3Mode& mode) {
  return {.key = mode.key.data(),
          .lanes = nullptr,
          .count = 0,
          .blocks = kChunkBytes / 64,
          .flags = mode.flags,
          .first_flags = kChunkStart,
          .last_flags = kChunkEnd};
}

Batch parent_batch(const Blake3Mode& mode) {
  return {.key = mode.key.data(),
          .lanes = nullptr,
          .count = 0,
          .blocks = 1,
          .flags = mode.flags | kParent,
          .first_flags = 0,
          .last_flags = 0};
}

void LaneQueue::flush() {
  const CpuPath path = cpu_path();
  for (size_t done = 0; done < count_;) {
    Batch batch = kind_;
    batch.lanes = &lanes_[done];
    batch.count = std::min(width_of(path), count_ - done);
    // A nearly empty vector costs as much as a full one; one lone input is quickest in plain code.
    hash_lanes(batch.count == 1 ? CpuPath::portable : path, batch);
    done += batch.count;
  }
  count_ = 0;
}

size_t push_parents(std::span<Digest> cvs, LaneQueue& parents) {
  const size_t pairs = cvs.size() / 2;
  for (size_t i = 0; i < pairs; ++i)
    parents.push({raw(cvs[2 * i]), 0, 0, raw(cvs[i])});
  return pairs + cvs.size() % 2;
}

void carry_odd(std::span<Digest> cvs) {
  if (cvs.size() % 2 == 1) cvs[cvs.size() / 2] = cvs.back();
}

}  // namespace gemmine::kernels::blake3_impl
