// Kind 3: weights that did not move as their gradient says (PROTOCOL 12.4).
#include <functional>

#include "verifier/proof/decide.h"
#include "verifier/thread/claim.h"

namespace gemmine::verifier {

namespace {

// What was opened of a string, as what an auditor reads of the whole one.
struct OpenedPublic {
  std::optional<OpenedObject> chunks;
  std::optional<OpenedBlob> blob;

  Status check(const Digest& address) {
    if (!chunks) return Ok{};
    auto made = OpenedBlob::make(address, std::move(*chunks));
    if (!made) return made.error();
    blob = std::move(made.value());
    return Ok{};
  }
  Status read(uint64_t offset, std::span<uint8_t> out) {
    const auto bytes = blob ? blob->read(offset, out.size()) : std::nullopt;
    if (!bytes) return Error{Errc::undecided, "a chunk is not opened"};
    std::copy(bytes->begin(), bytes->end(), out.begin());
    return Ok{};
  }
  bool exhausted() const { return !blob || blob->exhausted(); }
};

Result<OpenedPublic> get_public(Reader& in, uint64_t bytes, const std::string& where) {
  OpenedPublic out;
  const auto opened = in.get<uint8_t>();
  if (opened > 1) return bad_proof(where, "a flag is neither 0 nor 1");
  if (opened == 0) return out;
  auto chunks = get_chunks(in, bytes);
  if (!chunks) return bad_proof(where, chunks.error().detail);
  out.chunks = std::move(chunks.value());
  return out;
}

}  // namespace

Status decide_update(Reader& in, ProofFinding& out) {
  auto decoded = get_share_case(in);
  if (!decoded) return decoded.error();
  const ShareCase& at = decoded.value();
  const kernels::Program& program = at.work.program();
  accuse_miner(out, at);
  const auto claim = decode<UpdateClaim>(in.get_blob(kProofBytesMax));
  if (!claim) return bad_proof("update", claim.error().detail);
  const auto header = decode_thread_header(claim.value().header);
  if (!header) return bad_proof("update", header.error().detail);
  const uint64_t published = program.published_floats() * sizeof(float);
  auto theta = get_public(in, published, "theta");
  if (!theta) return theta.error();
  auto train = get_public(in, program.data_bytes(program.spec().records), "training data");
  if (!train) return train.error();
  if (Status end = expect_end(in, "update"); !end) return end;
  if (const std::string doubt = doubt_of(at); !doubt.empty()) return not_proven(out, doubt);
  if (Status good = theta.value().check(at.lease.theta_root); !good)
    return not_proven(out, "theta: " + good.error().detail);
  if (Status good = train.value().check(at.work.job().train_address); !good)
    return not_proven(out, "training data: " + good.error().detail);
  const PublicData data{.theta = [&](uint64_t first, std::span<float> floats) -> Status {
                          return theta.value().read(first * sizeof(float),
                                                    {reinterpret_cast<uint8_t*>(floats.data()),
                                                     floats.size() * sizeof(float)});
                        },
                        .train = [&](uint64_t offset, std::span<uint8_t> bytes) -> Status {
                          return train.value().read(offset, bytes);
                        }};
  // Only the share that has the step is looked at.
  const std::vector<Share> shares(at.lease.shares(), at.share);
  const ThreadCase thread{.work = at.work,
                          .lease = at.lease,
                          .shares = shares,
                          .seed = header.value().seed,
                          .blocks = thread_blocks(at.work.job())};
  name_step(out, at.share, claim.value().step);
  const Finding finding = check_part(thread, at.share, claim.value(), data);
  if (finding.outcome == Outcome::valid)
    return not_proven(out, "the weights moved as their gradient says");
  if (finding.outcome != Outcome::invalid) return not_proven(out, finding.detail);
  if (!theta.value().exhausted() || !train.value().exhausted())
    return not_proven(out, "it holds other chunks than the update is derived from");
  return proven(out, place_words(at.share, claim.value().step) + finding.detail);
}

}  // namespace gemmine::verifier
