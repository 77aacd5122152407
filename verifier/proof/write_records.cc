#include "verifier/proof/write_records.h"

#include "verifier/proof/decide.h"

namespace gemmine::verifier {

namespace {

Writer begin_coin(const Digest& pool_key, CoinCase coin) {
  Writer out;
  out.put_digest(pool_key).put(coin);
  return out;
}

void put_logged(Writer& out, const LeaseRecords& lease) {
  GEMMINE_CHECK(lease.shares.size() == lease.lease.shares() && lease.close != nullptr);
  out.put_blob(encode(lease.lease));
  for (const Statement* const share : lease.shares)
    put_statement(out, *share);
  put_statement(out, *lease.close);
}

}  // namespace

Bytes write_wrong_secret(const Lease& lease, const Statement& close) {
  Writer out = begin_coin(lease.pool_key, CoinCase::secret);
  out.put_blob(encode(lease));
  put_statement(out, close);
  return seal_proof(ProofKind::unfair_coin, out.bytes());
}

Bytes write_used_twice(const Lease& one, const Lease& other) {
  Writer out = begin_coin(one.pool_key, CoinCase::used_twice);
  out.put_blob(encode(one)).put_blob(encode(other));
  return seal_proof(ProofKind::unfair_coin, out.bytes());
}

Bytes write_wrong_challenge(const LeaseRecords& lease, const Statement& challenge) {
  Writer out = begin_coin(lease.lease.pool_key, CoinCase::immediate);
  put_logged(out, lease);
  put_statement(out, challenge);
  return seal_proof(ProofKind::unfair_coin, out.bytes());
}

Bytes write_wrong_ticket(const Work& work, const Statement& draw,
                         std::span<const LeaseRecords> leases, const Statement& challenge) {
  GEMMINE_CHECK(!leases.empty());
  Writer out = begin_coin(leases.front().lease.pool_key, CoinCase::draw);
  out.put_blob(work.bytes());
  put_statement(out, draw);
  for (const LeaseRecords& lease : leases)
    put_logged(out, lease);
  put_statement(out, challenge);
  return seal_proof(ProofKind::unfair_coin, out.bytes());
}

Bytes write_wrong_redraw(const Digest& pool_key, const Statement& draw, const Statement& redraw) {
  Writer out = begin_coin(pool_key, CoinCase::redraw);
  put_statement(out, draw);
  put_statement(out, redraw);
  return seal_proof(ProofKind::unfair_coin, out.bytes());
}

Bytes write_false_valid(const Verdict& verdict, ByteView proof) {
  Writer out;
  out.put<uint8_t>(0).put_blob(encode(verdict)).put_blob(proof);
  return seal_proof(ProofKind::false_verdict, out.bytes());
}

Bytes write_false_invalid(const Verdict& verdict, const AccusedShare& share,
                          std::span<const Digest> digests) {
  Writer out;
  out.put<uint8_t>(1).put_blob(encode(verdict));
  put_share_case(out, share.work, share.lease, share.share);
  for (const Digest& digest : digests)
    out.put_digest(digest);
  return seal_proof(ProofKind::false_verdict, out.bytes());
}

Bytes write_doubted_verdict(const Verdict& verdict, const AccusedShare& share) {
  Writer out;
  out.put<uint8_t>(2).put_blob(encode(verdict));
  put_share_case(out, share.work, share.lease, share.share);
  return seal_proof(ProofKind::false_verdict, out.bytes());
}

Bytes write_doubted_stop(const Work& work, const Lease& lease, const Statement& stop) {
  Writer out;
  out.put<uint8_t>(3);
  put_lease_case(out, work, lease);
  put_statement(out, stop);
  return seal_proof(ProofKind::false_verdict, out.bytes());
}

Bytes write_silence(const Lease& lease, const Statement& challenge, std::span<const Record> records,
                    const Signature& last) {
  Writer out;
  out.put<uint8_t>(0).put_blob(encode(lease));
  put_statement(out, challenge);
  out.put(static_cast<uint32_t>(records.size()));
  for (const Record& record : records)
    out.put_blob(encode(record));
  out.put_raw(last);
  return seal_proof(ProofKind::unanswered, out.bytes());
}

Bytes write_denied(const Digest& pool_key, const Statement& challenge, const Statement* answer,
                   const Statement& verdict) {
  Writer out;
  out.put<uint8_t>(1).put_digest(pool_key);
  put_statement(out, challenge);
  out.put<uint8_t>(answer == nullptr ? 0 : 1);
  if (answer != nullptr) put_statement(out, *answer);
  put_statement(out, verdict);
  return seal_proof(ProofKind::unanswered, out.bytes());
}

}  // namespace gemmine::verifier
