#include "verifier/ledger/ledger.h"

#include <utility>

#include "verifier/ledger/data.h"

namespace gemmine::verifier {

namespace {

// What holds for every record, whatever its kind (PROTOCOL 8.1, 8.4).
Status check_frame(const LedgerData& data, const Record& record) {
  if (record.seq != data.next_seq)
    return invalid("the next seq is " + std::to_string(data.next_seq));
  if (record.time_ms < data.last_time_ms) return invalid("time goes back");
  if (record.time_ms > kTimeMsMax) return invalid("the time is beyond time_ms_max");
  if (record.body.size() > kRecordBytesMax) return malformed("the body exceeds a record");
  if (record.kind < RecordKind::genesis || record.kind > RecordKind::stop)
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
    case RecordKind::proof:
      return apply_proof(data, record);
    case RecordKind::finish:
      return apply_finish(data, record);
    case RecordKind::post:
      return apply_post(data, record);
    case RecordKind::challenge:
      return apply_challenge(data, record);
    case RecordKind::answer:
      return apply_answer(data, record);
    case RecordKind::draw:
      return apply_draw(data, record);
    case RecordKind::redraw:
      return apply_redraw(data, record);
    case RecordKind::settle:
      return apply_settle(data, record);
    case RecordKind::stop:
      return apply_stop(data, record);
  }
  return malformed("unknown kind");
}

}  // namespace

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

const std::map<uint64_t, ChallengeState>& LedgerState::challenges() const {
  return data_->challenges;
}
const std::map<Digest, ProofState>& LedgerState::proofs() const {
  return data_->proofs;
}
const std::set<BatchId>& LedgerState::unsettled() const {
  return data_->unsettled;
}
uint64_t LedgerState::next_serial() const {
  return data_->next_serial;
}

const KeyState* LedgerState::key_state(const Digest& job_id, const Digest& key) const {
  return find_in(data_->keys, {job_id, key});
}

const BatchState* LedgerState::batch(const BatchId& id) const {
  return find_batch(std::as_const(*data_), id);
}

std::optional<BatchId> LedgerState::batch_of(const Digest& batch_commit) const {
  const BatchId* const found = find_in(data_->batch_commits, batch_commit);
  return found == nullptr ? std::nullopt : std::optional(*found);
}

uint32_t LedgerState::open_leases(const Digest& key) const {
  const auto* const count = find_in(data_->open_by_key, key);
  return count == nullptr ? 0 : *count;
}

int64_t LedgerState::escrow_free(const Digest& job_id) const {
  const JobState* const job = find_in(data_->jobs, job_id);
  if (job == nullptr) return 0;
  // Leases are only issued while the escrow covers them, so the product never exceeds it.
  const int64_t free =
      balance(*data_, escrow_account(job_id)) -
      static_cast<int64_t>((job->open_leases + job->unsettled_leases) * job->gross_per_lease);
  GEMMINE_CHECK(free >= 0);
  return free;
}

uint64_t LedgerState::shares_until_ms(const Digest& lease_id) const {
  const LeaseState* const lease = find_in(data_->leases, lease_id);
  GEMMINE_CHECK(lease != nullptr);
  return verifier::shares_until_ms(*data_, *lease);
}

std::optional<Digest> LedgerState::immediate_audit(const Digest& lease_id,
                                                   const Digest& secret) const {
  const LeaseState* const lease = find_in(data_->leases, lease_id);
  GEMMINE_CHECK(lease != nullptr && lease->delta_root);
  return verifier::immediate_audit(*data_, *lease, secret);
}

std::vector<Digest> LedgerState::suspects(const Digest& job_id) const {
  const JobState* const job = find_in(data_->jobs, job_id);
  return job == nullptr ? std::vector<Digest>{} : verifier::suspects(*data_, *job);
}

TicketStatus LedgerState::ticket_status(const BatchId& id, uint32_t ticket) const {
  const BatchState* const found = batch(id);
  GEMMINE_CHECK(found != nullptr);
  return verifier::ticket_status(*data_, *found, ticket);
}

uint32_t LedgerState::free_silences(const Digest& job_id, const Digest& key) const {
  const JobState* const job = find_in(data_->jobs, job_id);
  const KeyState* const state = key_state(job_id, key);
  if (job == nullptr || state == nullptr) return 0;
  return verifier::free_silences(*job, *state);
}

Result<Settlement> LedgerState::settlement(const BatchId& id) const {
  return verifier::settlement(*data_, id);
}

LedgerState::LedgerState() : data_(std::make_unique<LedgerData>()) {}
LedgerState::LedgerState(const LedgerState& other)
    : data_(std::make_unique<LedgerData>(*other.data_)) {}
LedgerState::LedgerState(LedgerState&&) noexcept = default;
LedgerState& LedgerState::operator=(LedgerState&&) noexcept = default;
LedgerState::~LedgerState() = default;

}  // namespace gemmine::verifier
