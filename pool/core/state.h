// Everything a pool decides from, as data: the ledger, who is connected, what is owed, and what was
// decided since the last look. leases.h, audits.h, rounds.h and jobs.h are functions over it. Pure:
// no clock, thread, socket or file. `now` is pool time in milliseconds and never goes back.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "pool/core/actions.h"
#include "pool/core/audits_owed.h"
#include "pool/core/book.h"
#include "pool/core/pause.h"
#include "pool/core/sessions.h"
#include "pool/core/share_size.h"
#include "pool/core/uploads.h"

namespace gemmine::pool {

inline constexpr uint64_t kRateWindowMs = 10'000;
inline constexpr size_t kSpeedSamplesMax = 100'000;

struct PoolOptions {
  Digest coin_master;  // secret: every lease's secret is derived from it
  uint32_t idle_ms = 120'000;
  uint32_t leases_per_key = 2;
  uint64_t upload_bytes = uint64_t{16} << 30;  // of half deltas on disk, each counted whole
  uint64_t share_ms = 0;  // what a share should take its device; 0: shares of the job's size
  uint64_t reconnect_ms = 60'000;  // after a restart: what a miner may need to find back
  uint32_t rounds_kept = 16;       // merged rounds whose blobs stay (garbage.h); 0: all
  std::vector<Digest> auditors;    // empty: everyone
};

// What the pool knows of a job besides the ledger.
struct JobRoom {
  const verifier::Work* work = nullptr;  // the ledger's, which stays where it is
  std::map<Digest, Digest> start_roots;  // by θ root: where a lease from it starts
  uint32_t first_kept = 0;               // round; the blobs of those before it may be gone
  std::map<uint32_t, std::vector<Digest>> left_over;  // by round: blobs that nothing names
  bool dry = false;  // its escrow covered no further lease when last asked
  bool merging = false;
  uint32_t merge_failures = 0;               // in a row
  uint64_t merge_due_ms = 0;                 // of the retry; 0: none is owed
  std::map<uint32_t, EvaluateDone> results;  // by rounds merged
  bool evaluated = false;                    // the last round was, or could not be
};

// What the pool remembers of an open lease besides the ledger. It ends with the lease.
struct LeaseNotes {
  uint64_t asked_ms = 0;    // what the miner spent on answers so far: its deadline gets it back
  uint64_t away_ms = 0;     // what the pool was away: the deadline gets that back, too
  bool unanswered = false;  // a challenge ran out
};

// Work that one part of the pool leaves to another; done before the event it came with ends.
struct Due {
  std::set<Digest> wrong;     // leases with a share found wrong
  std::set<Digest> complete;  // leases that may be complete now
  std::set<Digest> merge;     // jobs whose round may be complete now
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
  Digest secret(const verifier::Lease& lease) const;  // which its coin_commit commits to

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
  Audits audits;
  Uploads uploads;
  std::map<Digest, JobRoom> rooms;
  std::vector<Digest> queue;                        // of the rooms' jobs, as they came
  std::map<Digest, std::set<Digest>> open_leases;   // by key
  std::map<Digest, LeaseNotes> lease_notes;         // by open lease
  std::map<Digest, Pause> pauses;                   // by key, of those with a failed lease
  std::map<ShareKey, std::set<Digest>> heard;       // auditors by share: each is heard once
  std::deque<std::pair<uint64_t, uint64_t>> speed;  // time, macs of the last shares
  std::map<Digest, std::deque<Pace>> paces;         // by key: its last shares
  Due due;
  uint64_t next_serial = 0;
  uint64_t next_session = 1;
  Actions out;
};

}  // namespace gemmine::pool
