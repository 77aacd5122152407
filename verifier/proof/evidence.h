// What proofs are made of (PROTOCOL 12.1): a share with its signatures, a record that the pool
// signed for, some chunks of a string, a word of the miner's.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "verifier/audit/opening_codec.h"
#include "verifier/ledger/ledger.h"
#include "verifier/records/head.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"

namespace gemmine::verifier {

// Where a decoder was and what is wrong there.
Error bad_proof(const std::string& where, const std::string& what);

// Job, lease and share, as a proof against a miner begins.
struct ShareCase {
  Work work;
  Lease lease;
  Share share;
};
void put_share_case(Writer& out, const Work& work, const Lease& lease, const Share& share);
Result<ShareCase> get_share_case(Reader& in);
// Why nothing follows from it: another job, a wrong signature. Empty: pool and miner signed it.
std::string doubt_of(const ShareCase& share);

// A lease alone, and its job.
struct LeaseCase {
  Work work;
  Lease lease;
};
void put_lease_case(Writer& out, const Work& work, const Lease& lease);
Result<LeaseCase> get_lease_case(Reader& in);
std::string doubt_of(const LeaseCase& lease);

// A record of the ledger with the pool's receipt for it: it cannot say that it never logged this.
struct Statement {
  RecordKind kind = RecordKind::genesis;
  Bytes body;
  Receipt receipt;
};
void put_statement(Writer& out, const Statement& statement);
Result<Statement> get_statement(Reader& in);
bool said_by(const Statement& statement, const Digest& pool_key);

// Chunks of a string that is known by its plain BLAKE3 hash: weights, a delta.
class OpenedBlob {
 public:
  // `chunks` as get_chunks() gives them. Errors: invalid (they are not of that string).
  static Result<OpenedBlob> make(const Digest& address, OpenedObject chunks);

  // Bytes of the string; nothing when a chunk of them is not here.
  std::optional<Bytes> read(uint64_t offset, uint64_t count);
  // Everything that was opened was read.
  bool exhausted() const { return used_ == chunks_of_.size(); }

 private:
  explicit OpenedBlob(OpenedObject chunks) : object_(std::move(chunks)) {}

  OpenedObject object_;
  std::vector<uint64_t> chunks_of_;  // numbers of the opened chunks, ascending
  std::vector<bool> touched_;        // of each, whether it was read
  size_t used_ = 0;
};
// The chunks that hold the given places of a string; each place lies in it.
struct Place {
  uint64_t offset = 0;
  uint64_t count = 0;
};
OpenedObject open_places(ByteView string, std::span<const Place> places, Bytes& storage);

// What the miner signed about an answer of his: its address and length (PROTOCOL 12.11).
struct SignedAnswer {
  Bytes bytes;
  uint64_t challenge_seq = 0;
  Signature signature{};
};
inline constexpr size_t kShownAnswerBytesMax = 1 << 12;  // of an answer that a proof shows whole
void put_answer(Writer& out, const SignedAnswer& answer);
Result<SignedAnswer> get_answer(Reader& in);
Digest answer_message(const Digest& lease_id, const SignedAnswer& answer);
bool signed_by(const SignedAnswer& answer, const Lease& lease);

// Blocks that a thread of the job asks for (PROTOCOL 11.3).
uint16_t thread_blocks(const Job& job);

std::string short_key(const Digest& digest);  // for words: the first 16 digits

}  // namespace gemmine::verifier
