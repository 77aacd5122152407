#include "verifier/proof/descent.h"

#include <algorithm>

#include "kernels/hash/tree.h"
#include "verifier/proof/descent_places.h"
#include "verifier/records/trace.h"

namespace gemmine::verifier {

using kernels::Blake3Mode;

namespace {

constexpr uint32_t kShownChunksMax = 1024;

Blake3Mode state_mode() {
  return Blake3Mode::keyed(kernels::blake3_derive_key(domain::kState, {}));
}

// The number of the first node that differs; nothing when none does.
std::optional<uint64_t> first_difference(std::span<const Digest> one,
                                         std::span<const Digest> other) {
  for (uint64_t i = 0; i < one.size(); ++i)
    if (one[i] != other[i]) return i;
  return {};
}

}  // namespace

Descent::Descent(const DescentCase& at, uint64_t answer_max)
    : at_(at),
      program_(at.at.work.program()),
      payload_max_(std::min<uint64_t>(answer_max, kAnswerBytesMax) - kQuestionBytes),
      claimed_(at.own) {
  GEMMINE_CHECK(answer_max > kQuestionBytes + 64 && at.stand != nullptr);
  const size_t run = at.own.step_digests.size();
  GEMMINE_CHECK(run > 0 && run <= at.share.steps);
  // It may end with the step that differs.
  GEMMINE_CHECK(run == at.share.steps || at.digests.size() < run ||
                at.digests[run - 1] != at.own.step_digests.back());
  claimed_.share = at.share;
  claimed_.roots.resize(at.share.steps);
  claimed_.losses.resize(at.share.steps);
  begin();
}

const Question& Descent::question() const {
  GEMMINE_CHECK(stage_ == Stage::asking);
  return question_;
}
const Bytes& Descent::proof() const {
  GEMMINE_CHECK(stage_ == Stage::proven);
  return proof_;
}
const Descent::FibrePlace& Descent::fibre() const {
  GEMMINE_CHECK(stage_ == Stage::fibre);
  return fibre_;
}

void Descent::end(Stage stage, std::string why) {
  stage_ = stage;
  why_ = std::move(why);
}

// Only what everybody else will decide alike counts.
void Descent::accuse(Result<Bytes> proof) {
  if (!proof) return end(Stage::helpless, proof.error().detail);
  const auto finding = decide_proof(proof.value(), at_.at.lease.pool_key);
  if (!finding) return end(Stage::helpless, finding.error().detail);
  if (!finding.value().proven) return end(Stage::helpless, finding.value().words);
  proof_ = std::move(proof.value());
  end(Stage::proven, finding.value().words);
}

void Descent::begin() {
  const Share& share = at_.share;
  if (at_.digests.size() != share.steps ||
      trace_root(share.lease_id, share.first_step, at_.digests) != share.trace_root)
    return end(Stage::helpless, "the step digests are not the share's");
  if (share.state_before != at_.own.share.state_before)
    return end(Stage::helpless, "the share starts from another state than ours");
  claimed_.step_digests.assign(at_.digests.begin(), at_.digests.end());
  const auto differs = first_difference(at_.own.step_digests, at_.digests);
  if (differs) {
    step_ = static_cast<uint32_t>(*differs);
    return ask({.asked = Asked::roots});
  }
  if (share.state_after != at_.own.share.state_after) {
    const uint64_t bytes = program_.state_floats() * sizeof(float);
    const uint8_t level = level_for(bytes, payload_max_);
    return ask({.asked = Asked::state_nodes,
                .level = level,
                .count = static_cast<uint32_t>(node_count(bytes, level))});
  }
  if (share.delta_root != at_.own.share.delta_root) return accuse_delta();
  end(Stage::helpless, "what differs is no work: the loss, or nothing");
}

void Descent::ask(Question question) {
  question.lease_id = at_.at.lease.id;
  question.step = at_.share.first_step + step_.value_or(at_.share.steps - 1);
  question_ = question;
  ++asked_;
  end(Stage::asking, "");
}

// Of weights that moved it has to be known which did; where all of a tensor fits, it is shown.
void Descent::ask_nodes(uint16_t position) {
  position_ = position;
  const kernels::TensorInfo& tensor = program_.tensors()[position];
  const uint64_t bytes = tensor.bytes();
  if (!tensor.is_int8() && shows_weights(program_, position) && *step_ > 0 && bytes <= payload_max_)
    return ask({.asked = Asked::chunks,
                .position = position,
                .count = static_cast<uint32_t>(node_count(bytes, 0))});
  const uint8_t level = level_for(bytes, payload_max_);
  ask({.asked = Asked::nodes,
       .position = position,
       .level = level,
       .count = static_cast<uint32_t>(node_count(bytes, level))});
}

Blake3Mode Descent::mode() const {
  return Blake3Mode::keyed(step_key(at_.at.lease.id, at_.share.first_step + *step_));
}

Status Descent::take(const SignedAnswer& answer) {
  GEMMINE_CHECK(stage_ == Stage::asking);
  const ByteView bytes = answer.bytes;
  if (bytes.size() != kQuestionBytes + answer_bytes(program_, question_) ||
      !std::ranges::equal(bytes.first(kQuestionBytes), gemmine::encode(question_)))
    return Error{Errc::invalid, "it is no answer to what was asked"};
  if (!signed_by(answer, at_.at.lease))
    return Error{Errc::invalid, "the miner did not sign the answer"};
  const ByteView payload = bytes.subspan(kQuestionBytes);
  switch (question_.asked) {
    case Asked::thread:
      break;  // no question of a descent
    case Asked::roots:
      return take_roots(payload);
    case Asked::nodes:
      return take_nodes(payload);
    case Asked::chunks:
      return take_chunks(payload);
    case Asked::witnesses:
      return take_witnesses(answer, payload);
    case Asked::state_nodes:
      return take_state_nodes(payload);
  }
  return Ok{};
}

Status Descent::take_roots(ByteView payload) {
  const Digest key = step_key(at_.at.lease.id, question_.step);
  if (kernels::blake3_keyed(key, payload) != at_.digests[*step_])
    return Error{Errc::invalid, "these roots are not the step digest's"};
  Reader in(payload);
  std::vector<Digest>& roots = claimed_.roots[*step_];
  for (Digest& root : roots)
    root = in.get_digest();
  claimed_.losses[*step_] = in.get_f32();
  choose_tensor();
  return Ok{};
}

// The order of the roots is one of execution: a tensor is made of earlier ones and of the state.
// But a matrix with other scales is another matrix, so its scales are looked at first.
void Descent::choose_tensor() {
  const auto differs = first_difference(at_.own.roots[*step_], claimed_.roots[*step_]);
  if (!differs) return end(Stage::helpless, "only the loss of a step differs");
  auto position = static_cast<uint16_t>(*differs);
  const bool scaled = program_.tensors()[position].is_int8();
  const bool weights_moved = shows_weights(program_, position) && *step_ > 0;
  if (scaled && !weights_moved &&
      claimed_.roots[*step_][position + 1] != at_.own.roots[*step_][position + 1])
    ++position;
  ask_nodes(position);
}

Status Descent::take_nodes(ByteView payload) {
  std::vector<Digest> nodes(question_.count);
  Reader in(payload);
  for (Digest& node : nodes)
    node = in.get_digest();
  const uint64_t bytes = program_.tensors()[position_].bytes();
  ClaimedTree tree(mode(), bytes, question_.level, std::move(nodes));
  if (tree.root() != claimed_.roots[*step_][position_])
    return Error{Errc::invalid, "these nodes are not the tensor's"};
  const auto view = stand();
  if (!view) return end(Stage::helpless, view.error().detail), Ok{};
  const auto own = view.value().engine.read_tensor(position_);
  if (!own) return end(Stage::helpless, own.error().detail), Ok{};
  const auto differs = first_difference(
      nodes_of(mode(), own.value(), question_.level, 0, question_.count), tree.nodes());
  GEMMINE_CHECK(differs);  // the roots differ, and both follow from their nodes
  tree_ = std::move(tree);
  const uint64_t first = *differs << question_.level;
  if (question_.level == 0) return go_into_chunk(first), Ok{};
  const uint64_t count =
      std::min<uint64_t>(uint64_t{1} << question_.level, tree_->chunks() - first);
  if (count > kShownChunksMax)
    return end(Stage::helpless, "the tensor is larger than a question can cut"), Ok{};
  ask({.asked = Asked::chunks,
       .position = position_,
       .first = first,
       .count = static_cast<uint32_t>(count)});
  return Ok{};
}

Status Descent::take_state_nodes(ByteView payload) {
  std::vector<Digest> nodes(question_.count);
  Reader in(payload);
  for (Digest& node : nodes)
    node = in.get_digest();
  const uint64_t bytes = program_.state_floats() * sizeof(float);
  const ByteView own = as_bytes(std::span<const float>(at_.own.state_after));
  if (!tree_) {
    ClaimedTree tree(state_mode(), bytes, question_.level, nodes);
    if (tree.root() != at_.share.state_after)
      return Error{Errc::invalid, "these nodes are not state_after's"};
    tree_ = std::move(tree);
  } else if (!tree_->has_below(question_.first, nodes)) {
    return Error{Errc::invalid, "these chunks are not those of the node above"};
  }
  const auto differs = first_difference(
      nodes_of(state_mode(), own, question_.level, question_.first, question_.count), nodes);
  GEMMINE_CHECK(differs);  // what is above them differs, and follows from them
  const uint64_t first = (question_.first + *differs) << question_.level;
  if (question_.level > 0) {
    const uint64_t chunks = node_count(bytes, 0) - first;
    ask({.asked = Asked::state_nodes,
         .first = first,
         .count =
             static_cast<uint32_t>(std::min<uint64_t>(uint64_t{1} << question_.level, chunks))});
    return Ok{};
  }
  // Every moment has the place of its parameter.
  find_fibre(first * kChunkFloats % program_.parameters(), at_.share.first_step + at_.share.steps);
  return Ok{};
}

}  // namespace gemmine::verifier
