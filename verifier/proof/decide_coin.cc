// Kind 7: a pool whose draws are not those that it was bound to (PROTOCOL 12.8).
#include <algorithm>
#include <set>

#include "verifier/ledger/bodies.h"
#include "verifier/proof/decide.h"
#include "verifier/records/coin.h"

namespace gemmine::verifier {

namespace {

// A record of one kind, with its body. Errors: malformed.
template <class Body>
struct Said {
  Statement record;
  Body body;
};
template <class Body>
Result<Said<Body>> get_said(Reader& in, RecordKind kind) {
  auto record = get_statement(in);
  if (!record) return record.error();
  auto body = decode<Body>(record.value().body);
  if (record.value().kind != kind || !body)
    return bad_proof("record", "is no " + std::string(to_string(kind)));
  return Said<Body>{std::move(record.value()), std::move(body.value())};
}

Result<Lease> get_lease(Reader& in) {
  auto lease = decode_lease(in.get_blob(kLeaseBytes));
  if (!lease) return bad_proof("lease", lease.error().detail);
  return lease;
}

bool issued_by(const Lease& lease, const Digest& pool_key) {
  return lease.pool_key == pool_key && signed_by_pool(lease);
}

// A lease as its pool logged it: its shares in order, and its end.
struct LoggedLease {
  Lease lease;
  std::vector<Statement> share_records;
  std::vector<Digest> share_ids;
  Statement close_record;
  CloseBody close;
};

Result<LoggedLease> get_logged_lease(Reader& in) {
  LoggedLease out;
  auto lease = get_lease(in);
  if (!lease) return lease.error();
  out.lease = lease.value();
  for (uint32_t i = 0; i < out.lease.shares(); ++i) {
    auto record = get_statement(in);
    if (!record) return record.error();
    const auto bytes = decode_wrapped(record.value().body, kShareBytes);
    if (record.value().kind != RecordKind::share || !bytes)
      return bad_proof("share", "the record is of none");
    const auto share = decode_share(bytes.value());
    if (!share) return bad_proof("share", share.error().detail);
    if (share.value().lease_id != out.lease.id || share.value().index != i)
      return bad_proof("share", "is not the lease's share " + std::to_string(i));
    out.share_ids.push_back(share_id(share.value()));
    out.share_records.push_back(std::move(record.value()));
  }
  auto close = get_said<CloseBody>(in, RecordKind::close);
  if (!close) return close.error();
  out.close_record = std::move(close.value().record);
  out.close = close.value().body;
  if (out.close.lease_id != out.lease.id || out.close.reason != CloseReason::complete)
    return bad_proof("close", "is not the lease's, as complete");
  return out;
}

bool said_by(const LoggedLease& lease, const Digest& pool_key) {
  return issued_by(lease.lease, pool_key) && verifier::said_by(lease.close_record, pool_key) &&
         std::ranges::all_of(lease.share_records, [&](const Statement& record) {
           return verifier::said_by(record, pool_key);
         });
}

const char* const kNotSaid = "the pool did not sign all of it";

Status decide_secret(Reader& in, ProofFinding& out) {
  auto lease = get_lease(in);
  if (!lease) return lease.error();
  auto close = get_said<CloseBody>(in, RecordKind::close);
  if (!close) return close.error();
  if (Status end = expect_end(in, "coin"); !end) return end;
  out.lease_id = lease.value().id;
  out.job_id = lease.value().job_id;
  if (!issued_by(lease.value(), out.pool_key) || !said_by(close.value().record, out.pool_key))
    return not_proven(out, kNotSaid);
  if (close.value().body.lease_id != lease.value().id)
    return not_proven(out, "another lease was closed");
  if (coin_commit(close.value().body.secret) == lease.value().coin_commit)
    return not_proven(out, "the secret is the one that the lease committed to");
  return proven(out, "the secret that closed the lease is not the one that it committed to");
}

Status decide_used_twice(Reader& in, ProofFinding& out) {
  auto first = get_lease(in);
  if (!first) return first.error();
  auto second = get_lease(in);
  if (!second) return second.error();
  if (Status end = expect_end(in, "coin"); !end) return end;
  const Lease& a = first.value();
  const Lease& b = second.value();
  out.lease_id = b.id;
  out.job_id = b.job_id;
  if (!issued_by(a, out.pool_key) || !issued_by(b, out.pool_key)) return not_proven(out, kNotSaid);
  if (a.id == b.id) return not_proven(out, "it is one lease");
  if (a.serial == b.serial)
    return proven(out, "two leases have the serial " + std::to_string(a.serial));
  if (a.coin_commit == b.coin_commit)
    return proven(out, "two leases have one coin: its secret was known when it was tossed");
  if (a.coin_commit == b.batch_commit || b.coin_commit == a.batch_commit)
    return proven(out, "the coin of a lease is that of a batch");
  if (a.batch_commit == b.batch_commit && (a.job_id != b.job_id || a.miner_key != b.miner_key))
    return proven(out, "two keys or jobs have one batch's coin");
  return not_proven(out, "the two leases have nothing in common that they may not have");
}

// The audit of a lease before it is complete: asked for with another seed than its coin's.
Status decide_immediate(Reader& in, ProofFinding& out) {
  auto read = get_logged_lease(in);
  if (!read) return read.error();
  const LoggedLease& lease = read.value();
  auto asked = get_said<ChallengeBody>(in, RecordKind::challenge);
  if (!asked) return asked.error();
  if (Status end = expect_end(in, "coin"); !end) return end;
  const ChallengeBody& challenge = asked.value().body;
  out.lease_id = lease.lease.id;
  out.job_id = lease.lease.job_id;
  if (!said_by(lease, out.pool_key) || !verifier::said_by(asked.value().record, out.pool_key))
    return not_proven(out, kNotSaid);
  if (challenge.lease_id != lease.lease.id || challenge.why != ChallengeWhy::immediate ||
      challenge.what != Asked::thread)
    return not_proven(out, "the challenge is not one of the lease's own coin");
  const Digest seed = immediate_seed(lease.close.secret, lease.share_ids);
  if (challenge.question == ticket_seed(seed, lease.lease.id, 0))
    return not_proven(out, "the challenge is the one that the coin draws");
  return proven(out, "the lease was challenged with another seed than its coin draws");
}

struct DrawnBatch {
  Work work;
  Said<DrawBody> draw;
  std::vector<LoggedLease> leases;  // in the order they were closed
  Said<ChallengeBody> asked;
};

Result<DrawnBatch> get_drawn_batch(Reader& in) {
  auto work = Work::decode(in.get_blob(kJobBytesMax));
  if (!work) return bad_proof("job", work.error().detail);
  auto draw = get_said<DrawBody>(in, RecordKind::draw);
  if (!draw) return draw.error();
  if (draw.value().body.leases == 0 || draw.value().body.leases > kBatchLeasesMax)
    return bad_proof("draw", "of no batch");
  std::vector<LoggedLease> leases;
  for (uint32_t i = 0; i < draw.value().body.leases; ++i) {
    auto lease = get_logged_lease(in);
    if (!lease) return lease.error();
    leases.push_back(std::move(lease.value()));
  }
  auto asked = get_said<ChallengeBody>(in, RecordKind::challenge);
  if (!asked) return asked.error();
  if (Status end = expect_end(in, "coin"); !end) return end.error();
  return DrawnBatch{std::move(work.value()), std::move(draw.value()), std::move(leases),
                    std::move(asked.value())};
}

// Why these are not exactly the leases of the drawn batch, as the pool logged it.
std::string doubt_of(const DrawnBatch& batch, const Digest& pool_key) {
  const DrawBody& draw = batch.draw.body;
  if (!said_by(batch.draw.record, pool_key) || !said_by(batch.asked.record, pool_key))
    return kNotSaid;
  if (draw.job_id != batch.work.id()) return "the draw is of another job";
  uint64_t before = 0;
  std::set<Digest> ids;
  for (const LoggedLease& lease : batch.leases) {
    if (!said_by(lease, pool_key)) return kNotSaid;
    const uint64_t seq = lease.close_record.receipt.seq;
    if (lease.lease.job_id != draw.job_id || lease.lease.miner_key != draw.key ||
        lease.lease.batch_commit != coin_commit(draw.s1))
      return "a lease is of another batch";
    if (seq <= before || seq >= batch.draw.record.receipt.seq || !ids.insert(lease.lease.id).second)
      return "the leases are not in the order of the batch";
    before = seq;
  }
  const ChallengeBody& challenge = batch.asked.body;
  if (challenge.why != ChallengeWhy::ticket || challenge.what != Asked::thread ||
      batch.asked.record.receipt.seq <= batch.draw.record.receipt.seq ||
      !ids.contains(challenge.lease_id))
    return "the challenge is none of the batch's tickets";
  return {};
}

Status decide_draw(Reader& in, ProofFinding& out) {
  auto read = get_drawn_batch(in);
  if (!read) return read.error();
  const DrawnBatch& batch = read.value();
  const ChallengeBody& challenge = batch.asked.body;
  out.job_id = batch.work.id();
  out.lease_id = challenge.lease_id;
  if (const std::string doubt = doubt_of(batch, out.pool_key); !doubt.empty())
    return not_proven(out, doubt);
  std::vector<Digest> shares;
  for (const LoggedLease& lease : batch.leases)
    shares.insert(shares.end(), lease.share_ids.begin(), lease.share_ids.end());
  const Digest seed = batch_seed(batch.draw.body.s1, shares);
  const auto tickets =
      draw_tickets(batch.work.job().audit, static_cast<uint32_t>(batch.leases.size()), seed);
  for (uint32_t i = 0; i < tickets.size(); ++i)
    if (tickets[i].kind == AuditKind::thread &&
        batch.leases[tickets[i].lease].lease.id == challenge.lease_id &&
        challenge.question == ticket_seed(seed, challenge.lease_id, i))
      return not_proven(out, "the challenge is one that the draw gives");
  return proven(out, "the draw of the batch gives no such ticket");
}

Status decide_redraw(Reader& in, ProofFinding& out) {
  auto draw = get_said<DrawBody>(in, RecordKind::draw);
  if (!draw) return draw.error();
  auto again = get_said<RedrawBody>(in, RecordKind::redraw);
  if (!again) return again.error();
  if (Status end = expect_end(in, "coin"); !end) return end;
  const DrawBody& first = draw.value().body;
  const RedrawBody& second = again.value().body;
  out.job_id = first.job_id;
  if (!said_by(draw.value().record, out.pool_key) || !said_by(again.value().record, out.pool_key))
    return not_proven(out, kNotSaid);
  if (first.job_id != second.job_id || first.key != second.key || first.batch != second.batch)
    return not_proven(out, "the two draws are of two batches");
  if (coin_commit(second.s0) == first.s1)
    return not_proven(out, "the second secret is the one that the first committed to");
  return proven(out, "the secret of the second draw is not the one that the first committed to");
}

}  // namespace

Status decide_unfair_coin(Reader& in, ProofFinding& out) {
  accuse_pool(out, in.get_digest());
  switch (in.get<CoinCase>()) {
    case CoinCase::secret:
      return decide_secret(in, out);
    case CoinCase::used_twice:
      return decide_used_twice(in, out);
    case CoinCase::immediate:
      return decide_immediate(in, out);
    case CoinCase::draw:
      return decide_draw(in, out);
    case CoinCase::redraw:
      return decide_redraw(in, out);
  }
  return bad_proof("coin", "is no case of an unfair one");
}

}  // namespace gemmine::verifier
