// Bodies of ledger records, encoded and decoded (PROTOCOL 8.1, 8.2, 8.4).
#include <algorithm>

#include "kernels/hash/blake3.h"
#include "verifier/ledger/data.h"

namespace gemmine::verifier {

namespace {

constexpr std::string_view kAccountCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

struct PostBody {
  static constexpr std::string_view kName = "the body";
  uint64_t cause = 0;
  std::vector<Posting> postings;
  static void fields(auto& f, auto& b) {
    f(b.cause).template list<uint16_t>(b.postings, UINT16_MAX);
  }
};

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
    case RecordKind::rollback:
      return "rollback";
    case RecordKind::finish:
      return "finish";
    case RecordKind::post:
      return "post";
  }
  return "unknown";
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

Bytes encode(const Record& record) {
  return gemmine::encode(record);
}
Result<Record> decode_record(ByteView bytes) {
  return decode<Record>(bytes);
}

Bytes signed_body(ByteView signed_bytes) {
  return Writer().put_blob(signed_bytes).take();
}
Digest member_message(const Digest& pool_key, const MemberBody& member) {
  Writer writer;
  writer.put_digest(pool_key).put_digest(member.key).put(member.counter).put_text(member.account);
  return kernels::blake3_derive_key(domain::kMember, writer.bytes());
}
MemberBody sign_member(const Digest& pool_key, const Identity& miner, std::string_view account,
                       uint64_t counter) {
  MemberBody out{miner.public_key(), std::string(account), counter, {}};
  out.signature = miner.sign(member_message(pool_key, out));
  return out;
}
Bytes genesis_body(const Digest& pool_key, std::string_view fee_account) {
  return gemmine::encode(GenesisBody{pool_key, std::string(fee_account)});
}
Bytes job_body(ByteView job_bytes, const Digest& theta_root) {
  return gemmine::encode(JobBody{Bytes(job_bytes.begin(), job_bytes.end()), theta_root});
}
Bytes fund_body(const Digest& job_id, uint64_t amount) {
  return gemmine::encode(FundBody{job_id, amount});
}
Bytes delta_body(const Digest& lease_id, const Digest& delta_root) {
  return gemmine::encode(DeltaBody{lease_id, delta_root});
}
Bytes close_body(const Digest& lease_id, CloseReason reason, const Digest& secret) {
  return gemmine::encode(CloseBody{lease_id, reason, secret});
}
Bytes ban_body(const Digest& key, const Digest& lease_id) {
  return gemmine::encode(BanBody{key, lease_id});
}
Bytes merge_body(const Digest& job_id, uint32_t round, const Digest& theta_root,
                 const std::vector<Digest>& lease_ids) {
  return gemmine::encode(MergeBody{job_id, round, theta_root, lease_ids});
}
Bytes rollback_body(const Digest& job_id, uint32_t round, const Digest& lease_id) {
  return gemmine::encode(RollbackBody{job_id, round, lease_id});
}
Bytes finish_body(const Digest& job_id, const Digest& theta_root) {
  return gemmine::encode(FinishBody{job_id, theta_root});
}
Bytes post_body(uint64_t cause, const std::vector<Posting>& postings) {
  return gemmine::encode(PostBody{cause, postings});
}

Result<ByteView> decode_wrapped(ByteView body, size_t bytes_max) {
  Reader in(body);
  const ByteView wrapped = in.get_blob(bytes_max);
  if (!in.done()) return malformed("the body is not one signed record");
  return wrapped;
}

}  // namespace gemmine::verifier
