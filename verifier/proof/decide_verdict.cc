// Kinds 8 and 9: a pool's false verdict, and what a ledger says of a challenge's answer (PROTOCOL
// 12.9, 12.10).
#include <algorithm>

#include "verifier/ledger/bodies.h"
#include "verifier/proof/decide.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

namespace {

Result<Verdict> get_verdict(Reader& in) {
  auto verdict = decode_verdict(in.get_blob(kVerdictBytesMax));
  if (!verdict) return bad_proof("verdict", verdict.error().detail);
  return verdict;
}

// "valid" by the pool's replay of a lease, of which something is proven wrong.
Status decide_false_valid(Reader& in, ProofFinding& out, const Verdict& verdict) {
  const ByteView inner = in.get_blob(kProofBytesMax);
  if (Status end = expect_end(in, "verdict"); !end) return end;
  // Only what convicts a miner; such a file holds no other.
  const size_t kind = kProofMagic.size();
  if (inner.size() <= kind || !convicts_miner(static_cast<ProofKind>(inner[kind])))
    return bad_proof("verdict", "what it holds is no proof against a miner");
  const auto wrong = decide_proof(inner, verdict.auditor_key);
  if (!wrong) return Error{wrong.error().code, "in the verdict's " + wrong.error().detail};
  out.job_id = wrong.value().job_id;
  if (verdict.outcome != Outcome::valid || verdict.kind != AuditKind::replay)
    return not_proven(out, "the verdict does not say that a replay found the lease valid");
  if (!wrong.value().proven) return not_proven(out, wrong.value().words);
  if (wrong.value().lease_id != verdict.lease_id)
    return not_proven(out, "what is proven is about something else");
  return proven(
      out, "the pool's replay found a lease valid of which this is proven: " + wrong.value().words);
}

// "invalid" by a replay that came to the digest which the miner had sent for that step, too.
Status decide_false_invalid(Reader& in, ProofFinding& out, const Verdict& verdict) {
  auto decoded = get_share_case(in);
  if (!decoded) return decoded.error();
  const ShareCase& at = decoded.value();
  std::vector<Digest> digests(std::min<size_t>(at.share.steps, in.rest() / 32));
  for (Digest& digest : digests)
    digest = in.get_digest();
  if (digests.size() != at.share.steps) return bad_proof("digests", "are not the share's");
  if (Status end = expect_end(in, "verdict"); !end) return end;
  out.job_id = at.work.id();
  if (verdict.outcome != Outcome::invalid || verdict.kind != AuditKind::replay ||
      verdict.digest.is_zero())
    return not_proven(out, "the verdict does not say what a replay got instead");
  if (const std::string doubt = doubt_of(at); !doubt.empty()) return not_proven(out, doubt);
  if (at.lease.pool_key != verdict.auditor_key || verdict.lease_id != at.lease.id ||
      verdict.share_id != share_id(at.share))
    return not_proven(out, "the verdict is about another share");
  if (trace_root(at.lease.id, at.share.first_step, digests) != at.share.trace_root)
    return not_proven(out, "the digests are not the ones that the miner committed to");
  const uint32_t step = verdict.step;
  if (step == kNoStep) {
    if (verdict.digest == at.share.state_after || verdict.digest == at.share.delta_root)
      return proven(out, "the pool's replay came to the end that the miner had committed to");
  } else if (step < at.share.first_step || step - at.share.first_step >= at.share.steps) {
    return proven(out, "the pool found a step wrong that the share does not have");
  } else if (verdict.digest == digests[step - at.share.first_step]) {
    return proven(out, "the pool's replay of step " + std::to_string(step) +
                           " came to the digest that the miner had sent");
  }
  out.replay = ToReplay{.said = ToReplay::Said::wrong,
                        .work = at.work,
                        .lease = at.lease,
                        .share = at.share,
                        .step = step,
                        .digest = verdict.digest};
  const std::string what =
      step == kNoStep ? std::string("the share") : "step " + std::to_string(step);
  return not_proven(out,
                    "the pool's replay and the miner differ: a replay of " + what + " decides");
}

// What the pool's replay says of the share that is here; "valid" is said of a lease's last one.
Status decide_doubted(Reader& in, ProofFinding& out, const Verdict& verdict) {
  auto decoded = get_share_case(in);
  if (!decoded) return decoded.error();
  const ShareCase& at = decoded.value();
  if (Status end = expect_end(in, "verdict"); !end) return end;
  out.job_id = at.work.id();
  const bool right = verdict.outcome == Outcome::valid;
  const bool says = right || (verdict.outcome == Outcome::invalid && !verdict.digest.is_zero());
  if (!says || verdict.kind != AuditKind::replay)
    return not_proven(out, "the verdict does not say what a replay got");
  if (const std::string doubt = doubt_of(at); !doubt.empty()) return not_proven(out, doubt);
  if (at.lease.pool_key != verdict.auditor_key || verdict.lease_id != at.lease.id ||
      verdict.share_id != share_id(at.share) || (right && at.share.index + 1 != at.lease.shares()))
    return not_proven(out, "the verdict is about another share");
  if (!right && verdict.step != kNoStep &&
      (verdict.step < at.share.first_step || verdict.step - at.share.first_step >= at.share.steps))
    return proven(out, "the pool found a step wrong that the share does not have");
  out.replay = ToReplay{.said = right ? ToReplay::Said::right : ToReplay::Said::wrong,
                        .work = at.work,
                        .lease = at.lease,
                        .share = at.share,
                        .step = verdict.step,
                        .digest = verdict.digest};
  return not_proven(out, std::string("the pool's replay found the ") +
                             (right ? "lease valid" : "share wrong") + ": a replay decides");
}

// A job that was stopped where this lease is said to diverge.
Status decide_stopped(Reader& in, ProofFinding& out) {
  auto decoded = get_lease_case(in);
  if (!decoded) return decoded.error();
  const LeaseCase& at = decoded.value();
  const auto said = get_statement(in);
  if (!said) return said.error();
  const auto stop = decode<StopBody>(said.value().body);
  if (said.value().kind != RecordKind::stop || !stop)
    return bad_proof("stop", "the record is none");
  if (Status end = expect_end(in, "stop"); !end) return end;
  accuse_pool(out, at.lease.pool_key);
  out.job_id = at.work.id();
  out.lease_id = at.lease.id;
  if (const std::string doubt = doubt_of(at); !doubt.empty()) return not_proven(out, doubt);
  if (!said_by(said.value(), at.lease.pool_key))
    return not_proven(out, "the pool's signature of the stop is wrong");
  if (stop.value().job_id != at.work.id() || stop.value().lease_id != at.lease.id)
    return not_proven(out, "the stop is about another lease");
  if (stop.value().step >= at.lease.steps)
    return proven(out, "the pool stopped the job at a step that the lease does not have");
  out.replay = ToReplay{.said = ToReplay::Said::diverges,
                        .work = at.work,
                        .lease = at.lease,
                        .step = stop.value().step};
  return not_proven(out, "the pool stopped the job at step " + std::to_string(stop.value().step) +
                             " of the lease: a replay decides");
}

// A record of the ledger as it lies there, without a receipt of its own.
Result<Record> get_record(Reader& in) {
  auto record = decode_record(in.get_blob(kRecordBytesMax + 64));
  if (!record) return bad_proof("record", record.error().detail);
  return record;
}

struct Asked {
  Statement record;
  ChallengeBody body;
  uint64_t due_ms() const { return record.receipt.time_ms + body.answer_ms; }
};
Result<Asked> get_asked(Reader& in) {
  auto record = get_statement(in);
  if (!record) return record.error();
  auto body = decode<ChallengeBody>(record.value().body);
  if (record.value().kind != RecordKind::challenge || !body)
    return bad_proof("challenge", "the record is none");
  return Asked{std::move(record.value()), body.value()};
}

bool answers(RecordKind kind, ByteView body, const Asked& asked) {
  if (kind != RecordKind::answer) return false;
  const auto answer = decode<AnswerBody>(body);
  return answer && answer.value().challenge == asked.record.receipt.seq &&
         answer.value().lease_id == asked.body.lease_id;
}

// All records from the challenge to the first after its time.
Status decide_silence(Reader& in, ProofFinding& out) {
  auto lease = decode_lease(in.get_blob(kLeaseBytes));
  if (!lease) return bad_proof("lease", lease.error().detail);
  auto read = get_asked(in);
  if (!read) return read.error();
  const Asked& asked = read.value();
  std::vector<Record> records;
  for (auto left = in.get<uint32_t>(); left > 0 && in.ok(); --left) {
    auto record = get_record(in);
    if (!record) return record.error();
    records.push_back(std::move(record.value()));
  }
  SignedHead last;
  const ByteView signature = in.get_raw(last.signature.size());
  if (Status end = expect_end(in, "records"); !end) return end;
  std::copy(signature.begin(), signature.end(), last.signature.begin());
  accuse_miner(out, lease.value());
  if (!signed_by_pool(lease.value()) || !said_by(asked.record, lease.value().pool_key) ||
      asked.body.lease_id != lease.value().id)
    return not_proven(out, "the pool did not sign all of it");
  last.head =
      head_of(asked.record.receipt, static_cast<uint8_t>(asked.record.kind), asked.record.body)
          .head;
  last.seq = asked.record.receipt.seq;
  for (const Record& record : records) {
    if (record.seq != last.seq + 1) return not_proven(out, "a record is missing");
    last.head = next_head(last.head, record);
    last.seq = record.seq;
    last.time_ms = record.time_ms;
    if (answers(record.kind, record.body, asked) && record.time_ms <= asked.due_ms())
      return not_proven(out, "the challenge was answered");
  }
  if (!signed_by(last, lease.value().pool_key))
    return not_proven(out, "the pool did not sign the last record");
  if (last.time_ms <= asked.due_ms()) return not_proven(out, "its time was not over");
  return proven(out, "the challenge of record " + std::to_string(asked.record.receipt.seq) +
                         " has no answer in the ledger by its time, which is silence and no fraud");
}

// "unanswered" by the pool, before its time or though an answer is logged.
Status decide_denied(Reader& in, ProofFinding& out) {
  accuse_pool(out, in.get_digest());
  auto read = get_asked(in);
  if (!read) return read.error();
  const Asked& asked = read.value();
  std::optional<Statement> answer;
  const auto with_answer = in.get<uint8_t>();
  if (with_answer > 1) return bad_proof("answer", "a flag is neither 0 nor 1");
  if (with_answer == 1) {
    auto record = get_statement(in);
    if (!record) return record.error();
    answer = std::move(record.value());
  }
  auto said = get_statement(in);
  if (!said) return said.error();
  const Statement& denial = said.value();
  const auto wrapped = decode_wrapped(denial.body, kVerdictBytesMax);
  if (denial.kind != RecordKind::verdict || !wrapped)
    return bad_proof("verdict", "the record is none");
  const auto verdict = decode_verdict(wrapped.value());
  if (!verdict) return bad_proof("verdict", verdict.error().detail);
  if (Status end = expect_end(in, "records"); !end) return end;
  out.lease_id = asked.body.lease_id;
  if (!said_by(asked.record, out.pool_key) || !said_by(denial, out.pool_key) ||
      (answer && !said_by(*answer, out.pool_key)))
    return not_proven(out, "the pool did not sign all of it");
  const Verdict& word = verdict.value();
  if (word.kind != AuditKind::unanswered || word.auditor_key != out.pool_key ||
      word.lease_id != asked.body.lease_id || word.digest != asked.body.question)
    return not_proven(out, "the verdict does not say that this challenge was not answered");
  if (denial.receipt.seq > asked.record.receipt.seq && denial.receipt.time_ms <= asked.due_ms())
    return proven(out, "the pool said \"unanswered\" before the challenge's time was over");
  if (answer && answers(answer->kind, answer->body, asked) &&
      answer->receipt.time_ms <= asked.due_ms() && answer->receipt.seq < denial.receipt.seq)
    return proven(out, "the pool said \"unanswered\" though it had logged the answer in time");
  return not_proven(out, "nothing contradicts the pool's word");
}

}  // namespace

Status decide_false_verdict(Reader& in, ProofFinding& out) {
  const auto form = in.get<uint8_t>();
  if (form == 3) return decide_stopped(in, out);
  auto verdict = get_verdict(in);
  if (!verdict) return verdict.error();
  accuse_pool(out, verdict.value().auditor_key);
  out.lease_id = verdict.value().lease_id;
  if (form > 2) return bad_proof("verdict", "is neither a false valid nor a false invalid");
  Status decided = form == 0   ? decide_false_valid(in, out, verdict.value())
                   : form == 1 ? decide_false_invalid(in, out, verdict.value())
                               : decide_doubted(in, out, verdict.value());
  if (!decided || signed_by_auditor(verdict.value())) return decided;
  out.replay.reset();
  return not_proven(out, "the signature of the verdict is wrong");
}

Status decide_unanswered(Reader& in, ProofFinding& out) {
  const auto form = in.get<uint8_t>();
  if (form > 1) return bad_proof("challenge", "is neither unanswered nor denied");
  return form == 0 ? decide_silence(in, out) : decide_denied(in, out);
}

}  // namespace gemmine::verifier
