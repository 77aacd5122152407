// The inside of LedgerState: its data, and one function per kind of record.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "verifier/ledger/ledger.h"

namespace gemmine::verifier {

// The post that must be the next record.
struct PendingPost {
  std::vector<Posting> postings;
  Bytes body;
};

struct LedgerData {
  bool begun = false;
  Digest pool_key;
  std::string fee_account;
  uint64_t next_seq = 0;
  uint64_t last_time_ms = 0;
  uint64_t next_serial = 0;
  Digest head;
  std::map<Digest, JobState> jobs;
  std::map<Digest, LeaseState> leases;
  std::map<Digest, MemberState> members;
  std::map<std::string, int64_t> accounts;
  std::map<std::pair<Digest, Digest>, KeyState> keys;  // by (job, key)
  std::map<Digest, uint32_t> open_by_key;
  std::map<uint64_t, ChallengeState> challenges;
  std::map<Digest, ProofState> proofs;
  std::set<Digest> coin_commits;
  std::map<Digest, BatchId> batch_commits;
  std::set<BatchId> unsettled;
  std::optional<PendingPost> pending;
};

// Collects one post: entries of an account are summed, zeros left out (PROTOCOL 8.4).
class PostingSheet {
 public:
  void add(const std::string& account, int64_t amount);
  void move(const std::string& from, const std::string& to, int64_t amount);
  // The post that must follow `cause`, if there is anything to post.
  // Errors: invalid when an account leaves its range; only "external" may be below 0.
  Result<std::optional<PendingPost>> settle(const LedgerData& data, uint64_t cause) const;

 private:
  std::map<std::string, int64_t> sums_;
  bool overflow_ = false;
};
inline constexpr const char* kExternal = "external";  // where money comes from and goes to
std::string escrow_account(const Digest& job_id);
int64_t balance(const LedgerData& data, const std::string& account);
// Moves what a lease earned from escrow to its owner and the fee account.
void post_paid(PostingSheet& sheet, const LedgerData& data, const JobState& job,
               const LeaseState& lease);
// floor(price · macs / 10¹²); nothing when it does not fit an account.
std::optional<uint64_t> gross_of(uint64_t price_per_tmac, uint64_t macs);

inline Error malformed(std::string detail) {
  return {Errc::malformed, std::move(detail)};
}
inline Error invalid(std::string detail) {
  return {Errc::invalid, std::move(detail)};
}

// One per kind: decides everything first, and changes `data` only when it will succeed.
Status apply_genesis(LedgerData& data, const Record& record);
Status apply_job(LedgerData& data, const Record& record);
Status apply_fund(LedgerData& data, const Record& record);
Status apply_member(LedgerData& data, const Record& record);
Status apply_lease(LedgerData& data, const Record& record);
Status apply_share(LedgerData& data, const Record& record);
Status apply_verdict(LedgerData& data, const Record& record);
Status apply_delta(LedgerData& data, const Record& record);
Status apply_close(LedgerData& data, const Record& record);
Status apply_ban(LedgerData& data, const Record& record);
Status apply_merge(LedgerData& data, const Record& record);
Status apply_proof(LedgerData& data, const Record& record);
Status apply_finish(LedgerData& data, const Record& record);
Status apply_post(LedgerData& data, const Record& record);
Status apply_challenge(LedgerData& data, const Record& record);
Status apply_answer(LedgerData& data, const Record& record);
Status apply_draw(LedgerData& data, const Record& record);
Status apply_redraw(LedgerData& data, const Record& record);
Status apply_settle(LedgerData& data, const Record& record);
Status apply_stop(LedgerData& data, const Record& record);

// null when there is none.
template <class Map>
auto* find_in(Map& map, const typename std::remove_cvref_t<Map>::key_type& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}
// null when there is none.
const BatchState* find_batch(const LedgerData& data, const BatchId& id);
BatchState* find_batch(LedgerData& data, const BatchId& id);
BatchId batch_id(const LeaseState& lease);

// Of all the lease's shares that are logged, in order.
std::vector<Digest> share_ids(const LeaseState& lease);
uint64_t shares_until_ms(const LedgerData& data, const LeaseState& lease);
std::optional<Digest> immediate_audit(const LedgerData& data, const LeaseState& lease,
                                      const Digest& secret);
// Whether a proof may be named against the lease's miner. Ok: it is logged, and about this lease.
Status check_proof(const LedgerData& data, const Digest& address, const Digest& lease_id);
// A proof was named against the lease's miner: the first one stays.
void prove(LedgerData& data, LeaseState& lease, const Digest& address);

// Nothing is to be built on the lease: merged, it is taken out again; before, its slot is free.
// seq: of the record that is the reason.
void strike(LedgerData& data, LeaseState& lease, uint64_t seq);

// Merged leases that may have spoiled the job's weights and that nobody has looked at: of batches
// that are not settled, and of the last kSuspectRounds rounds; ascending (PROTOCOL 8.5, stop).
std::vector<Digest> suspects(const LedgerData& data, const JobState& job);

// Of a drawn batch.
TicketStatus ticket_status(const LedgerData& data, const BatchState& batch, uint32_t ticket);
uint32_t free_silences(const JobState& job, const KeyState& key);
Result<Settlement> settlement(const LedgerData& data, const BatchId& id);

}  // namespace gemmine::verifier
