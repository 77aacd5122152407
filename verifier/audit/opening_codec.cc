#include "verifier/audit/opening_codec.h"

#include <algorithm>

namespace gemmine::verifier {

using kernels::ChunkRange;

namespace {

constexpr uint16_t kObjectsMax = 4096;  // of a part of a thread
constexpr uint32_t kRangesMax = 1U << 16;
constexpr uint32_t kSiblingsMax = 1U << 16;

Error malformed(std::string detail) {
  return Error{Errc::malformed, std::move(detail)};
}

void put_digests(Writer& out, std::span<const Digest> digests) {
  for (const Digest& digest : digests)
    out.put_digest(digest);
}

// Refuses counts that the rest of the bytes cannot hold, before anything is allocated.
bool get_digests(Reader& reader, uint64_t count, std::vector<Digest>& out) {
  if (count > kSiblingsMax || count * 32 > reader.rest()) return false;
  out.resize(count);
  for (Digest& digest : out)
    digest = reader.get_digest();
  return reader.ok();
}

bool known(const kernels::Program& program, ObjectId id) {
  if (id.origin == Origin::tensor) return id.position < program.tensors().size();
  return id.origin <= Origin::delta && id.position == 0;
}

// Ascending, non-empty, not touching, inside the object. Returns the bytes they span, 0 if not.
uint64_t span_of(const std::vector<ChunkRange>& ranges, uint64_t total_bytes) {
  const uint64_t chunks = std::max<uint64_t>(1, (total_bytes + kChunk - 1) / kChunk);
  uint64_t bytes = 0;
  uint64_t next = 0;
  for (const ChunkRange& range : ranges) {
    const bool apart = next == 0 || range.first > next;
    if (!apart || range.first >= range.last || range.last > chunks) return 0;
    bytes += std::min(range.last * kChunk, total_bytes) - range.first * kChunk;
    next = range.last;
  }
  return bytes;
}

Result<OpenedObject> get_object(const kernels::Program& program, Reader& reader) {
  OpenedObject object;
  object.id.origin = static_cast<Origin>(reader.get<uint8_t>());
  object.id.position = reader.get<uint16_t>();
  object.total_bytes = reader.get<uint64_t>();
  const uint64_t total = object.total_bytes;
  if (!reader.ok() || !known(program, object.id)) return malformed("unknown object");
  if (total != object_bytes(program, object.id)) return malformed("an object has another length");
  auto chunks = get_chunks(reader, total);
  if (!chunks) return chunks.error();
  chunks.value().id = object.id;
  return chunks;
}

}  // namespace

void put_chunks(Writer& out, const OpenedObject& object) {
  GEMMINE_CHECK(!object.ranges.empty() && object.ranges.size() <= kRangesMax);
  GEMMINE_CHECK(object.ranges.back().last <= UINT32_MAX);
  out.put(static_cast<uint32_t>(object.ranges.size()));
  for (const ChunkRange& range : object.ranges)
    out.put(static_cast<uint32_t>(range.first)).put(static_cast<uint32_t>(range.last));
  out.put(static_cast<uint32_t>(object.siblings.size()));
  put_digests(out, object.siblings);
  out.put_blob(object.bytes);
}

Result<OpenedObject> get_chunks(Reader& reader, uint64_t total_bytes) {
  OpenedObject out;
  out.total_bytes = total_bytes;
  const auto ranges = reader.get<uint32_t>();
  if (ranges == 0 || ranges > kRangesMax || ranges * uint64_t{8} > reader.rest())
    return malformed("count of ranges");
  for (uint32_t i = 0; i < ranges; ++i) {
    const auto first = reader.get<uint32_t>();
    const auto last = reader.get<uint32_t>();
    out.ranges.push_back({first, last});
  }
  const uint64_t bytes = span_of(out.ranges, total_bytes);
  if (bytes == 0) return malformed("ranges are not ascending, maximal and inside the object");
  const auto siblings = reader.get<uint32_t>();
  if (!get_digests(reader, siblings, out.siblings)) return malformed("siblings");
  out.bytes = reader.get_blob(kChunk << 11);
  if (!reader.ok() || out.bytes.size() != bytes)
    return malformed("an object's bytes are not as long as its ranges");
  return out;
}

Bytes encode_opening(const Opening& opening) {
  Writer out;
  out.put(opening.witness);
  GEMMINE_CHECK(opening.step_siblings.size() <= UINT16_MAX);
  GEMMINE_CHECK(opening.objects.size() <= kObjectsMax);
  out.put(static_cast<uint16_t>(opening.step_siblings.size()));
  put_digests(out, opening.step_siblings);
  out.put_blob(opening.step_chunk);
  out.put_blob(opening.roots);
  out.put(static_cast<uint16_t>(opening.objects.size()));
  for (const OpenedObject& object : opening.objects) {
    out.put(object.id.origin).put(object.id.position).put(object.total_bytes);
    put_chunks(out, object);
  }
  return out.take();
}

Result<Opening> decode_opening(const kernels::Program& program, ByteView bytes) {
  Reader reader(bytes);
  Opening opening;
  opening.witness = reader.get<uint32_t>();
  const auto siblings = reader.get<uint16_t>();
  if (!get_digests(reader, siblings, opening.step_siblings)) return malformed("step siblings");
  opening.step_chunk = reader.get_blob(kChunk);
  opening.roots = reader.get_blob(program.tensors().size() * 32 + 4);
  if (!reader.ok() || opening.roots.size() != program.tensors().size() * 32 + 4)
    return malformed("roots of the step");
  const auto objects = reader.get<uint16_t>();
  if (objects > kObjectsMax) return malformed("too many objects");
  for (uint16_t i = 0; i < objects; ++i) {
    auto object = get_object(program, reader);
    if (!object) return object.error();
    if (i > 0 && !(opening.objects.back().id < object.value().id))
      return malformed("objects do not ascend");
    opening.objects.push_back(std::move(object.value()));
  }
  if (!reader.done()) return malformed("trailing bytes, or too few");
  return opening;
}

}  // namespace gemmine::verifier
