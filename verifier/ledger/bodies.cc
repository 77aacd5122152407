#include "verifier/ledger/bodies.h"

#include "kernels/hash/blake3.h"

namespace gemmine::verifier {

namespace {

constexpr std::string_view kAccountCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

}  // namespace

bool account_ok(std::string_view account) {
  return !account.empty() && account.size() <= kAccountBytesMax &&
         account.find_first_not_of(kAccountCharacters) == std::string_view::npos;
}

std::string_view to_string(RecordKind kind) {
  switch (kind) {
    case RecordKind::genesis:
      return "genesis";
    case RecordKind::job:
      return "job";
    case RecordKind::fund:
      return "fund";
    case RecordKind::member:
      return "member";
    case RecordKind::lease:
      return "lease";
    case RecordKind::share:
      return "share";
    case RecordKind::verdict:
      return "verdict";
    case RecordKind::delta:
      return "delta";
    case RecordKind::close:
      return "close";
    case RecordKind::ban:
      return "ban";
    case RecordKind::merge:
      return "merge";
    case RecordKind::proof:
      return "proof";
    case RecordKind::finish:
      return "finish";
    case RecordKind::post:
      return "post";
    case RecordKind::challenge:
      return "challenge";
    case RecordKind::answer:
      return "answer";
    case RecordKind::draw:
      return "draw";
    case RecordKind::redraw:
      return "redraw";
    case RecordKind::settle:
      return "settle";
    case RecordKind::stop:
      return "stop";
  }
  return "unknown";
}

std::string_view to_string(Asked asked) {
  switch (asked) {
    case Asked::thread:
      return "thread";
    case Asked::roots:
      return "roots";
    case Asked::nodes:
      return "nodes";
    case Asked::chunks:
      return "chunks";
    case Asked::witnesses:
      return "witnesses";
    case Asked::state_nodes:
      return "state_nodes";
  }
  return "?";
}

std::string_view to_string(CloseReason reason) {
  switch (reason) {
    case CloseReason::complete:
      return "complete";
    case CloseReason::expired:
      return "expired";
    case CloseReason::rejected:
      return "rejected";
    case CloseReason::abandoned:
      return "abandoned";
    case CloseReason::cancelled:
      return "cancelled";
  }
  return "unknown";
}

std::string_view to_string(DrawReason reason) {
  switch (reason) {
    case DrawReason::full:
      return "full";
    case DrawReason::asked:
      return "asked";
    case DrawReason::job_ended:
      return "job ended";
    case DrawReason::idle:
      return "idle";
  }
  return "unknown";
}

std::string_view to_string(SettleOutcome outcome) {
  switch (outcome) {
    case SettleOutcome::paid:
      return "paid";
    case SettleOutcome::fined:
      return "fined";
    case SettleOutcome::forfeited:
      return "forfeited";
  }
  return "unknown";
}

Digest next_head(const Digest& head, const Record& record) {
  return next_head(head, record.seq, record.time_ms, static_cast<uint8_t>(record.kind),
                   record.body);
}

Bytes encode(const Record& record) {
  return gemmine::encode(record);
}
Result<Record> decode_record(ByteView bytes) {
  return decode<Record>(bytes);
}

Bytes signed_body(ByteView signed_bytes) {
  return Writer().put_blob(signed_bytes).take();
}
Result<ByteView> decode_wrapped(ByteView body, size_t bytes_max) {
  Reader in(body);
  const ByteView wrapped = in.get_blob(bytes_max);
  if (!in.done()) return Error{Errc::malformed, "the body is not one signed record"};
  return wrapped;
}

Digest member_message(const Digest& pool_key, const MemberBody& member) {
  return kernels::blake3_derive_key(domain::kMember, Writer()
                                                         .put_digest(pool_key)
                                                         .put_digest(member.key)
                                                         .put(member.counter)
                                                         .put_text(member.account)
                                                         .bytes());
}
MemberBody sign_member(const Digest& pool_key, const Identity& miner, std::string_view account,
                       uint64_t counter) {
  MemberBody out{miner.public_key(), std::string(account), counter, {}};
  out.signature = miner.sign(member_message(pool_key, out));
  return out;
}
Digest abandon_message(const Digest& lease_id) {
  return kernels::blake3_derive_key(domain::kAbandon, lease_id.view());
}
Digest settle_message(const Digest& batch_commit) {
  return kernels::blake3_derive_key(domain::kSettle, batch_commit.view());
}

Digest answer_message(const AnswerBody& answer) {
  return kernels::blake3_derive_key(domain::kAnswer, Writer()
                                                         .put_digest(answer.lease_id)
                                                         .put(answer.challenge)
                                                         .put_digest(answer.address)
                                                         .put(answer.bytes)
                                                         .bytes());
}

}  // namespace gemmine::verifier
