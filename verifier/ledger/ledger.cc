#include "verifier/ledger/ledger.h"

#include "kernels/hash/blake3.h"
#include "verifier/ledger/data.h"
#include "verifier/records/identity.h"

namespace gemmine::verifier {

namespace {

// What holds for every record, whatever its kind (PROTOCOL 8.1, 8.4).
Status check_frame(const LedgerData& data, const Record& record) {
  if (record.seq != data.next_seq)
    return invalid("the next seq is " + std::to_string(data.next_seq));
  if (record.time_ms < data.last_time_ms) return invalid("time goes back");
  if (record.body.size() > kRecordBytesMax) return malformed("the body exceeds a record");
  if (record.kind < RecordKind::genesis || record.kind > RecordKind::post)
    return malformed("unknown kind");
  if ((record.kind == RecordKind::genesis) == data.begun)
    return invalid("genesis is the first record, and only the first");
  if (data.pending && record.kind != RecordKind::post)
    return invalid("the post of the record before is missing");
  return Ok{};
}

Status dispatch(LedgerData& data, const Record& record) {
  switch (record.kind) {
    case RecordKind::genesis:
      return apply_genesis(data, record);
    case RecordKind::job:
      return apply_job(data, record);
    case RecordKind::fund:
      return apply_fund(data, record);
    case RecordKind::member:
      return apply_member(data, record);
    case RecordKind::lease:
      return apply_lease(data, record);
    case RecordKind::share:
      return apply_share(data, record);
    case RecordKind::verdict:
      return apply_verdict(data, record);
    case RecordKind::delta:
      return apply_delta(data, record);
    case RecordKind::close:
      return apply_close(data, record);
    case RecordKind::ban:
      return apply_ban(data, record);
    case RecordKind::merge:
      return apply_merge(data, record);
    case RecordKind::rollback:
      return apply_rollback(data, record);
    case RecordKind::finish:
      return apply_finish(data, record);
    case RecordKind::post:
      return apply_post(data, record);
  }
  return malformed("unknown kind");
}

}  // namespace

Digest next_head(const Digest& head, const Record& record) {
  return next_head(head, record.seq, record.time_ms, static_cast<uint8_t>(record.kind),
                   record.body);
}

Status LedgerState::apply(const Record& record) {
  Status status = check_frame(*data_, record);
  if (status) status = dispatch(*data_, record);
  if (!status)
    return Error{status.error().code, "seq " + std::to_string(record.seq) + " (" +
                                          std::string(to_string(record.kind)) +
                                          "): " + status.error().detail};
  data_->head = next_head(data_->head, record);
  data_->last_time_ms = record.time_ms;
  ++data_->next_seq;
  return Ok{};
}

std::optional<Bytes> LedgerState::expected_post() const {
  if (!data_->pending) return std::nullopt;
  return data_->pending->body;
}

uint64_t LedgerState::next_seq() const {
  return data_->next_seq;
}
uint64_t LedgerState::last_time_ms() const {
  return data_->last_time_ms;
}
const Digest& LedgerState::head() const {
  return data_->head;
}
const Digest& LedgerState::pool_key() const {
  return data_->pool_key;
}
const std::string& LedgerState::fee_account() const {
  return data_->fee_account;
}
const std::map<Digest, JobState>& LedgerState::jobs() const {
  return data_->jobs;
}
const std::map<Digest, LeaseState>& LedgerState::leases() const {
  return data_->leases;
}
const std::map<Digest, MemberState>& LedgerState::members() const {
  return data_->members;
}
const std::map<std::string, int64_t>& LedgerState::accounts() const {
  return data_->accounts;
}

uint32_t LedgerState::valid_shares(const Digest& key, const Digest& job_id) const {
  const auto found = data_->tallies.find({job_id, key});
  return found == data_->tallies.end() ? 0 : found->second.valid_shares;
}

uint32_t LedgerState::open_leases(const Digest& key) const {
  const auto* const count = find_in(data_->open_by_key, key);
  return count == nullptr ? 0 : *count;
}

std::vector<Digest> LedgerState::unvested(const Digest& key) const {
  std::vector<Digest> out;
  for (const auto& [job_id, job] : data_->jobs) {
    const auto found = data_->tallies.find({job_id, key});
    if (found == data_->tallies.end()) continue;
    out.insert(out.end(), found->second.unvested.begin(), found->second.unvested.end());
  }
  return out;
}

int64_t LedgerState::escrow_free(const Digest& job_id) const {
  const JobState* const job = find_in(data_->jobs, job_id);
  if (job == nullptr) return 0;
  // Leases are only issued while the escrow covers them, so the product never exceeds it.
  const int64_t free = balance(*data_, escrow_account(job_id)) -
                       static_cast<int64_t>(job->open_leases * job->gross_per_lease);
  GEMMINE_CHECK(free >= 0);
  return free;
}

LedgerState::LedgerState() : data_(std::make_unique<LedgerData>()) {}
LedgerState::LedgerState(const LedgerState& other)
    : data_(std::make_unique<LedgerData>(*other.data_)) {}
LedgerState::LedgerState(LedgerState&&) noexcept = default;
LedgerState& LedgerState::operator=(LedgerState&&) noexcept = default;
LedgerState::~LedgerState() = default;

}  // namespace gemmine::verifier
