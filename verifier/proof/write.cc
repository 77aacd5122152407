#include "verifier/proof/write.h"

#include <algorithm>
#include <cstring>

#include "verifier/merge/delta.h"

namespace gemmine::verifier {

namespace {

constexpr uint64_t kChunkFloats = kChunk / sizeof(float);

void put_choice(Writer& out, const BlockChoice& choice) {
  GEMMINE_CHECK(choice.position <= UINT16_MAX);
  out.put(choice.step).put(static_cast<uint8_t>(choice.delta ? 1 : 0));
  out.put(static_cast<uint16_t>(choice.position));
  out.put(choice.tile_row).put(choice.tile_col).put(choice.group);
}

// The chunk's parameters, and their velocities, in what a round publishes.
std::vector<Place> published_places(const kernels::Program& program, uint32_t chunk) {
  const uint64_t first = chunk * kChunkFloats;
  const uint64_t count = std::min(kChunkFloats, program.parameters() - first);
  std::vector<Place> out;
  for (uint64_t at = 0; at < program.published_floats(); at += program.parameters())
    out.push_back({(at + first) * sizeof(float), count * sizeof(float)});
  return out;
}

void put_places(Writer& out, ByteView string, std::span<const Place> places) {
  Bytes storage;
  put_chunks(out, open_places(string, places, storage));
}

void put_delta_slice(Writer& out, const kernels::Program& program, uint32_t chunk, ByteView delta) {
  const uint64_t first = chunk * kChunkFloats;
  const uint64_t count = std::min(kChunkFloats, program.parameters() - first);
  const uint64_t blocks = delta_bytes(program.parameters()) - program.parameters();
  const Place places[] = {{first / kDeltaBlock, delta_bytes(count) - count},
                          {blocks + first, count}};
  put_places(out, delta, places);
}

void put_word(Writer& out, const PoolWord& word) {
  GEMMINE_CHECK((word.head == nullptr) != (word.record == nullptr));
  out.put<uint8_t>(word.head == nullptr ? 1 : 0);
  if (word.head != nullptr) {
    out.put_raw(gemmine::encode(*word.head));
  } else {
    put_statement(out, *word.record);
  }
}

}  // namespace

Bytes seal_proof(ProofKind kind, ByteView fields) {
  return Writer().put_raw(as_bytes(kProofMagic)).put(kind).put_raw(fields).take();
}

Bytes write_block(const AccusedShare& at, const BlockChoice& choice, ByteView opening,
                  ByteView published, const SignedAnswer* witness) {
  Writer out;
  put_share_case(out, at.work, at.lease, at.share);
  put_choice(out, choice);
  out.put_blob(opening);
  if (choice.delta) {
    const uint64_t first = uint64_t{choice.tile_row} * kDeltaBlock;
    const uint64_t count = std::min<uint64_t>(kDeltaBlock, at.work.program().parameters() - first);
    const Place place{first * sizeof(float), count * sizeof(float)};
    put_places(out, published, std::span(&place, 1));
  }
  out.put<uint8_t>(witness == nullptr ? 0 : 1);
  if (witness != nullptr) put_answer(out, *witness);
  return seal_proof(ProofKind::block, out.bytes());
}

Bytes write_block_by_another(const AccusedShare& at, uint32_t step, uint16_t position,
                             const ClaimedChunk& claimed, ByteView inputs) {
  Writer out;
  put_share_case(out, at.work, at.lease, at.share);
  out.put(step).put(position).put<uint8_t>(0).put(claimed.chunk).put_digest(claimed.value);
  for (const Digest& sibling : claimed.siblings)
    out.put_digest(sibling);
  out.put_blob(inputs);
  return seal_proof(ProofKind::block_by_another, out.bytes());
}

Bytes write_scale(const AccusedShare& at, uint32_t step, uint16_t position, uint32_t number,
                  uint32_t element, ByteView evidence, const SignedAnswer* witness) {
  Writer out;
  put_share_case(out, at.work, at.lease, at.share);
  out.put(step).put(position).put<uint8_t>(1).put(number).put(element);
  out.put<uint8_t>(witness == nullptr ? 0 : 1);
  if (witness != nullptr) put_answer(out, *witness);
  out.put_blob(evidence);
  return seal_proof(ProofKind::block_by_another, out.bytes());
}

Result<Bytes> write_update(const AccusedShare& at, const UpdateClaim& claim, ByteView published,
                           ByteView train) {
  const auto header = decode_thread_header(claim.header);
  if (!header) return header.error();
  std::vector<Place> theta_places;
  std::vector<Place> train_places;
  const auto read = [](ByteView whole, std::vector<Place>& places, uint64_t offset,
                       std::span<uint8_t> out) -> Status {
    if (offset > whole.size() || out.size() > whole.size() - offset)
      return Error{Errc::undecided, "update: past the end of its data"};
    if (!out.empty()) places.push_back({offset, out.size()});
    std::copy_n(whole.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
    return Ok{};
  };
  const PublicData data{
      .theta = [&](uint64_t first, std::span<float> floats) -> Status {
        return read(published, theta_places, first * sizeof(float),
                    {reinterpret_cast<uint8_t*>(floats.data()), floats.size() * sizeof(float)});
      },
      .train = [&](uint64_t offset, std::span<uint8_t> bytes) -> Status {
        return read(train, train_places, offset, bytes);
      }};
  const std::vector<Share> shares(at.lease.shares(), at.share);
  const ThreadCase thread{.work = at.work,
                          .lease = at.lease,
                          .shares = shares,
                          .seed = header.value().seed,
                          .blocks = thread_blocks(at.work.job())};
  const Finding finding = check_part(thread, at.share, claim, data);
  if (finding.outcome == Outcome::undecided) return Error{Errc::undecided, finding.detail};
  if (finding.outcome == Outcome::malformed) return Error{Errc::malformed, finding.detail};
  Writer out;
  put_share_case(out, at.work, at.lease, at.share);
  out.put_blob(gemmine::encode(claim));
  out.put<uint8_t>(theta_places.empty() ? 0 : 1);
  if (!theta_places.empty()) put_places(out, published, theta_places);
  out.put<uint8_t>(train_places.empty() ? 0 : 1);
  if (!train_places.empty()) put_places(out, train, train_places);
  return seal_proof(ProofKind::update, out.bytes());
}

Bytes write_merge(const Work& work, const Digest& pool_key, uint32_t chunk, const Statement& merge,
                  ByteView before, ByteView after, std::span<const MergedDelta> deltas) {
  Writer out;
  out.put_blob(work.bytes()).put_digest(pool_key).put(chunk);
  put_statement(out, merge);
  const std::vector<Place> places = published_places(work.program(), chunk);
  put_places(out, before, places);
  put_places(out, after, places);
  for (const MergedDelta& delta : deltas) {
    put_statement(out, delta.record);
    put_delta_slice(out, work.program(), chunk, delta.bytes);
  }
  return seal_proof(ProofKind::merge, out.bytes());
}

Bytes write_theta0(const Work& work, const Lease& lease, uint32_t chunk, ByteView published) {
  Writer out;
  put_lease_case(out, work, lease);
  out.put(chunk);
  put_places(out, published, published_places(work.program(), chunk));
  return seal_proof(ProofKind::theta0, out.bytes());
}

std::optional<uint32_t> differing_chunk(const kernels::Program& program, std::span<const float> one,
                                        std::span<const float> other) {
  GEMMINE_CHECK(one.size() == program.published_floats() && other.size() == one.size());
  for (uint64_t i = 0; i < one.size(); ++i)
    if (std::memcmp(&one[i], &other[i], sizeof(float)) != 0)
      return static_cast<uint32_t>(i % program.parameters() / kChunkFloats);
  return {};
}

Bytes write_equivocation(const Digest& pool_key, PoolWord first, PoolWord second) {
  Writer out;
  out.put_digest(pool_key);
  put_word(out, first);
  put_word(out, second);
  return seal_proof(ProofKind::equivocation, out.bytes());
}

}  // namespace gemmine::verifier
