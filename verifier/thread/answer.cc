#include "verifier/thread/answer.h"

#include <algorithm>

#include "kernels/hash/blake3.h"

namespace gemmine::verifier {

namespace {

Bytes unsigned_bytes(const ThreadHeader& header) {
  GEMMINE_CHECK(header.features.size() <= kWitnessesMax);
  GEMMINE_CHECK(header.claims.size() <= kThreadBlocksMax + kNormBlocks);
  Writer out;
  out.put_digest(header.lease_id).put_digest(header.seed).put_digest(header.digests_root);
  out.put(static_cast<uint16_t>(header.features.size()));
  for (const uint32_t feature : header.features)
    out.put(feature);
  out.put(static_cast<uint16_t>(header.claims.size()));
  for (const BlockClaim& claim : header.claims)
    out.put(claim.step).put(claim.witness);
  return out.take();
}

}  // namespace

Bytes encode(const ThreadHeader& header) {
  return Writer().put_raw(unsigned_bytes(header)).put_raw(header.signature).take();
}

Result<ThreadHeader> decode_thread_header(ByteView bytes) {
  Reader in(bytes);
  ThreadHeader out;
  out.lease_id = in.get_digest();
  out.seed = in.get_digest();
  out.digests_root = in.get_digest();
  const auto features = in.get<uint16_t>();
  if (features > kWitnessesMax) return Error{Errc::malformed, "too many witnesses"};
  for (uint16_t i = 0; i < features && in.ok(); ++i)
    out.features.push_back(in.get<uint32_t>());
  const auto claims = in.get<uint16_t>();
  if (claims > kThreadBlocksMax + kNormBlocks) return Error{Errc::malformed, "too many blocks"};
  for (uint16_t i = 0; i < claims && in.ok(); ++i) {
    const auto step = in.get<uint32_t>();
    out.claims.push_back({step, in.get<uint32_t>()});
  }
  const ByteView signature = in.get_raw(out.signature.size());
  if (!in.ok()) return Error{Errc::malformed, "the head of the answer ends early"};
  std::ranges::copy(signature, out.signature.begin());
  return out;
}

Digest thread_message(const ThreadHeader& header) {
  const Digest said = kernels::blake3(unsigned_bytes(header));
  return kernels::blake3_derive_key(
      domain::kThread,
      Writer().put_digest(header.lease_id).put_digest(header.seed).put_digest(said).bytes());
}

void sign(ThreadHeader& header, const Identity& miner) {
  header.signature = miner.sign(thread_message(header));
}

bool signed_by(const ThreadHeader& header, const Digest& miner_key) {
  return verify_signature(miner_key, thread_message(header), header.signature);
}

AnswerSource answer_of(ByteView bytes) {
  return {bytes.size(), [bytes](uint64_t offset, std::span<uint8_t> out) -> Status {
            if (offset > bytes.size() || out.size() > bytes.size() - offset)
              return Error{Errc::malformed, "the answer ends early"};
            std::ranges::copy(bytes.subspan(offset, out.size()), out.begin());
            return Ok{};
          }};
}

Result<ByteView> PartCursor::next() {
  uint32_t length = 0;
  if (at_ + sizeof length > source_.bytes)
    return Error{Errc::malformed, "the answer ends before all that was asked for"};
  Bytes raw(sizeof length);
  if (auto read = source_.read(at_, raw); !read) return read.error();
  std::memcpy(&length, raw.data(), sizeof length);
  at_ += sizeof length;
  if (length > kThreadPartMax || length > source_.bytes - at_)
    return Error{Errc::malformed, "a part of the answer is too long"};
  part_.resize(length);
  if (auto read = source_.read(at_, part_); !read) return read.error();
  offset_ = at_;
  at_ += length;
  return ByteView(part_);
}

}  // namespace gemmine::verifier
