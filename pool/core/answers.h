// Threads that are asked for: challenges, answers, and what becomes of those who are silent
// (PROTOCOL 11, 13). Pure.
//
// A challenge is logged before anybody hears of it, and is said again on every new connection until
// it is answered. The answer comes as a file, beside the deltas, and is logged when it is whole.
// What nobody answers in time is said to be so, and the batch's rule goes on.
#pragma once

#include "pool/core/state.h"

namespace gemmine::pool {

// Threads of this job are asked for, and not replayed.
bool asks_for_threads(const PoolState& pool, const verifier::Lease& lease);

// The ticket's thread: asked for, if it was not yet. `ticket` is open, and a thread's.
void want_thread(PoolState& pool, const verifier::LeaseState& lease,
                 const verifier::TicketState& ticket, uint64_t now);

// The audit of a lease that the immediate coin draws, unless it was passed: a thread where a pool
// asks for threads, else a replay. False: it was passed.
bool audit_at_once(PoolState& pool, const verifier::LeaseState& lease, const Digest& seed,
                   uint64_t now);

// Asks a lease's miner for something, and waits for its answer.
struct Challenge {
  verifier::ChallengeWhy why = verifier::ChallengeWhy::ticket;
  verifier::Asked what = verifier::Asked::thread;
  Digest question;
  Bytes text;  // whose address `question` is; of a thread empty
};
// A question that is logged already is asked again. False: the ledger refused it.
bool ask_miner(PoolState& pool, const verifier::LeaseState& lease, const Challenge& challenge,
               uint64_t now);

// On a new connection of the key: what it still owes, and how much of it is here.
void ask_again(PoolState& pool, ConnId to, const Digest& key);

void on_answer(PoolState& pool, const Peer& peer, const AnswerMessage& message, uint32_t seq,
               uint64_t now);
// A part of an answer. upload.challenge != kDelta.
void on_answer_part(PoolState& pool, const Peer& peer, Upload& upload, uint32_t seq);
// Whether the upload is one of an answer; then it is dealt with.
bool on_answer_stored(PoolState& pool, const PartStored& done);
bool on_answer_finished(PoolState& pool, const DeltaFinished& done, uint64_t now);

void on_thread_done(PoolState& pool, const ThreadDone& done, uint64_t now);

// Verdicts on what is late.
void look_at_challenges(PoolState& pool, uint64_t now);

}  // namespace gemmine::pool
