// Bodies of ledger records, encoded and decoded (PROTOCOL 8.1, 8.2, 8.4).
#include <algorithm>

#include "verifier/ledger/data.h"

namespace gemmine::verifier {

namespace {

constexpr std::string_view kAccountCharacters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

template <class T>
Result<T> finished(const Reader& in, T value) {
  if (!in.done()) return malformed("the body does not decode");
  return value;
}

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
  return Writer().put(record.seq).put(record.time_ms).put(record.kind).put_blob(record.body).take();
}

Result<Record> decode_record(ByteView bytes) {
  Reader in(bytes);
  Record out;
  out.seq = in.get<uint64_t>();
  out.time_ms = in.get<uint64_t>();
  out.kind = in.get<RecordKind>();
  const ByteView body = in.get_blob(kRecordBytesMax);
  out.body.assign(body.begin(), body.end());
  if (!in.done()) return malformed("the record does not decode");
  return out;
}

Bytes genesis_body(const Digest& pool_key, std::string_view fee_account) {
  return Writer().put_digest(pool_key).put_text(fee_account).take();
}
Bytes job_body(ByteView job_bytes, const Digest& theta_root) {
  return Writer().put_blob(job_bytes).put_digest(theta_root).take();
}
Bytes fund_body(const Digest& job_id, uint64_t amount) {
  return Writer().put_digest(job_id).put(amount).take();
}
Bytes member_body(const Digest& key, std::string_view account) {
  return Writer().put_digest(key).put_text(account).take();
}
Bytes delta_body(const Digest& lease_id, const Digest& delta_root) {
  return Writer().put_digest(lease_id).put_digest(delta_root).take();
}
Bytes close_body(const Digest& lease_id, CloseReason reason, const Digest& secret) {
  return Writer().put_digest(lease_id).put(reason).put_digest(secret).take();
}
Bytes ban_body(const Digest& key, const Digest& lease_id) {
  return Writer().put_digest(key).put_digest(lease_id).take();
}
Bytes merge_body(const Digest& job_id, uint32_t round, const Digest& theta_root,
                 const std::vector<Digest>& lease_ids) {
  Writer out;
  out.put_digest(job_id).put(round).put_digest(theta_root);
  out.put(static_cast<uint32_t>(lease_ids.size()));
  for (const Digest& id : lease_ids)
    out.put_digest(id);
  return out.take();
}
Bytes rollback_body(const Digest& job_id, uint32_t round, const Digest& lease_id) {
  return Writer().put_digest(job_id).put(round).put_digest(lease_id).take();
}
Bytes finish_body(const Digest& job_id, const Digest& theta_root) {
  return Writer().put_digest(job_id).put_digest(theta_root).take();
}
Bytes post_body(uint64_t cause, const std::vector<Posting>& postings) {
  GEMMINE_CHECK(postings.size() <= UINT16_MAX);
  Writer out;
  out.put(cause).put(static_cast<uint16_t>(postings.size()));
  for (const Posting& posting : postings)
    out.put_text(posting.account).put(posting.amount);
  return out.take();
}

Result<GenesisBody> decode_genesis(ByteView body) {
  Reader in(body);
  GenesisBody out{in.get_digest(), in.get_text(kAccountBytesMax)};
  return finished(in, std::move(out));
}
Result<JobBody> decode_job_body(ByteView body) {
  Reader in(body);
  const ByteView job = in.get_blob(kJobBytesMax);
  JobBody out{Bytes(job.begin(), job.end()), in.get_digest()};
  return finished(in, std::move(out));
}
Result<FundBody> decode_fund(ByteView body) {
  Reader in(body);
  return finished(in, FundBody{in.get_digest(), in.get<uint64_t>()});
}
Result<MemberBody> decode_member(ByteView body) {
  Reader in(body);
  MemberBody out{in.get_digest(), in.get_text(kAccountBytesMax)};
  return finished(in, std::move(out));
}
Result<ByteView> decode_wrapped(ByteView body, size_t bytes_max) {
  Reader in(body);
  return finished(in, in.get_blob(bytes_max));
}
Result<DeltaBody> decode_delta_body(ByteView body) {
  Reader in(body);
  return finished(in, DeltaBody{in.get_digest(), in.get_digest()});
}
Result<CloseBody> decode_close(ByteView body) {
  Reader in(body);
  const CloseBody out{in.get_digest(), in.get<CloseReason>(), in.get_digest()};
  if (out.reason < CloseReason::complete || out.reason > CloseReason::cancelled)
    return malformed("the reason must be 1 … 5");
  return finished(in, out);
}
Result<BanBody> decode_ban(ByteView body) {
  Reader in(body);
  return finished(in, BanBody{in.get_digest(), in.get_digest()});
}
Result<MergeBody> decode_merge(ByteView body) {
  Reader in(body);
  MergeBody out{in.get_digest(), in.get<uint32_t>(), in.get_digest(), {}};
  const auto count = in.get<uint32_t>();
  if (count > kernels::kSlotsMax) return malformed("more leases than slots_max");
  for (uint32_t i = 0; i < count && in.ok(); ++i)
    out.lease_ids.push_back(in.get_digest());
  return finished(in, std::move(out));
}
Result<RollbackBody> decode_rollback(ByteView body) {
  Reader in(body);
  return finished(in, RollbackBody{in.get_digest(), in.get<uint32_t>(), in.get_digest()});
}
Result<FinishBody> decode_finish(ByteView body) {
  Reader in(body);
  return finished(in, FinishBody{in.get_digest(), in.get_digest()});
}

}  // namespace gemmine::verifier
