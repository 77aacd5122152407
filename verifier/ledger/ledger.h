// The ledger's meaning: a pure fold over records that refuses what breaks PROTOCOL 8.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "kernels/base/fields.h"
#include "verifier/records/head.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"

namespace gemmine::verifier {

enum class RecordKind : uint8_t {
  genesis = 1,
  job = 2,
  fund = 3,
  member = 4,
  lease = 5,
  share = 6,
  verdict = 7,
  delta = 8,
  close = 9,
  ban = 10,
  merge = 11,
  rollback = 12,
  finish = 13,
  post = 14,
};
enum class CloseReason : uint8_t {
  complete = 1,
  expired = 2,
  rejected = 3,
  abandoned = 4,
  cancelled = 5
};

inline constexpr size_t kRecordBytesMax = 1 << 20;
inline constexpr uint32_t kOpenLeasesMax = 4;  // per key
inline constexpr size_t kAccountBytesMax = 64;

// 1 to 64 characters of [A-Za-z0-9._-] (PROTOCOL 5.5, 9).
bool account_ok(std::string_view account);

struct Record {
  uint64_t seq = 0;
  uint64_t time_ms = 0;
  RecordKind kind = RecordKind::genesis;
  Bytes body;

  static constexpr std::string_view kName = "the record";
  static void fields(auto& f, auto& r) {
    f(r.seq)(r.time_ms)(r.kind).blob(r.body, kRecordBytesMax);
  }
};
Digest next_head(const Digest& head, const Record& record);
// seq, time, kind, blob: as 8.1 packs it. Errors: malformed.
Bytes encode(const Record& record);
Result<Record> decode_record(ByteView bytes);

// The body of a lease, share or verdict record: the signed bytes as a blob (PROTOCOL 8.2).
Bytes signed_body(ByteView signed_bytes);
// Bodies of the kinds that are not themselves signed records.
Bytes genesis_body(const Digest& pool_key, std::string_view fee_account);
Bytes job_body(ByteView job_bytes, const Digest& theta_root);
Bytes fund_body(const Digest& job_id, uint64_t amount);
Bytes delta_body(const Digest& lease_id, const Digest& delta_root);
Bytes close_body(const Digest& lease_id, CloseReason reason, const Digest& secret);
Bytes ban_body(const Digest& key, const Digest& lease_id);
Bytes merge_body(const Digest& job_id, uint32_t round, const Digest& theta_root,
                 const std::vector<Digest>& lease_ids);
Bytes rollback_body(const Digest& job_id, uint32_t round, const Digest& lease_id);
Bytes finish_body(const Digest& job_id, const Digest& theta_root);

// Who is paid for a key's work, in the key's own words.
struct MemberBody {
  static constexpr std::string_view kName = "the body";
  Digest key;
  std::string account;
  uint64_t counter = 0;      // ascends with every one of the key's
  Signature signature = {};  // the miner's, over member_message()
  static void fields(auto& f, auto& b) {
    f(b.key).text(b.account, kAccountBytesMax)(b.counter);
    f.raw(b.signature);
  }
};
Digest member_message(const Digest& pool_key, const MemberBody& member);  // PROTOCOL 1.3
MemberBody sign_member(const Digest& pool_key, const Identity& miner, std::string_view account,
                       uint64_t counter);

// The body of a close record; LEASE_CLOSED carries it, too.
struct CloseBody {
  static constexpr std::string_view kName = "the body";
  Digest lease_id;
  CloseReason reason = CloseReason::complete;
  Digest secret;
  static void fields(auto& f, auto& b) {
    f(b.lease_id)(b.reason)(b.secret);
    f.must(b.reason >= CloseReason::complete && b.reason <= CloseReason::cancelled);
  }
};

struct Posting {
  std::string account;
  int64_t amount = 0;
  bool operator==(const Posting&) const = default;
  static void fields(auto& f, auto& p) { f.text(p.account, kAccountBytesMax)(p.amount); }
};
Bytes post_body(uint64_t cause, const std::vector<Posting>& postings);

std::string_view to_string(RecordKind kind);
std::string_view to_string(CloseReason reason);

struct ShareState {
  Share share;
  Digest id;
  uint64_t seq = 0;  // of its record
  uint64_t time_ms = 0;
  uint32_t valid_before = 0;  // valid_shares of its key when it was logged (PROTOCOL 7.2)
  AuditKind required = AuditKind::none;  // known when the lease closes: that reveals the secret
  // The pool's word. Once invalid or malformed it stays so; others' verdicts are only counted.
  std::optional<Outcome> pool_verdict;
  bool replayed = false;          // valid by the pool's replay
  bool spotted = false;           // valid by the pool's spot audit
  uint32_t invalid_verdicts = 0;  // invalid or malformed, by anyone

  bool found_wrong() const {
    return pool_verdict == Outcome::invalid || pool_verdict == Outcome::malformed;
  }
};

struct LeaseState {
  Lease lease;
  std::vector<ShareState> shares;
  std::optional<Digest> delta_root;
  std::optional<CloseReason> closed;
  Digest secret;        // once closed
  bool voided = false;  // by a rollback
  uint64_t gross = 0;   // paid at close
  bool vested = false;
  bool forfeited = false;
};

struct JobState {
  Work work;                     // stays where it is as long as the LedgerState, also when moved
  uint64_t seq = 0;              // of its record
  uint64_t gross_per_lease = 0;  // what a complete lease earns
  uint32_t open_leases = 0;
  uint32_t round = 0;
  bool finished = false;
  std::vector<Digest> theta_roots;           // by round; back() is the current one
  std::vector<std::optional<Digest>> slots;  // current round: open or complete lease by slot
  std::vector<std::vector<Digest>> merged;   // leases by round and slot
};

struct MemberState {
  std::string account;
  uint64_t counter = 0;  // of its last member record
  bool banned = false;
  uint64_t banned_ms = 0;
};

struct LedgerData;

// Everything that follows from the records so far. Plain data: copy it, look at it.
class LedgerState {
 public:
  // Applies one record in O(log n) of the state, plus what the record itself touches. On an error
  // (malformed, invalid; the detail names seq and rule) the state is unchanged. After a cause with
  // postings the next record must be its post.
  Status apply(const Record& record);

  // The post record that must follow right now, if any: the pool appends exactly this.
  std::optional<Bytes> expected_post() const;

  uint64_t next_seq() const;
  uint64_t last_time_ms() const;
  const Digest& head() const;
  const Digest& pool_key() const;
  const std::string& fee_account() const;
  const std::map<Digest, JobState>& jobs() const;
  const std::map<Digest, LeaseState>& leases() const;
  const std::map<Digest, MemberState>& members() const;
  const std::map<std::string, int64_t>& accounts() const;  // sums to zero, always
  // Shares of a key in a job with a valid verdict by the pool (PROTOCOL 7.2).
  uint32_t valid_shares(const Digest& key, const Digest& job_id) const;
  uint32_t open_leases(const Digest& key) const;
  // Leases of the key that are complete, unvested and not forfeited.
  std::vector<Digest> unvested(const Digest& key) const;
  // What the escrow can still promise: its balance less what all open leases would earn (PROTOCOL
  // 8.5); 0 for an unknown job.
  int64_t escrow_free(const Digest& job_id) const;

  LedgerState();
  LedgerState(const LedgerState&);
  LedgerState(LedgerState&&) noexcept;
  LedgerState& operator=(LedgerState&&) noexcept;
  ~LedgerState();

 private:
  std::unique_ptr<LedgerData> data_;
};

}  // namespace gemmine::verifier
