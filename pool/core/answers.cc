#include "pool/core/answers.h"

#include <algorithm>

#include "kernels/hash/blake3.h"
#include "pool/core/answer_time.h"
#include "pool/core/audits.h"
#include "pool/core/closing.h"
#include "pool/core/descents.h"
#include "pool/core/garbage.h"
#include "pool/core/proofs.h"
#include "pool/core/terms.h"
#include "pool/core/transfers.h"
#include "pool/core/verdicts.h"

namespace gemmine::pool {

using verifier::Asked;
using verifier::AuditKind;
using verifier::ChallengeState;
using verifier::ChallengeWhy;
using verifier::LeaseState;
using verifier::Outcome;
using verifier::RecordKind;

namespace {

// The name under which an answer's parts lie on disk.
Digest upload_id(const Digest& lease_id, uint64_t challenge) {
  return kernels::blake3(Writer().put_digest(lease_id).put(challenge).bytes());
}

// Judged, or of a lease that was run again, which shows all that was asked for; a descent's when
// that is over.
bool over(const PoolState& pool, const ChallengeState& challenge) {
  if (challenge.why == ChallengeWhy::descent)
    return challenge.outcome || !pool.descents.contains(challenge.lease_id);
  const LeaseState& lease = pool.known_lease(challenge.lease_id);
  return challenge.outcome || lease.replayed || lease.wrong;
}

// Neither over nor answered whole.
bool owed(const PoolState& pool, const ChallengeState& challenge) {
  return !challenge.answer && !over(pool, challenge);
}

// What the pool itself cost the miner is added to what the record gives it.
uint64_t due_ms(const ChallengeState& challenge, const AnswerNotes& notes) {
  return std::max(challenge.due_ms(), notes.again_ms + challenge.answer_ms);
}

const ChallengeState* find(const PoolState& pool, uint64_t seq) {
  const auto& all = pool.ledger().challenges();
  const auto found = all.find(seq);
  return found == all.end() ? nullptr : &found->second;
}

// question: of a descent; else empty.
uint64_t bytes_max(const PoolState& pool, const LeaseState& lease, const Bytes& question) {
  const verifier::Work& work = pool.work_of(lease.lease);
  if (question.empty()) return answer_bytes_max(work);
  const auto asked = decode<verifier::Question>(question);
  GEMMINE_CHECK(asked.ok());  // we wrote it
  return verifier::kQuestionBytes + verifier::answer_bytes(work.program(), asked.value());
}

// A share of each lease that the key has open goes first, and what it was asked before.
uint32_t time_for(const PoolState& pool, const LeaseState& lease, const Bytes& text) {
  const Digest& key = lease.lease.miner_key;
  const verifier::Work& work = pool.work_of(lease.lease);
  Question question{.share_macs = 0,
                    .lease_macs = work.program().macs_per_step() * lease.lease.steps,
                    .answer_bytes = bytes_max(pool, lease, text),
                    .waiting = 1};
  if (const auto open = pool.open_leases.find(key); open != pool.open_leases.end()) {
    for (const Digest& id : open->second) {
      const verifier::Lease& at = pool.known_lease(id).lease;
      question.share_macs += pool.work_of(at).program().macs_per_step() * at.steps_per_share;
    }
  }
  for (const auto& [seq, notes] : pool.answers)
    question.waiting +=
        owed(pool, *find(pool, seq)) && pool.known_lease(notes.lease_id).lease.miner_key == key ? 1
                                                                                                : 0;
  const uint64_t ms = answer_time_ms(work.job(), pool.paces_of(key), question);
  return static_cast<uint32_t>(std::min<uint64_t>(ms, UINT32_MAX));
}

ChallengeMessage message_of(const PoolState& pool, uint64_t seq, const ChallengeState& challenge) {
  return {{.lease_id = challenge.lease_id,
           .why = challenge.why,
           .what = challenge.what,
           .question = challenge.question,
           .answer_ms = challenge.answer_ms},
          pool.answers.at(seq).receipt,
          pool.answers.at(seq).question};
}

void forget(PoolState& pool, uint64_t seq) {
  const auto found = pool.answers.find(seq);
  if (found == pool.answers.end()) return;
  const Digest id = upload_id(found->second.lease_id, seq);
  if (pool.uploads.find(id) != nullptr) {
    pool.uploads.forget(id);
    pool.out.disk.emplace_back(DropUpload{id});
  }
  const auto said = found->second.said;
  pool.answer_uploads.erase(id);
  pool.answers.erase(found);
  if (said) drop_unneeded(pool, said->address);  // it may be becoming a blob right now
}

void judge(PoolState& pool, uint64_t seq, AuditKind kind, Outcome outcome, uint32_t step,
           std::string detail, uint64_t now) {
  const ChallengeState& challenge = *find(pool, seq);
  const LeaseState& lease = pool.known_lease(challenge.lease_id);
  const auto last = static_cast<uint32_t>(lease.shares.size() - 1);
  verifier::LeaseFinding found;
  found.index = last;
  found.digest = challenge.question;
  found.finding = {outcome, step, std::move(detail)};
  log_verdict(pool, lease, kind, found, now);
  forget(pool, seq);
  pool.due.batches.insert({lease.lease.job_id, lease.lease.miner_key, lease.batch});
  pool.due.complete.insert(lease.lease.id);
}

void check(PoolState& pool, uint64_t seq, const ChallengeState& challenge) {
  if (challenge.why == ChallengeWhy::descent) return on_descent_answer(pool, challenge.lease_id);
  const LeaseState& lease = pool.known_lease(challenge.lease_id);
  ThreadTask task{lease.lease, {}, seq, challenge.question, challenge.answer->address};
  for (const verifier::ShareState& share : lease.shares)
    task.shares.push_back(share.share);
  pool.out.tasks.emplace_back(std::move(task));
}

// Begun by an earlier process: its answer is on disk, or comes again.
void go_on(PoolState& pool, const LeaseState& lease, uint64_t seq, const Bytes& text) {
  const ChallengeState& asked = *find(pool, seq);
  if (asked.outcome || pool.answers.contains(seq)) return;
  const auto* const receipt = pool.book.receipts().challenge(asked.lease_id, asked.question);
  GEMMINE_CHECK(receipt != nullptr);
  pool.answers[seq] = {.lease_id = lease.lease.id,
                       .receipt = *receipt,
                       .said = {},
                       .again_ms = pool.resumed_ms,
                       .question = text};
  if (asked.answer) return check(pool, seq, asked);
  pool.tell_miner(lease.lease.miner_key, message_of(pool, seq, asked));
}

}  // namespace

bool asks_for_threads(const PoolState& pool, const verifier::Lease& lease) {
  return pool.options.always_threads || !replays_threads(pool.work_of(lease));
}

bool audit_at_once(PoolState& pool, const LeaseState& lease, const Digest& seed, uint64_t now) {
  std::optional<Outcome> outcome;
  for (const uint64_t seq : lease.challenges) {
    const ChallengeState& asked = *find(pool, seq);
    if (asked.why == ChallengeWhy::immediate && asked.question == seed) outcome = asked.outcome;
  }
  if (lease.replayed || outcome == Outcome::valid) return false;
  // Silence costs a replay here: until it is right the lease is not complete.
  const bool asks = asks_for_threads(pool, lease.lease) && !outcome;
  const Challenge thread{
      .why = ChallengeWhy::immediate, .what = Asked::thread, .question = seed, .text = {}};
  if (!asks || !ask_miner(pool, lease, thread, now)) want_replay(pool, lease);
  return true;
}

void want_thread(PoolState& pool, const LeaseState& lease, const verifier::TicketState& ticket,
                 uint64_t now) {
  ask_miner(
      pool, lease,
      {.why = ChallengeWhy::ticket, .what = Asked::thread, .question = ticket.seed, .text = {}},
      now);
}

bool ask_miner(PoolState& pool, const LeaseState& lease, const Challenge& wanted, uint64_t now) {
  for (const uint64_t seq : lease.challenges) {
    if (find(pool, seq)->question != wanted.question) continue;
    go_on(pool, lease, seq, wanted.text);
    return true;
  }
  const verifier::ChallengeBody body{.lease_id = lease.lease.id,
                                     .why = wanted.why,
                                     .what = wanted.what,
                                     .question = wanted.question,
                                     .answer_ms = time_for(pool, lease, wanted.text)};
  const auto logged = pool.book.append(RecordKind::challenge, verifier::encode(body), now);
  if (!logged) {
    pool.out.note("challenge_refused", {{"reason", logged.error().detail}}, Level::error);
    return false;
  }
  const uint64_t seq = logged.value().seq;
  AnswerNotes& notes = pool.answers[seq];
  notes.lease_id = lease.lease.id;
  notes.receipt = logged.value();
  notes.question = wanted.text;
  const bool thread = wanted.what == Asked::thread;
  pool.out.note(thread ? "thread_asked" : "question_asked",
                {{"lease", short_hex(lease.lease.id)},
                 {"miner", short_hex(lease.lease.miner_key)},
                 {"for", std::string(verifier::to_string(wanted.what))},
                 {"answer_ms", std::to_string(body.answer_ms)}});
  pool.tell_miner(lease.lease.miner_key, message_of(pool, seq, *find(pool, seq)));
  return true;
}

void ask_again(PoolState& pool, ConnId to, const Digest& key) {
  for (const auto& [seq, notes] : pool.answers) {
    const ChallengeState& challenge = *find(pool, seq);
    if (!owed(pool, challenge) || pool.known_lease(notes.lease_id).lease.miner_key != key) continue;
    pool.out.send(to, message_of(pool, seq, challenge));
    if (const auto* const upload = pool.uploads.find(upload_id(notes.lease_id, seq)))
      pool.out.send(to, Have{notes.lease_id, seq, upload->had});
  }
}

void on_answer(PoolState& pool, const Peer& peer, const AnswerMessage& message, uint32_t seq,
               uint64_t now) {
  const verifier::AnswerBody& answer = message.answer;
  const ChallengeState* const challenge = find(pool, answer.challenge);
  const auto notes = pool.answers.find(answer.challenge);
  const LeaseState* const lease = pool.lease(answer.lease_id);
  const bool asked = challenge != nullptr && notes != pool.answers.end() && lease != nullptr &&
                     challenge->lease_id == answer.lease_id && owed(pool, *challenge) &&
                     lease->lease.miner_key == peer.key && now < due_ms(*challenge, notes->second);
  if (!asked)
    return pool.refuse(peer.id, seq, WireError::not_challenged, "nobody asks for this answer");
  if (answer.bytes == 0 || answer.bytes > bytes_max(pool, *lease, notes->second.question))
    return pool.refuse(peer.id, seq, WireError::not_challenged, "the answer is too long");
  if (!verifier::verify_signature(peer.key, verifier::answer_message(answer), answer.signature))
    return pool.refuse(peer.id, seq, WireError::bad_signature, "the answer is not signed");
  std::optional<verifier::AnswerBody>& said = notes->second.said;
  if (said && (said->address != answer.address || said->bytes != answer.bytes))
    return pool.refuse(peer.id, seq, WireError::conflict, "another answer is on its way");
  said = answer;
  pool.answer_uploads[upload_id(answer.lease_id, answer.challenge)] = answer.challenge;
}

void on_answer_part(PoolState& pool, const Peer& peer, Upload& upload, uint32_t seq) {
  const auto notes = pool.answers.find(upload.challenge);
  const bool said = notes != pool.answers.end() && notes->second.said &&
                    notes->second.lease_id == upload.lease_id;
  const ChallengeState* const challenge = find(pool, upload.challenge);
  if (!said || challenge == nullptr || !owed(pool, *challenge))
    return pool.refuse(peer.id, seq, WireError::not_challenged, "nobody asks for this answer");
  take_part(pool, {peer.id, seq},
            {.id = upload_id(upload.lease_id, upload.challenge),
             .root = notes->second.said->address,
             .total_bytes = notes->second.said->bytes,
             .have = {upload.lease_id, upload.challenge, 0},
             .wrong = WireError::not_challenged},
            upload.part);
}

bool on_answer_stored(PoolState& pool, const PartStored& done) {
  const auto found = pool.answer_uploads.find(done.lease_id);
  if (found == pool.answer_uploads.end()) return false;
  const uint64_t seq = found->second;
  const AnswerNotes& notes = pool.answers.at(seq);
  if (Uploads::Upload* const upload = part_stored(pool, done, WireError::not_challenged)) {
    pool.tell_miner(pool.known_lease(notes.lease_id).lease.miner_key,
                    Have{notes.lease_id, seq, upload->had});
    if (upload->whole())
      pool.out.disk.emplace_back(FinishAnswer{done.lease_id, upload->root, upload->total_bytes});
  }
  return true;
}

bool on_answer_finished(PoolState& pool, const DeltaFinished& done, uint64_t now) {
  const auto found = pool.answer_uploads.find(done.lease_id);
  if (found == pool.answer_uploads.end()) return false;
  const uint64_t seq = found->second;
  AnswerNotes& notes = pool.answers.at(seq);
  Uploads::Upload* const upload = pool.uploads.find(done.lease_id);
  if (upload == nullptr) return true;
  if (done.stored != Stored::yes) {
    // A file that is still there is tried again with its last group.
    const bool here = done.stored == Stored::failed;
    const uint64_t had = here ? groups_of(upload->total_bytes) - 1 : 0;
    if (here) {
      upload->had = upload->taken = had;
    } else {
      pool.uploads.forget(done.lease_id);
    }
    notes.again_ms = now;
    pool.out.note("answer_failed", {{"lease", short_hex(notes.lease_id)}, {"reason", done.why}},
                  Level::error);
    pool.tell_miner(pool.known_lease(notes.lease_id).lease.miner_key,
                    Have{notes.lease_id, seq, had});
    return true;
  }
  pool.uploads.forget(done.lease_id);
  const auto logged = pool.book.append(RecordKind::answer, verifier::encode(*notes.said), now);
  if (!logged) {
    pool.out.note("answer_refused", {{"reason", logged.error().detail}}, Level::error);
    return true;
  }
  check(pool, seq, *find(pool, seq));
  return true;
}

void on_thread_done(PoolState& pool, const ThreadDone& done, uint64_t now) {
  const ChallengeState* const challenge = find(pool, done.challenge);
  if (challenge == nullptr || challenge->outcome) return;
  const LeaseState& lease = pool.known_lease(done.lease_id);
  switch (done.found.outcome) {
    case verifier::ThreadOutcome::valid:
      pool.proven.insert(lease.lease.miner_key);
      judge(pool, done.challenge, AuditKind::thread, Outcome::valid, verifier::kNoStep, "", now);
      break;
    case verifier::ThreadOutcome::unusable:
      judge(pool, done.challenge, AuditKind::thread, Outcome::undecided, verifier::kNoStep,
            done.found.detail, now);
      break;
    case verifier::ThreadOutcome::wrong:
      pool.out.note("thread_wrong",
                    {{"lease", short_hex(done.lease_id)},
                     {"step", std::to_string(done.found.step)},
                     {"detail", done.found.detail}},
                    Level::warning);
      if (done.proven && log_proof(pool, *done.proven, challenge, now)) {
        forget(pool, done.challenge);
      } else {
        // The replay finds the step and the tensor, and says so with a digest that all can check.
        want_replay(pool, lease);
      }
      break;
    case verifier::ThreadOutcome::undecided:
      pool.out.note("audit_undecided",
                    {{"lease", short_hex(done.lease_id)}, {"reason", done.found.detail}},
                    Level::warning);
      want_replay(pool, lease);
      break;
  }
}

void look_at_challenges(PoolState& pool, uint64_t now) {
  std::vector<uint64_t> late;
  std::vector<uint64_t> done;
  for (const auto& [seq, notes] : pool.answers) {
    const ChallengeState& challenge = *find(pool, seq);
    const auto* const upload = pool.uploads.find(upload_id(notes.lease_id, seq));
    const LeaseState& lease = pool.known_lease(notes.lease_id);
    // It holds a slot, and its round: for a slow line nobody waits so long.
    const bool holds = challenge.why == ChallengeWhy::immediate && owed(pool, challenge);
    if (holds && now >= challenge.time_ms + lease_ms_of(lease.lease)) want_replay(pool, lease);
    if (over(pool, challenge)) {
      done.push_back(seq);
    } else if (owed(pool, challenge) && now >= due_ms(challenge, notes) &&
               (upload == nullptr || !upload->whole())) {
      late.push_back(seq);
    }
  }
  for (const uint64_t seq : done)
    forget(pool, seq);
  for (const uint64_t seq : late) {
    const ChallengeState& challenge = *find(pool, seq);
    judge(pool, seq, AuditKind::unanswered, Outcome::undecided, verifier::kNoStep,
          "no answer in time", now);
    if (challenge.why == ChallengeWhy::descent) on_descent_silence(pool, challenge.lease_id);
  }
}

}  // namespace gemmine::pool
