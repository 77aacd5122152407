#include "verifier/proof/evidence.h"

#include <algorithm>
#include <set>

#include "kernels/hash/blake3.h"
#include "kernels/hash/opening.h"

namespace gemmine::verifier {

using kernels::Blake3Mode;
using kernels::ChunkRange;

namespace {

constexpr size_t kReceiptBytes = kSignedHeadBytes;  // it has as many fields of the same kinds

}  // namespace

Error bad_proof(const std::string& where, const std::string& what) {
  return {Errc::malformed, "proof: " + where + ": " + what};
}

uint16_t thread_blocks(const Job& job) {
  return job.audit.thread_blocks;
}

std::string short_key(const Digest& digest) {
  return to_hex(digest.view()).substr(0, 16);
}

void put_lease_case(Writer& out, const Work& work, const Lease& lease) {
  out.put_blob(work.bytes()).put_blob(encode(lease));
}

Result<LeaseCase> get_lease_case(Reader& in) {
  auto work = Work::decode(in.get_blob(kJobBytesMax));
  if (!work) return bad_proof("job", work.error().detail);
  auto lease = decode_lease(in.get_blob(kLeaseBytes));
  if (!lease) return bad_proof("lease", lease.error().detail);
  return LeaseCase{std::move(work.value()), lease.value()};
}

std::string doubt_of(const LeaseCase& at) {
  const kernels::Spec& spec = at.work.program().spec();
  const Lease& lease = at.lease;
  if (lease.job_id != at.work.id()) return "the lease is of another job";
  if (lease.round >= spec.rounds || lease.slot >= spec.slots || lease.steps != spec.steps_per_lease)
    return "the lease does not fit its job";
  if (!signed_by_pool(lease)) return "the pool's signature of the lease is wrong";
  return {};
}

void put_share_case(Writer& out, const Work& work, const Lease& lease, const Share& share) {
  put_lease_case(out, work, lease);
  out.put_blob(encode(share));
}

Result<ShareCase> get_share_case(Reader& in) {
  auto lease = get_lease_case(in);
  if (!lease) return lease.error();
  auto share = decode_share(in.get_blob(kShareBytes));
  if (!share) return bad_proof("share", share.error().detail);
  return ShareCase{std::move(lease.value().work), lease.value().lease, share.value()};
}

std::string doubt_of(const ShareCase& at) {
  if (std::string doubt = doubt_of(LeaseCase{at.work, at.lease}); !doubt.empty()) return doubt;
  const auto refusal = admit_share(at.lease, at.share, at.share.index, at.share.state_before,
                                   at.work.program().macs_per_step());
  return refusal ? "the share: " + refusal->detail : std::string{};
}

void put_statement(Writer& out, const Statement& statement) {
  out.put(statement.kind).put_blob(statement.body).put_raw(gemmine::encode(statement.receipt));
}

Result<Statement> get_statement(Reader& in) {
  Statement out;
  out.kind = in.get<RecordKind>();
  const ByteView body = in.get_blob(kRecordBytesMax);
  out.body.assign(body.begin(), body.end());
  auto receipt = decode<Receipt>(in.get_raw(kReceiptBytes));
  if (!receipt) return bad_proof("record", receipt.error().detail);
  out.receipt = receipt.value();
  return out;
}

bool said_by(const Statement& statement, const Digest& pool_key) {
  return signed_by(head_of(statement.receipt, static_cast<uint8_t>(statement.kind), statement.body),
                   pool_key);
}

Result<OpenedBlob> OpenedBlob::make(const Digest& address, OpenedObject chunks) {
  const Status proof = kernels::verify_chunks(address, Blake3Mode::plain(), chunks.total_bytes,
                                              chunks.ranges, chunks.bytes, chunks.siblings);
  if (!proof) return Error{Errc::invalid, proof.error().detail};
  OpenedBlob out(std::move(chunks));
  for (const ChunkRange& range : out.object_.ranges)
    for (uint64_t chunk = range.first; chunk < range.last; ++chunk)
      out.chunks_of_.push_back(chunk);
  out.touched_.resize(out.chunks_of_.size());
  return out;
}

std::optional<Bytes> OpenedBlob::read(uint64_t offset, uint64_t count) {
  Bytes out;
  GEMMINE_CHECK(count > 0 && offset + count <= object_.total_bytes);
  for (uint64_t chunk = offset / kChunk; chunk * kChunk < offset + count; ++chunk) {
    const auto found = std::lower_bound(chunks_of_.begin(), chunks_of_.end(), chunk);
    if (found == chunks_of_.end() || *found != chunk) return {};
    const auto at = static_cast<size_t>(found - chunks_of_.begin());
    if (!touched_[at]) ++used_;
    touched_[at] = true;
    // Every chunk before it is whole: only the string's last may be shorter.
    const uint64_t from = std::max(offset, chunk * kChunk);
    const uint64_t to = std::min(offset + count, (chunk + 1) * kChunk);
    const ByteView bytes = object_.bytes.subspan(at * kChunk + (from - chunk * kChunk), to - from);
    out.insert(out.end(), bytes.begin(), bytes.end());
  }
  return out;
}

OpenedObject open_places(ByteView string, std::span<const Place> places, Bytes& storage) {
  std::set<uint64_t> chunks;
  for (const Place& place : places) {
    GEMMINE_CHECK(place.count > 0 && place.offset + place.count <= string.size());
    for (uint64_t c = place.offset / kChunk; c * kChunk < place.offset + place.count; ++c)
      chunks.insert(c);
  }
  OpenedObject out;
  out.total_bytes = string.size();
  for (const uint64_t chunk : chunks) {
    if (!out.ranges.empty() && out.ranges.back().last == chunk) {
      ++out.ranges.back().last;
    } else {
      out.ranges.push_back({chunk, chunk + 1});
    }
  }
  const auto source = kernels::ChunkSource::of_bytes(string);
  auto siblings = kernels::open_chunks(Blake3Mode::plain(), source, out.ranges);
  auto bytes = kernels::opened_bytes(source, out.ranges);
  GEMMINE_CHECK(siblings.ok() && bytes.ok());  // the ranges are ours
  out.siblings = std::move(siblings.value());
  storage = std::move(bytes.value());
  out.bytes = storage;
  return out;
}

void put_answer(Writer& out, const SignedAnswer& answer) {
  out.put_blob(answer.bytes).put(answer.challenge_seq).put_raw(answer.signature);
}

Result<SignedAnswer> get_answer(Reader& in) {
  SignedAnswer out;
  const ByteView bytes = in.get_blob(kShownAnswerBytesMax);
  out.bytes.assign(bytes.begin(), bytes.end());
  out.challenge_seq = in.get<uint64_t>();
  const ByteView signature = in.get_raw(out.signature.size());
  if (!in.ok()) return bad_proof("answer", "is cut short or over a bound");
  std::copy(signature.begin(), signature.end(), out.signature.begin());
  return out;
}

Digest answer_message(const Digest& lease_id, const SignedAnswer& answer) {
  return answer_message({.lease_id = lease_id,
                         .challenge = answer.challenge_seq,
                         .address = kernels::blake3(answer.bytes),
                         .bytes = answer.bytes.size()});
}

bool signed_by(const SignedAnswer& answer, const Lease& lease) {
  return verify_signature(lease.miner_key, answer_message(lease.id, answer), answer.signature);
}

}  // namespace gemmine::verifier
