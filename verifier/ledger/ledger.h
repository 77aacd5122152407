// The ledger's meaning: a pure fold over records that refuses what breaks PROTOCOL 8 and 13.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernels/base/bytes.h"
#include "verifier/ledger/bodies.h"
#include "verifier/ledger/state.h"

namespace gemmine::verifier {

struct LedgerData;

// How far the audit that a ticket demands has come.
enum class TicketStatus : uint8_t { open, right, wrong, silent };

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
  const std::map<std::string, int64_t>& accounts() const;        // sums to zero, always
  const std::map<uint64_t, ChallengeState>& challenges() const;  // by the seq of their records
  const std::map<Digest, ProofState>& proofs() const;            // by content address
  // Batches with a complete lease that are not settled yet, drawn or not.
  const std::set<BatchId>& unsettled() const;

  // null when it had no lease in the job.
  const KeyState* key_state(const Digest& job_id, const Digest& key) const;
  // null when there is none.
  const BatchState* batch(const BatchId& id) const;
  // The batch with this commitment, if a lease has carried it.
  std::optional<BatchId> batch_of(const Digest& batch_commit) const;
  // The serial that the next lease must at least have.
  uint64_t next_serial() const;
  uint32_t open_leases(const Digest& key) const;
  // What the escrow can still promise: its balance less what open and unsettled leases may earn
  // (PROTOCOL 8.5); 0 for an unknown job.
  int64_t escrow_free(const Digest& job_id) const;

  // The last moment at which a share of the lease may be logged; only after it the lease may expire
  // (PROTOCOL 6.2). lease_id: one of leases().
  uint64_t shares_until_ms(const Digest& lease_id) const;
  // The seed of the thread audit that the lease must pass before it may be complete, by the coin
  // that its secret tosses; nothing when the coin calls for none. Its delta is logged.
  std::optional<Digest> immediate_audit(const Digest& lease_id, const Digest& secret) const;
  // Merged leases of the job that must be replayed or found wrong before it may be stopped: of
  // batches that are not settled, and of the last kSuspectRounds rounds. Empty for an unknown job.
  std::vector<Digest> suspects(const Digest& job_id) const;
  // Whether a drawn batch's ticket has its verdict. The batch is drawn.
  TicketStatus ticket_status(const BatchId& id, uint32_t ticket) const;
  // Silences that cost the key nothing, and that it has not used (PROTOCOL 13.6).
  uint32_t free_silences(const Digest& job_id, const Digest& key) const;
  // How the batch must be settled now. Errors: invalid, with what it still waits for.
  Result<Settlement> settlement(const BatchId& id) const;

  LedgerState();
  LedgerState(const LedgerState&);
  LedgerState(LedgerState&&) noexcept;
  LedgerState& operator=(LedgerState&&) noexcept;
  ~LedgerState();

 private:
  std::unique_ptr<LedgerData> data_;
};

}  // namespace gemmine::verifier
