// What follows from the records of a ledger, as plain data: jobs, leases, batches, members.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/bytes.h"
#include "verifier/ledger/bodies.h"
#include "verifier/records/coin.h"
#include "verifier/records/job.h"
#include "verifier/records/records.h"

namespace gemmine::verifier {

inline constexpr uint32_t kOpenLeasesMax = 4;       // per key
inline constexpr size_t kLeaseChallengesMax = 256;  // of one lease
// Rounds whose every merged lease is looked at before a job stops, settled or not.
inline constexpr uint32_t kSuspectRounds = 4;
inline constexpr uint64_t kIdleLeases = 10;  // lease_ms after which a batch may be closed

struct ShareState {
  Share share;
  Digest id;
  uint64_t seq = 0;  // of its record
  uint64_t time_ms = 0;
};

// What the pool's first invalid verdict said. Once found wrong a lease stays so.
struct WrongState {
  uint32_t index = 0;  // of the share at fault
  uint32_t step = kNoStep;
  uint64_t seq = 0;  // of the verdict's record
};

struct LeaseState {
  Lease lease;
  uint64_t seq = 0;     // of its record
  std::string account;  // its key's when it was issued: it is paid there
  uint64_t batch = 0;   // number of its batch
  std::vector<ShareState> shares;
  std::optional<Digest> delta_root;
  uint32_t right_before = 0;         // KeyState::right when the delta was logged
  std::vector<uint64_t> challenges;  // seqs of their records, ascending
  std::optional<CloseReason> closed;
  uint64_t closed_ms = 0;
  Digest secret;                    // once closed
  bool replayed = false;            // valid by the pool's replay
  bool right = false;               // by any audit of the pool's
  std::optional<WrongState> wrong;  // by the pool's word; others' words decide nothing
  std::optional<Digest> proof;      // that its miner signed wrong bits, as the pool named it first
  bool merged = false;
  bool subtracted = false;  // its delta was taken out again
  bool set_aside = false;   // its round began again: nothing is built on it
  bool paid = false;
  uint64_t challenged_before_ms = 0;  // MemberState::challenged_ms when it was issued
};

struct AnswerState {
  uint64_t seq = 0;
  uint64_t time_ms = 0;
  Digest address;
  uint64_t bytes = 0;
  Signature signature = {};  // the miner's, over answer_message()
};
struct ChallengeState {
  Digest lease_id;
  ChallengeWhy why = ChallengeWhy::immediate;
  Asked what = Asked::thread;
  Digest question;
  uint64_t time_ms = 0;
  uint32_t answer_ms = 0;
  std::optional<AnswerState> answer;
  std::optional<Outcome> outcome;  // by the pool; undecided: silence

  uint64_t due_ms() const { return time_ms + answer_ms; }
};

struct ProofState {
  ProofKind kind = ProofKind::block;
  Digest lease_id;
  uint32_t bytes = 0;
  uint64_t seq = 0;
};

// A batch: the leases of one key in one job that are settled together (PROTOCOL 13).
struct BatchId {
  Digest job_id;
  Digest key;
  uint64_t number = 0;  // from 0 for each key in a job
  auto operator<=>(const BatchId&) const = default;
};

struct TicketState {
  Ticket ticket;
  Digest seed;                        // of a thread's challenge; zero for a replay
  std::optional<uint64_t> challenge;  // seq of its record, a thread's only
};
struct DrawState {
  uint64_t seq = 0;
  uint64_t time_ms = 0;
  DrawReason reason = DrawReason::full;
  Digest s1;
  Digest seed;  // batch_seed()
  std::vector<TicketState> tickets;
};
struct RedrawState {
  Digest s0;
  uint32_t ticket = 0;  // the silent ticket whose lease is replayed, among the draw's
};
// How a batch is settled; the verdicts and the policy leave no choice (PROTOCOL 13.6).
struct Settlement {
  SettleOutcome outcome = SettleOutcome::paid;
  std::vector<Digest> paid;  // lease ids, in the batch's order
  bool silent = false;       // counts against the key's free silences
};
struct BatchState {
  Digest commit;
  uint32_t size = 0;  // leases that fill it
  uint32_t open = 0;
  std::vector<Digest> leases;  // complete ones in the order they were closed
  uint64_t last_close_ms = 0;  // of a complete one
  uint32_t proven = 0;         // of its leases that a proof is about, complete or not
  std::optional<DrawState> draw;
  std::optional<RedrawState> redraw;
  std::optional<SettleOutcome> settled;
};

// A key in a job: its batches by number, and what its settled ones earned it.
struct KeyState {
  std::vector<BatchState> batches;
  uint32_t right = 0;     // leases found right since one was found wrong
  uint32_t paid = 0;      // leases
  uint32_t silences = 0;  // settled batches in which a silent ticket was replayed and right
};

struct StopState {
  Digest lease_id;
  uint32_t step = 0;
  StopReason reason = StopReason::diverged;
};

struct JobState {
  Work work;                     // stays where it is as long as the LedgerState, also when moved
  uint64_t seq = 0;              // of its record
  uint64_t gross_per_lease = 0;  // what a lease earns
  uint32_t open_leases = 0;
  uint64_t unsettled_leases = 0;  // complete, and their batch is not settled
  uint32_t round = 0;
  uint64_t round_seq = 0;  // of the record that opened the current round
  std::optional<StopState> stopped;
  bool finished = false;
  std::vector<Digest> theta_roots;           // by round; back() is the current one
  std::vector<std::optional<Digest>> slots;  // current round: open or complete lease by slot
  std::vector<std::vector<Digest>> merged;   // leases by round and slot
  std::map<Digest, uint64_t> to_subtract;    // merged, then struck; by the seq of the reason
  std::vector<std::pair<uint32_t, Digest>> replaced;  // roots before a repair, with their round

  // No more leases: all rounds are merged, or it was stopped.
  bool ended() const { return stopped || round == work.job().spec.rounds; }
};

struct MemberState {
  std::string account;
  uint64_t counter = 0;
  bool banned = false;
  uint64_t banned_ms = 0;
  uint64_t challenged_ms = 0;  // answer_ms of all its challenges
};

}  // namespace gemmine::verifier
