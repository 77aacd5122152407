#include "verifier/thread/checker.h"

#include <algorithm>

#include "kernels/hash/opening.h"
#include "verifier/audit/opened.h"
#include "verifier/audit/opening.h"
#include "verifier/thread/blocks.h"

namespace gemmine::verifier {

namespace {

ThreadFinding unusable(std::string detail) {
  return {ThreadOutcome::unusable, std::move(detail), kNoStep, {}, {}};
}

// An error of the auditor's own readers decides nothing; what does not decode is as if unsaid.
ThreadFinding finding_of(const Error& error) {
  const bool own = error.code != Errc::malformed;
  return {own ? ThreadOutcome::undecided : ThreadOutcome::unusable, error.detail, kNoStep, {}, {}};
}

using Trouble = std::optional<ThreadFinding>;

class Checker {
 public:
  Checker(const ThreadCase& thread, const AnswerSource& answer, const PublicData& data)
      : thread_(thread), answer_(answer), data_(data), program_(thread.program()) {}

  ThreadFinding check();

 private:
  Trouble read_front();
  Trouble check_starts();
  Trouble check_step();
  Trouble check_links(std::span<const Link> links, std::span<const uint32_t> tokens,
                      Floats& squares);
  Trouble check_ends();
  Trouble check_blocks(bool at_drawn_step, std::span<const uint32_t> tokens);
  Trouble check_block(uint32_t number, std::span<const uint32_t> tokens);
  // Whether the digest is the one the prover signed for. Errors: those of the answer.
  Result<bool> has_digest(uint64_t number, const Digest& own) const;
  ThreadFinding wrong_link(uint32_t step, Link link, Finding finding, Bytes state, Bytes peer,
                           ByteView part) const;
  Result<Bytes> open_digests(uint32_t step, Link link) const;

  const ThreadCase& thread_;
  const AnswerSource& answer_;
  const PublicData& data_;
  const kernels::Program& program_;
  ThreadHeader header_;
  std::optional<ThreadPlan> plan_;
  std::optional<Follower> follower_;
  std::optional<PartCursor> parts_;
};

Result<bool> Checker::has_digest(uint64_t number, const Digest& own) const {
  Digest said;
  auto read = answer_.read(digest_offset(header_) + number * 32, said.bytes);
  if (!read) return read.error();
  return said == own;
}

Trouble Checker::read_front() {
  auto plan = ThreadPlan::make(thread_, data_);
  if (!plan) return finding_of(plan.error());
  const uint64_t front =
      header_bytes(plan.value().scale_draws().size(), plan.value().blocks().size());
  if (answer_.bytes < front) return unusable("the answer ends early");
  Bytes raw(front);
  if (auto read = answer_.read(0, raw); !read) return finding_of(read.error());
  auto header = decode_thread_header(raw);
  if (!header) return finding_of(header.error());
  header_ = std::move(header.value());
  if (header_.lease_id != thread_.lease.id || header_.seed != thread_.seed)
    return unusable("the answer is to another challenge");
  if (header_.bytes() != front) return unusable("not as many witnesses or blocks as were drawn");
  if (!signed_by(header_, thread_.lease.miner_key))
    return unusable("the answer is not signed by the miner");
  plan_ = std::move(plan.value());
  if (auto named = plan_->set_witnesses(header_.features); !named) return finding_of(named.error());
  const uint64_t digests = plan_->digests() * 32;
  if (answer_.bytes - front < digests) return unusable("the answer ends early");
  kernels::Blake3 hash;
  Bytes piece(size_t{1} << 16);
  for (uint64_t done = 0; done < digests; done += piece.size()) {
    piece.resize(std::min<uint64_t>(piece.size(), digests - done));
    if (auto read = answer_.read(front + done, piece); !read) return finding_of(read.error());
    hash.update(piece);
  }
  if (hash.finish() != header_.digests_root)
    return unusable("the digests are not those that were signed");
  parts_.emplace(answer_, front + digests);
  return {};
}

Trouble Checker::check_starts() {
  auto follower = Follower::make(thread_, *plan_, data_);
  if (!follower) return finding_of(follower.error());
  follower_.emplace(std::move(follower.value()));
  return {};
}

// The chunks of the digests' string that have the link's own, the one after it, and its peer's.
Result<Bytes> Checker::open_digests(uint32_t step, Link link) const {
  const bool at_end = step == thread_.lease.steps;
  std::vector<uint64_t> numbers;
  if (at_end) {
    numbers = {plan_->last_digest(link.chain)};
  } else {
    numbers = {plan_->digest_number(step, link), plan_->next_digest(step, link)};
    const uint32_t peer = peer_of(*plan_, link.chain, step);
    if (peer != kNoChain)
      numbers.push_back(step < plan_->chains()[peer].steps ? plan_->digest_number(step, {peer, 0})
                                                           : plan_->last_digest(peer));
  }
  std::ranges::sort(numbers);
  Bytes all(plan_->digests() * 32);
  if (auto read = answer_.read(digest_offset(header_), all); !read) return read.error();
  OpenedObject opened;
  Bytes bytes;
  for (const uint64_t number : numbers) {
    const uint64_t chunk = number / 32;
    if (!opened.ranges.empty() && chunk < opened.ranges.back().last) continue;
    if (!opened.ranges.empty() && chunk == opened.ranges.back().last) {
      ++opened.ranges.back().last;
    } else {
      opened.ranges.push_back({chunk, chunk + 1});
    }
    const ByteView view = ByteView(all).subspan(
        chunk * kChunk, std::min<uint64_t>(kChunk, all.size() - chunk * kChunk));
    bytes.insert(bytes.end(), view.begin(), view.end());
  }
  auto siblings = kernels::open_chunks(kernels::Blake3Mode::plain(),
                                       kernels::ChunkSource::of_bytes(all), opened.ranges);
  if (!siblings) return siblings.error();
  opened.siblings = std::move(siblings.value());
  opened.bytes = bytes;
  Writer out;
  put_chunks(out, opened);
  return out.take();
}

ThreadFinding Checker::wrong_link(uint32_t step, Link link, Finding finding, Bytes state,
                                  Bytes peer, ByteView part) const {
  auto digests = open_digests(step, link);
  if (!digests) return finding_of(digests.error());
  UpdateClaim claim{encode(header_),
                    step,
                    link,
                    std::move(state),
                    std::move(peer),
                    std::move(digests.value()),
                    Bytes(part.begin(), part.end())};
  return {ThreadOutcome::wrong, std::move(finding.detail), step, std::move(claim), {}};
}

Trouble Checker::check_links(std::span<const Link> links, std::span<const uint32_t> tokens,
                             Floats& squares) {
  const uint32_t step = follower_->step();
  const auto part = parts_->next();
  if (!part) return finding_of(part.error());
  const auto opening = decode_opening(program_, part.value());
  if (!opening) return finding_of(opening.error());
  OpenedSource source(opening.value().objects);
  StepLinks at(program_, thread_.key(step), source, tokens);
  struct Wrong {
    Link link;
    Finding finding;
    Bytes state;
    Bytes peer;
  };
  std::optional<Wrong> first;
  for (const Link& link : links) {
    Bytes before = follower_->bytes_before(link);
    Finding finding = follower_->follow(link, at);
    if (!at.objection().empty()) finding = {Outcome::invalid, step, at.objection()};
    const std::string name = name_of(program_, plan_->chains()[link.chain].fibre);
    const bool begins = step == 0 && link.piece == 0;
    const auto start = begins
                           ? has_digest(plan_->digest_number(step, link), kernels::blake3(before))
                           : Result<bool>(true);
    const auto next =
        has_digest(plan_->next_digest(step, link), kernels::blake3(follower_->bytes_after(link)));
    if (!start || !next) return finding_of(!start ? start.error() : next.error());
    if (!start.value()) finding = {Outcome::invalid, step, name + " does not start from θ"};
    if (finding.outcome == Outcome::valid && !next.value())
      finding = {Outcome::invalid, step, name + " does not move as its gradient says"};
    if (finding.outcome == Outcome::valid || first) continue;
    const FibreState* const peer = link.piece > 0 ? nullptr : follower_->peer(link.chain);
    first = Wrong{link, std::move(finding), std::move(before),
                  peer == nullptr ? Bytes{} : link_bytes(*peer, nullptr)};
  }
  if (at.missing() || !source.exhausted() || opening.value().witness != 0)
    return unusable("a part holds other chunks than its fibres are made of");
  const auto committed = verify_opened(thread_.work, thread_.lease, thread_.share_of(step),
                                       thread_.index_of(step), opening.value());
  if (!committed) return unusable(committed.error().detail);
  if (first)
    return wrong_link(step, first->link, std::move(first->finding), std::move(first->state),
                      std::move(first->peer), part.value());
  if (!at.parameter_squares().empty()) squares = at.parameter_squares();
  return {};
}

Trouble Checker::check_step() {
  const uint32_t step = follower_->step();
  const auto tokens = step_tokens(program_, thread_.key(step), data_.train);
  if (!tokens) return finding_of(tokens.error());
  Floats squares;
  for (const std::vector<Link>& links : plan_->parts_of_step(step))
    if (Trouble trouble = check_links(links, tokens.value(), squares)) return trouble;
  follower_->end_step(squares);
  return check_blocks(true, tokens.value());
}

Trouble Checker::check_ends() {
  const uint32_t steps = thread_.lease.steps;
  const Share& share = thread_.shares.back();
  for (const std::vector<uint32_t>& chains : plan_->end_parts()) {
    const auto part = parts_->next();
    if (!part) return finding_of(part.error());
    const auto opening = decode_opening(program_, part.value());
    if (!opening) return finding_of(opening.error());
    OpenedSource source(opening.value().objects);
    BlockReader reader(program_, source);
    std::optional<std::pair<uint32_t, Finding>> first;
    for (const uint32_t chain : chains) {
      Finding finding = check_end(thread_.work, plan_->chains()[chain].fibre,
                                  follower_->state(chain), follower_->theta(chain), reader);
      if (!reader.objection().empty()) finding = {Outcome::invalid, steps, reader.objection()};
      if (finding.outcome != Outcome::valid && !first) first.emplace(chain, std::move(finding));
    }
    if (reader.missing() || !source.exhausted() || opening.value().witness != 0)
      return unusable("an end part holds other chunks than its fibres are made of");
    const auto committed =
        verify_opened(thread_.work, thread_.lease, share, share.steps - 1, opening.value());
    if (!committed) return unusable(committed.error().detail);
    if (first)
      return wrong_link(steps, {first->first, 0}, std::move(first->second),
                        link_bytes(follower_->state(first->first), nullptr), {}, part.value());
  }
  return {};
}

Trouble Checker::check_blocks(bool at_drawn_step, std::span<const uint32_t> tokens) {
  const auto& blocks = plan_->blocks();
  for (uint32_t j = 0; j < blocks.size(); ++j) {
    const bool drawn = blocks[j].at_drawn_step();
    if (drawn != at_drawn_step || (drawn && blocks[j].step + 1 != follower_->step())) continue;
    if (Trouble trouble = check_block(j, tokens)) return trouble;
  }
  return {};
}

Trouble Checker::check_block(uint32_t number, std::span<const uint32_t> tokens) {
  const ThreadBlock& block = plan_->blocks()[number];
  const BlockClaim& claim = header_.claims[number];
  const uint32_t step = step_of(block, *follower_);
  if (claim.step != step) return unusable("a block is of another step than the fibres say");
  std::vector<uint32_t> own;
  if (!block.at_drawn_step()) {
    auto read = step_tokens(program_, thread_.key(step), data_.train);
    if (!read) return finding_of(read.error());
    own = std::move(read.value());
    tokens = own;
  }
  const auto bytes = parts_->next();
  if (!bytes) return finding_of(bytes.error());
  const auto opening = decode_opening(program_, bytes.value());
  if (!opening) return finding_of(opening.error());
  if (opening.value().witness != claim.witness)
    return unusable("a block's witness is not the one that was signed");
  OpenedSource source(opening.value().objects);
  auto choice = choose_block(thread_, *plan_, *follower_, number, tokens, source);
  if (!choice) return finding_of(choice.error());
  const Share& share = thread_.share_of(step);
  choice.value().step = thread_.index_of(step);
  Finding finding =
      check_opening({thread_.work, thread_.lease, {}}, share, choice.value(), bytes.value());
  if (finding.outcome == Outcome::valid) return {};
  const auto committed =
      verify_opened(thread_.work, thread_.lease, share, choice.value().step, opening.value());
  if (finding.outcome != Outcome::invalid || !committed) return unusable(finding.detail);
  return ThreadFinding{ThreadOutcome::wrong,
                       std::move(finding.detail),
                       step,
                       {},
                       WrongBlock{number, share.index, choice.value(),
                                  Bytes(bytes.value().begin(), bytes.value().end())}};
}

ThreadFinding Checker::check() {
  if (Trouble trouble = read_front()) return *trouble;
  if (Trouble trouble = check_starts()) return *trouble;
  for (uint32_t step = 0; step < thread_.lease.steps; ++step)
    if (Trouble trouble = check_step()) return *trouble;
  if (Trouble trouble = check_ends()) return *trouble;
  if (Trouble trouble = check_blocks(false, {})) return *trouble;
  if (!parts_->at_end()) return unusable("trailing bytes");
  return {ThreadOutcome::valid, "", kNoStep, {}, {}};
}

}  // namespace

ThreadFinding check_thread(const ThreadCase& thread, const AnswerSource& answer,
                           const PublicData& data) {
  GEMMINE_CHECK(thread.shares.size() == thread.lease.shares());
  return Checker(thread, answer, data).check();
}

}  // namespace gemmine::verifier
