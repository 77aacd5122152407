#include "verifier/thread/prover.h"

#include <algorithm>
#include <map>
#include <optional>

#include "kernels/hash/blake3.h"
#include "kernels/numbers/numerics.h"
#include "kernels/numbers/rederive.h"
#include "verifier/audit/opening.h"
#include "verifier/audit/whole.h"
#include "verifier/merge/round.h"
#include "verifier/thread/blocks.h"

namespace gemmine::verifier {

namespace {

class Writing {
 public:
  Writing(const ThreadCase& thread, const ThreadProver& prover, const AnswerSink& sink)
      : thread_(thread),
        prover_(prover),
        sink_(sink),
        program_(thread.program()),
        data_(public_data(prover.theta, prover.train_records)) {}

  Result<ThreadWritten> write();

 private:
  Status find_witnesses();
  Status begin();
  Status walk_to(uint32_t step);
  uint32_t witness_in(const ScaleDraw& draw, std::span<const float> state) const;
  Result<ShareRun> run_of(uint32_t step) const;
  ProverView view_of(const ShareRun& run, std::span<const float> state_after) const;
  Status take_step();
  Status write_parts(const ProverView& view, WholeSource& source, Floats& squares);
  Status write_drawn_blocks(const ProverView& view);
  Status keep_risen_blocks(const ProverView& view);
  Result<Bytes> open_block(const ProverView& view, uint32_t number);
  Status write_ends();
  Status write_front();
  Status put(ByteView bytes);
  Status put_digest(const Digest& digest);

  const ThreadCase& thread_;
  const ThreadProver& prover_;
  const AnswerSink& sink_;
  const kernels::Program& program_;
  const PublicData data_;
  std::optional<ThreadPlan> plan_;
  std::optional<Follower> follower_;
  ThreadHeader header_;
  std::vector<uint32_t> tokens_;       // of the step at hand
  std::map<uint32_t, Bytes> waiting_;  // openings of blocks that a later step may replace
  kernels::Blake3 digests_;
  uint64_t digests_written_ = 0;
  uint64_t at_ = 0;  // where the next part goes
  ThreadWritten out_;
};

Status Writing::put(ByteView bytes) {
  GEMMINE_CHECK(bytes.size() <= kThreadPartMax);
  const Bytes length = Writer().put(static_cast<uint32_t>(bytes.size())).take();
  if (auto put = sink_(at_, length); !put) return put.error();
  if (auto put = sink_(at_ + length.size(), bytes); !put) return put.error();
  at_ += length.size() + bytes.size();
  return Ok{};
}

Status Writing::put_digest(const Digest& digest) {
  digests_.update(digest.view());
  return sink_(digest_offset(header_) + 32 * digests_written_++, digest.view());
}

Status Writing::walk_to(uint32_t step) {
  KeptState from{0, {}};
  if (prover_.kept_state) {
    auto kept = prover_.kept_state(step);
    if (!kept) return kept.error();
    from = std::move(kept.value());
  }
  if (from.state.empty()) from = {0, start_state(program_, prover_.theta)};
  GEMMINE_CHECK(from.steps <= step);
  if (auto loaded = prover_.engine.load_state(from.state, from.steps); !loaded)
    return loaded.error();
  for (uint32_t h = from.steps; h < step; ++h, ++out_.steps_run) {
    const auto done = prover_.engine.run_step(thread_.key(h), nullptr);
    if (!done) return done.error();
  }
  return Ok{};
}

// The lowest index that attains the row's scale.
uint32_t Writing::witness_in(const ScaleDraw& draw, std::span<const float> state) const {
  const Fibre& fibre = plan_->draw().fibres[draw.fibre];
  const kernels::ParameterInfo& parameter = program_.parameter_list()[fibre.parameter];
  const auto row = state.subspan(
      parameter.offset + (uint64_t{fibre.rows.first} + draw.row) * parameter.cols, parameter.cols);
  const float scale = kernels::scale_of(largest_magnitude(row)).s;
  if (scale == 0.0F) return kNoFeature;
  const auto found =
      std::ranges::find_if(row, [scale](float w) { return kernels::scale_floor(w) == scale; });
  GEMMINE_CHECK(found != row.end());
  return static_cast<uint32_t>(found - row.begin());
}

// Where a scale is attained tells which fibre to follow, so it is looked for before the answer is
// begun: seldom, and from the nearest state that was kept.
Status Writing::find_witnesses() {
  std::vector<float> state;
  for (const ScaleDraw& draw : plan_->scale_draws()) {
    if (auto walked = walk_to(draw.step); !walked) return walked.error();
    state.resize(program_.state_floats());
    if (auto read = prover_.engine.read_state(state); !read) return read.error();
    header_.features.push_back(witness_in(draw, state));
  }
  return plan_->set_witnesses(header_.features);
}

// A share of which only the step is known that the engine stands behind.
Result<ShareRun> Writing::run_of(uint32_t step) const {
  const Share& share = thread_.share_of(step);
  auto kept = prover_.kept_step(step);
  if (!kept) return kept.error();
  const auto digests = prover_.step_digests.subspan(share.first_step, share.steps);
  ShareRun run{.share = share,
               .step_digests = {digests.begin(), digests.end()},
               .roots = std::vector<std::vector<Digest>>(share.steps),
               .losses = std::vector<float>(share.steps),
               .state_after = {},
               .delta = {}};
  run.roots[step - share.first_step] = std::move(kept.value().roots);
  run.losses[step - share.first_step] = kept.value().loss;
  return run;
}

ProverView Writing::view_of(const ShareRun& run, std::span<const float> state_after) const {
  return {.at = {thread_.work, thread_.lease, prover_.theta},
          .run = run,
          .state_before = {},
          .state_after = state_after,
          .train_records = prover_.train_records,
          .train_tree = prover_.train_tree,
          .engine = prover_.engine,
          .check_own = prover_.check_own};
}

Status Writing::write_parts(const ProverView& view, WholeSource& source, Floats& squares) {
  const uint32_t step = follower_->step();
  for (const std::vector<Link>& links : plan_->parts_of_step(step)) {
    source.touched.clear();
    source.recording = true;
    StepLinks at(program_, thread_.key(step), source, tokens_);
    for (const Link& link : links) {
      if (auto put = put_digest(kernels::blake3(follower_->bytes_before(link))); !put)
        return put.error();
      Finding finding = follower_->follow(link, at);
      if (!at.objection().empty()) finding = {Outcome::invalid, step, at.objection()};
      if (finding.outcome != Outcome::valid && prover_.check_own)
        return Error{Errc::invalid, finding.detail};
    }
    source.recording = false;
    if (!at.parameter_squares().empty()) squares = at.parameter_squares();
    auto part = open_touched(view, source, thread_.index_of(step), 0);
    if (!part) return part.error();
    if (auto put = this->put(part.value()); !put) return put.error();
  }
  return Ok{};
}

Result<Bytes> Writing::open_block(const ProverView& view, uint32_t number) {
  WholeSource source(view);
  auto choice = choose_block(thread_, *plan_, *follower_, number, tokens_, source);
  if (!choice) return choice.error();
  const uint32_t step = follower_->step() - 1;
  choice.value().step = thread_.index_of(step);
  auto opening = make_opening(view, choice.value());
  if (!opening) return opening.error();
  uint32_t witness = 0;
  std::memcpy(&witness, opening.value().data(), sizeof witness);
  header_.claims[number] = {step, witness};
  return opening;
}

Status Writing::write_drawn_blocks(const ProverView& view) {
  const auto& blocks = plan_->blocks();
  for (uint32_t j = 0; j < blocks.size(); ++j) {
    if (!blocks[j].at_drawn_step() || blocks[j].step + 1 != follower_->step()) continue;
    const auto opening = open_block(view, j);
    if (!opening) return opening.error();
    if (auto put = this->put(opening.value()); !put) return put.error();
  }
  return Ok{};
}

Status Writing::keep_risen_blocks(const ProverView& view) {
  const auto& blocks = plan_->blocks();
  for (uint32_t j = 0; j < blocks.size(); ++j) {
    const bool rose = blocks[j].place == BlockPlace::star && follower_->star_rose(blocks[j].fibre);
    const bool fell = blocks[j].place == BlockPlace::norm_least && follower_->least_fell();
    if (!rose && !fell) continue;
    auto opening = open_block(view, j);
    if (!opening) return opening.error();
    waiting_[j] = std::move(opening.value());
  }
  return Ok{};
}

Status Writing::take_step() {
  const uint32_t step = follower_->step();
  const auto done = prover_.engine.run_step(thread_.key(step), nullptr);
  if (!done) return done.error();
  ++out_.steps_run;
  auto tokens = step_tokens(program_, thread_.key(step), data_.train);
  if (!tokens) return tokens.error();
  tokens_ = std::move(tokens.value());
  const auto run = run_of(step);
  if (!run) return run.error();
  const ProverView view = view_of(run.value(), {});
  WholeSource source(view);
  Floats squares;
  if (auto parts = write_parts(view, source, squares); !parts) return parts.error();
  follower_->end_step(squares);
  if (auto blocks = write_drawn_blocks(view); !blocks) return blocks.error();
  return keep_risen_blocks(view);
}

Status Writing::write_ends() {
  const uint32_t last = thread_.lease.steps - 1;
  auto run = run_of(last);
  auto delta = prover_.delta();
  if (!run || !delta) return !run ? run.error() : delta.error();
  run.value().delta = std::move(delta.value());
  std::vector<float> after(program_.state_floats());
  if (auto read = prover_.engine.read_state(after); !read) return read.error();
  const ProverView view = view_of(run.value(), after);
  WholeSource source(view);
  for (const std::vector<uint32_t>& chains : plan_->end_parts()) {
    source.touched.clear();
    source.recording = true;
    BlockReader reader(program_, source);
    for (const uint32_t chain : chains) {
      const Finding finding = check_end(thread_.work, plan_->chains()[chain].fibre,
                                        follower_->state(chain), follower_->theta(chain), reader);
      if (finding.outcome != Outcome::valid && prover_.check_own)
        return Error{Errc::invalid, finding.detail};
    }
    source.recording = false;
    auto part = open_touched(view, source, thread_.index_of(last), 0);
    if (!part) return part.error();
    if (auto put = this->put(part.value()); !put) return put.error();
  }
  for (const auto& [number, opening] : waiting_)
    if (auto put = this->put(opening); !put) return put.error();
  return Ok{};
}

Status Writing::write_front() {
  for (uint32_t chain = 0; chain < plan_->chains().size(); ++chain) {
    const Bytes last = link_bytes(follower_->state(chain), nullptr);
    if (auto put = put_digest(kernels::blake3(last)); !put) return put.error();
  }
  GEMMINE_CHECK(digests_written_ == plan_->digests());
  header_.digests_root = digests_.finish();
  sign(header_, prover_.miner);
  return sink_(0, encode(header_));
}

Status Writing::begin() {
  return prover_.engine.load_state(start_state(program_, prover_.theta), 0);
}

Result<ThreadWritten> Writing::write() {
  auto plan = ThreadPlan::make(thread_, data_);
  if (!plan) return plan.error();
  plan_ = std::move(plan.value());
  header_.lease_id = thread_.lease.id;
  header_.seed = thread_.seed;
  header_.claims.resize(plan_->blocks().size());
  if (auto found = find_witnesses(); !found) return found.error();
  at_ = digest_offset(header_) + plan_->digests() * 32;
  auto follower = Follower::make(thread_, *plan_, data_);
  if (!follower) return follower.error();
  follower_.emplace(std::move(follower.value()));
  if (auto begun = begin(); !begun) return begun.error();
  for (uint32_t step = 0; step < thread_.lease.steps; ++step)
    if (auto taken = take_step(); !taken) return taken.error();
  if (auto ends = write_ends(); !ends) return ends.error();
  if (auto front = write_front(); !front) return front.error();
  out_.bytes = at_;
  return out_;
}

}  // namespace

Result<ThreadWritten> prove_thread(const ThreadCase& thread, const ThreadProver& prover,
                                   const AnswerSink& sink) {
  GEMMINE_CHECK(thread.shares.size() == thread.lease.shares());
  GEMMINE_CHECK(prover.step_digests.size() == thread.lease.steps && prover.kept_step);
  GEMMINE_CHECK(prover.theta.size() == thread.program().parameters() && prover.delta);
  return Writing(thread, prover, sink).write();
}

}  // namespace gemmine::verifier
