#include "pool/auditor/auditor.h"

#include <algorithm>

#include "kernels/base/random.h"
#include "kernels/hash/blake3.h"
#include "verifier/proof/write.h"
#include "verifier/records/coin.h"

namespace gemmine::pool {

using verifier::Record;
using verifier::RecordKind;

namespace {

constexpr uint64_t kLookMs = 200;
constexpr uint64_t kCoinSides = 1'000'000;

ExitCode code_of(SessionEnd end) {
  switch (end) {
    case SessionEnd::refused_account:
    case SessionEnd::banned:
      return ExitCode::refused;
    case SessionEnd::refused_version:
      return ExitCode::too_old;
    case SessionEnd::bad_identity:
      return ExitCode::other_pool;
    case SessionEnd::untrue:
      return ExitCode::invalid;
  }
  return ExitCode::failed;
}

}  // namespace

Auditor::Auditor(Loop& loop, const verifier::Identity& identity, SessionOptions session,
                 AuditorOptions options, Events& events)
    : loop_(loop),
      identity_(identity),
      options_(std::move(options)),
      events_(events),
      coin_(random_digest()),
      heads_(verifier::KnownPools(options_.known_pools), options_.words),
      last_change_ms_(loop.now_ms()),
      down_since_ms_(loop.now_ms()),
      session_(loop, identity, std::move(session), *this),
      fetcher_(loop, session_, options_.data + "/blobs",
               [this](const Digest&, Fetcher::Progress) { last_change_ms_ = loop_.now_ms(); }),
      leases_(fetcher_, ledger_,
              {.replayed = [this](const ReplayDone& done) { on_replayed(done); },
               .unchecked = [this](const std::string& reason,
                                   const std::string& what) { unchecked(reason, what); },
               .finished = [this](const Digest& lease_id) { on_finished(lease_id); }}),
      merges_(fetcher_, ledger_,
              {.redone =
                   [this](uint32_t round, const Digest& theta) {
                     ++report_.merges_redone;
                     last_change_ms_ = loop_.now_ms();
                     events_.event(Level::info, "merge_redone",
                                   {{"round", std::to_string(round)}, {"theta", short_hex(theta)}});
                   },
               .untrue =
                   [this](const std::string& what, const Bytes& proof) {
                     untrue(what, proof.empty() ? evidence_->ledger()
                                                : evidence_->keep(proof_name(), proof));
                   },
               .unchecked = [this](const std::string& reason,
                                   const std::string& what) { unchecked(reason, what); },
               .first_theta =
                   [this](const Digest&) {
                     ++report_.thetas_checked;
                     last_change_ms_ = loop_.now_ms();
                   }}),
      proofs_(fetcher_, ledger_,
              {.proven = [this](const verifier::ProofFinding& finding,
                                const Bytes& file) { on_proven(finding, file); },
               .untrue =
                   [this](const std::string& what, const Bytes& file) {
                     untrue(what, evidence_->keep(proof_name(), file));
                   },
               .unchecked = [this](const std::string& reason,
                                   const std::string& what) { unchecked(reason, what); }}),
      look_(loop, [this] { look_for_end(); }) {
  GEMMINE_CHECK(options_.rate >= 0 && options_.rate <= 1);
}

Result<std::unique_ptr<Auditor>> Auditor::make(Loop& loop, const verifier::Identity& identity,
                                               SessionOptions session, AuditorOptions options,
                                               Events& events) {
  std::unique_ptr<Auditor> out(
      new Auditor(loop, identity, std::move(session), std::move(options), events));
  auto evidence = EvidenceFolder::open(out->options_.data + "/evidence");
  if (!evidence) return evidence.error();
  out->evidence_ = std::move(evidence.value());
  if (out->options_.relay) out->follow_relay();
  auto replayer = Replayer::start(loop, out->options_.engine, out->options_.threads,
                                  [made = out.get()](ReplayDone done) {
                                    made->last_change_ms_ = made->loop_.now_ms();
                                    made->leases_.on_replayed(std::move(done));
                                  });
  if (!replayer) return replayer.error();
  out->replayer_ = std::move(replayer.value());
  out->leases_.use(*out->replayer_);
  return out;
}

void Auditor::follow_relay() {
  fetcher_.use_relay(
      *options_.relay,
      [this](const std::string& reason, uint64_t retry_ms) {
        events_.event(Level::warning, "relay_lost",
                      {{"reason", reason}, {"retry_ms", std::to_string(retry_ms)}});
      },
      [this] { events_.event(Level::info, "relay_back", {}); });
}

void Auditor::start() {
  session_.start();
  look_.start(kLookMs, kLookMs);
}

void Auditor::stop(const std::string& reason) {
  look_.stop();
  if (const std::string cut = heads_.cut(); !cut.empty())
    unchecked("the ledger was cut short", "the pool's ledger: " + cut);
  if (!shown_again_)
    unchecked("the ledger was cut short",
              "rollback: since it came back the pool has not shown record " +
                  std::to_string(ledger_.next_seq() - 1) + " again, which it had signed");
  if (const Status saved = heads_.save(); !saved)
    events_.event(Level::warning, "pool_not_remembered", {{"reason", saved.error().detail}});
  session_.stop(reason);
  loop_.stop();
}

std::string Auditor::proof_name() {
  return "proof-" + std::to_string(report_.evidence.size()) + ".bin";
}

const AuditReport& Auditor::report() {
  compare(true);
  report_.unlogged = own_verdicts_.unlogged();
  report_.signed_head = heads_.newest();
  return report_;
}

void Auditor::on_ready(const AuthOk& /*state*/) {
  events_.event(
      Level::info, "connected",
      {{"pool", session_.endpoint().text()}, {"from_record", std::to_string(ledger_.next_seq())}});
  connected_ = true;
  last_change_ms_ = loop_.now_ms();
  const Status met = heads_.meet(session_.pool_key(), session_.endpoint().text());
  if (!met && met.error().code == Errc::invalid)
    return session_.leave_pool(SessionEnd::bad_identity, met.error().detail);
  if (!met) events_.event(Level::warning, "pool_not_remembered", {{"reason", met.error().detail}});
  // The last record again: a pool that came back must still stand by it.
  shown_again_ = ledger_.next_seq() == 0;
  session_.send(Watch{ledger_.next_seq() - (shown_again_ ? 0 : 1)});
  own_verdicts_.send_again(
      [this](const Bytes& verdict) { return session_.send(VerdictMessage{verdict}); });
  fetcher_.on_ready();
}

void Auditor::on_message(MessageType type, ByteView payload) {
  const auto taken = deliver(
      type, payload, [this]<class M>(M & m) requires requires { on(m); } { on(m); });
  if (!taken) untrue("the pool sent a message that does not decode: " + taken.error().detail);
}

void Auditor::on_error(const ErrorMessage& error) {
  events_.event(Level::warning, "pool_error",
                {{"code", std::string(to_string(error.code))}, {"text", error.text}});
  own_verdicts_.refused(error.seq);
  fetcher_.on_error(error);
}

void Auditor::on_down(const std::string& reason, uint64_t retry_ms) {
  if (connected_) down_since_ms_ = loop_.now_ms();
  connected_ = false;
  events_.event(Level::warning, "disconnected",
                {{"reason", reason}, {"retry_ms", std::to_string(retry_ms)}});
}

void Auditor::on_end(SessionEnd end, const std::string& reason) {
  report_.refusal = code_of(end);
  report_.refused_why = reason;
  look_.stop();
  loop_.stop();
}

void Auditor::untrue(const std::string& what, const std::string& evidence) {
  report_.add_untrue(what);
  if (!evidence.empty()) report_.evidence.push_back(evidence);
  last_change_ms_ = loop_.now_ms();
  events_.event(Level::error, "not_true", {{"what", what}, {"evidence", evidence}});
}

void Auditor::unchecked(const std::string& reason, const std::string& what) {
  report_.add_unchecked(reason, what);
  last_change_ms_ = loop_.now_ms();
  events_.event(Level::warning, "unchecked", {{"reason", reason}, {"what", what}});
}

void Auditor::on(const BlobPart& blob) {
  fetcher_.on_blob(blob);
}

void Auditor::on(const RecordMessage& message) {
  const verifier::SignedRecord record = message.record();
  if (record.seq < ledger_.next_seq()) {
    if (!stands_by(record)) return stop(report_.untrue);
    shown_again_ |= record.seq + 1 == ledger_.next_seq();
    return;
  }
  Status taken = ledger_.apply(record);
  if (taken && ledger_.pool_key() != session_.pool_key())
    taken = Error{Errc::invalid, "is of a ledger that another pool key signs"};
  if (!taken) return on_untrue_record(record, taken.error().detail);
  if (!stands_by(record)) return stop(report_.untrue);
  evidence_->heard(record);
  last_head_ = verifier::signed_head(ledger_, record.signature);
  last_change_ms_ = loop_.now_ms();
  pool_time_ms_ = record.time_ms;
  report_.records = ledger_.next_seq();
  report_.head = ledger_.head();
  look_at(record);
}

// Does it fit what the pool has signed before? Another connection sends old records again.
bool Auditor::stands_by(const verifier::SignedRecord& record) {
  const auto head =
      verifier::head_of(record.receipt(), static_cast<uint8_t>(record.kind), record.body);
  if (!verifier::signed_by(head, session_.pool_key())) {
    untrue("ledger record " + std::to_string(record.seq) + ": is not signed by the pool");
    return false;
  }
  const auto conflict = heads_.saw(head);
  if (!conflict) return true;
  untrue(conflict->words, conflict->evidence);
  return false;
}

// The record is the pool's word if it signed it: then it goes into the evidence.
void Auditor::on_untrue_record(const verifier::SignedRecord& record, const std::string& why) {
  const verifier::SignedHead head =
      verifier::head_of(record.receipt(), static_cast<uint8_t>(record.kind), record.body);
  std::string evidence;
  if (signed_by(head, session_.pool_key())) {
    const verifier::Statement said{
        .kind = record.kind, .body = record.body, .receipt = record.receipt()};
    const bool forked =
        last_head_ && record.seq == last_head_->seq + 1 && record.head_before != last_head_->head;
    if (forked) {
      evidence = evidence_->keep(
          proof_name(), verifier::write_equivocation(session_.pool_key(), {.head = &*last_head_},
                                                     {.record = &said}));
    } else {
      evidence_->heard(record);
      evidence = evidence_->ledger();
    }
  }
  untrue("ledger record " + std::to_string(record.seq) + ": " + why, evidence);
  stop(report_.untrue);
}

void Auditor::look_at(const verifier::SignedRecord& record) {
  merges_.watch(record);
  proofs_.watch(record);
  switch (record.kind) {
    case RecordKind::lease:
      return watch_lease(record);
    case RecordKind::share: {
      ++report_.shares_seen;
      const auto share =
          verifier::decode_share(Reader(record.body).get_blob(verifier::kShareBytes));
      GEMMINE_CHECK(share.ok());  // the fold has accepted it
      return leases_.on_logged(share.value().lease_id);
    }
    case RecordKind::close:
      // The fold has checked that the secret fits the commitment and explains the audits.
      ++report_.coins_checked;
      return leases_.on_logged(Reader(record.body).get_digest());
    case RecordKind::verdict:
      return on_verdict_record(record);
    case RecordKind::settle:
      return compare(false);
    case RecordKind::stop:
      return on_stop_record(record);
    default:
      return;
  }
}

void Auditor::watch_lease(const Record& record) {
  const auto lease = verifier::decode_lease(Reader(record.body).get_blob(verifier::kLeaseBytes));
  GEMMINE_CHECK(lease.ok());  // the fold has accepted it
  const uint64_t drawn =
      verifier::pick(kernels::blake3_keyed(coin_, lease.value().id.view()), 0, kCoinSides);
  if (static_cast<double>(drawn) < options_.rate * static_cast<double>(kCoinSides)) {
    ++report_.leases_asked;
    leases_.watch(lease.value());
  }
}

void Auditor::on_verdict_record(const Record& record) {
  const auto verdict =
      verifier::decode_verdict(Reader(record.body).get_blob(verifier::kVerdictBytesMax));
  GEMMINE_CHECK(verdict.ok());  // the fold has accepted it
  if (verdict.value().auditor_key == identity_.public_key())
    own_verdicts_.logged({verdict.value().lease_id, verdict.value().index});
  if (verdict.value().auditor_key != ledger_.pool_key()) return;
  agreement_.pool_said(verdict.value());
  compare(false);
}

void Auditor::look_for_end() {
  const auto& jobs = ledger_.jobs();
  const EndFacts facts{
      .jobs_finished =
          !jobs.empty() &&
          std::ranges::all_of(jobs, [](const auto& entry) { return entry.second.finished; }),
      .replays = leases_.replays_owed(),
      .replaying = leases_.replaying(),
      .downloads = leases_.downloads() + merges_.owed() + proofs_.owed(),
      .merges = merges_.owed(),
      .verdicts_awaited = own_verdicts_.awaited(),
      .connected = connected_,
      .stay = !options_.exit_when_finished,
      .patience_ms = options_.patience_ms,
      .down_since_ms = down_since_ms_,
      .last_change_ms = last_change_ms_};
  const auto reason = may_end(facts, loop_.now_ms());
  if (!reason) return;
  leases_.give_up_all(*reason);
  merges_.give_up_all(*reason);
  proofs_.give_up_all(*reason);
  if (options_.exit_when_finished) stop(*reason);
}

}  // namespace gemmine::pool
