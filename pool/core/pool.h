// The pool's centre without I/O: events and a time in, records and actions out.
//
// Whoever drives it makes the blobs and the fresh records durable before carrying out the actions
// of the same step (PROTOCOL 5.3). No clock, thread, socket or file is in here, so that a simulator
// can drive it in virtual time. `now` is pool time in milliseconds and never goes back.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernels/model/program.h"
#include "pool/core/actions.h"
#include "pool/core/audits_owed.h"
#include "pool/core/book.h"
#include "pool/core/sessions.h"
#include "pool/core/share_size.h"
#include "pool/store/blobs.h"

namespace gemmine::pool {

inline constexpr uint32_t kNoLeaseRetryMs = 500;
inline constexpr uint64_t kRateWindowMs = 10'000;
inline constexpr size_t kSpeedSamplesMax = 100'000;
inline constexpr size_t kVerdictsPerShareMax = 16;  // by auditors: without a list, by anyone
inline constexpr uint32_t kMergeRetriesMax = 8;     // each after twice the time of the one before
inline constexpr uint64_t kMergeRetryMs = 1'000;

struct PoolOptions {
  Digest coin_master;  // secret: of it are all leases' secrets made
  uint32_t idle_ms = 120'000;
  uint32_t leases_per_key = 2;
  uint64_t upload_bytes = uint64_t{512} << 20;
  uint64_t share_ms = 0;         // what a share should take its device; 0: shares of the job's size
  std::vector<Digest> auditors;  // empty: everyone
};

// What the pool knows of a job besides the ledger.
struct JobRoom {
  const verifier::Work* work = nullptr;  // the ledger's own
  std::map<Digest, Digest> start_roots;  // by θ root: where a lease from it starts
  bool merging = false;
  uint32_t merge_failures = 0;               // in a row
  uint64_t merge_due_ms = 0;                 // of the retry; 0: none is owed
  std::map<uint32_t, EvaluateDone> results;  // by rounds merged
  bool evaluated = false;                    // the last round was, or could not be
};

class Pool {
 public:
  // book: folded from disk. identity outlives the pool.
  Pool(Book book, const verifier::Identity& identity, PoolOptions options);

  // A job with its first θ: logs it (and its funds) when the ledger does not know it yet.
  // start_roots: of every θ the pool has. Errors: those of the ledger.
  Status add_job(const verifier::Work& work, const Digest& theta_root,
                 std::map<Digest, Digest> start_roots, uint64_t fund, uint64_t now);
  // After all jobs: takes up what a crash left: owed audits, second looks, merges.
  void resume(uint64_t now);

  void on_open(ConnId id, const Digest& channel_binding, const Digest& server_random, uint64_t now);
  void on_close(ConnId id);
  // Whoever drives the pool answers GET_BLOB and WATCH of ready peers; everything else comes here.
  void on_frame(ConnId id, uint8_t type, uint8_t flags, uint32_t seq, ByteView payload,
                uint64_t now);
  void on_task_done(const TaskDone& done, uint64_t now);
  void on_tick(uint64_t now);

  // What the steps since the last call decided. Blobs first, then records, then the rest.
  std::vector<Bytes> take_blobs() { return std::exchange(blobs_, {}); }
  std::vector<verifier::Record> take_records() { return book_.take_fresh(); }
  Actions take_actions() { return std::exchange(out_, {}); }

  const verifier::LedgerState& ledger() const { return book_.state(); }
  const std::map<Digest, JobRoom>& rooms() const { return rooms_; }
  Sessions& sessions() { return sessions_; }
  size_t audits_pending() const { return audits_.size(); }
  double macs_per_second(uint64_t now);
  bool all_finished() const;  // every job, and its last evaluation is over

 private:
  // pool.cc
  void refuse(ConnId to, uint32_t seq, WireError code, const std::string& text,
              uint32_t retry_after_ms = 0);
  void greet(Peer& peer, MessageType type, uint32_t seq, ByteView payload, uint64_t now);
  void welcome(Peer& peer, uint32_t seq, uint64_t now);
  template <Message M>
  void tell_miner(const Digest& key, const M& message) {
    for (const ConnId id : sessions_.of_miner(key))
      out_.send(id, message);
  }
  JobRoom* room(const Digest& job_id);
  const verifier::LeaseState* lease(const Digest& lease_id) const;
  // leases.cc
  void on_miner(const Peer& peer, uint32_t seq, const GetLease& get, uint64_t now);
  bool grant(const Peer& peer, const verifier::JobState& job, uint32_t seq, uint64_t now);
  void on_miner(const Peer& peer, uint32_t seq, const Abandon& abandon, uint64_t now);
  void on_miner(const Peer& peer, uint32_t seq, const ShareMessage& message, uint64_t now);
  void admit(const Peer& peer, uint32_t seq, const verifier::LeaseState& state,
             const verifier::Share& share, uint64_t now);
  void on_miner(const Peer& peer, uint32_t seq, const DeltaPart& part, uint64_t now);
  bool close_lease(const Digest& lease_id, verifier::CloseReason reason, uint64_t now);
  void expire(uint64_t now);
  void try_complete(const Digest& lease_id, uint64_t now);
  // audits.cc
  void begin_audit(const verifier::LeaseState& state, uint32_t index, verifier::AuditKind kind,
                   const Digest& seed, uint64_t now);
  void begin_replay(const verifier::LeaseState& state, uint32_t index, bool required);
  void send_challenge(const ShareKey& key, const Audit& audit, uint64_t now);
  void on_miner(const Peer& peer, uint32_t seq, OpeningMessage& message, uint64_t now);
  void on_auditor(const Peer& peer, uint32_t seq, const VerdictMessage& message, uint64_t now);
  void doubt(const verifier::LeaseState& state, uint32_t index);
  void on_audit_done(const AuditDone& done, uint64_t now);
  bool spoke_since(const Digest& key, uint64_t since_ms) const;
  void check_deadlines(uint64_t now);
  void unanswered(const ShareKey& key, uint64_t now);
  bool log_verdict(const Digest& lease_id, uint32_t index, verifier::AuditKind kind,
                   const verifier::Finding& finding, uint64_t now);
  void condemn(const Digest& lease_id, uint64_t now);
  // rounds.cc
  void second_look(const Digest& lease_id);
  bool looks_again(const Digest& job_id) const;
  void roll_back(const Digest& lease_id, uint64_t now);
  void try_merge(const Digest& job_id);
  void retry_merges(uint64_t now);
  void on_merge_done(const MergeDone& done, uint64_t now);
  void recall_paces();
  void announce(const verifier::JobState& job);

  Book book_;
  const verifier::Identity& identity_;
  const PoolOptions options_;
  Sessions sessions_;
  Audits audits_;
  Uploads uploads_;
  std::map<Digest, JobRoom> rooms_;
  std::map<ShareKey, std::set<Digest>> heard_;       // auditors by share: each is heard once
  std::deque<std::pair<uint64_t, uint64_t>> speed_;  // time, macs of the last shares
  std::map<Digest, std::deque<Pace>> paces_;         // by key: its last shares
  uint64_t next_serial_ = 0;
  uint64_t next_session_ = 1;
  std::vector<Bytes> blobs_;
  Actions out_;
};

}  // namespace gemmine::pool
