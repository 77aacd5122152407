// What a miner owes the pool about leases that are done: threads of them (PROTOCOL 11).
#pragma once

#include "miner/state.h"

namespace gemmine::miner {

inline constexpr size_t kAnswersMax = 4096;  // owed at once
inline constexpr size_t kUnsentMax = 2;      // answers on disk; more are made when these are sent

// The pool asks, or asks again.
void on_challenge(State& state, const pool::ChallengeMessage& message, uint64_t now_ms);
// It has judged a lease: its answers are of no use any more.
void on_judged(State& state, const verifier::Verdict& verdict);
// The batches of these leases are settled: nothing more will be asked about them.
void settled(State& state, std::span<const Digest> lease_ids);
// At a login. open: what the pool counts as ours; batches: batch_commit of those that it has not
// settled. Leases of other batches are settled, or came to nothing.
void keep_unsettled(State& state, std::span<const Digest> open, std::span<const Digest> batches);
// Nothing more is asked about any lease of the job.
void forget_job(State& state, const Digest& job_id);

// Makes the answer that is due first, one at a time: with its weights it may fill the memory.
void drive_answers(State& state, uint64_t now_ms);
void on_answer_weights(State& state, const Fetch& fetch, const Result<Bytes>& bytes,
                       uint64_t now_ms);
void on_answered(State& state, const ThreadAnswered& done);
// The pool has all of the answer's bytes.
void on_answer_sent(State& state, uint64_t challenge);
void on_answer_failed(State& state, const AnswerFailed& failed, uint64_t now_ms);

}  // namespace gemmine::miner
