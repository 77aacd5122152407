#include "verifier/audit/opening.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>

#include "kernels/hash/opening.h"
#include "verifier/audit/block.h"
#include "verifier/audit/opened.h"
#include "verifier/audit/opening_codec.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

using kernels::Blake3Mode;
using kernels::ChunkRange;
using kernels::ChunkSource;

namespace {

// Whole objects, as a prover has them. Remembers which chunks were read while recording.
class WholeSource : public BlockSource {
 public:
  explicit WholeSource(const ProverView& view) : view_(view) {}

  ByteView chunk(ObjectId object, uint64_t index) override {
    if (recording) touched[object].insert(index);
    const ByteView all = bytes(object);
    if (index * kChunk >= all.size()) return {};
    return all.subspan(index * kChunk, std::min(kChunk, all.size() - index * kChunk));
  }

  ByteView bytes(ObjectId object) {
    switch (object.origin) {
      case Origin::tensor:
        return tensor(object.position);
      case Origin::state_before:
        return as_bytes(view_.state_before);
      case Origin::state_after:
        return as_bytes(view_.state_after);
      case Origin::train:
        return view_.train_records;
      case Origin::delta:
        return view_.run.delta;
    }
    return {};
  }

  bool recording = false;
  std::map<ObjectId, std::set<uint64_t>> touched;

 private:
  ByteView tensor(uint16_t position) {
    const auto found = tensors_.find(position);
    if (found != tensors_.end()) return found->second;
    auto read = view_.engine.read_tensor(position);
    return tensors_.emplace(position, read ? std::move(read.value()) : Bytes{}).first->second;
  }

  const ProverView& view_;
  std::map<uint16_t, Bytes> tensors_;
};

Finding malformed(std::string detail) {
  return {Outcome::malformed, kNoStep, "opening: " + std::move(detail)};
}

Finding invalid(uint32_t step, std::string detail) {
  return {Outcome::invalid, step, std::move(detail)};
}

std::vector<ChunkRange> to_ranges(const std::set<uint64_t>& chunks) {
  std::vector<ChunkRange> out;
  for (const uint64_t chunk : chunks) {
    if (!out.empty() && out.back().last == chunk) {
      ++out.back().last;
    } else {
      out.push_back({chunk, chunk + 1});
    }
  }
  return out;
}

Bytes digest_string(std::span<const Digest> digests) {
  Writer out;
  for (const Digest& digest : digests)
    out.put_digest(digest);
  return out.take();
}

// The step whose tensors a choice looks at, counted in the lease.
uint32_t lease_step(const Share& share, const BlockChoice& choice) {
  return share.first_step + (choice.delta ? share.steps - 1 : choice.step);
}

Result<OpenedObject> open_object(const ProverView& view, WholeSource& source, ObjectId id,
                                 const std::set<uint64_t>& chunks, const Digest& key_of_step,
                                 Bytes& storage) {
  OpenedObject object;
  object.id = id;
  object.ranges = to_ranges(chunks);
  const ByteView all = source.bytes(id);
  object.total_bytes = all.size();
  const ChunkSource chunk_source = ChunkSource::of_bytes(all);
  auto siblings =
      id.origin == Origin::train && view.train_tree != nullptr
          ? view.train_tree->open(object.ranges, &chunk_source)
          : kernels::open_chunks(object_mode(id, key_of_step), chunk_source, object.ranges);
  if (!siblings) return siblings.error();
  object.siblings = std::move(siblings.value());
  for (const uint64_t chunk : chunks) {
    const ByteView bytes = source.chunk(id, chunk);
    storage.insert(storage.end(), bytes.begin(), bytes.end());
  }
  object.bytes = storage;
  return object;
}

// Looks at a block, reading all that the opening has to hold.
using LookAtBlock = std::function<Finding(BlockCheck&)>;

void check_view(const ProverView& view) {
  const Share& share = view.run.share;
  const kernels::Program& program = view.at.work.program();
  GEMMINE_CHECK(share.lease_id == view.at.lease.id && view.at.lease.job_id == view.at.work.id());
  GEMMINE_CHECK(view.run.roots.size() == share.steps && view.run.losses.size() == share.steps);
  GEMMINE_CHECK(view.state_before.size() == program.state_floats());
  GEMMINE_CHECK(view.state_after.size() == program.state_floats());
}

// The opening of what `look` touches at step `index` of the share.
Result<Bytes> open_touched(const ProverView& view, WholeSource& source, uint32_t index,
                           uint32_t witness) {
  const Share& share = view.run.share;
  const Digest key = step_key(share.lease_id, share.first_step + index);
  Opening opening;
  opening.witness = witness;
  const Bytes digests = digest_string(view.run.step_digests);
  const ChunkRange digest_chunk{index / 32, index / 32 + 1};
  auto step_siblings =
      kernels::open_chunks(Blake3Mode::keyed(share_key(share.lease_id, share.first_step)),
                           ChunkSource::of_bytes(digests), std::span(&digest_chunk, 1));
  if (!step_siblings) return step_siblings.error();
  opening.step_siblings = std::move(step_siblings.value());
  const size_t offset = digest_chunk.first * kChunk;
  opening.step_chunk = ByteView(digests).subspan(offset, std::min(kChunk, digests.size() - offset));
  const Bytes roots =
      Writer().put_raw(digest_string(view.run.roots[index])).put_f32(view.run.losses[index]).take();
  opening.roots = roots;
  const auto touched = source.touched;
  std::vector<Bytes> storage(touched.size());
  size_t at = 0;
  for (const auto& [id, chunks] : touched) {
    auto object = open_object(view, source, id, chunks, key, storage[at++]);
    if (!object) return object.error();
    opening.objects.push_back(std::move(object.value()));
  }
  return encode_opening(opening);
}

// Without a witness, and whatever the outcome.
Result<Bytes> make_exhibit(const ProverView& view, uint32_t index, const LookAtBlock& look) {
  check_view(view);
  const uint32_t step = view.run.share.first_step + index;
  WholeSource source(view);
  BlockCheck check(view.at.work.program(), {view.at.lease.round, view.at.lease.slot, step}, source);
  source.recording = true;
  const Finding finding = look(check);
  source.recording = false;
  if (finding.outcome == Outcome::undecided) return Error{Errc::undecided, finding.detail};
  return open_touched(view, source, index, kNoWitness);
}

}  // namespace

Result<Bytes> make_opening(const ProverView& view, const BlockChoice& choice) {
  check_view(view);
  const Share& share = view.run.share;
  GEMMINE_CHECK(choice.delta || choice.step < share.steps);
  const Lease& lease = view.at.lease;
  const uint32_t step = lease_step(share, choice);
  WholeSource source(view);
  BlockCheck check(view.at.work.program(), {lease.round, lease.slot, step}, source);
  uint32_t named = 0;
  if (!choice.delta) {
    auto witness = check.find_witness(choice);
    if (!witness && view.check_own) return witness.error();
    named = witness ? witness.value() : 0;
  }
  source.recording = true;
  const Finding finding =
      choice.delta ? check.check_delta(choice, view.at.theta) : check.check(choice, named);
  source.recording = false;
  if (finding.outcome != Outcome::valid && view.check_own)
    return Error{Errc::invalid, finding.detail};
  return open_touched(view, source, step - share.first_step, named);
}

Result<Bytes> make_evidence(const ProverView& view, const BlockChoice& choice) {
  GEMMINE_CHECK(choice.delta || choice.step < view.run.share.steps);
  return make_exhibit(
      view, lease_step(view.run.share, choice) - view.run.share.first_step, [&](BlockCheck& check) {
        return choice.delta ? check.check_delta(choice, view.at.theta) : check.check(choice, {});
      });
}

Result<Bytes> make_inputs(const ProverView& view, uint32_t step, uint32_t position,
                          uint64_t chunk) {
  return make_exhibit(view, step, [&](BlockCheck& check) {
    Bytes derived;
    return check.derive_chunk(position, chunk, derived);
  });
}

Result<Bytes> make_scale_evidence(const ProverView& view, uint32_t step, uint32_t position,
                                  uint32_t number, uint32_t index) {
  return make_exhibit(view, step, [&](BlockCheck& check) {
    return check.check_scale(position, number, index, true);
  });
}

Finding check_opening(const LeaseView& view, const Share& share, const BlockChoice& choice,
                      ByteView bytes) {
  const kernels::Program& program = view.work.program();
  const Lease& lease = view.lease;
  // The share was admitted and the choice drawn before anybody was asked for an opening.
  GEMMINE_CHECK(choice.delta || choice.step < share.steps);
  if (bytes.size() > kOpeningBytesMax) return malformed("longer than 2 MiB");
  const auto decoded = decode_opening(program, bytes);
  if (!decoded) return malformed(decoded.error().detail);
  const Opening& opening = decoded.value();
  const uint32_t step = lease_step(share, choice);
  const uint32_t index = step - share.first_step;

  // Is it the opening that was asked for? Looked for first (PROTOCOL 6.5).
  const uint64_t digest_bytes = uint64_t{share.steps} * 32;
  const uint64_t first = uint64_t{index / 32} * kChunk;
  if (opening.step_chunk.size() != std::min<uint64_t>(kChunk, digest_bytes - first))
    return malformed("the step digests have another length");
  OpenedSource source(opening.objects);
  BlockCheck check(program, {lease.round, lease.slot, step}, source);
  if (choice.delta && opening.witness != 0) return malformed("a delta has no witness");
  Finding finding =
      choice.delta ? check.check_delta(choice, view.theta) : check.check(choice, opening.witness);
  if (finding.outcome == Outcome::undecided || !source.exhausted())
    return malformed("it holds other chunks than the block is derived from");
  if (finding.outcome == Outcome::malformed) return malformed(finding.detail);

  // Are they the bytes that were committed to?
  if (const Status hashes = verify_opened(view.work, lease, share, index, opening); !hashes)
    return invalid(step, hashes.error().detail);
  if (finding.outcome == Outcome::invalid) finding.step = step;
  return finding;
}

}  // namespace gemmine::verifier
