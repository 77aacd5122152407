// Everything a pool decides from, as data: the ledger, who is connected, what is owed, and what was
// decided since the last look. leases.h, audits.h, rounds.h and jobs.h are functions over it. Pure:
// no clock, thread, socket or file. `now` is pool time in milliseconds and never goes back.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "pool/core/actions.h"
#include "pool/core/audit_queue.h"
#include "pool/core/book.h"
#include "pool/core/kept.h"
#include "pool/core/pause.h"
#include "pool/core/sessions.h"
#include "pool/core/share_size.h"
#include "pool/core/uploads.h"

namespace gemmine::pool {

inline constexpr uint64_t kRateWindowMs = 10'000;
inline constexpr size_t kSpeedSamplesMax = 100'000;

struct PoolOptions {
  std::function<Digest()> random;  // fresh each time: what secrets are made of
  uint32_t idle_ms = 120'000;
  uint32_t leases_per_key = 2;
  uint64_t upload_bytes = uint64_t{16} << 30;  // of half deltas on disk, each counted whole
  uint64_t share_ms = 0;         // what a share should take its device; 0: shares of the job's size
  uint32_t audits_at_once = 1;   // replays that run at the same time
  bool always_threads = false;   // also where a replay costs the pool less (terms.h)
  uint32_t rounds_kept = 16;     // merged rounds whose blobs stay (garbage.h); 0: all
  std::vector<Digest> auditors;  // whose every word is logged; others' are heard, too
};

// A replay has shown that training diverges there.
struct Divergence {
  Digest lease_id;
  uint32_t step = 0;
};

// What the pool knows of a job besides the ledger.
struct JobRoom {
  const verifier::Work* work = nullptr;  // the ledger's, which stays where it is
  std::map<Digest, Digest> start_roots;  // by θ root: where a lease from it starts
  uint32_t first_kept = 0;               // round; the blobs of those before it may be gone
  bool dry = false;                      // its escrow covered no further lease when last asked
  bool merging = false;
  std::optional<Divergence> diverges;        // until the job is stopped or its weights are repaired
  bool repair_due = false;                   // before the next merge
  uint32_t merge_failures = 0;               // in a row
  uint64_t merge_due_ms = 0;                 // of the next try; 0: none is owed
  std::optional<uint32_t> whole_round;       // that waits, or waited, for replays of its leases
  std::map<uint32_t, EvaluateDone> results;  // by rounds merged
  bool evaluated = false;                    // the last round was, or could not be
};

// What an auditor who is not listed may say before the pool stops running leases for it: one
// accusation, and one for each that was confirmed.
struct AuditorNotes {
  uint32_t accused = 0;
  uint32_t confirmed = 0;
};

// A challenge that is not judged yet, beside the ledger.
struct AnswerNotes {
  Digest lease_id;
  verifier::Receipt receipt = {};            // of the challenge
  std::optional<verifier::AnswerBody> said;  // what its miner says he will send
  uint64_t again_ms = 0;                     // when this pool was back, or lost what it had
  Bytes question;                            // of one that asks for no thread
};

// A descent that is under way (descents.h).
struct DescentNotes {
  uint64_t again_ms = 0;  // when a step is tried again that our own machine could not do; 0: none
};

// A key as a miner, beside the ledger.
struct KeyNotes {
  std::deque<Pace> paces;  // of its last shares
  Pause pause;
  std::string neighbourhood;              // it last asked for a lease from
  std::optional<uint64_t> no_slot_at_ms;  // when it was told last that no slot is free
};

// Work that one part of the pool leaves to another; done before the event it came with ends.
struct Due {
  std::set<Digest> wrong;               // leases found wrong
  std::set<Digest> complete;            // leases that may be complete now
  std::set<verifier::BatchId> batches;  // that may be drawn, or settled
  std::set<Digest> merge;               // jobs whose round may be complete now
  std::set<Digest> diverged;            // jobs that may have to be repaired or stopped
  std::set<Digest> finish;              // jobs that may have come to their end
};

struct PoolState {
  // book: folded from disk. identity outlives the state.
  PoolState(Book book, const verifier::Identity& identity, PoolOptions options);

  const verifier::LedgerState& ledger() const { return book.state(); }
  JobRoom* room(const Digest& job_id);                              // null: not served
  const verifier::LeaseState* lease(const Digest& lease_id) const;  // null: unknown
  const verifier::LeaseState& known_lease(const Digest& lease_id) const;
  const verifier::Work& work_of(const verifier::Lease& lease) const;  // of a lease of the ledger
  const std::deque<Pace>& paces_of(const Digest& key) const;          // empty for a stranger
  void keep_secret(const Digest& commitment, const Digest& secret);
  const Digest& secret(const Digest& commitment) const;  // one that is kept
  void drop_secret(const Digest& commitment);
  Standing standing(const Digest& key) const;
  bool listed(const Digest& auditor) const;

  // An ERROR to a peer; codes that close the connection hang up after it.
  void refuse(ConnId to, uint32_t seq, WireError code, const std::string& text,
              uint32_t retry_after_ms = 0);
  // On all ready connections of a key.
  template <Message M>
  void tell_miner(const Digest& key, const M& message) {
    for (const ConnId id : sessions.of_miner(key))
      out.send(id, message);
  }

  Book book;
  const verifier::Identity& identity;
  const PoolOptions options;
  Sessions sessions;
  AuditQueue audits;
  Uploads uploads;
  std::map<Digest, JobRoom> rooms;
  std::vector<Digest> queue;                       // of the rooms' jobs, as they came
  std::map<Digest, std::set<Digest>> open_leases;  // by key
  std::map<Digest, KeyNotes> keys;
  std::map<std::string, Pause> neighbourhoods;  // of new keys, by Peer::neighbourhood
  std::set<Digest> proven;  // keys with a lease found right since one was found wrong
  std::map<Digest, verifier::Signature> settle_asked;  // by batch commitment: the miner's word
  std::map<Digest, std::set<Digest>> accusers;         // by lease: auditors who say it is wrong
  std::map<Digest, AuditorNotes> auditors;             // by key
  std::map<std::string, uint64_t> accusing;            // who sent a file: until when (proofs.cc)
  std::map<uint64_t, AnswerNotes> answers;             // by the challenge's seq
  std::map<Digest, uint64_t> answer_uploads;           // challenges, by the upload of the answer
  std::map<Digest, uint32_t> diverged;                 // by lease: step at which its miner says so
  std::map<Digest, Digest> secrets;                    // by commitment
  KeptChanges kept;                                    // since the last look
  std::map<Digest, DescentNotes> descents;             // by lease
  uint64_t resumed_ms = 0;
  uint64_t told_seq = 0;  // records before it were told to whom they are about (news.h)
  std::deque<std::pair<uint64_t, uint64_t>> speed;  // time, macs of the last shares
  Due due;
  uint64_t next_session = 1;
  Actions out;
};

}  // namespace gemmine::pool
