// The pool's centre without I/O: events and a time in, records and actions out. Dispatch only; what
// an event means is in granting.h, leases.h, audits.h, settlement.h, verdicts.h, rounds.h, jobs.h.
//
// Whoever drives it makes the fresh records and what is kept beside them durable before carrying
// out the actions of the same step (PROTOCOL 5.3). No clock, thread, socket or file is in here, so
// that a simulator can drive it in virtual time. `now` is pool time in milliseconds and never goes
// back.
#pragma once

#include <map>
#include <vector>

#include "pool/core/state.h"

namespace gemmine::pool {

class Pool {
 public:
  // book: folded from disk. identity outlives the pool.
  Pool(Book book, const verifier::Identity& identity, PoolOptions options)
      : state_(std::move(book), identity, std::move(options)) {}

  // jobs.h. Errors: those.
  Status add_job(const verifier::Work& work, const Digest& theta_root,
                 std::map<Digest, Digest> start_roots, uint64_t fund, uint64_t now);
  // After all jobs, before anything else: resume.h. recall_secret: every one that the ledger needs
  // (kept.h).
  void recall_secret(const Digest& commitment, const Digest& secret) {
    state_.secrets[commitment] = secret;
  }
  void recall(const EvaluateDone& result);
  void resume(uint64_t now);
  // After it: half deltas that a pool before this one left on disk, their bytes by lease. Those of
  // use go on, the others are dropped.
  void take_up_uploads(const std::map<Digest, uint64_t>& half_deltas);
  // After both: any other blob is of no use to this pool, and nothing decided so far makes one.
  std::set<Digest> needed_blobs() const;

  void on_open(ConnId id, const Opening& opening, uint64_t now);
  void on_close(ConnId id);
  // Every frame but GET_BLOB and WATCH of ready peers, which need the disk and are the driver's.
  void on_frame(ConnId id, uint8_t type, uint8_t flags, uint32_t seq, ByteView payload,
                uint64_t now);
  void on_task_done(const TaskDone& done, uint64_t now);
  void on_disk_done(const DiskDone& done, uint64_t now);
  void on_tick(uint64_t now);

  // What the steps since the last call decided. Records first, then the rest.
  std::vector<verifier::SignedRecord> take_records() { return state_.book.take_fresh(); }
  KeptChanges take_kept() { return std::exchange(state_.kept, {}); }
  Actions take_actions() { return std::exchange(state_.out, {}); }

  const PoolState& state() const { return state_; }
  const verifier::LedgerState& ledger() const { return state_.ledger(); }
  const Totals& totals() const { return state_.book.totals(); }
  const std::map<Digest, JobRoom>& rooms() const { return state_.rooms; }
  Sessions& sessions() { return state_.sessions; }
  size_t audits_pending() const { return state_.audits.size(); }
  double macs_per_second(uint64_t now);  // over the last kRateWindowMs
  bool all_finished() const;             // jobs.h

 private:
  void greet(Peer& peer, MessageType type, uint32_t seq, ByteView payload, uint64_t now);
  void welcome(Peer& peer, uint32_t seq);
  void settle(uint64_t now);

  PoolState state_;
};

}  // namespace gemmine::pool
