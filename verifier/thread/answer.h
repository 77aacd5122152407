// The bytes of an answer to a thread (PROTOCOL 11.9): what its head says, and where things stand.
#pragma once

#include <functional>
#include <vector>

#include "verifier/records/identity.h"
#include "verifier/thread/plan.h"

namespace gemmine::verifier {

// A part or an opening is at most as long.
inline constexpr size_t kThreadPartMax = size_t{1} << 21;
inline constexpr size_t kWitnessesMax = 512;  // scales that are witnessed

// What the prover says about one block, beside its opening.
struct BlockClaim {
  uint32_t step = 0;     // of the lease
  uint32_t witness = 0;  // as in the opening
  static void fields(auto& f, auto& r) { f(r.step)(r.witness); }
  bool operator==(const BlockClaim&) const = default;
};

// All that the prover says and that no root binds: he signs it.
struct ThreadHeader {
  Digest lease_id;
  Digest seed;
  Digest digests_root;             // b3 of the links' digests
  std::vector<uint32_t> features;  // of the witnesses, in the order of ThreadPlan::scale_draws()
  std::vector<BlockClaim> claims;  // of the blocks, in their order
  Signature signature{};

  uint64_t bytes() const { return 32 * 3 + 2 + 4 * features.size() + 2 + 8 * claims.size() + 64; }
  bool operator==(const ThreadHeader&) const = default;
};

Bytes encode(const ThreadHeader& header);
// The bytes may go on after it. Errors: malformed.
Result<ThreadHeader> decode_thread_header(ByteView bytes);
// What is signed: b3d("thread", lease_id ‖ seed ‖ b3(the bytes before the signature)).
Digest thread_message(const ThreadHeader& header);
void sign(ThreadHeader& header, const Identity& miner);
bool signed_by(const ThreadHeader& header, const Digest& miner_key);

// Where the string of the links' digests begins.
inline uint64_t digest_offset(const ThreadHeader& header) {
  return header.bytes();
}

inline uint64_t header_bytes(size_t features, size_t claims) {
  return 32 * 3 + 2 + 4 * features + 2 + 8 * claims + 64;
}
inline constexpr size_t kThreadHeaderMax =
    32 * 3 + 4 + 4 * kWitnessesMax + 8 * (kThreadBlocksMax + kNormBlocks) + 64;

// Where an answer lies: read in pieces, at any place. Errors: the reader's own.
struct AnswerSource {
  uint64_t bytes = 0;
  std::function<Status(uint64_t offset, std::span<uint8_t> out)> read;
};
// Where an answer goes. Its front is written last. Errors: the writer's own.
using AnswerSink = std::function<Status(uint64_t offset, ByteView bytes)>;

AnswerSource answer_of(ByteView bytes);  // which outlive it

// Reads the parts and openings one after another: each u32 length and bytes.
class PartCursor {
 public:
  // From `offset` on.
  PartCursor(const AnswerSource& source, uint64_t offset) : source_(source), at_(offset) {}
  // The next one, good until the one after it. Errors: those of the reader; malformed (too long, or
  // past the end).
  Result<ByteView> next();
  // Where the bytes of the one that next() gave begin.
  uint64_t offset() const { return offset_; }
  bool at_end() const { return at_ == source_.bytes; }

 private:
  const AnswerSource& source_;
  uint64_t at_;
  uint64_t offset_ = 0;
  Bytes part_;
};

}  // namespace gemmine::verifier
