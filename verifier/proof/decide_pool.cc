// Kinds 4, 5 and 6: a pool's merge, its first weights, its two ledgers (PROTOCOL 12.5 – 12.7).
#include <algorithm>
#include <cstring>

#include "verifier/ledger/bodies.h"
#include "verifier/merge/delta.h"
#include "verifier/merge/round.h"
#include "verifier/proof/decide.h"

namespace gemmine::verifier {

namespace {

constexpr uint64_t kChunkFloats = kChunk / sizeof(float);
static_assert(kChunkFloats % kDeltaBlock == 0, "a chunk of weights is whole blocks of a delta");

// The parameters of one chunk of weights.
struct Slice {
  uint64_t first = 0;
  uint64_t count = 0;
};

Slice slice_of(const kernels::Program& program, uint32_t chunk) {
  const uint64_t first = chunk * kChunkFloats;
  return {first, std::min(kChunkFloats, program.parameters() - first)};
}

// θ of the slice as a round publishes it, with its velocity behind it if there is one.
std::optional<std::vector<float>> read_published(OpenedBlob& blob, const kernels::Program& program,
                                                 Slice slice) {
  std::vector<float> out;
  for (uint64_t at = 0; at < program.published_floats(); at += program.parameters()) {
    const auto bytes = blob.read((at + slice.first) * sizeof(float), slice.count * sizeof(float));
    if (!bytes) return {};
    const std::vector<float> floats = floats_of(*bytes);
    out.insert(out.end(), floats.begin(), floats.end());
  }
  if (!blob.exhausted()) return {};
  return out;
}

// Exponents and quanta of the slice: a delta of so many parameters.
std::optional<Bytes> read_delta(OpenedBlob& blob, const kernels::Program& program, Slice slice) {
  const uint64_t blocks = delta_bytes(program.parameters()) - program.parameters();
  auto out = blob.read(slice.first / kDeltaBlock, delta_bytes(slice.count) - slice.count);
  const auto quanta = blob.read(blocks + slice.first, slice.count);
  if (!out || !quanta || !blob.exhausted()) return {};
  out->insert(out->end(), quanta->begin(), quanta->end());
  return out;
}

Result<Slice> get_slice(Reader& in, const kernels::Program& program) {
  const auto chunk = in.get<uint32_t>();
  if (!in.ok() || chunk * kChunkFloats >= program.parameters())
    return bad_proof("chunk", "the weights have no such chunk");
  return slice_of(program, chunk);
}

std::string parameter_name(uint64_t number) {
  return "parameter " + std::to_string(number);
}

// The first place where two slices differ in a bit; `size` where they do not.
size_t first_difference(std::span<const float> a, std::span<const float> b) {
  size_t i = 0;
  while (i < a.size() && std::memcmp(&a[i], &b[i], sizeof(float)) == 0)
    ++i;
  return i;
}

struct MergeProof {
  Slice slice;
  Statement record;
  MergeBody merge;
  OpenedObject before;
  OpenedObject after;
  struct Delta {
    Statement record;
    DeltaBody body;
    OpenedObject chunks;
  };
  std::vector<Delta> deltas;  // in the order of leases()

  // The slots' leases, then those that are taken out again.
  std::vector<Digest> leases() const {
    std::vector<Digest> out = merge.lease_ids;
    out.insert(out.end(), merge.subtracted.begin(), merge.subtracted.end());
    return out;
  }
};

Result<MergeProof> get_merge_proof(Reader& in, const kernels::Program& program) {
  MergeProof out;
  auto slice = get_slice(in, program);
  if (!slice) return slice.error();
  out.slice = slice.value();
  auto record = get_statement(in);
  if (!record) return record.error();
  out.record = std::move(record.value());
  auto merge = decode<MergeBody>(out.record.body);
  if (out.record.kind != RecordKind::merge || !merge)
    return bad_proof("merge", "the record is none");
  out.merge = std::move(merge.value());
  const uint64_t published = program.published_floats() * sizeof(float);
  for (OpenedObject* const weights : {&out.before, &out.after}) {
    auto chunks = get_chunks(in, published);
    if (!chunks) return bad_proof("weights", chunks.error().detail);
    *weights = std::move(chunks.value());
  }
  for (size_t i = 0; i < out.leases().size(); ++i) {
    const std::string where = "delta " + std::to_string(i);
    auto said = get_statement(in);
    if (!said) return said.error();
    auto body = decode<DeltaBody>(said.value().body);
    if (said.value().kind != RecordKind::delta || !body)
      return bad_proof(where, "the record is none of a delta");
    auto chunks = get_chunks(in, delta_bytes(program.parameters()));
    if (!chunks) return bad_proof(where, chunks.error().detail);
    out.deltas.push_back({std::move(said.value()), body.value(), std::move(chunks.value())});
  }
  if (Status end = expect_end(in, "merge"); !end) return end.error();
  return out;
}

// Why the parts are not about one merge of this pool; empty when they are.
std::string doubt_of(const Work& work, const Digest& pool_key, const MergeProof& proof) {
  if (proof.merge.job_id != work.id()) return "the merge is of another job";
  if (!said_by(proof.record, pool_key)) return "the pool's signature of the merge is wrong";
  const std::vector<Digest> leases = proof.leases();
  for (size_t i = 0; i < proof.deltas.size(); ++i) {
    const std::string name = "delta " + std::to_string(i);
    if (proof.deltas[i].body.lease_id != leases[i]) return name + " is of another lease";
    if (!said_by(proof.deltas[i].record, pool_key))
      return "the pool's signature of " + name + " is wrong";
  }
  return {};
}

// What the merge gives on the slice, or that it can give nothing. Empty error: it cannot be told.
Result<std::vector<float>> redo_slice(const Work& work, MergeProof& proof,
                                      std::span<const float> before) {
  const kernels::Program& program = work.program();
  const kernels::Spec& spec = program.spec();
  Merge merge(proof.slice.count, {spec.outer_lr, spec.outer_momentum}, work.job().audit.delta_max);
  for (size_t i = 0; i < proof.deltas.size(); ++i) {
    MergeProof::Delta& delta = proof.deltas[i];
    auto blob = OpenedBlob::make(delta.body.delta_root, std::move(delta.chunks));
    if (!blob) return Error{Errc::undecided, "a delta: " + blob.error().detail};
    const auto bytes = read_delta(blob.value(), program, proof.slice);
    if (!bytes) return Error{Errc::undecided, "other chunks of a delta than the slice's are open"};
    const Status done =
        i < proof.merge.lease_ids.size() ? merge.add(*bytes) : merge.subtract(*bytes);
    if (!done) return done.error();
  }
  return merge.finish(before, spec.slots);
}

}  // namespace

Status decide_merge(Reader& in, ProofFinding& out) {
  auto decoded = Work::decode(in.get_blob(kJobBytesMax));
  if (!decoded) return bad_proof("job", decoded.error().detail);
  const Work& work = decoded.value();
  const kernels::Program& program = work.program();
  const Digest pool_key = in.get_digest();
  accuse_pool(out, pool_key);
  out.job_id = work.id();
  auto read = get_merge_proof(in, program);
  if (!read) return read.error();
  MergeProof& proof = read.value();
  if (const std::string doubt = doubt_of(work, pool_key, proof); !doubt.empty())
    return not_proven(out, doubt);
  std::vector<std::vector<float>> weights;
  const Digest* root = &proof.merge.theta_before;
  for (OpenedObject* const chunks : {&proof.before, &proof.after}) {
    auto blob = OpenedBlob::make(*root, std::move(*chunks));
    if (!blob) return not_proven(out, "the weights: " + blob.error().detail);
    auto floats = read_published(blob.value(), program, proof.slice);
    if (!floats) return not_proven(out, "other chunks of the weights than the slice's are open");
    weights.push_back(std::move(*floats));
    root = &proof.merge.theta_root;
  }
  const std::string round = (proof.merge.repairs() ? "repair of round " : "merge of round ") +
                            std::to_string(proof.merge.round) + ": ";
  const auto own = redo_slice(work, proof, weights[0]);
  if (!own && own.error().code == Errc::undecided) return not_proven(out, own.error().detail);
  if (!own && own.error().code == Errc::invalid_argument)
    return not_proven(out, "it is no merge of the job's slots: " + own.error().detail);
  if (!own) return proven(out, round + "nothing follows from its deltas: " + own.error().detail);
  const size_t place = first_difference(own.value(), weights[1]);
  if (place == own.value().size())
    return not_proven(out, "these weights are what their deltas give");
  const bool velocity = place >= proof.slice.count;
  return proven(out, round + (velocity ? "the outer velocity of " : "") +
                         parameter_name(proof.slice.first + place % proof.slice.count) +
                         " is not what the deltas give");
}

Status decide_theta0(Reader& in, ProofFinding& out) {
  auto decoded = get_lease_case(in);
  if (!decoded) return decoded.error();
  const LeaseCase& at = decoded.value();
  const kernels::Program& program = at.work.program();
  accuse_pool(out, at.lease.pool_key);
  out.job_id = at.lease.job_id;
  const auto slice = get_slice(in, program);
  if (!slice) return slice.error();
  auto chunks = get_chunks(in, program.published_floats() * sizeof(float));
  if (!chunks) return bad_proof("weights", chunks.error().detail);
  if (Status end = expect_end(in, "theta"); !end) return end;
  if (const std::string doubt = doubt_of(at); !doubt.empty()) return not_proven(out, doubt);
  if (at.lease.round != 0) return not_proven(out, "the lease is not of round 0");
  auto blob = OpenedBlob::make(at.lease.theta_root, std::move(chunks.value()));
  if (!blob) return not_proven(out, "the weights: " + blob.error().detail);
  const auto published = read_published(blob.value(), program, slice.value());
  if (!published) return not_proven(out, "other chunks of the weights than the slice's are open");
  std::vector<float> own(published->size(), 0.0F);  // with no velocity yet
  program.initial_theta(slice.value().first, std::span(own).first(slice.value().count));
  const size_t place = first_difference(own, *published);
  if (place == own.size()) return not_proven(out, "these weights are what the job's seed gives");
  return proven(out, "round 0 began from other weights than the job's seed gives: " +
                         parameter_name(slice.value().first + place % slice.value().count));
}

namespace {

// A head that the pool signed, alone or with the record before it.
struct Word {
  SignedHead head;
  std::optional<Digest> before;  // of a record: the head before it, which is in the head
};

Result<Word> get_word(Reader& in) {
  const auto form = in.get<uint8_t>();
  if (form == 0) {
    auto head = decode<SignedHead>(in.get_raw(kSignedHeadBytes));
    if (!head) return bad_proof("head", head.error().detail);
    return Word{head.value(), {}};
  }
  if (form != 1) return bad_proof("head", "is neither a head nor a record");
  auto said = get_statement(in);
  if (!said) return said.error();
  const Statement& record = said.value();
  return Word{head_of(record.receipt, static_cast<uint8_t>(record.kind), record.body),
              record.receipt.head_before};
}

}  // namespace

Status decide_equivocation(Reader& in, ProofFinding& out) {
  accuse_pool(out, in.get_digest());
  auto first = get_word(in);
  if (!first) return first.error();
  auto second = get_word(in);
  if (!second) return second.error();
  if (Status end = expect_end(in, "heads"); !end) return end;
  const Word& a = first.value();
  const Word& b = second.value();
  for (const Word* const word : {&a, &b})
    if (!signed_by(word->head, out.pool_key))
      return not_proven(out, "the pool's signature of a head is wrong");
  const std::string after = "after record " + std::to_string(a.head.seq);
  if (a.head.seq == b.head.seq) {
    if (a.head.head == b.head.head) return not_proven(out, "the two heads are one");
    return proven(out, "the pool signed two heads " + after + ": " + short_key(a.head.head) +
                           " and " + short_key(b.head.head));
  }
  if (b.before && a.head.seq + 1 == b.head.seq && *b.before != a.head.head)
    return proven(out, "the pool signed the head " + short_key(a.head.head) + " " + after +
                           ", and went on from another");
  if (a.head.seq < b.head.seq && a.head.time_ms > b.head.time_ms)
    return proven(out, "the pool signed a head " + after + " and an earlier time after record " +
                           std::to_string(b.head.seq) + ": it lost records and went on");
  return not_proven(out, "the two heads do not contradict each other");
}

}  // namespace gemmine::verifier
