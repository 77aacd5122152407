// The inside of LedgerState: its data, the decoded bodies, and one function per kind of record.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "verifier/ledger/ledger.h"

namespace gemmine::verifier {

// What a key did in a job.
struct Tally {
  uint32_t valid_shares = 0;
  std::deque<Digest> unvested;  // complete leases in the order they closed
};

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
  Digest head;
  std::map<Digest, JobState> jobs;
  std::map<Digest, LeaseState> leases;
  std::map<Digest, MemberState> members;
  std::map<std::string, int64_t> accounts;
  std::map<std::pair<Digest, Digest>, Tally> tallies;  // by (job, key)
  std::map<Digest, uint32_t> open_by_key;
  std::optional<PendingPost> pending;
};

// Bodies of PROTOCOL 8.2 and 8.4, one description each for both directions. decode<FundBody>()
// reads one. Errors: malformed.
struct GenesisBody {
  static constexpr std::string_view kName = "the body";
  Digest pool_key;
  std::string fee_account;
  static void fields(auto& f, auto& b) { f(b.pool_key).text(b.fee_account, kAccountBytesMax); }
};
struct JobBody {
  static constexpr std::string_view kName = "the body";
  Bytes job;
  Digest theta_root;
  static void fields(auto& f, auto& b) { f.blob(b.job, kJobBytesMax)(b.theta_root); }
};
struct FundBody {
  static constexpr std::string_view kName = "the body";
  Digest job_id;
  uint64_t amount = 0;
  static void fields(auto& f, auto& b) { f(b.job_id)(b.amount); }
};
struct DeltaBody {
  static constexpr std::string_view kName = "the body";
  Digest lease_id;
  Digest delta_root;
  static void fields(auto& f, auto& b) { f(b.lease_id)(b.delta_root); }
};
struct BanBody {
  static constexpr std::string_view kName = "the body";
  Digest key;
  Digest lease_id;
  static void fields(auto& f, auto& b) { f(b.key)(b.lease_id); }
};
struct MergeBody {
  static constexpr std::string_view kName = "the body";
  Digest job_id;
  uint32_t round = 0;
  Digest theta_root;
  std::vector<Digest> lease_ids;
  static void fields(auto& f, auto& b) {
    f(b.job_id)(b.round)(b.theta_root);
    f.template list<uint32_t>(b.lease_ids, kernels::kSlotsMax);
  }
};
struct RollbackBody {
  static constexpr std::string_view kName = "the body";
  Digest job_id;
  uint32_t round = 0;
  Digest lease_id;
  static void fields(auto& f, auto& b) { f(b.job_id)(b.round)(b.lease_id); }
};
struct FinishBody {
  static constexpr std::string_view kName = "the body";
  Digest job_id;
  Digest theta_root;
  static void fields(auto& f, auto& b) { f(b.job_id)(b.theta_root); }
};
// The signed bytes within the body of a lease, share or verdict record.
Result<ByteView> decode_wrapped(ByteView body, size_t bytes_max);

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
std::string vesting_account(const Digest& key);
int64_t balance(const LedgerData& data, const std::string& account);
// Moves a lease's gross from vesting to its owner and the fee account.
void post_vested(PostingSheet& sheet, const LedgerData& data, const JobState& job,
                 const LeaseState& lease);
// floor(price · macs / 10¹²); nothing when it does not fit an account.
std::optional<uint64_t> gross_of(uint64_t price_per_tmac, uint64_t macs);
Status apply_post(LedgerData& data, const Record& record);

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
Status apply_rollback(LedgerData& data, const Record& record);
Status apply_finish(LedgerData& data, const Record& record);

// null when there is none.
template <class Map>
auto* find_in(Map& map, const Digest& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

}  // namespace gemmine::verifier
