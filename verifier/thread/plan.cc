#include "verifier/thread/plan.h"

#include <algorithm>

#include "verifier/merge/delta.h"

namespace gemmine::verifier {

using kernels::ParameterInfo;
using kernels::ParameterKind;
using kernels::Program;

namespace {

constexpr uint64_t kSiblingBytes = 32;
constexpr uint64_t kObjectBytes = 32;  // ids, counts, a range
// Siblings of one run of chunks in the largest string, 2^22 chunks.
constexpr uint64_t kPathBytes = 2 * 22 * kSiblingBytes + kObjectBytes;

// Groups that stay below kPartTarget; an item that is longer is alone.
template <class Item>
std::vector<std::vector<Item>> pack(std::span<const Item> items, uint64_t base, auto bytes_of) {
  std::vector<std::vector<Item>> out;
  uint64_t bytes = 0;
  for (const Item& item : items) {
    const uint64_t more = bytes_of(item);
    if (out.empty() || bytes + more > kPartTarget) {
      out.emplace_back();
      bytes = base;
    }
    out.back().push_back(item);
    bytes += more;
  }
  return out;
}

}  // namespace

Result<ThreadPlan> ThreadPlan::make(const ThreadCase& thread, const PublicData& data) {
  ThreadPlan out(thread);
  const Program& program = thread.program();
  GEMMINE_CHECK(thread.blocks <= kThreadBlocksMax);
  auto draw = draw_thread(program, thread.seed, thread.lease.round, thread.lease.slot,
                          thread.lease.steps, data.train);
  if (!draw) return draw.error();
  out.draw_ = std::move(draw.value());
  out.blocks_ =
      draw_thread_blocks(program, out.draw_, thread.seed, thread.lease.steps, thread.blocks);
  for (const ScaleDraw& scale : out.draw_.scales) {
    const auto needed = needs_witness(program, out.draw_.fibres[scale.fibre],
                                      thread.key(scale.step), scale.row, data.theta);
    if (!needed) return needed.error();
    if (needed.value()) out.scale_draws_.push_back(scale);
  }
  return out;
}

Status ThreadPlan::set_witnesses(std::span<const uint32_t> features) {
  if (features.size() != scale_draws_.size())
    return Error{Errc::malformed, "not as many witnesses as scales"};
  chains_.clear();
  witnesses_.clear();
  for (const Fibre& fibre : draw_.fibres)
    chains_.push_back({fibre, steps_, pieces_of(*program_, fibre)});
  for (size_t i = 0; i < features.size(); ++i) {
    const ScaleDraw& draw = scale_draws_[i];
    const Fibre& fibre = draw_.fibres[draw.fibre];
    ScaleWitness witness{draw, features[i], kNoChain};
    if (features[i] != kNoFeature) {
      if (features[i] >= program_->parameter_list()[fibre.parameter].cols)
        return Error{Errc::malformed, "a witness is no feature of its row"};
      witness.chain = draw.fibre;
      if (features[i] < fibre.cols.first || features[i] >= fibre.cols.end()) {
        witness.chain = static_cast<uint32_t>(chains_.size());
        const Fibre other =
            row_fibre(*program_, fibre.parameter, fibre.rows.first + draw.row, features[i]);
        chains_.push_back({other, draw.step, pieces_of(*program_, other)});
      }
    }
    witnesses_.push_back(witness);
  }
  return Ok{};
}

const ScaleWitness* ThreadPlan::witness_at(uint32_t chain, uint32_t step) const {
  const auto found = std::ranges::find_if(witnesses_, [&](const ScaleWitness& witness) {
    return witness.draw.fibre == chain && witness.draw.step == step;
  });
  return found == witnesses_.end() ? nullptr : &*found;
}

std::vector<std::vector<Link>> ThreadPlan::parts_of_step(uint32_t step) const {
  std::vector<Link> links;
  for (uint32_t c = 0; c < chains_.size(); ++c)
    for (uint32_t piece = 0; step < chains_[c].steps && piece < chains_[c].pieces; ++piece)
      links.push_back({c, piece});
  return pack(std::span<const Link>(links), part_base_bytes(*program_), [&](const Link& link) {
    return link_bytes_max(*program_, chains_[link.chain].fibre);
  });
}

std::vector<std::vector<uint32_t>> ThreadPlan::end_parts() const {
  std::vector<uint32_t> chains;
  for (uint32_t c = 0; c < draw_.fibres.size(); ++c)
    chains.push_back(c);
  return pack(std::span<const uint32_t>(chains), part_base_bytes(*program_),
              [&](uint32_t chain) { return end_bytes_max(*program_, chains_[chain].fibre); });
}

uint64_t ThreadPlan::links_before(uint32_t step) const {
  uint64_t out = 0;
  for (const Chain& chain : chains_)
    out += uint64_t{chain.pieces} * std::min(step, chain.steps);
  return out;
}

uint64_t ThreadPlan::digest_number(uint32_t step, Link link) const {
  uint64_t out = links_before(step);
  for (uint32_t c = 0; c < link.chain; ++c)
    out += step < chains_[c].steps ? chains_[c].pieces : 0;
  return out + link.piece;
}

uint64_t ThreadPlan::next_digest(uint32_t step, Link link) const {
  const Chain& chain = chains_[link.chain];
  if (link.piece + 1 < chain.pieces) return digest_number(step, {link.chain, link.piece + 1});
  if (step + 1 < chain.steps) return digest_number(step + 1, {link.chain, 0});
  return last_digest(link.chain);
}

uint64_t ThreadPlan::part_base_bytes(const Program& program) {
  const uint64_t clip = program.spec().clip > 0 ? program.parameter_list().size() * 4 : 0;
  return (program.tensors().size() + 64) * kSiblingBytes + 2 * kPathBytes + 1024 + clip + 2048;
}

uint64_t ThreadPlan::link_bytes_max(const Program& program, const Fibre& fibre) {
  const ParameterInfo& parameter = program.parameter_list()[fibre.parameter];
  // Small things of a chunk or two each: scales, W, the vector, the unit's square.
  const uint64_t small = 6 * (2 * kChunk + kPathBytes);
  if (parameter.is_vector()) {
    const uint64_t runs = (program.rows() + 31) / 32;
    return runs * kernels::kPanelRowBytes + 2 * kChunk + kPathBytes + small;
  }
  const uint64_t rows = std::min(program.rows(), kPieceRows);
  uint64_t out = small;
  if (linear_of(program, fibre)) out += 2 * (rows * 64 + 2 * kChunk + kPathBytes);
  if (parameter.kind == ParameterKind::tokens)
    out += rows * kernels::kPanelRowBytes + kChunk + rows / 8 * kSiblingBytes + kPathBytes;
  if (parameter.kind == ParameterKind::positions)
    out += (rows / program.spec().gpt.context + 1) * (kChunk + kPathBytes);
  // R_0 of the pair.
  return out + 2 * kChunk + kPathBytes;
}

uint64_t ThreadPlan::end_bytes_max(const Program& program, const Fibre& fibre) {
  const bool vector = program.parameter_list()[fibre.parameter].is_vector();
  const uint64_t runs = vector ? 1 : fibre.rows.count;
  const uint64_t copies = program.state_floats() / program.parameters();
  // Of each run of each copy of the state two chunks at most; of the delta its exponents and
  // values.
  return runs * (copies + 2) * (2 * kChunk + kPathBytes);
}

}  // namespace gemmine::verifier
