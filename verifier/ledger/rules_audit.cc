// Rules of audits: what is asked, answered, found and proven (PROTOCOL 7, 8.5).
#include <algorithm>

#include "verifier/ledger/data.h"

namespace gemmine::verifier {

namespace {

// The lease's challenge with this question; null when there is none.
ChallengeState* find_challenge(LedgerData& data, const LeaseState& lease, const Digest& question) {
  for (const uint64_t seq : lease.challenges) {
    ChallengeState& challenge = data.challenges.at(seq);
    if (challenge.question == question) return &challenge;
  }
  return nullptr;
}

// The thread ticket of the lease that has this seed; null when none was drawn.
TicketState* find_ticket(BatchState& batch, const Digest& lease_id, const Digest& seed) {
  if (!batch.draw) return nullptr;
  for (TicketState& one : batch.draw->tickets) {
    const bool same = one.ticket.kind == AuditKind::thread && one.seed == seed;
    if (same && batch.leases[one.ticket.lease] == lease_id) return &one;
  }
  return nullptr;
}

// What an invalid verdict stands on: a proof, or a digest that a stranger's replay gets, too.
Status check_accusation(const LedgerData& data, const LeaseState& lease, const Verdict& verdict) {
  if (verdict.kind == AuditKind::unanswered) return invalid("silence is not wrong");
  const Share& share = lease.shares[verdict.index].share;
  if (verdict.step != kNoStep &&
      (verdict.step < share.first_step || verdict.step - share.first_step >= share.steps))
    return invalid("the step is not one of the share");
  if (!verdict.proof.is_zero()) return check_proof(data, verdict.proof, verdict.lease_id);
  if (verdict.kind != AuditKind::replay || verdict.digest.is_zero())
    return invalid("neither a proof nor what a replay got");
  const bool as_claimed = verdict.digest == share.state_after || verdict.digest == share.delta_root;
  if (verdict.step == kNoStep && as_claimed) return invalid("the replay got what the share says");
  return Ok{};
}

// A verdict that finds nothing wrong is on all the shares there are.
Status check_acquittal(const LeaseState& lease, const Verdict& verdict) {
  if (verdict.index + 1 != lease.shares.size())
    return invalid("it names another share than the lease's last");
  if (verdict.step != kNoStep || !verdict.proof.is_zero())
    return invalid("a step and a proof belong to invalid only");
  if (verdict.kind == AuditKind::replay && verdict.outcome != Outcome::valid)
    return invalid("a replay decides");
  // Whoever ran a part knows nothing of the shares that come after it.
  if (verdict.kind == AuditKind::replay && lease.shares.size() != lease.lease.shares())
    return invalid("the lease has shares to come");
  if (verdict.kind == AuditKind::replay && !verdict.digest.is_zero())
    return invalid("a digest belongs to what is wrong");
  if (verdict.kind == AuditKind::unanswered && verdict.outcome != Outcome::undecided)
    return invalid("silence decides nothing");
  return Ok{};
}

// The challenge that a thread's or an unanswered verdict is about.
Status check_asked(const ChallengeState* challenge, const Verdict& verdict, uint64_t time_ms) {
  if (challenge == nullptr) return invalid("nobody asked that");
  if (challenge->outcome) return invalid("the challenge has its verdict");
  if (verdict.kind == AuditKind::thread) {
    if (challenge->what != Asked::thread) return invalid("the challenge is no thread's");
    if (!challenge->answer) return invalid("the challenge has no answer");
    return Ok{};
  }
  if (challenge->answer) return invalid("the challenge was answered");
  if (time_ms < challenge->due_ms()) return invalid("the time to answer has not run out");
  return Ok{};
}

void find_wrong(LedgerData& data, LeaseState& lease, const Verdict& verdict, uint64_t seq) {
  if (!verdict.proof.is_zero()) prove(data, lease, verdict.proof);
  if (lease.wrong) return;
  lease.wrong = WrongState{verdict.index, verdict.step, seq};
  data.keys.at({lease.lease.job_id, lease.lease.miner_key}).right = 0;
  strike(data, lease, seq);
}

void find_right(LedgerData& data, LeaseState& lease) {
  if (!lease.right) ++data.keys.at({lease.lease.job_id, lease.lease.miner_key}).right;
  lease.right = true;
}

Status check_ticket(LedgerData& data, const LeaseState& lease, const ChallengeBody& body,
                    TicketState** ticket) {
  BatchState* const batch = find_batch(data, batch_id(lease));
  GEMMINE_CHECK(batch != nullptr);
  if (batch->settled) return invalid("the batch is settled");
  *ticket = find_ticket(*batch, body.lease_id, body.question);
  if (*ticket == nullptr) return invalid("no ticket of the lease was drawn with this seed");
  return Ok{};
}

}  // namespace

Status check_proof(const LedgerData& data, const Digest& address, const Digest& lease_id) {
  const ProofState* const proof = find_in(data.proofs, address);
  if (proof == nullptr) return invalid("the proof is not logged");
  if (proof->lease_id != lease_id) return invalid("the proof is about another lease");
  if (!convicts_miner(proof->kind)) return invalid("the proof is not against a miner");
  return Ok{};
}

void prove(LedgerData& data, LeaseState& lease, const Digest& address) {
  GEMMINE_CHECK(data.proofs.contains(address));
  if (lease.proof) return;
  lease.proof = address;
  BatchState* const batch = find_batch(data, batch_id(lease));
  GEMMINE_CHECK(batch != nullptr);
  ++batch->proven;
}

void strike(LedgerData& data, LeaseState& lease, uint64_t seq) {
  JobState& job = data.jobs.at(lease.lease.job_id);
  if (lease.merged && !lease.subtracted) {
    job.to_subtract.emplace(lease.lease.id, seq);
  } else if (lease.closed == CloseReason::complete && !lease.set_aside && !job.ended() &&
             job.slots[lease.lease.slot] == lease.lease.id) {
    job.slots[lease.lease.slot].reset();  // nothing is built on it yet: it is given out again
  }
}

Status apply_proof(LedgerData& data, const Record& record) {
  const auto decoded = decode<ProofBody>(record.body);
  if (!decoded) return decoded.error();
  const ProofBody& body = decoded.value();
  if (body.address.is_zero()) return invalid("the address is zero");
  if (data.proofs.contains(body.address)) return invalid("the proof is already in the ledger");
  if (!body.lease_id.is_zero() && !data.leases.contains(body.lease_id))
    return invalid("no such lease");
  if (convicts_miner(body.kind) && body.lease_id.is_zero()) return invalid("it names no lease");
  data.proofs.emplace(body.address, ProofState{body.kind, body.lease_id, body.bytes, record.seq});
  return Ok{};
}

Status apply_challenge(LedgerData& data, const Record& record) {
  const auto decoded = decode<ChallengeBody>(record.body);
  if (!decoded) return decoded.error();
  const ChallengeBody& body = decoded.value();
  LeaseState* const lease = find_in(data.leases, body.lease_id);
  if (lease == nullptr) return invalid("no such lease");
  const JobState& job = data.jobs.at(lease->lease.job_id);
  if (job.finished) return invalid("the job has finished");
  if (body.answer_ms < job.work.job().audit.answer_ms)
    return invalid("it leaves less than answer_ms");
  if (lease->challenges.size() >= kLeaseChallengesMax)
    return invalid("the lease has had lease_challenges_max challenges");
  if (find_challenge(data, *lease, body.question) != nullptr) return invalid("it was asked before");
  if (body.why != ChallengeWhy::descent && body.what != Asked::thread)
    return invalid("only a descent asks for anything but a thread");
  TicketState* ticket = nullptr;
  if (body.why == ChallengeWhy::immediate) {
    if (lease->closed || !lease->delta_root) return invalid("the lease is not open with its delta");
    const bool twice = std::ranges::any_of(lease->challenges, [&](uint64_t seq) {
      return data.challenges.at(seq).why == ChallengeWhy::immediate;
    });
    if (twice) return invalid("the lease has had its immediate challenge");
  } else if (body.why == ChallengeWhy::ticket) {
    if (Status drawn = check_ticket(data, *lease, body, &ticket); !drawn) return drawn;
  } else if (lease->shares.empty()) {
    return invalid("the lease has no share to ask about");
  }

  data.challenges.emplace(record.seq, ChallengeState{body.lease_id,
                                                     body.why,
                                                     body.what,
                                                     body.question,
                                                     record.time_ms,
                                                     body.answer_ms,
                                                     {},
                                                     {}});
  lease->challenges.push_back(record.seq);
  data.members.at(lease->lease.miner_key).challenged_ms += body.answer_ms;
  if (ticket != nullptr) ticket->challenge = record.seq;
  return Ok{};
}

Status apply_answer(LedgerData& data, const Record& record) {
  const auto decoded = decode<AnswerBody>(record.body);
  if (!decoded) return decoded.error();
  const AnswerBody& body = decoded.value();
  ChallengeState* const challenge = find_in(data.challenges, body.challenge);
  if (challenge == nullptr) return invalid("no such challenge");
  if (challenge->lease_id != body.lease_id) return invalid("the challenge is on another lease");
  if (challenge->answer) return invalid("the challenge was answered");
  if (challenge->outcome) return invalid("the challenge has its verdict");
  const LeaseState& lease = data.leases.at(body.lease_id);
  if (!verify_signature(lease.lease.miner_key, answer_message(body), body.signature))
    return invalid("the answer is not signed by the lease's miner");
  challenge->answer =
      AnswerState{record.seq, record.time_ms, body.address, body.bytes, body.signature};
  return Ok{};
}

Status apply_verdict(LedgerData& data, const Record& record) {
  const auto wrapped = decode_wrapped(record.body, kVerdictBytesMax);
  if (!wrapped) return wrapped.error();
  const auto decoded = decode_verdict(wrapped.value());
  if (!decoded) return decoded.error();
  const Verdict& verdict = decoded.value();
  LeaseState* const lease = find_in(data.leases, verdict.lease_id);
  if (lease == nullptr || verdict.index >= lease->shares.size())
    return invalid("the verdict is on a share that is not in the ledger");
  if (verdict.share_id != lease->shares[verdict.index].id)
    return invalid("share_id is another share's");
  const bool wrong = verdict.outcome == Outcome::invalid;
  Status form = wrong ? check_accusation(data, *lease, verdict) : check_acquittal(*lease, verdict);
  if (!form) return form;
  // Anybody can make a key: only the pool's word counts.
  const bool by_pool = verdict.auditor_key == data.pool_key;
  ChallengeState* challenge = nullptr;
  if (by_pool && verdict.kind != AuditKind::replay) {
    challenge = find_challenge(data, *lease, verdict.digest);
    if (Status asked = check_asked(challenge, verdict, record.time_ms); !asked) return asked;
  }
  if (!signed_by_auditor(verdict)) return invalid("the verdict is not signed by its auditor");

  if (!by_pool) return Ok{};
  if (challenge != nullptr) challenge->outcome = verdict.outcome;
  if (wrong) find_wrong(data, *lease, verdict, record.seq);
  if (verdict.kind == AuditKind::replay && !wrong) lease->replayed = true;
  if (verdict.outcome == Outcome::valid) find_right(data, *lease);
  return Ok{};
}

Status apply_ban(LedgerData& data, const Record& record) {
  const auto decoded = decode<BanBody>(record.body);
  if (!decoded) return decoded.error();
  const BanBody& body = decoded.value();
  MemberState* const member = find_in(data.members, body.key);
  if (member == nullptr) return invalid("the key is no member");
  if (member->banned) return invalid("the key is already banned");
  const LeaseState* const lease = find_in(data.leases, body.lease_id);
  if (lease == nullptr || lease->lease.miner_key != body.key)
    return invalid("the lease is not one of this key");
  if (Status proof = check_proof(data, body.proof, body.lease_id); !proof) return proof;
  // A single fault may be the device's (PROTOCOL 13.6).
  if (find_batch(data, batch_id(*lease))->proven < 2)
    return invalid("no two leases of the batch are proven wrong");

  member->banned = true;
  member->banned_ms = record.time_ms;
  return Ok{};
}

}  // namespace gemmine::verifier
